//! Messages that can't be written, read or held.

use libtest_mimic::Trial;
use procession::address::Cause;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{deploy, left, one, probe, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("h07_what_cant_be_written_is_a_typed_error_and_the_connection_lives_on", unwritable),
        story("h07_what_cant_be_read_is_a_typed_error_and_the_connection_lives_on", unreadable),
        story("h06_a_message_over_the_limit_is_a_typed_error_and_the_connection_lives_on", too_large),
        story("h06_a_first_message_over_the_peers_smaller_limit_is_a_typed_error", too_large_at_first),
        story("h06_a_reply_over_the_limit_is_a_typed_error", reply_too_large),
        story("m4_small_messages_pass_a_large_one", large_and_small),
    ]
}

fn moody(mood: Mood) -> Moody {
    Moody { value: 3, mood }
}

async fn unwritable(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    for mood in [Mood::CantBeWritten, Mood::PanicsWhenWritten] {
        let error = a.send(moody(mood)).await.unwrap_err();
        assert!(matches!(error.cause(), Cause::Encode(_)), "{mood:?}: {error}");
        assert_eq!(error.verdict(), Verdict::NotExecuted);
        assert_eq!(error.into_message().map(|moody| moody.mood), Some(mood));
        assert!(a.try_send(moody(mood)).is_err());
        assert_eq!(a.send(moody(Mood::Good)).await?, 3);
    }
    running.shutdown().await
}

async fn unreadable(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    for mood in [Mood::CantBeRead, Mood::PanicsWhenRead] {
        let error = a.send(moody(mood)).await.unwrap_err();
        assert!(matches!(error.cause(), Cause::Decode(_)), "{mood:?}: {error}");
        assert_eq!(error.verdict(), Verdict::NotExecuted);
        a.do_send(moody(mood));
        assert_eq!(a.send(moody(Mood::Good)).await?, 3);
    }
    running.shutdown().await
}

async fn too_large(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [probe("left", "a").max_message_bytes(100_000)]).await?;
    let a = running.addr::<Probe>("a")?;
    assert_eq!(a.send(Length(vec![0; 90_000])).await?, 90_000);
    let error = a.send(Length(vec![7; 200_000])).await.unwrap_err();
    assert_eq!(*error.cause(), Cause::TooLarge { limit: 100_000 });
    assert_eq!(error.into_message().map(|length| length.0.len()), Some(200_000));
    assert_eq!(a.send(Double(1)).await?, 2);
    running.shutdown().await
}

async fn too_large_at_first(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [probe("left", "a").max_message_bytes(100_000)]).await?;
    let a = running.addr::<Probe>("a")?;
    let (before, large, after) = (a.send(Double(1)), a.send(Length(vec![0; 200_000])), a.send(Double(2)));
    let error = large.await.unwrap_err();
    assert_eq!(*error.cause(), Cause::TooLarge { limit: 100_000 });
    assert_eq!(error.verdict(), Verdict::NotExecuted);
    assert_eq!((before.await?, after.await?), (2, 4));
    running.shutdown().await
}

async fn reply_too_large(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [probe("left", "a"), probe("right", "b").max_message_bytes(100_000)]).await?;
    let (a, b) = (running.addr::<Probe>("a")?, running.addr::<Probe>("b")?);
    let told = b.send(AskForZeros { whom: a.clone(), count: 200_000 }).await?;
    assert_eq!(told, Err("the message is larger than the limit of 100000 bytes".into()));
    assert_eq!(b.send(AskForZeros { whom: a, count: 90_000 }).await?, Ok(90_000));
    running.shutdown().await
}

async fn large_and_small(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [left().max_message_bytes(32 << 20)]).await?;
    let (a, a2) = (running.addr::<Probe>("a")?, running.addr::<Probe>("a2")?);
    a.send(Nothing).await?;
    let mut large = std::pin::pin!(a.send(Length(vec![1; 10 << 20])));
    // All of these are answered before the large one, which was sent first.
    for value in 0..5 {
        tokio::select! {
            biased;
            large = &mut large => panic!("small request {value} waited: {large:?}"),
            small = a2.send(Double(value)) => assert_eq!(small?, 2 * value),
        }
    }
    assert_eq!(large.await?, 10 << 20);
    assert_eq!(a.send(Zeros(10 << 20)).await?.len(), 10 << 20);
    running.shutdown().await
}
