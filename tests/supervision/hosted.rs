//! Actors in a process: who is started again, with whom, and when the process gives up.

use libtest_mimic::Trial;
use procession::address::Verdict;
use procession::prelude::*;
use procession::runtime::{Event, Launched};

use crate::actors::*;
use crate::stage::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("p5_an_actor_that_stops_is_started_again_if_it_is_permanent", stops),
        story("p5_a_transient_actor_that_stops_stays_down", transient),
        story("p5_a_temporary_actor_that_panics_stays_down", temporary),
        story("p5_one_for_all_restarts_every_actor_in_order", one_for_all),
        story("p5_rest_for_one_restarts_those_after_it", rest_for_one),
        story("p5_actors_that_need_too_many_restarts_end_their_process", gives_up),
        story("p5_a_significant_actor_that_ends_ends_its_process_in_order", significant),
        story("p5_all_significant_waits_for_the_last_of_them", all_significant),
        story("p5_a_panic_as_an_actor_starts_is_a_failed_start", panics_at_start),
    ]
}

async fn stops(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [quiet(house(), "a", |a| a)]).await?;
    let a = running.addr::<Child>("a")?;
    a.send(End(How::Stop)).await?;
    let life = who(&a).await;
    assert_eq!((life.incarnation, life.restarts), (1, 1));
    running.shutdown().await
}

async fn transient(root: Root) -> procession::Result<()> {
    let house = quiet(house(), "a", |a| a.restart(Policy::Transient));
    let running = deploy(&root, [quiet(house, "b", |b| b)]).await?;
    let (a, b) = (running.addr::<Child>("a")?, running.addr::<Child>("b")?);
    a.send(End(How::Panic)).await.unwrap_err();
    assert_eq!(who(&a).await.restarts, 1, "a panic is abnormal");
    a.send(End(How::Stop)).await?;
    let error = a.send(WhoAreYou).await.unwrap_err();
    assert_eq!(error.verdict(), Verdict::NotExecuted, "{error}");
    assert_eq!(who(&b).await.restarts, 0);
    running.shutdown().await
}

async fn temporary(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [quiet(house(), "a", |a| a.restart(Policy::Temporary))]).await?;
    let a = running.addr::<Child>("a")?;
    a.send(End(How::Panic)).await.unwrap_err();
    let error = a.send(WhoAreYou).await.unwrap_err();
    assert_eq!(error.verdict(), Verdict::NotExecuted, "{error}");
    running.shutdown().await
}

/// Three that talk.
fn three(strategy: Strategy) -> [Process; 2] {
    let house = house().actors(Actors::new().restart(AT_ONCE).restart(strategy));
    [archive(), ["a", "b", "c"].into_iter().fold(house, talks)]
}

fn starts(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.strip_suffix(" started")).collect()
}

async fn one_for_all(root: Root) -> procession::Result<()> {
    let running = deploy(&root, three(Strategy::OneForAll)).await?;
    running.addr::<Child>("b")?.send(End(How::Panic)).await.unwrap_err();
    let lines = read(&running, |lines| starts(lines).len() == 6).await?;
    assert_eq!(starts(&lines), ["a", "b", "c", "a", "b", "c"]);
    let position = |line: &str| lines.iter().position(|other| other == line).unwrap();
    assert!(position("c stopped") < position("a stopped"), "{lines:?}");
    running.shutdown().await
}

async fn rest_for_one(root: Root) -> procession::Result<()> {
    let running = deploy(&root, three(Strategy::RestForOne)).await?;
    running.addr::<Child>("b")?.send(End(How::Panic)).await.unwrap_err();
    let lines = read(&running, |lines| starts(lines).len() == 5).await?;
    assert_eq!(starts(&lines), ["a", "b", "c", "b", "c"]);
    assert_eq!(who(&running.addr("a")?).await.restarts, 0);
    running.shutdown().await
}

async fn gives_up(root: Root) -> procession::Result<()> {
    let few = Intensity { restarts: 1, ..Intensity::default() };
    let house = house().actors(Actors::new().restart(AT_ONCE).restart(few));
    let running = deploy(&root, [quiet(house, "a", |a| a)]).await?;
    let (a, mut events) = (running.addr::<Child>("a")?, running.events());
    let first = who(&a).await;
    for _ in 0..2 {
        a.send(End(How::Panic)).await.unwrap_err();
    }
    assert_eq!(exit_of(&mut events).await, Exit::Code(101));
    let next = who_after(&a, &first).await;
    assert_eq!((next.incarnation, next.restarts), (2, 0), "the level above restarts the process");
    running.shutdown().await
}

async fn significant(root: Root) -> procession::Result<()> {
    let house = house().restart(Policy::Transient).significant(true);
    let job = |job: procession::topology::DeclaredActor| job.significant(true).restart(Policy::Transient);
    let running = deploy(&root, [quiet(quiet(house, "a", |a| a), "job", job)]).await?;
    let job = running.addr::<Child>("job")?;
    job.send(End(How::Panic)).await.unwrap_err();
    assert_eq!(who(&job).await.restarts, 1, "it is restarted while it fails");
    job.send(End(How::Stop)).await?;
    assert_eq!(running.wait().await?, Exit::Code(0));
    Ok(())
}

async fn all_significant(root: Root) -> procession::Result<()> {
    let actors = Actors::new().restart(AT_ONCE).auto_shutdown(AutoShutdown::AllSignificant);
    let house =
        house().restart(Policy::Transient).significant(true).actors(actors.restart(Policy::Transient));
    let house = quiet(quiet(house, "one", |one| one.significant(true)), "two", |two| two.significant(true));
    let running = deploy(&root, [quiet(house, "a", |a| a)]).await?;
    running.addr::<Child>("one")?.send(End(How::Stop)).await?;
    who(&running.addr("a")?).await;
    running.addr::<Child>("two")?.send(End(How::Stop)).await?;
    assert_eq!(running.wait().await?, Exit::Code(0));
    Ok(())
}

async fn panics_at_start(root: Root) -> procession::Result<()> {
    let bad = Upbringing { nature: Nature::PanicsAtStart, ledger: None };
    let house = quiet(house(), "a", |a| a).actor::<Child>("bad", bad);
    let error = deploy(&root, [house]).await.unwrap_err().to_string();
    assert!(error.contains("bad") && error.contains("not today"), "{error}");
    let mut started = Vec::new();
    let topology = Topology::new("family").process(quiet(self::house(), "a", |a| a));
    let Launched { running, mut events, started: up } = root.launch(topology.plan(&root.catalog())?).await?;
    up.await.unwrap()?;
    event(&mut events, |event| {
        started.push(event.kind());
        matches!(event, Event::Running { .. }).then_some(())
    })
    .await;
    assert_eq!(started, ["started", "ready", "running"], "the one before left nothing behind");
    running.shutdown().await
}
