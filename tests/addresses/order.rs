//! What A sent to C arrives before what B sends after A told it of C, over two, three and four processes.
//!
//! C takes nothing at first, and its window is narrower than what A sends, so that most of that waits with A while the
//! address of C is passed on.

use libtest_mimic::Trial;
use procession::prelude::*;

use crate::clerks::*;

/// More than the window of 16, and less than that and the outbox.
const OLD: u32 = 30;

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("a2_order_holds_where_c_is_a_third", third),
        story("a2_order_holds_where_c_lives_with_b", with_b),
        story("a2_order_holds_where_c_lives_with_a", with_a),
        story("a2_order_holds_from_hand_to_hand_over_four", four),
        story("a2_order_holds_where_the_address_comes_in_a_reply", reply),
        story("a2_order_holds_where_another_answers_with_the_address", by_another),
        story("a2_two_that_hand_one_another_the_same_address_do_not_wait_for_one_another", crossing),
        story("a2_a_giver_that_dies_holds_nobody_up", giver_dies),
    ]
}

async fn deploy(root: &Root, processes: impl IntoIterator<Item = Process>) -> procession::Result<Running> {
    root.deploy(processes.into_iter().fold(Topology::new("order"), Topology::process)).await
}

/// With somebody beside the actor who can let it go.
fn two(process: &str, first: &str, second: &str) -> Process {
    Process::new(process).actor::<Clerk>(first, vec![]).actor::<Clerk>(second, vec![]).mailbox(16, 1 << 20)
}

fn old(c: &ProcAddr<Clerk>) -> Step {
    Step::Note { to: c.clone(), text: "old".to_owned(), count: OLD }
}

fn new(c: &ProcAddr<Clerk>) -> Step {
    Step::Note { to: c.clone(), text: "new".to_owned(), count: 3 }
}

/// Has `c` take nothing from now on. The root itself sends it nothing, so that it has no way to it which it would have to
/// vouch for when it passes the address on.
async fn stall(beside: &ProcAddr<Clerk>, c: &ProcAddr<Clerk>) {
    beside.send(Do(vec![Step::Hold { to: c.clone() }])).await.unwrap();
}

/// Lets `c` go once all of `done` have done what they were told, and looks at what it then takes, in what order.
async fn in_order(c: &ProcAddr<Clerk>, beside: &ProcAddr<Clerk>, done: &[&ProcAddr<Clerk>]) {
    // A request behind what they were told: so they have handled it.
    for one in done {
        one.send(Pid).await.unwrap();
    }
    beside.send(Release).await.unwrap();
    let seen = taken(c, OLD as usize + 3).await;
    let expected: Vec<String> =
        (0..OLD).map(|n| format!("old{n}")).chain((0..3).map(|n| format!("new{n}"))).collect();
    assert_eq!(seen, expected);
}

async fn third(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [process("a"), process("b"), two("c", "c", "beside")]).await?;
    let (a, b, c, beside) = (at(&running, "a"), at(&running, "b"), at(&running, "c"), at(&running, "beside"));
    // b has a way to c already, on which it need not wait for an introduction.
    let first = AskToNote { to: c.clone(), text: "first".to_owned() };
    assert_eq!(b.send(first).await.unwrap(), "done");
    beside.send(Do(vec![Step::Clear { to: c.clone() }])).await.unwrap();
    stall(&beside, &c).await;
    a.send(Do(vec![old(&c), Step::Hand { to: b.clone(), steps: vec![new(&c)] }])).await.unwrap();
    in_order(&c, &beside, &[&a, &b]).await;
    running.shutdown().await
}

async fn with_b(root: Root) -> procession::Result<()> {
    let there = Process::new("there")
        .actor::<Clerk>("b", vec![])
        .actor::<Clerk>("c", vec![])
        .actor::<Clerk>("beside", vec![])
        .mailbox(16, 1 << 20);
    let running = deploy(&root, [process("a"), there]).await?;
    let (a, b, c, beside) = (at(&running, "a"), at(&running, "b"), at(&running, "c"), at(&running, "beside"));
    stall(&beside, &c).await;
    a.send(Do(vec![old(&c), Step::Hand { to: b.clone(), steps: vec![new(&c)] }])).await.unwrap();
    in_order(&c, &beside, &[&a, &b]).await;
    running.shutdown().await
}

async fn with_a(root: Root) -> procession::Result<()> {
    let there = Process::new("there")
        .actor::<Clerk>("a", vec![])
        .actor::<Clerk>("c", vec![])
        .actor::<Clerk>("beside", vec![])
        .mailbox(16, 1 << 20);
    let running = deploy(&root, [there, process("b")]).await?;
    let (a, b, c, beside) = (at(&running, "a"), at(&running, "b"), at(&running, "c"), at(&running, "beside"));
    stall(&beside, &c).await;
    a.send(Do(vec![old(&c), Step::Hand { to: b.clone(), steps: vec![new(&c)] }])).await.unwrap();
    in_order(&c, &beside, &[&a, &b]).await;
    running.shutdown().await
}

