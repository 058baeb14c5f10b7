//! M-4: small requests pass while much passes on the same pipe.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libtest_mimic::Trial;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{deploy, peer, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("m4_small_requests_pass_100_mb_of_large_messages", past_messages),
        story("m4_small_requests_pass_100_mb_of_large_results", past_results),
    ]
}

const LARGE_BYTES: usize = 64 << 10;
const COUNT: usize = 100_000_000 / LARGE_BYTES;

/// How much slower the slowest hundredth may become.
const MOST: u32 = 3;

/// A machine that does something else makes some rounds slow; one in which it does not is enough.
const ATTEMPTS: usize = 16;

async fn ask(small: &ProcAddr<Peer>) -> procession::Result<Duration> {
    let begun = Instant::now();
    small.send(Double(1)).await?;
    Ok(begun.elapsed())
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() * 99 / 100]
}

/// Asks `small` alone, and then again until `load` is done, and compares.
async fn compare<F: Future<Output = procession::Result<()>> + 'static>(
    small: &ProcAddr<Peer>,
    mut load: impl FnMut() -> F,
) -> procession::Result<()> {
    let mut told = Vec::new();
    for _ in 0..ATTEMPTS {
        let mut idle = Vec::new();
        for _ in 0..1000 {
            idle.push(ask(small).await?);
        }
        let done = Rc::new(Cell::new(false));
        let loading = actix::spawn({
            let (done, load) = (Rc::clone(&done), load());
            async move {
                let loaded = load.await;
                done.set(true);
                loaded
            }
        });
        let mut loaded = Vec::new();
        while !done.get() {
            loaded.push(ask(small).await?);
        }
        loading.await.unwrap()?;
        let count = loaded.len();
        let (idle, loaded) = (p99(idle), p99(loaded));
        told.push(format!("{idle:?} idle, {loaded:?} of {count} loaded"));
        if loaded <= idle * MOST {
            println!("{told:#?}");
            return Ok(());
        }
    }
    panic!("{told:#?}")
}

async fn past_messages(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [peer("left", "a").actor::<Peer>("a2", ())]).await?;
    let (a, small) = (running.addr::<Peer>("a")?, running.addr::<Peer>("a2")?);
    let body = Bytes::from(vec![1; LARGE_BYTES]);
    compare(&small, || {
        let (a, body) = (a.clone(), body.clone());
        async move {
            for _ in 0..COUNT {
                a.tell(Take(body.clone())).await?;
            }
            a.send(Taken).await?;
            Ok(())
        }
    })
    .await?;
    running.shutdown().await
}

async fn past_results(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [peer("left", "a").actor::<Peer>("a2", ())]).await?;
    let (a, small) = (running.addr::<Peer>("a")?, running.addr::<Peer>("a2")?);
    compare(&small, || {
        let a = a.clone();
        async move {
            for _ in 0..COUNT {
                a.send(Give(LARGE_BYTES)).await?;
            }
            Ok(())
        }
    })
    .await?;
    running.shutdown().await
}
