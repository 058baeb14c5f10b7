//! Members: who joins, leaves and dies, who is told, and what is sent to all of them.

use std::time::Duration;

use libtest_mimic::Trial;
use procession::address::{Cause, GroupChanged, NameError};
use procession::prelude::*;

use crate::actors::*;
use crate::stage::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("members_join_and_leave_and_all_who_use_the_group_know", come_and_go),
        story("who_watches_a_group_is_told_of_each_change", watched),
        story("a_member_that_dies_is_removed_and_is_back_with_its_next_life", dies),
        story("a_broadcast_goes_to_every_member_that_is_known", broadcast),
        story("a_gather_returns_at_its_deadline_with_what_there_is", gather),
        story("a_gather_tells_the_error_of_each_member_that_was_lost", gather_errors),
        story("a_group_has_members_of_one_type", typed),
        story("the_address_of_a_group_is_a_value_like_any_other", value),
        story("a_group_is_not_one_actor", not_one),
        story("a_group_without_members_takes_no_message", empty),
    ]
}

pub(crate) async fn join(members: &[&ProcAddr<Member>]) {
    for member in members {
        member.send(Join("all/g".into())).await.unwrap().unwrap();
    }
}

/// The group `all/g`, once this process knows of so many members.
pub(crate) async fn group_of(root: &Root, members: usize) -> GroupAddr<Member> {
    let group = root.runtime().group::<Member>("all/g").await.unwrap();
    until(|| async { group.members().unwrap().len() == members }).await;
    group
}

async fn come_and_go(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    let group = group_of(&root, 0).await;
    join(&[&a, &b]).await;
    until(|| async { group.members().unwrap().len() == 2 }).await;
    until(|| async { c.send(Members(group.clone())).await.unwrap() == 2 }).await;
    let processes: Vec<_> =
        group.members().unwrap().iter().map(|member| member.process.to_string()).collect();
    assert_eq!(processes, ["a", "b"]);
    join(&[&a]).await;
    a.send(Leave("all/g".into())).await?.unwrap();
    until(|| async { group.members().unwrap().len() == 1 }).await;
    until(|| async { c.send(Members(group.clone())).await.unwrap() == 1 }).await;
    assert_eq!(group.members().unwrap()[0].addr::<Member>().unwrap(), b);
    let error = a.send(Leave("all/g".into())).await?.unwrap_err();
    assert!(matches!(error, NameError::Unknown(_)), "{error}");
    running.runtime().leave("all/g", &b).await.unwrap();
    until(|| async { group.members().unwrap().is_empty() }).await;
    running.shutdown().await
}

/// Waits until the watcher knows of so many members; then everything that it was told.
async fn changes(watcher: &ProcAddr<Member>, members: u32) -> Vec<GroupChanged> {
    loop {
        let changes = watcher.send(GroupChanges).await.unwrap();
        assert!(changes.is_sorted_by(|one, next| one.version < next.version), "{changes:?}");
        if changes.last().is_some_and(|changed| changed.members == members) {
            return changes;
        }
    }
}

async fn watched(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    join(&[&a]).await;
    c.send(WatchGroup("all/g".into())).await?.unwrap();
    let told = changes(&c, 1).await;
    assert_eq!((told[0].joined.len(), told[0].left.len()), (1, 0));
    join(&[&b]).await;
    let told = changes(&c, 2).await;
    assert_eq!(told.last().unwrap().joined[0].addr::<Member>().unwrap(), b);
    a.send(Leave("all/g".into())).await?.unwrap();
    let told = changes(&c, 1).await;
    assert_eq!(told.last().unwrap().left[0].addr::<Member>().unwrap(), a);
    // A death is a change, and so is the next life.
    let before = told.len();
    kill(&b).await;
    let lives = |told: &[GroupChanged]| -> Vec<u64> {
        told[before..].iter().flat_map(|changed| &changed.joined).map(|holder| holder.life).collect()
    };
    until(|| async { lives(&changes(&c, 1).await) == [2] }).await;
    running.shutdown().await
}

