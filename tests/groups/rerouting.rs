//! What becomes of a routed request when its member dies: not executed, it goes to another; perhaps executed, it does not,
//! unless that is asked for.

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::address::Cause;
use procession::prelude::*;

use crate::actors::*;
use crate::members::{group_of, join};
use crate::stage::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("what_was_provably_not_executed_goes_to_another_member", not_executed),
        story("what_may_have_run_is_not_repeated", unknown),
        story("what_may_have_run_is_repeated_where_that_is_asked_for", repeated),
        story("what_failed_is_never_repeated", failed),
        story("what_waits_beyond_its_time_is_not_repeated", too_late),
        story("a_stopping_member_refuses_and_another_takes_it", stopping),
        story("when_the_last_member_fails_its_error_is_told", last),
    ]
}

/// Two members, of processes to whose actors two messages may be under way.
async fn narrow(root: &Root) -> procession::Result<(Running, [ProcAddr<Member>; 2], GroupAddr<Member>)> {
    let narrow = |name| process(name).mailbox(2, 1 << 20).max_message_bytes(1 << 16);
    let running = root.deploy(topology().process(narrow("a")).process(narrow("b"))).await?;
    let members = [running.addr("a")?, running.addr("b")?];
    join(&[&members[0], &members[1]]).await;
    let group = group_of(root, 2).await;
    Ok((running, members, group))
}

/// Two members and one that is none.
async fn held(root: &Root) -> procession::Result<(Running, [ProcAddr<Member>; 3], GroupAddr<Member>)> {
    let (running, members) = three(root).await?;
    join(&[&members[0], &members[1]]).await;
    let group = group_of(root, 2).await;
    Ok((running, members, group))
}

/// A key that belongs to this member.
async fn key_of(group: &GroupAddr<Member>, name: &str) -> ProcAddr<Member> {
    for key in 0..1000_u32 {
        let addr = group.by_key(key.to_le_bytes());
        if addr.send(WhoAreYou).await.unwrap().name == name {
            return addr;
        }
    }
    panic!("{name} owns no key");
}

async fn not_executed(root: Root) -> procession::Result<()> {
    let (running, [a, b], group) = narrow(&root).await?;
    let to_a = key_of(&group, "a").await;
    let pid = who(&a).await.pid;
    let hold = a.send(Hold);
    let waiting: Vec<_> = (0..20).map(|value| to_a.send(Double(value))).collect();
    // What was sent before it in the same pipe has arrived.
    running.addr::<Member>("a-too")?.send(WhoAreYou).await?;
    signal(pid, Signal::SIGKILL);
    let (mut moved, mut lost) = (0, 0);
    for (value, waiting) in (0..).zip(waiting) {
        match waiting.await {
            Ok(doubled) => {
                assert_eq!(doubled, value * 2);
                moved += 1;
            }
            // It was under way, as the window allows, so nobody knows.
            Err(error) => {
                assert_eq!(error.verdict(), Verdict::Unknown, "{error}");
                lost += 1;
            }
        }
    }
    assert!(lost <= 2 && moved >= 18, "{lost} lost, {moved} moved");
    assert_eq!(b.send(Doubled).await?, moved, "each once, and all by the other");
    assert!(matches!(hold.await.unwrap_err().cause(), Cause::PeerDied { .. }));
    running.shutdown().await
}

async fn unknown(root: Root) -> procession::Result<()> {
    let (running, [a, b, _], group) = held(&root).await?;
    let to_a = key_of(&group, "a").await;
    let pid = who(&a).await.pid;
    let waiting = to_a.send(Wait);
    // Its handler has returned, so it has begun.
    running.addr::<Member>("a-too")?.send(WhoAreYou).await?;
    a.send(WhoAreYou).await?;
    signal(pid, Signal::SIGKILL);
    let error = waiting.await.unwrap_err();
    assert_eq!(error.verdict(), Verdict::Unknown, "{error}");
    assert!(matches!(error.cause(), Cause::PeerDied { .. }), "{error}");
    // Nobody waits at the other: two that are let go would let it go, too.
    b.send(WhoAreYou).await?;
    running.shutdown().await
}

async fn repeated(root: Root) -> procession::Result<()> {
    let (running, [a, b, _], group) = held(&root).await?;
    let to_a = key_of(&group, "a").await.repeating();
    let pid = who(&a).await.pid;
    let waiting = to_a.send(Wait);
    a.send(WhoAreYou).await?;
    signal(pid, Signal::SIGKILL);
    // It ends only because it waits at the other, which lets it go.
    b.send(Release).await?;
    waiting.await?;
    running.shutdown().await
}

async fn failed(root: Root) -> procession::Result<()> {
    let (running, [a, b, _], group) = held(&root).await?;
    let to_a = key_of(&group, "a").await.repeating();
    let (before, other) = (who(&a).await, who(&b).await);
    let error = to_a.send(Panic).await.unwrap_err();
    assert_eq!(error.verdict(), Verdict::Failed, "{error}");
    assert_eq!(who(&b).await, other, "it did not panic, too");
    until(|| async { who(&a).await.restarts == before.restarts + 1 }).await;
    running.shutdown().await
}

async fn too_late(root: Root) -> procession::Result<()> {
    let (running, [a, b, _], group) = held(&root).await?;
    let to_a = key_of(&group, "a").await;
    let hold = a.send(Hold);
    let error = to_a.send(Double(1)).timeout(std::time::Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(error.cause(), &Cause::TimedOut);
    running.addr::<Member>("a-too")?.send(Release).await?;
    hold.await?;
    assert_eq!(b.send(Doubled).await?, 0);
    running.shutdown().await
}

async fn stopping(root: Root) -> procession::Result<()> {
    let (running, [a, b, _], group) = held(&root).await?;
    let to_a = key_of(&group, "a").await;
    let exported = a.send(Export("all/x".into())).await?.unwrap();
    running.runtime().join("all/h", &exported).await.unwrap();
    running.runtime().join("all/h", &b).await.unwrap();
    let others = root.runtime().group::<Member>("all/h").await.unwrap();
    until(|| async { others.members().unwrap().len() == 2 }).await;
    // An actor that has stopped refuses, as often as it is asked before that is known.
    exported.send(Stop).await?;
    let routed = others.route(Routing::RoundRobin);
    for value in 0..10 {
        assert_eq!(routed.send(Double(value)).await?, value * 2);
    }
    // A whole process.
    running.stop("a").await.unwrap();
    for value in 0..10 {
        assert_eq!(to_a.send(Double(value)).await?, value * 2);
    }
    running.shutdown().await
}

async fn last(root: Root) -> procession::Result<()> {
    let (running, [a, b], group) = narrow(&root).await?;
    b.send(Leave("all/g".into())).await?.unwrap();
    until(|| async { group.members().unwrap().len() == 1 }).await;
    let routed = group.route(Routing::Random);
    let pid = who(&a).await.pid;
    let hold = a.send(Hold);
    let mut waiting: Vec<_> = (0..3).map(|value| routed.send(Double(value))).collect();
    running.addr::<Member>("a-too")?.send(WhoAreYou).await?;
    signal(pid, Signal::SIGKILL);
    // The last had no room yet.
    let error = waiting.pop().unwrap().await.unwrap_err();
    assert_eq!(error.verdict(), Verdict::NotExecuted, "{error}");
    assert!(matches!(error.cause(), Cause::PeerDied { .. }), "{error}");
    assert_eq!(error.into_message().unwrap().0, 2, "and it comes back");
    drop((hold, waiting));
    running.shutdown().await
}
