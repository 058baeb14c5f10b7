//! The verbs, and every kind of result.

use std::time::Duration;

use libtest_mimic::Trial;
use procession::address::Cause;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{deploy, one, probe, release, story, who};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("m2_results_of_every_kind_cross", results),
        story("m2_a_handlers_own_error_arrives_typed", typed_errors),
        story("m1_tell_do_send_try_send_and_recipient_arrive_in_order", verbs),
        story("m2_a_wrong_type_is_not_accepted", wrong_type),
        story("m2_an_unknown_name_says_what_to_do", unknown_name),
        story("m2_a_timeout_of_a_handled_request_is_unknown", timeout),
        story("m2_an_expired_request_is_not_handled", expired),
        story("m2_a_longer_timeout_than_the_topologys_holds", longer_timeout),
        story("m7_a_dropped_request_is_not_handled", dropped),
        story("m7_a_dropped_request_of_the_same_process_is_not_handled", dropped_locally),
        story("the_topologys_ask_timeout_holds", ask_timeout),
    ]
}

async fn results(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    a.send(Nothing).await?;
    assert_eq!(a.send(Double(4)).await?, 8);
    assert_eq!(a.send(InAFuture(4)).await?, 5);
    assert_eq!(a.send(InTheActor(4)).await?, 6);
    assert_eq!(a.send(Atomically(4)).await?, 7);
    assert_eq!(a.send(Notes).await?, [7], "an actor future has its actor");
    assert_eq!(a.send(Zeros(3)).await?, [0; 3]);
    assert_eq!(a.recipient::<Double>().send(Double(5)).await?, 10);
    assert_eq!(who(&a).await.incarnation, 1);
    assert!(a.connected());
    running.shutdown().await
}

async fn typed_errors(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    assert_eq!(a.send(Parse("12".into())).await?, Ok(12));
    assert_eq!(a.send(Parse("twelve".into())).await?, Err(NotANumber { text: "twelve".into() }));
    running.shutdown().await
}

async fn verbs(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    a.tell(Note(1)).await?;
    a.do_send(Note(2));
    a.try_send(Note(3)).map_err(procession::Error::from)?;
    let notes = a.recipient::<Note>();
    notes.tell(Note(4)).await?;
    notes.do_send(Note(5));
    notes.try_send(Note(6)).map_err(procession::Error::from)?;
    notes.send(Note(7)).await?;
    assert_eq!(a.send(Notes).await?, [1, 2, 3, 4, 5, 6, 7]);
    running.shutdown().await
}

async fn wrong_type(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let Err(procession::Error::WrongType { .. }) = running.addr::<Other>("a") else {
        panic!("it is a Probe")
    };
    let error = ProcAddr::<Other>::named("a").send(Double(1)).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::NotAccepted { actor } if actor.ends_with("Probe")), "{error}");
    assert_eq!(error.verdict(), Verdict::NotExecuted);
    assert_eq!(error.into_message().map(|double| double.0), Some(1));
    assert_eq!(a.send(Double(1)).await?, 2, "the connection lives on");
    running.shutdown().await
}

async fn unknown_name(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    assert!(matches!(running.addr::<Probe>("b"), Err(procession::Error::NoSuchActor(name)) if name == "b"));
    let nobody = ProcAddr::<Probe>::named("nobody");
    let error = nobody.send(Double(1)).await.unwrap_err();
    assert_eq!(*error.cause(), Cause::UnknownName("nobody".into()));
    assert!(!nobody.connected() && nobody.pin().is_err());
    let error = nobody.try_send(Double(3)).unwrap_err();
    assert_eq!(error.into_message().map(|double| double.0), Some(3));
    // A worker may reach by name only what the topology wires it to.
    let told = a.send(AskByName("nobody".into())).await?.unwrap_err();
    assert!(told.contains("nobody") && told.contains("wire it in the topology"), "{told}");
    running.shutdown().await
}

async fn timeout(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let error = a.send(Wait).timeout(Duration::from_millis(20)).await.unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (&Cause::TimedOut, Verdict::Unknown));
    assert!(error.into_message().is_none(), "it may have been executed");
    assert_eq!(a.send(Double(1)).await?, 2);
    running.shutdown().await
}

async fn expired(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    // `a` takes nothing until it is released; by then the note's time is over.
    let hold = a.send(Hold);
    let note = a.send(Note(1)).timeout(Duration::from_millis(20));
    assert_eq!(*note.await.unwrap_err().cause(), Cause::TimedOut);
    release(&running).await?;
    hold.await?;
    assert_eq!(a.send(Notes).await?, Vec::<u32>::new());
    running.shutdown().await
}

async fn longer_timeout(root: Root) -> procession::Result<()> {
    let short = Duration::from_millis(50);
    let running = deploy(&root, [probe("left", "a").ask_timeout(short)]).await?;
    let a = running.addr::<Probe>("a")?;
    // A request within the process, from `a` to itself: its handler comes to it long after the topology's time.
    let local = a.send(AskMyself).await?;
    assert_eq!(local, Ok(42));
    running.shutdown().await
}

async fn dropped(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let hold = a.send(Hold);
    let note = a.send(Note(1));
    // The second note tells that the first has arrived there, too.
    a.tell(Note(2)).await?;
    drop(note);
    release(&running).await?;
    hold.await?;
    assert_eq!(a.send(Notes).await?, [2]);
    running.shutdown().await
}

async fn dropped_locally(root: Root) -> procession::Result<()> {
    let a = ProcAddr::export(Probe::new(1, 0, None).start())?;
    let held = a.send(Note(1));
    let kept = a.send(Note(2));
    drop(held);
    kept.await?;
    assert_eq!(a.send(Notes).await?, [2]);
    drop(root);
    Ok(())
}

async fn ask_timeout(root: Root) -> procession::Result<()> {
    let short = Duration::from_millis(50);
    let running = deploy(&root, [probe("left", "a").ask_timeout(short), probe("right", "b")]).await?;
    let (a, b) = (running.addr::<Probe>("a")?, running.addr::<Probe>("b")?);
    let told = a.send(AskForEver(b)).await?;
    assert!(told.contains("no reply in time"), "{told}");
    running.shutdown().await
}
