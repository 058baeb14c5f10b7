//! Memory stays flat however many items flow.

use libtest_mimic::Trial;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{memory, story, two};

pub(crate) fn stories() -> Vec<Trial> {
    vec![story("m3_memory_stays_flat_over_millions_of_items", flat)]
}

/// So many in a release build; fewer in a debug build, where each takes its time. `PROCESSION_STREAM_ITEMS` says how many instead.
fn items() -> u64 {
    let wanted = std::env::var("PROCESSION_STREAM_ITEMS").ok();
    let default = if cfg!(debug_assertions) { 2_000_000 } else { 10_000_000 };
    wanted.map_or(default, |wanted| wanted.parse().unwrap())
}

async fn flat(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let (ours, theirs) = (std::process::id(), a.send(WhoAreYou).await?);
    let count = items();
    let mut stream = a.stream(Count(count));
    let mut next = 0;
    let mut before = None;
    while let Some(item) = stream.next().await {
        assert_eq!(item, Ok(next));
        next += 1;
        if next == count / 10 {
            // By then all that will be there is.
            before = Some((memory(ours, "VmRSS"), memory(theirs, "VmRSS")));
        }
    }
    assert_eq!(next, count);
    let (here, there) = before.unwrap();
    // What it would be if items piled up: 8 bytes each.
    let piled = count * 8 / 10;
    let grown = [memory(ours, "VmRSS").saturating_sub(here), memory(theirs, "VmRSS").saturating_sub(there)];
    println!("{count} items: the resident memory of consumer and producer grew by {grown:?} bytes");
    assert!(grown.iter().all(|grown| *grown < (4 << 20).min(piled.max(1 << 20))), "grown by {grown:?}");
    running.shutdown().await
}
