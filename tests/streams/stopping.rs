//! How streams end before their end: by either side, by actors, by processes, by time.

use std::time::Duration;

use libtest_mimic::Trial;
use procession::address::Cause;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{deploy, kill, spring, story, two};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("m7_dropping_a_stream_drops_that_of_the_producer", dropped),
        story("a_stream_dies_with_the_process_of_its_producer", producer_killed),
        story("a_stream_dies_with_the_process_of_its_consumer", consumer_killed),
        story("a_stream_ends_with_the_actor_that_gave_it", actor_ends),
        story("a_panic_of_a_stream_is_a_panic_of_its_actor", panics),
        story("each_next_item_has_a_deadline", deadline),
        story("each_item_has_its_time_from_when_it_is_waited_for", each_in_time),
        story("a_stream_is_not_late_while_its_consumer_is_busy", idle),
        story("p4_a_process_that_stops_ends_its_streams", stops),
        story("a_stream_that_nobody_claims_is_dropped", unclaimed),
    ]
}

async fn dropped(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let here = ProcAddr::export(Spring::default().start())?;
    for whom in [&a, &here] {
        // While items come, while none comes, and before the first was asked for.
        for taken in [0, 1, 3] {
            let mut stream = whom.stream(Stall(3));
            for at in 0..taken {
                assert_eq!(stream.next().await, Some(Ok(at)));
            }
            if taken == 3 {
                assert!(futures_util::FutureExt::now_or_never(stream.next()).is_none());
            }
            drop(stream);
            whom.send(Await(0)).await?;
        }
        let unused = whom.send(Stall(3)).await?;
        whom.send(Await(1)).await?;
        drop(unused);
        whom.send(Await(0)).await?;
    }
    running.shutdown().await
}

async fn producer_killed(root: Root) -> procession::Result<()> {
    let (running, a, b) = two(&root).await?;
    let mut stream = a.stream(Stall(2));
    assert_eq!((stream.next().await, stream.next().await), (Some(Ok(0)), Some(Ok(1))));
    kill(&a).await?;
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(
        matches!(error.cause(), Some(Cause::PeerDied { exit: Some(Exit::Signal { .. }), .. })),
        "{error}"
    );
    assert_ne!(error.verdict(), Verdict::NotExecuted, "its handler ran");
    assert_eq!(stream.next().await, None);
    // The same address reaches the next life, which has no stream.
    loop {
        match b.send(Drink { whom: a.clone(), to: 10 }).await? {
            Ok(sum) => break assert_eq!(sum, 45),
            Err(error) => assert!(error.contains("PeerDied"), "{error}"),
        }
    }
    running.shutdown().await
}

async fn consumer_killed(root: Root) -> procession::Result<()> {
    let (running, a, b) = two(&root).await?;
    b.send(Sip { whom: a.clone(), count: 3 }).await?;
    a.send(Await(1)).await?;
    kill(&b).await?;
    a.send(Await(0)).await?;
    running.shutdown().await
}

async fn actor_ends(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let a2 = running.addr::<Spring>("a2")?;
    let (mut one, mut other) = (a.stream(Stall(1)), a2.stream(Stall(1)));
    assert_eq!((one.next().await, other.next().await), (Some(Ok(0)), Some(Ok(0))));
    assert_eq!(a.send(Panic).await.unwrap_err().verdict(), Verdict::Failed);
    let error = one.next().await.unwrap().unwrap_err();
    assert_eq!(error.cause(), Some(&Cause::Panicked("out of luck".into())));
    a2.send(Await(1)).await?;
    a2.send(Stop).await?;
    let error = other.next().await.unwrap().unwrap_err();
    assert_eq!((error.cause(), error.verdict()), (Some(&Cause::ActorStopped), Verdict::Failed));
    // Within a process as well.
    let here = ProcAddr::export(Spring::default().start())?;
    let mut stream = here.stream(Stall(1));
    assert_eq!(stream.next().await, Some(Ok(0)));
    here.send(Stop).await?;
    assert_eq!(stream.next().await.unwrap().unwrap_err().cause(), Some(&Cause::ActorStopped));
    running.shutdown().await
}

