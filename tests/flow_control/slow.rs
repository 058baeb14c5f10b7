//! M-3: an actor that never catches up holds what waits, and not what it has handled.

use libtest_mimic::Trial;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{deploy, memory, peer, pid, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![story("m3_an_actor_that_never_catches_up_keeps_only_what_waits", never_empty)]
}

const COUNT: u64 = 60_000;
const BYTES: usize = 1000;

async fn never_empty(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [peer("left", "a"), peer("right", "b")]).await?;
    let (a, b) = (running.addr::<Peer>("a")?, running.addr::<Peer>("b")?);
    let right = pid(&b).await?;
    // Its window is full once, and memory is what it stays.
    assert_eq!(a.send(Feed { whom: b.clone(), count: COUNT / 10, bytes: BYTES }).await?, 0);
    let before = memory(right, "VmRSS");
    assert_eq!(a.send(Feed { whom: b.clone(), count: COUNT, bytes: BYTES }).await?, 0);
    let grown = memory(right, "VmHWM").saturating_sub(before) >> 20;
    // Behind what was fed, on another way; a request to the one that chews would wait its turn.
    while b.send(Taken).await?.0 < COUNT + COUNT / 10 {}
    assert!(grown < 8, "{grown} MiB more for {} MiB that passed", (COUNT * BYTES as u64) >> 20);
    running.shutdown().await
}
