//! Addresses that were guessed, edited or replayed reach nothing, whoever tries.

use libtest_mimic::Trial;
use procession::id::{ActorId, Capability, ProcessId, Slot};
use procession::prelude::*;
use procession::runtime::{Event, Launched};

use crate::clerks::*;
use crate::guesser::{FAILED, ROLE};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("a3_x1_a_hostile_worker_that_guesses_edits_and_replays_reaches_nothing", hostile),
        story("a3_a_guessed_address_is_refused_by_root_and_owner", guessed),
        story("a3_a_wrong_address_harms_nobody_who_has_a_right_one", beside_a_right_one),
    ]
}

async fn hostile(root: Root) -> procession::Result<()> {
    let c = Process::new("c").actor::<Clerk>("c", vec![]).actor::<Clerk>("beside", vec![]);
    let guesser = Process::new("guesser")
        .actor::<Clerk>("guesser", vec![ProcAddr::named("c")])
        .may_send("c", ["Note"])
        .env(ROLE, "1")
        .restart(Policy::Temporary);
    let topology = Topology::new("rights").process(c).process(process("d")).process(guesser);
    let Launched { running, mut events, started } =
        root.launch(topology.plan(&root.catalog()).unwrap()).await?;
    let mut blamed = Vec::new();
    let death = event(&mut events, |event| match event {
        Event::Blamed { process, by, .. } => {
            blamed.push((process.to_string(), by.to_string()));
            None
        }
        Event::Exited { process, death, .. } if process.as_str() == "guesser" => Some(death.clone()),
        _ => None,
    })
    .await;
    assert_eq!(death.exit, Exit::Code(FAILED), "{death:?}");
    assert_eq!(
        blamed,
        [("guesser".to_owned(), "c".to_owned())],
        "for the message that the edge does not carry"
    );
    // One note by the whole right, two by the counted one.
    let clerks = (at(&running, "c"), at(&running, "beside"), at(&running, "d"));
    assert_eq!(clerks.0.send(Taken).await.unwrap(), ["a guess", "a guess", "a guess"]);
    assert!(clerks.1.send(Taken).await.unwrap().is_empty() && clerks.2.send(Taken).await.unwrap().is_empty());
    drop(started);
    running.shutdown().await
}

fn guess(process: u32, slot: u32) -> ProcAddr<Clerk> {
    let id = ActorId::declared(ProcessId(process), Slot(slot));
    let bytes = procession::codec::encode(&Capability::unsealed(id), 1 << 10).unwrap();
    procession::codec::decode(&bytes).unwrap()
}

async fn note(by: &ProcAddr<Clerk>, to: ProcAddr<Clerk>) -> String {
    by.send(AskToNote { to, text: "hello".to_owned() }).await.unwrap()
}

async fn guessed(root: Root) -> procession::Result<()> {
    let running = root.deploy(Topology::new("rights").process(process("a")).process(process("b"))).await?;
    let (a, b) = (at(&running, "a"), at(&running, "b"));
    let refused = "NoRight NotExecuted back";
    // By the root, as there is no pipe; by the owner, as there is one; at home; the root itself as well.
    assert_eq!(note(&a, guess(2, 0)).await, refused);
    assert_eq!(note(&a, b.clone()).await, "done");
    assert_eq!(note(&a, guess(2, 0)).await, refused);
    assert_eq!(note(&a, guess(2, 5)).await, refused);
    assert_eq!(note(&b, guess(2, 0)).await, refused);
    assert_eq!(ended(guess(2, 0).send(Note(String::new())).await), refused);
    assert_eq!(note(&a, guess(0, 1 << 31)).await, refused);
    assert_eq!(note(&a, guess(7, 0)).await, "Unreachable NotExecuted back", "there is no such process");
    assert_eq!(taken(&b, 1).await, ["hello"]);
    running.shutdown().await
}

async fn beside_a_right_one(root: Root) -> procession::Result<()> {
    let running = root.deploy(Topology::new("rights").process(process("a")).process(process("b"))).await?;
    let (a, b) = (at(&running, "a"), at(&running, "b"));
    // All of it is on its way before the root has introduced anybody: each is judged by its own address.
    let asks: Vec<_> = (0..12)
        .map(|number| match number % 3 {
            0 => a.send(AskToNote { to: guess(2, number), text: String::new() }),
            1 => a.send(AskToNote { to: b.clone(), text: String::new() }),
            _ => a.send(AskToNote { to: guess(2, 0), text: String::new() }),
        })
        .collect();
    for (number, ask) in asks.into_iter().enumerate() {
        let expected = if number % 3 == 1 { "done" } else { "NoRight NotExecuted back" };
        assert_eq!(ask.await.unwrap(), expected, "{number}");
    }
    running.shutdown().await
}
