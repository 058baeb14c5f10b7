//! Whose a stream is: its actor's, who gets it, whoever gets the message that has it; and what it may cost them.

use std::time::Duration;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::address::Cause;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{deploy, signal, spring, story, two};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("a_stream_of_a_handlers_future_ends_with_the_actor", of_futures),
        story("a_panic_of_a_stream_of_a_handlers_future_is_one_of_its_actor", tripping),
        story("a_stream_whose_drop_panics_harms_its_actor_alone", dropped),
        story("a_stream_in_a_message_that_is_not_delivered_ends_or_comes_back", undelivered),
        story("m6_a_message_that_may_come_again_has_neither_streams_nor_responders", again),
        story("batches_are_no_larger_than_messages_of_both_sides", small),
    ]
}

fn cause<T: std::fmt::Debug>(item: Option<Result<T, StreamError>>) -> Cause {
    let error = item.expect("an end with a cause").expect_err("an end");
    error.cause().expect("a cause").clone()
}

/// One of each kind of future that a handler may answer by, with one item taken.
async fn begun(whom: &ProcAddr<Spring>) -> procession::Result<[Streaming<u64>; 3]> {
    let mut streams =
        [whom.send(StallSoon(1)).await?, whom.send(StallInActor(1)).await?, whom.send(StallAlone(1)).await?];
    for stream in &mut streams {
        assert_eq!(stream.next().await, Some(Ok(0)));
    }
    Ok(streams)
}

async fn of_futures(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let a2 = running.addr::<Spring>("a2")?;
    let (ended, others) = (begun(&a).await?, begun(&a2).await?);
    a.send(Panic).await.unwrap_err();
    for mut stream in ended {
        assert_eq!(cause(stream.next().await), Cause::Panicked("out of luck".into()));
    }
    a2.send(Await(3)).await?;
    // Those of the other actor of its process go on.
    for mut stream in others {
        assert!(futures_util::FutureExt::now_or_never(stream.next()).is_none());
    }
    a2.send(Await(0)).await?;
    // Within a process as well.
    let here = ProcAddr::export(Spring::default().start())?;
    let ended = begun(&here).await?;
    here.send(Stop).await?;
    for mut stream in ended {
        assert_eq!(cause(stream.next().await), Cause::ActorStopped);
    }
    running.shutdown().await
}

async fn tripping(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let pondering = a.send(Ponder(1));
    let mut stream = a.send(TripSoon(1)).await?.unwrap();
    assert_eq!(stream.next().await, Some(Ok(0)));
    assert!(matches!(cause(stream.next().await), Cause::Panicked(why) if why.contains("tripped")));
    pondering.await.unwrap_err();
    assert_eq!(a.send(Decide).await?, 0, "its actor lives anew");
    running.shutdown().await
}

async fn dropped(root: Root) -> procession::Result<()> {
    let (running, a, b) = two(&root).await?;
    let a2 = running.addr::<Spring>("a2")?;
    let (pondering, mut other) = (a.send(Ponder(1)), a2.send(Drip(1)).await?);
    // Dropped before its end, and at it.
    for count in [100_000, 1] {
        let mut stream = a.stream(Bomb(count));
        assert_eq!(stream.next().await, Some(Ok(0)));
        if count == 1 {
            assert_eq!(stream.next().await, None);
        }
        drop(stream);
        a2.send(Await(1)).await?;
    }
    pondering.await.unwrap_err();
    assert_eq!(a.send(Decide).await?, 0, "its actor lives anew");
    // The others of its process do not notice.
    a2.send(Release).await?;
    assert_eq!((other.next().await, other.next().await), (Some(Ok(0)), None));
    assert_eq!(b.send(Drink { whom: a, to: 1000 }).await?, Ok((0..1000).sum()));
    // Nor does who drops it.
    let here = ProcAddr::export(Spring::default().start())?;
    let mut stream = here.stream(Bomb(2));
    assert_eq!(stream.next().await, Some(Ok(0)));
    drop(stream);
    running.shutdown().await
}