async fn dies(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    join(&[&a, &b, &c]).await;
    let group = group_of(&root, 3).await;
    let life = |name: &'static str| {
        let members = group.members().unwrap();
        members.iter().find(|member| member.process.as_str() == name).map(|member| member.life)
    };
    kill(&a).await;
    until(|| async { life("a") == Some(2) }).await;
    assert!(b.send(Panic).await.is_err());
    until(|| async { life("b") == Some(2) }).await;
    // A process that stays down is out for good.
    running.stop("c").await.unwrap();
    until(|| async { group.members().unwrap().len() == 2 }).await;
    assert_eq!(life("c"), None);
    running.shutdown().await
}

async fn broadcast(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    let too = running.addr::<Member>("a-too")?;
    join(&[&a, &b, &too]).await;
    let group = group_of(&root, 3).await;
    let sent = group.broadcast(Note(7), LONG).await.unwrap();
    assert!(sent.is_complete() && sent.members.len() == 3, "{sent:?}");
    for (member, expected) in [(&a, vec![7]), (&b, vec![7]), (&too, vec![7]), (&c, vec![])] {
        assert_eq!(member.send(Notes).await?, expected);
    }
    // Each member is sent to as by an address of its own: in order (M-1).
    for note in 8..100 {
        assert!(group.broadcast(Note(note), LONG).await.unwrap().is_complete());
    }
    assert_eq!(b.send(Notes).await?, (7..100).collect::<Vec<_>>());
    // Who joins later is told nothing of what was before, and of all that comes after it is known to have joined.
    join(&[&c]).await;
    until(|| async { group.members().unwrap().len() == 4 }).await;
    let later = group.broadcast(Note(100), LONG).await.unwrap();
    assert!(later.version > sent.version && later.members.len() == 4);
    assert_eq!(c.send(Notes).await?, [100]);
    running.shutdown().await
}

async fn gather(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    join(&[&a, &b, &c]).await;
    let group = group_of(&root, 3).await;
    let gathered = group.gather(Double(4), LONG).await.unwrap();
    assert!(gathered.is_complete() && gathered.replies().all(|(_, reply)| *reply == 8));
    assert_eq!(a.send(crate::actors::Gather { group: group.clone(), value: 5 }).await?, Ok(vec![10, 10, 10]));
    // One is busy for longer than we wait.
    let held = b.send(Hold);
    let gathered = group.gather(Double(4), Duration::from_secs(3)).await.unwrap();
    let replied: Vec<_> = gathered.replies().map(|(holder, _)| holder.process.to_string()).collect();
    assert_eq!(replied, ["a", "c"]);
    let late: Vec<_> =
        gathered.errors().map(|(holder, error)| (holder.process.to_string(), error.cause())).collect();
    assert_eq!(late, [("b".to_owned(), &Cause::TimedOut)]);
    running.addr::<Member>("b-too")?.send(Release).await?;
    held.await?;
    running.shutdown().await
}

async fn gather_errors(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    join(&[&a, &b, &c]).await;
    let group = group_of(&root, 3).await;
    let pid = who(&b).await.pid;
    let held = b.send(Hold);
    let mut gathering = Box::pin(group.gather(Double(4), LONG));
    // The others have replied, or will; that it waits at the held one is certain when the held one's process says so.
    let doubled =
        until(|| async { a.send(Doubled).await.unwrap() == 1 && c.send(Doubled).await.unwrap() == 1 });
    tokio::select! {
        _ = &mut gathering => panic!("one is held"),
        () = doubled => {}
    }
    signal(pid, nix::sys::signal::Signal::SIGKILL);
    let gathered = gathering.await.unwrap();
    assert_eq!(gathered.replies().count(), 2);
    let (holder, error) = gathered.errors().next().unwrap();
    assert_eq!(
        (holder.process.as_str(), matches!(error.cause(), Cause::PeerDied { .. })),
        ("b", true),
        "{error}"
    );
    assert!(held.await.is_err());
    running.shutdown().await
}

