//! Channels and processes that end.

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::address::Cause;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{deploy, is_stopped, peer, pid, signal, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("m3_channels_to_exported_actors_are_closed_and_opened_again", exported),
        story("h09_the_last_words_of_a_process_killed_with_unread_input_arrive", last_words),
    ]
}

/// Several times as many as a connection keeps open for nothing.
const EXPORTS: usize = 5000;

async fn exported(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [peer("left", "a")]).await?;
    let exports = running.addr::<Peer>("a")?.send(Exports(EXPORTS)).await?;
    for round in 1..=2 {
        // In the second round every channel was closed meanwhile, or is about to be.
        for (export, value) in exports.iter().zip(0..) {
            assert_eq!(export.send(Double(value)).await?, 2 * value);
            export.tell(Take(vec![1].into())).await?;
        }
        for export in &exports {
            assert_eq!(export.send(Taken).await?.0, round, "each reaches its own actor, and no other");
        }
    }
    running.shutdown().await
}

async fn last_words(root: Root) -> procession::Result<()> {
    const COUNT: u64 = 50;
    let running = deploy(&root, [peer("left", "a")]).await?;
    let a = running.addr::<Peer>("a")?;
    // As often as its topology restarts it.
    for _ in 0..4 {
        let left = loop {
            // The death before may not be known here yet.
            if let Ok(left) = pid(&a).await {
                break left;
            }
        };
        let here = ProcAddr::export(Peer::default().start())?;
        let stops = a.send(FloodAndStop { whom: here.clone(), count: COUNT });
        // Until it has written them and stopped, this thread reads nothing, once the request has left.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        while !is_stopped(left) {
            tokio::task::yield_now().await;
        }
        // It never reads these.
        for _ in 0..100 {
            a.do_send(Take(vec![1; 1000].into()));
        }
        tokio::task::yield_now().await;
        signal(left, Signal::SIGKILL);
        let error = stops.await.unwrap_err();
        assert!(matches!(error.cause(), Cause::PeerDied { exit: Some(Exit::Signal { .. }), .. }), "{error}");
        assert_eq!(here.send(Taken).await?.0, COUNT, "what it had written arrives first");
    }
    running.shutdown().await
}