async fn four(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [process("a"), process("b"), process("d"), two("c", "c", "beside")]).await?;
    let (a, b, d) = (at(&running, "a"), at(&running, "b"), at(&running, "d"));
    let (c, beside) = (at(&running, "c"), at(&running, "beside"));
    stall(&beside, &c).await;
    // b passes it on and sends nothing itself.
    let by_b = vec![Step::Hand { to: d.clone(), steps: vec![new(&c)] }];
    a.send(Do(vec![old(&c), Step::Hand { to: b.clone(), steps: by_b }])).await.unwrap();
    in_order(&c, &beside, &[&a, &b, &d]).await;
    running.shutdown().await
}

async fn reply(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [process("a"), process("b"), two("c", "c", "beside")]).await?;
    let (a, b) = (at(&running, "a"), at(&running, "b"));
    let (c, beside) = (at(&running, "c"), at(&running, "beside"));
    stall(&beside, &c).await;
    let ask = AskForIt { from: a.clone(), to: c.clone(), count: OLD, text: "new".to_owned() };
    b.send(ask).await.unwrap();
    beside.send(Release).await.unwrap();
    let seen = taken(&c, OLD as usize + 1).await;
    let expected: Vec<String> = (0..OLD).map(|n| format!("old{n}")).chain(["new".to_owned()]).collect();
    assert_eq!(seen, expected);
    running.shutdown().await
}

async fn by_another(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [process("a"), process("b"), process("d"), two("c", "c", "beside")]).await?;
    let (a, b, d) = (at(&running, "a"), at(&running, "b"), at(&running, "d"));
    let (c, beside) = (at(&running, "c"), at(&running, "beside"));
    stall(&beside, &c).await;
    let ask = GiveByAnother { by: d, to: c.clone(), count: OLD };
    b.send(AskForItByAnother { from: a, ask, text: "new".to_owned() }).await.unwrap();
    beside.send(Release).await.unwrap();
    let seen = taken(&c, OLD as usize + 1).await;
    let expected: Vec<String> = (0..OLD).map(|n| format!("old{n}")).chain(["new".to_owned()]).collect();
    assert_eq!(seen, expected);
    running.shutdown().await
}

async fn crossing(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [process("a"), process("b"), two("c", "c", "beside")]).await?;
    let (a, b, c) = (at(&running, "a"), at(&running, "b"), at(&running, "c"));
    let give = |to: &ProcAddr<Clerk>| Do(vec![old(&c), Step::Hand { to: to.clone(), steps: vec![new(&c)] }]);
    let ask = |by: &ProcAddr<Clerk>| by.send(AskToNote { to: c.clone(), text: "last".to_owned() });
    for round in 0..30 {
        let began = std::time::Instant::now();
        let (by_a, by_b) = (a.send(give(&b)), b.send(give(&a)));
        assert_eq!((by_a.await.unwrap(), by_b.await.unwrap()), ((), ()));
        // Behind what they sent, and behind what they wait for.
        let (by_a, by_b) = (ask(&a), ask(&b));
        assert_eq!((by_a.await.unwrap(), by_b.await.unwrap()), ("done".to_owned(), "done".to_owned()));
        // A round takes milliseconds, a circle of two that wait 10 s.
        assert!(began.elapsed() < std::time::Duration::from_secs(9), "round {round}");
    }
    running.shutdown().await
}

async fn giver_dies(root: Root) -> procession::Result<()> {
    let mortal = process("a").restart(Policy::Temporary);
    let running = deploy(&root, [mortal, process("b"), two("c", "c", "beside")]).await?;
    let (a, b) = (at(&running, "a"), at(&running, "b"));
    let (c, beside) = (at(&running, "c"), at(&running, "beside"));
    stall(&beside, &c).await;
    a.send(Do(vec![old(&c), Step::Hand { to: b.clone(), steps: vec![new(&c)] }])).await.unwrap();
    // On the way of the hand-over and behind it: so b has it.
    let behind = AskToNote { to: b.clone(), text: "behind".to_owned() };
    assert_eq!(a.send(behind).await.unwrap(), "done");
    kill(&running, &a).await;
    beside.send(Release).await.unwrap();
    // What had left a is there; what waited with it died with it. b goes on all the same.
    let mut seen = Vec::new();
    while seen.iter().filter(|note: &&String| note.starts_with("new")).count() < 3 {
        seen.extend(taken(&c, 1).await);
    }
    running.shutdown().await
}