async fn typed(root: Root) -> procession::Result<()> {
    let other = Process::new("other").actor::<Other>("other", ());
    let running = root.deploy(topology().process(process("a")).process(other)).await?;
    let (a, other) = (running.addr::<Member>("a")?, running.addr::<Other>("other")?);
    join(&[&a]).await;
    let error = running.runtime().join("all/g", &other).await.unwrap_err();
    assert!(matches!(error, NameError::WrongType { .. }), "{error}");
    let error = running.runtime().group::<Other>("all/g").await.unwrap_err();
    assert!(matches!(error, NameError::WrongType { .. }), "{error}");
    // One that was made without asking is refused by the member.
    let wrong = ProcAddr::<Other>::group("all/g", Routing::Random).unwrap();
    let error = wrong.send(Double(1)).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::NotAccepted { .. }), "{error}");
    running.shutdown().await
}

async fn value(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    join(&[&a]).await;
    let group = group_of(&root, 1).await;
    let routed = group.route(Routing::LeastOutstanding);
    // To another process, which may use it, and within that to a recipient.
    assert_eq!(b.send(Ask { whom: routed.clone(), value: 2 }).await?, Ok(4));
    assert_eq!(b.send(AskRecipient { whom: routed.recipient(), value: 3 }).await?, Ok(6));
    assert_eq!(b.send(Ask { whom: group.by_key("k"), value: 2 }).await?, Ok(4));
    for addr in [routed.clone(), group.by_key("alice"), routed.repeating()] {
        let text = serde_json::to_string(&addr).unwrap();
        assert_eq!(serde_json::from_str::<ProcAddr<Member>>(&text).unwrap(), addr, "{text}");
    }
    let text = serde_json::to_string(&routed).unwrap();
    assert_eq!(text, r#"{"addr":"all/g","routing":"least_outstanding"}"#);
    assert_ne!(group.by_key("alice"), group.by_key("bob"));
    let at_least_once = routed.at_least_once();
    assert!(at_least_once.is_at_least_once() && at_least_once.connected());
    assert_eq!(at_least_once.send(Double(5)).await?, 10);
    assert_eq!(b.send(Ask { whom: at_least_once, value: 6 }).await?, Ok(12));
    running.shutdown().await
}

async fn not_one(root: Root) -> procession::Result<()> {
    let (running, [a, ..]) = three(&root).await?;
    join(&[&a]).await;
    let routed = group_of(&root, 1).await.route(Routing::Random);
    let is_group = |cause: &Cause| matches!(cause, Cause::IsGroup(name) if name.as_str() == "all/g");
    assert!(is_group(&routed.pin().unwrap_err().cause));
    let error = running.runtime().register("all/x", &routed).await.unwrap_err();
    assert!(matches!(error, NameError::Encode(_)), "{error}");
    assert!(running.runtime().join("all/h", &routed).await.is_err());
    running.shutdown().await
}

async fn empty(root: Root) -> procession::Result<()> {
    let (running, _) = three(&root).await?;
    let routed = group_of(&root, 0).await.route(Routing::RoundRobin);
    assert!(!routed.connected());
    let error = routed.send(Double(1)).await.unwrap_err();
    assert_eq!(
        (error.verdict(), error.cause()),
        (Verdict::NotExecuted, &Cause::NoMember("all/g".parse().unwrap()))
    );
    assert_eq!(error.into_message().unwrap().0, 1);
    assert!(routed.try_send(Double(1)).is_err() && routed.tell(Double(1)).await.is_err());
    let group = GroupAddr::<Member>::named("all/g").unwrap();
    let gathered = group.gather(Double(1), LONG).await.unwrap();
    assert!(gathered.members.is_empty() && gathered.is_complete());
    running.shutdown().await
}
