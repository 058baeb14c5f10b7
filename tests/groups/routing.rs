//! Which member gets a message.

use libtest_mimic::Trial;
use procession::prelude::*;

use crate::actors::*;
use crate::members::{group_of, join};
use crate::stage::*;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("members_take_turns", turns),
        story("chance_reaches_every_member", chance),
        story("the_member_that_owes_the_fewest_replies_is_next", least),
        story("a_key_has_one_owner_whoever_asks_and_a_new_member_takes_only_its_share", keys),
        story("messages_to_one_member_keep_their_order", order),
        story("messages_without_waiting_find_their_members_too", without_waiting),
        story("what_is_sent_before_the_members_are_known_waits_for_them", early),
        story("m1_what_waits_for_the_members_is_not_overtaken", not_overtaken),
    ]
}

async fn turns(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    join(&[&a, &b, &c]).await;
    let routed = group_of(&root, 3).await.route(Routing::RoundRobin);
    let answers = answers(&routed, 12).await;
    assert!(answers.len() == 3 && answers.values().all(|count| *count == 4), "{answers:?}");
    // Another process has turns of its own.
    let answers = a.send(WhoAnswers { whom: routed, count: 6 }).await?;
    assert!(answers.len() == 3 && answers.values().all(|count| *count == 2), "{answers:?}");
    running.shutdown().await
}

async fn chance(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    join(&[&a, &b, &c]).await;
    let routed = group_of(&root, 3).await.route(Routing::Random);
    // That one of three is missed in 300 has a chance of less than one in 10^50.
    assert_eq!(answers(&routed, 300).await.len(), 3);
    running.shutdown().await
}

async fn least(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    join(&[&a, &b, &c]).await;
    let routed = group_of(&root, 3).await.route(Routing::LeastOutstanding);
    // What is sent while the members are asked for leaves when it is polled: so they are known first.
    answers(&routed, 3).await;
    // Each gets one that waits, and the fourth goes to any.
    let waiting: Vec<_> = (0..4).map(|_| routed.send(Wait)).collect();
    let loaded = answers(&routed, 20).await;
    assert_eq!(loaded.len(), 2, "the one with two is passed over: {loaded:?}");
    // It has answered one, and then is as good as the others.
    let busy = [("a", &a), ("b", &b), ("c", &c)]
        .into_iter()
        .find(|(name, _)| !loaded.contains_key(*name))
        .unwrap()
        .1;
    for _ in 0..2 {
        busy.send(Release).await?;
    }
    until(|| async { answers(&routed, 1).await.keys().all(|name| !loaded.contains_key(name)) }).await;
    for member in [&a, &b, &c] {
        for _ in 0..2 {
            member.send(Release).await?;
        }
    }
    for waiting in waiting {
        waiting.await?;
    }
    running.shutdown().await
}

const KEYS: u32 = 200;

async fn keys(root: Root) -> procession::Result<()> {
    let (running, [a, b, c]) = three(&root).await?;
    join(&[&a, &b]).await;
    let group = group_of(&root, 2).await;
    until(|| async { c.send(Members(group.clone())).await.unwrap() == 2 }).await;
    let before = owners(&group, KEYS).await;
    assert_eq!(c.send(Owners { group: group.clone(), keys: KEYS }).await?, before, "all agree");
    join(&[&c]).await;
    let group = group_of(&root, 3).await;
    let after = owners(&group, KEYS).await;
    let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
    assert!(moved.iter().all(|(_, after)| *after == "c"), "no key moved between two that stayed");
    assert!((KEYS / 6..KEYS / 2).contains(&u32::try_from(moved.len()).unwrap()), "{} moved", moved.len());
    // One that goes leaves the others' keys alone, and has its own again when it is back.
    c.send(Leave("all/g".into())).await?.unwrap();
    let group = group_of(&root, 2).await;
    assert_eq!(owners(&group, KEYS).await, before);
    join(&[&c]).await;
    let group = group_of(&root, 3).await;
    assert_eq!(owners(&group, KEYS).await, after);
    running.shutdown().await
}

async fn order(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    join(&[&a, &b]).await;
    let group = group_of(&root, 2).await;
    let addrs = [group.by_key("one"), group.route(Routing::RoundRobin)];
    for note in 0..600_u32 {
        let addr = &addrs[note as usize % 2];
        match note % 3 {
            0 => addr.tell(Note(note)).await?,
            1 => addr.do_send(Note(note)),
            _ => addr.send(Note(note)).await?,
        }
    }
    let (mut all, count) = (Vec::new(), 600);
    for member in [&a, &b] {
        let notes = member.send(Notes).await?;
        assert!(notes.is_sorted(), "{notes:?}");
        all.extend(notes);
    }
    all.sort_unstable();
    assert_eq!(all, (0..count).collect::<Vec<_>>(), "each once");
    running.shutdown().await
}

async fn without_waiting(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    join(&[&a, &b]).await;
    let routed = group_of(&root, 2).await.route(Routing::RoundRobin);
    // Room may be missing as long as the connections are not there.
    for member in [&a, &b] {
        who(member).await;
    }
    for note in 0..10 {
        routed.try_send(Note(note)).map_err(procession::Error::other)?;
    }
    for member in [&a, &b] {
        assert_eq!(member.send(Notes).await?.len(), 5);
    }
    running.shutdown().await
}

async fn early(root: Root) -> procession::Result<()> {
    let (running, [a, ..]) = three(&root).await?;
    join(&[&a]).await;
    // Never used in this process before.
    let routed = ProcAddr::<Member>::group("all/g", Routing::Random).unwrap();
    // Perhaps nothing is known yet, and then nobody waits.
    let first = match routed.try_send(Note(0)) {
        Ok(()) => 0,
        Err(error) => error.into_message().unwrap().0 + 1,
    };
    for note in 1..=3 {
        routed.do_send(Note(note));
    }
    let asked = routed.send(Double(4));
    assert_eq!(asked.await?, 8);
    let expected: Vec<u32> = (first..=3).collect();
    until(|| async { a.send(Notes).await.unwrap().len() == expected.len() }).await;
    assert_eq!(a.send(Notes).await?, expected);
    // A group that may not be used is told of, whichever way it is asked.
    let forbidden = ProcAddr::<Member>::group("none/g", Routing::Random).unwrap();
    let error = forbidden.send(Double(1)).await.unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
    assert_eq!(error.verdict(), Verdict::NotExecuted);
    running.shutdown().await
}

async fn not_overtaken(root: Root) -> procession::Result<()> {
    let (running, [a, b, _]) = three(&root).await?;
    join(&[&a]).await;
    // A group that its process has not used yet.
    b.send(NoteAcross(GroupAddr::named("all/g").unwrap())).await?;
    until(|| async { a.send(Notes).await.unwrap().len() == 2 }).await;
    assert_eq!(a.send(Notes).await?, [1, 2]);
    running.shutdown().await
}
