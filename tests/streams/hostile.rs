//! Hostile workers against the desk of an honest one, and streams that lie: nobody panics, hangs or grows, nothing is
//! got that was not given, and who did it is named, counted, and by policy killed.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use procession::codec;
use procession::prelude::*;
use procession::runtime::{Event, Events, Launched};
use procession::topology::OnViolation;

use crate::actors::*;
use crate::impostor::{FAILED, FAILS, Impostor, ROLE, STUCK_ASKS};
use crate::stage::{PATIENCE, deploy, memory, spring, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("x1_a_hostile_consumer_gets_no_more_than_anybody_may_and_is_named", consumer),
        story("x1_keys_and_tickets_that_are_guessed_edited_or_replayed_reach_nothing", guesser),
        story("x1_by_policy_who_guesses_at_a_desk_is_killed", killed),
        story("x1_who_hoards_streams_costs_what_the_limit_says", hoarder),
        story("p4_who_lets_nobody_answer_it_holds_up_no_stop", stuck),
        story("x1_a_producer_that_lies_ends_its_streams_and_is_named", producer),
    ]
}

fn impostor(role: &str) -> Process {
    Process::new("impostor")
        .actor::<Impostor>("impostor", vec![ProcAddr::named("a")])
        .env(ROLE, role)
        .restart(Policy::Temporary)
}

async fn stage(root: &Root, impostor: Process) -> procession::Result<(Running, ProcAddr<Spring>, Events)> {
    let plan =
        Topology::new("streams").process(spring("left", "a")).process(impostor).plan(&root.catalog())?;
    let Launched { running, events, .. } = root.launch(plan).await?;
    let a = running.addr("a")?;
    Ok((running, a, events))
}

/// Who was blamed by whom, until the impostor is gone, how it ended, and whether it was killed for what it did.
async fn end(events: &mut Events) -> (Vec<(String, String, String, bool)>, Exit) {
    let mut blamed = Vec::new();
    loop {
        match events.next().await.unwrap() {
            Event::Blamed { process, by, reason, killed, .. } => {
                blamed.push((process.to_string(), by.to_string(), reason, killed));
            }
            Event::Exited { process, death, .. } if process.as_str() == "impostor" => {
                return (blamed, death.exit);
            }
            _ => {}
        }
    }
}

/// One that was blamed once, by the honest one, for what contains this, and got nowhere.
fn is_named((blamed, exit): (Vec<(String, String, String, bool)>, Exit), why: &str) {
    assert_eq!(exit, Exit::Code(FAILED));
    let [(process, by, reason, killed)] = &blamed[..] else { panic!("{blamed:?}") };
    assert_eq!((process.as_str(), by.as_str(), *killed), ("impostor", "left", false));
    assert!(reason.contains(why), "{reason}");
}

async fn consumer(root: Root) -> procession::Result<()> {
    let (running, a, mut events) = stage(&root, impostor("consumer")).await?;
    is_named(end(&mut events).await, "pulled a stream more than 2 times");
    // Its streams went with it.
    a.send(Await(0)).await?;
    assert_eq!(sum(a.stream(Count(10))).await, Ok(45));
    running.shutdown().await
}

async fn guesser(root: Root) -> procession::Result<()> {
    let (running, a, mut events) = stage(&root, impostor("guesser")).await?;
    // What others have is none of its business.
    let mut ours = a.send(Count(10)).await?;
    let pondering = a.send(Ponder(4));
    assert_eq!(ours.next().await, Some(Ok(0)));
    is_named(end(&mut events).await, "a key that nobody gave it");
    assert_eq!(sum(ours).await, Ok(45));
    a.send(Decide).await?;
    assert_eq!(pondering.await?, 8);
    running.shutdown().await
}

async fn killed(root: Root) -> procession::Result<()> {
    let (running, a, mut events) = stage(&root, impostor("guesser").on_violation(OnViolation::Kill)).await?;
    let (blamed, _) = end(&mut events).await;
    assert!(
        matches!(&blamed[..], [(process, by, _, true)] if process == "impostor" && by == "left"),
        "{blamed:?}"
    );
    assert_eq!(sum(a.stream(Count(10))).await, Ok(45));
    running.shutdown().await
}

async fn hoarder(root: Root) -> procession::Result<()> {
    let (running, a, mut events) = stage(&root, impostor("hoarder")).await?;
    let pid = a.send(WhoAreYou).await?;
    let before = memory(pid, "VmRSS");
    let (blamed, exit) = end(&mut events).await;
    assert_eq!((blamed.len(), exit), (0, Exit::Code(FAILED)), "{blamed:?}: it asked for what it may ask for");
    let grown = memory(pid, "VmRSS").saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
    // What nobody can pull any more is given back, and there is room for others.
    a.send(Await(0)).await?;
    assert_eq!(sum(a.stream(Count(10))).await, Ok(45));
    running.shutdown().await
}

async fn stuck(root: Root) -> procession::Result<()> {
    let patient = Shutdown::Timeout(PATIENCE);
    let running =
        deploy(&root, [impostor("stuck"), spring("left", "a"), spring("right", "b").shutdown(patient)])
            .await?;
    let (a, b) = (running.addr::<Spring>("a")?, running.addr::<Spring>("b")?);
    let mut given = 0;
    while given < STUCK_ASKS {
        given += a.send(LetDecide(b.clone())).await?;
    }
    // All of them were answered there, and nothing of it has left.
    b.send(Kept).await?;
    let began = Instant::now();
    running.stop("right").await.unwrap();
    assert!(began.elapsed() < PATIENCE / 4, "{:?}", began.elapsed());
    running.shutdown().await
}

async fn producer(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [impostor("producer"), spring("left", "a")]).await?;
    let mut events = running.events();
    let a: ProcAddr<Spring> = running.addr("a")?;
    // It says that it is one.
    let whom = running.addr::<Impostor>("impostor")?;
    let whom: ProcAddr<Spring> = codec::decode(&codec::encode(&whom, 1000).unwrap()).unwrap();
    for way in (0..=FAILS).chain([100, 101, 102]) {
        let ended = a.send(Drink { whom: whom.clone(), to: way }).timeout(Duration::from_secs(30)).await?;
        let told = match way {
            9 | 102 => "Ok(0)",
            FAILS => "TooLarge",
            101 => "NoRight",
            _ => "Decode",
        };
        assert!(format!("{ended:?}").contains(told), "{way}: {ended:?}");
    }
    let blamed = loop {
        if let Event::Blamed { process, by, reason, count, killed, .. } = events.next().await.unwrap() {
            break (process.to_string(), by.to_string(), reason, count, killed);
        }
    };
    let (process, by, reason, count, killed) = blamed;
    assert_eq!((process.as_str(), by.as_str(), count, killed), ("impostor", "left", 1, false));
    assert!(reason.contains("items"), "{reason}");
    assert_eq!(sum(a.stream(Count(10))).await, Ok(45));
    running.shutdown().await
}
