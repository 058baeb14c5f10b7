//! Rows of the table of what a sender sees that no other story shows.

use std::io::Write;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use procession::address::{Cause, NameError};
use procession::codec;
use procession::id::{ActorId, Capability, ProcessId, Slot};
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{spring, story, two};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        Trial::test("m2_outside_of_a_runtime_a_message_comes_back", outside),
        story("m2_a_result_that_can_not_be_read_here_has_failed", unreadable),
        story("m2_the_ask_for_a_stream_fails_as_any_ask_does", not_asked),
        story("m2_a_responder_in_a_message_that_is_lost_times_out", lost),
        story("an_owned_fd_and_a_blob_are_fields_of_one_message", fields),
        story("an_address_that_gives_no_right_is_not_registered", not_registered),
    ]
}

fn outside() -> Result<(), Failed> {
    let system = actix::System::new();
    let error = system.block_on(ProcAddr::<Spring>::named("a").send(Count(7))).err().unwrap();
    assert_eq!((error.cause(), error.verdict()), (&Cause::NoRuntime, Verdict::NotExecuted));
    assert_eq!(error.into_message().map(|Count(to)| to), Some(7));
    Ok(())
}

async fn unreadable(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let error = a.send(GiveSour).await.err().unwrap();
    assert!(matches!(error.cause(), Cause::Decode(_)), "{error}");
    assert_eq!(error.verdict(), Verdict::Failed);
    running.shutdown().await
}

async fn not_asked(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let mut none = ProcAddr::<Spring>::named("nobody").stream(Count(3));
    let error = none.next().await.unwrap().unwrap_err();
    assert!(matches!(error.cause(), Some(Cause::UnknownName { .. })), "{error}");
    assert_eq!(error.verdict(), Verdict::NotExecuted);
    assert_eq!(none.next().await, None);
    // In time, and then not in time.
    let mut held = a.stream(Later_(3)).timeout(Duration::from_millis(200));
    let error = held.next().await.unwrap().unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (Some(&Cause::TimedOut), Verdict::Unknown));
    a.send(Release).await?;
    running.shutdown().await
}

async fn lost(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let gone = ProcAddr::export(Spring::default().start())?;
    gone.send(Stop).await.ok();
    // Who passes it on only tells, so the message that nobody takes is a dead letter there.
    let asked = a.send(Delegate { value: 1, to: vec![gone], how: How::Answer });
    let error = asked.timeout(Duration::from_millis(500)).await.unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (&Cause::TimedOut, Verdict::Unknown));
    assert_eq!(a.send(Delegate { value: 2, to: vec![running.addr("b")?], how: How::Answer }).await?, 4);
    running.shutdown().await
}

async fn not_registered(root: Root) -> procession::Result<()> {
    let topology = Topology::new("streams").namespace(Namespace::new("all").register(["*"]).lookup(["*"]));
    let running = root.deploy(topology.process(spring("left", "a"))).await?;
    let guess = Capability::unsealed(ActorId::declared(ProcessId(1), Slot(0)));
    let guess: ProcAddr<Spring> = codec::decode(&codec::encode(&guess, 100).unwrap()).unwrap();
    let error = running.runtime().register("all/x", &guess).await.unwrap_err();
    assert!(matches!(error, NameError::NoRight(..)), "{error}");
    let error = running.runtime().look_up::<Spring>("all/x").await.unwrap_err();
    assert!(matches!(error, NameError::Unknown(_)), "{error}");
    running.runtime().register("all/x", &running.addr::<Spring>("a")?).await.unwrap();
    running.shutdown().await
}

async fn fields(root: Root) -> procession::Result<()> {
    let (running, a, b) = two(&root).await?;
    let here = ProcAddr::export(Spring::default().start())?;
    for whom in [&a, &b, &here] {
        let (reading, mut writing) = std::io::pipe().unwrap();
        writing.write_all(b"from the root").unwrap();
        drop(writing);
        let message = ReadOut { file: reading.into(), blob: Blob::copy_from(&[7; 100_000]).unwrap() };
        assert_eq!(whom.send(message).await?, ("from the root".to_owned(), 100_000));
    }
    running.shutdown().await
}