async fn panics(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    a.send(Ponder(1)).timeout(Duration::from_millis(1)).await.unwrap_err();
    let mut stream = a.stream(Trip(2));
    assert_eq!((stream.next().await, stream.next().await), (Some(Ok(0)), Some(Ok(1))));
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(error.cause(), Some(Cause::Panicked(why)) if why.contains("tripped")), "{error}");
    assert_eq!(a.send(Decide).await?, 0, "its actor lives anew");
    running.shutdown().await
}

async fn deadline(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let here = ProcAddr::export(Spring::default().start())?;
    for whom in [&a, &here] {
        let mut stream = whom.stream(Stall(5)).timeout(Duration::from_millis(200));
        for at in 0..5 {
            assert_eq!(stream.next().await, Some(Ok(at)));
        }
        assert_eq!(stream.next().await.unwrap().unwrap_err().cause(), Some(&Cause::TimedOut));
        assert_eq!(stream.next().await, None);
        whom.send(Await(0)).await?;
    }
    running.shutdown().await
}

/// So much time passes: that of an ask which nobody answers.
async fn an_ask_runs_out(whom: &ProcAddr<Spring>, time: Duration) {
    let error = whom.send(Ponder(0)).timeout(time).await.unwrap_err();
    assert_eq!(error.cause(), &Cause::TimedOut);
    assert_eq!(whom.send(Forget).await.unwrap(), 1);
}

async fn each_in_time(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let a2 = running.addr::<Spring>("a2")?;
    let here = ProcAddr::export(Spring::default().start())?;
    // Two are pulled at once, so the second is under way longer than it is waited for.
    let timeout = Duration::from_secs(5);
    let drip = async |whom: &ProcAddr<Spring>, other: &ProcAddr<Spring>| {
        let mut stream = whom.send(Drip(2)).await.unwrap().timeout(timeout).credit(2, 100);
        for at in 0..2 {
            let released = async {
                an_ask_runs_out(other, timeout * 6 / 10).await;
                other.send(Release).await.unwrap();
            };
            let (item, ()) = futures_util::future::join(stream.next(), released).await;
            assert_eq!(item, Some(Ok(at)));
        }
        assert_eq!(stream.next().await, None);
    };
    tokio::join!(drip(&a, &a2), drip(&here, &here));
    running.shutdown().await
}

async fn idle(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let a2 = running.addr::<Spring>("a2")?;
    let here = ProcAddr::export(Spring::default().start())?;
    let timeout = Duration::from_secs(1);
    for (whom, other) in [(&a, &a2), (&here, &here)] {
        other.send(Release).await?;
        let mut stream = whom.send(Drip(2)).await?.timeout(timeout).credit(2, 100);
        assert_eq!(stream.next().await, Some(Ok(0)));
        // Nobody waits for the next one, which is pulled already.
        an_ask_runs_out(other, timeout * 13 / 10).await;
        other.send(Release).await?;
        assert_eq!(stream.next().await, Some(Ok(1)));
        assert_eq!(stream.next().await, None);
    }
    running.shutdown().await
}

async fn stops(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let mut stream = a.stream(Stall(1));
    assert_eq!(stream.next().await, Some(Ok(0)));
    let (restarted, error) = futures_util::future::join(running.restart("left"), stream.next()).await;
    restarted?;
    let error = error.unwrap().unwrap_err();
    assert!(matches!(error.cause(), Some(Cause::Stopping(name)) if name.as_str() == "left"), "{error}");
    running.shutdown().await
}

async fn unclaimed(root: Root) -> procession::Result<()> {
    let short = Duration::from_millis(300);
    let running = deploy(&root, [spring("left", "a").actor::<Spring>("a2", ()).ask_timeout(short)]).await?;
    let (a, a2) = (running.addr::<Spring>("a")?, running.addr::<Spring>("a2")?);
    // On a busy machine a request may run out of time before it is handled.
    while a2.send(Waiting).await? == 0 {
        let mut late = a.stream(Later_(1)).timeout(Duration::from_millis(50));
        assert_eq!(late.next().await.unwrap().unwrap_err().cause(), Some(&Cause::TimedOut));
    }
    // The first is there before the stream is, which lives a short time.
    let (there, released) = tokio::join!(a2.send(Await(1)), a2.send(Release));
    there?;
    released?;
    a2.send(Await(0)).await?;
    running.shutdown().await
}
