//! Within a process: nothing is serialised, unless a test asks for it.

use libtest_mimic::Trial;
use procession::address::Cause;
use procession::prelude::*;

use crate::actors::*;
use crate::roots;
use crate::stage::{one, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("local_messages_are_not_serialised", unserialised),
        roots::succeeds("local_messages_are_serialised_where_a_test_says_so", "serialise-always"),
        story("m2_a_panic_here_fails_the_request_of_the_same_process", panics),
    ]
}

async fn unserialised(root: Root) -> procession::Result<()> {
    let a = ProcAddr::export(Probe::new(1, 0, None).start())?;
    for mood in [Mood::CantBeWritten, Mood::PanicsWhenWritten, Mood::CantBeRead] {
        assert_eq!(a.send(Moody { value: 9, mood }).await?, 9);
    }
    drop(root);
    Ok(())
}

/// In a root of its own, with `PROCESSION_SERIALISE_ALWAYS` set.
pub(crate) async fn serialised(root: Root) -> procession::Result<()> {
    let a = ProcAddr::export(Probe::new(1, 0, None).start())?;
    for mood in [Mood::CantBeWritten, Mood::PanicsWhenWritten, Mood::CantBeRead, Mood::PanicsWhenRead] {
        let error = a.send(Moody { value: 9, mood }).await.unwrap_err();
        assert!(matches!(error.cause(), Cause::Encode(_) | Cause::Decode(_)), "{error}");
        assert!(error.into_message().is_some());
    }
    assert_eq!(a.send(Moody { value: 9, mood: Mood::Good }).await?, 9);
    assert_eq!(a.send(Parse("x".into())).await?, Err(NotANumber { text: "x".into() }));
    let (running, a) = one(&root).await?;
    let exported = a.send(GiveMeYourAddress).await?;
    assert_eq!(a.send(Ask { whom: exported, value: 1 }).await?, Ok(2));
    running.shutdown().await
}

async fn panics(root: Root) -> procession::Result<()> {
    let a = ProcAddr::export(Probe::new(1, 0, None).start())?;
    let error = a.send(Panic("here".into())).await.unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (&Cause::Panicked("here".into()), Verdict::Failed));
    let error = a.send(Double(1)).await.unwrap_err();
    assert_eq!(error.cause(), &Cause::ActorStopped, "nobody restarts what the topology did not start");
    drop(root);
    Ok(())
}