async fn undelivered(root: Root) -> procession::Result<()> {
    let short = Duration::from_millis(1500);
    let left = spring("left", "a").ask_timeout(short);
    let running = deploy(&root, [left, spring("right", "b").restart(Policy::Temporary)]).await?;
    let (a, b) = (running.addr::<Spring>("a")?, running.addr::<Spring>("b")?);
    let spoil = async |stream| {
        let error = b.send(Spoiled(stream, Prickly(1))).await.unwrap_err();
        assert!(matches!(error.cause(), Cause::Encode(_)), "{error}");
        error.into_message().unwrap().0
    };
    // It was written already when the message failed: it comes back as it was, and can go again.
    let back = spoil(a.send(Count(10)).await?).await;
    assert_eq!(b.send(Sum(spoil(back).await)).await?, Ok(45));
    let back = spoil(Streaming::of(futures_util::stream::iter(0..10))).await;
    assert_eq!(sum(back).await, Ok(45), "one that was made here, too");
    // Whoever drops it then does not have it any more, whether anything was taken from it or not.
    for taken in [0, 1] {
        let mut back = spoil(a.send(Stall(1)).await?).await;
        for at in 0..taken {
            assert_eq!(back.next().await, Some(Ok(at)));
        }
        drop(back);
        a.send(Await(0)).await?;
    }
    // In a message that is on its way to one that never takes it.
    let (stream, pid) = (a.send(Stall(1)).await?, b.send(WhoAreYou).await?);
    signal(pid, Signal::SIGSTOP);
    b.do_send(Spoiled(stream, Prickly(0)));
    a.send(Await(0)).await?;
    signal(pid, Signal::SIGKILL);
    running.shutdown().await
}

async fn again(root: Root) -> procession::Result<()> {
    let (running, a, b) = two(&root).await?;
    let kept = b.at_least_once();
    for stream in [a.send(Count(3)).await?, Streaming::of(futures_util::stream::iter(0..3))] {
        let error = kept.send(Sum(stream)).await.unwrap_err();
        assert!(matches!(error.cause(), Cause::Encode(why) if why.contains("at least once")), "{error}");
        assert_eq!(error.verdict(), Verdict::NotExecuted);
        let Sum(stream) = error.into_message().unwrap();
        assert_eq!(sum(stream).await, Ok(3), "it came back as it was");
    }
    let pondering = a.send(Ponder(1));
    let mut responders = Vec::new();
    while responders.is_empty() {
        responders = a.send(TakeBack).await?;
    }
    let task = Task { value: 1, to: vec![], how: How::Answer, responder: responders.remove(0) };
    let error = kept.tell(task).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Encode(why) if why.contains("at least once")), "{error}");
    error.into_message().unwrap().responder.answer(7);
    assert_eq!(pondering.await?, 7);
    running.shutdown().await
}

async fn small(root: Root) -> procession::Result<()> {
    let left = spring("left", "a").max_message_bytes(20_000);
    let running = deploy(&root, [left, spring("right", "b").max_message_bytes(5_000)]).await?;
    let (a, b) = (running.addr::<Spring>("a")?, running.addr::<Spring>("b")?);
    let drink = async |count, bytes| {
        let here = a.stream(Texts(count, bytes)).credit(1000, 16 << 20);
        let here = sum(futures_util::StreamExt::map(here, |text| text.map(|text| text.len() as u64))).await;
        let there = b.send(DrinkTexts { whom: a.clone(), count, bytes }).await.unwrap();
        (here, there)
    };
    // Far more of them than one message has room for; and each nearly as large as one.
    assert_eq!(drink(300, 1_000).await, (Ok(300_000), Ok(300_000)));
    assert_eq!(drink(10, 4_900).await, (Ok(49_000), Ok(49_000)));
    // What is too large for one of the two.
    let (here, there) = drink(5, 10_000).await;
    assert_eq!(here, Ok(50_000));
    assert!(there.as_ref().is_err_and(|why| why.contains("TooLarge")), "{there:?}");
    let (here, there) = drink(5, 20_000).await;
    assert!(here.as_ref().is_err_and(|why| why.contains("TooLarge")), "{here:?}");
    assert!(there.as_ref().is_err_and(|why| why.contains("TooLarge")), "{there:?}");
    // With a reason as with a value.
    let mut failing = a.stream(Fail(2)).credit(1, 100);
    assert_eq!((failing.next().await, failing.next().await), (Some(Ok(0)), Some(Ok(1))));
    assert_eq!(failing.next().await, Some(Err(StreamError::Error(Bad("enough".into())))));
    a.send(Await(0)).await?;
    running.shutdown().await
}
