//! H4: replies have room reserved by their requests.

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{deploy, memory, peer, pid, signal, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![story("m3_h04_results_that_nobody_reads_are_not_made", unread_results)]
}

const BYTES: usize = 1 << 20;
const COUNT: u64 = 400;

async fn unread_results(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [peer("left", "a"), peer("right", "b")]).await?;
    let (a, b) = (running.addr::<Peer>("a")?, running.addr::<Peer>("b")?);
    let (left, right) = (pid(&a).await?, pid(&b).await?);
    // The two know one another: all requests leave in one write.
    b.send(Collect { whom: a.clone(), count: 1, bytes: 1 }).await?;
    let before = memory(left, "VmRSS");
    let collected = b.send(Collect { whom: a.clone(), count: COUNT, bytes: BYTES });
    while a.send(Given).await? < 2 {}
    signal(right, Signal::SIGSTOP);
    // `left` is done with what it may do when it answers others for a while, and gives no more.
    let (mut given, mut unchanged) = (0, 0);
    while unchanged < 500 {
        let now = a.send(Given).await?;
        unchanged = if now == given { unchanged + 1 } else { 0 };
        given = now;
    }
    let peak = memory(left, "VmHWM");
    signal(right, Signal::SIGCONT);
    assert_eq!(collected.await?, COUNT * BYTES as u64, "all come in the end");
    assert!(given < COUNT / 2, "{given} of {COUNT} results were made for a process that does not read");
    let grown = peak.saturating_sub(before) >> 20;
    // The budget, the result that passes it, that result before it is encoded, and what an allocator keeps.
    assert!(grown < 24, "{grown} MiB more than before, {given} results");
    assert_eq!(a.send(Given).await?, COUNT + 1);
    running.shutdown().await
}
