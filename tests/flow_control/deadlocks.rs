//! H2: full pipes in every direction, through the smallest buffers that the kernel gives.

use futures_util::future::join_all;
use libtest_mimic::Trial;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{deploy, peer, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("h02_two_that_flood_one_another_with_64_mib_both_end", mutual_floods),
        story("h02_two_that_ask_one_another_for_large_results_both_end", mutual_results),
        story("h02_a_ring_of_eight_with_full_pipes_turns", ring),
        story("h02_one_that_floods_and_asks_itself_goes_on", oneself),
    ]
}

/// A process whose pipes hold as little as the kernel allows, and whose windows are a few messages wide.
fn narrow(process: &str, actor: &str) -> Process {
    peer(process, actor).pipe_buffer(1).mailbox(8, 64 << 10).max_message_bytes(64 << 10)
}

/// What an actor has taken, once that are so many messages: what was told may still be on its way.
async fn taken(peer: &ProcAddr<Peer>, count: u64) -> procession::Result<(u64, u64)> {
    loop {
        let taken = peer.send(Taken).await?;
        if taken.0 >= count {
            return Ok(taken);
        }
    }
}

async fn mutual_floods(root: Root) -> procession::Result<()> {
    const TOTAL: u64 = 64 << 20;
    // Messages of one frame, and of many chunks.
    for bytes in [16_u64 << 10, 1 << 20] {
        let process = |process: &str, actor: &str| {
            peer(process, actor).pipe_buffer(1).mailbox(8, 2 << 20).max_message_bytes(2 << 20)
        };
        let running = deploy(&root, [process("left", "a"), process("right", "b")]).await?;
        let (a, b) = (running.addr::<Peer>("a")?, running.addr::<Peer>("b")?);
        let count = TOTAL / bytes;
        let flood =
            |whom: &ProcAddr<Peer>| Flood { whom: whom.clone(), count, bytes: bytes.try_into().unwrap() };
        let (left, right) = tokio::join!(a.send(flood(&b)), b.send(flood(&a)));
        assert_eq!((left?, right?), (0, 0), "nothing is lost");
        for peer in [&a, &b] {
            assert_eq!(taken(peer, count).await?, (count, TOTAL));
        }
        running.shutdown().await?;
    }
    Ok(())
}

async fn mutual_results(root: Root) -> procession::Result<()> {
    const BYTES: usize = 48 << 10;
    const COUNT: u64 = 300;
    let process = |process: &str, actor: &str| narrow(process, actor).reply_budget(1);
    let running = deploy(&root, [process("left", "a"), process("right", "b")]).await?;
    let (a, b) = (running.addr::<Peer>("a")?, running.addr::<Peer>("b")?);
    let collect = |whom: &ProcAddr<Peer>| Collect { whom: whom.clone(), count: COUNT, bytes: BYTES };
    let (left, right) = tokio::join!(a.send(collect(&b)), b.send(collect(&a)));
    assert_eq!((left?, right?), (COUNT * BYTES as u64, COUNT * BYTES as u64));
    running.shutdown().await
}

async fn ring(root: Root) -> procession::Result<()> {
    const COUNT: u64 = 250;
    const BYTES: usize = 16 << 10;
    let names: Vec<String> = (0..8).map(|index| format!("p{index}")).collect();
    let running = deploy(&root, names.iter().map(|name| narrow(name, &format!("a{}", &name[1..])))).await?;
    let ring: Vec<ProcAddr<Peer>> =
        (0..8).map(|index| running.addr(&format!("a{index}"))).collect::<Result<_, _>>()?;
    let next = |index: usize| ring[(index + 1) % ring.len()].clone();
    let floods =
        (0..8).map(|index| ring[index].send(Flood { whom: next(index), count: COUNT, bytes: BYTES }));
    // Requests go round meanwhile, each of them waiting in every process that it has passed.
    let rounds = (0..8).map(|index| {
        let mut turned = ring.clone();
        turned.rotate_left(index);
        ring[index].send(Round { ring: turned, hops: 24 })
    });
    let (floods, rounds) = tokio::join!(join_all(floods), join_all(rounds));
    for (flood, round) in floods.into_iter().zip(rounds) {
        assert_eq!((flood?, round?), (0, 24));
    }
    for peer in &ring {
        assert_eq!(taken(peer, COUNT).await?, (COUNT, COUNT * BYTES as u64));
    }
    running.shutdown().await
}

async fn oneself(root: Root) -> procession::Result<()> {
    const COUNT: u64 = 5000;
    let running = deploy(&root, [narrow("left", "a")]).await?;
    let a = running.addr::<Peer>("a")?;
    assert_eq!(a.send(Myself { me: a.clone(), count: COUNT }).await?, 2 * COUNT);
    assert_eq!(a.send(Taken).await?.0, COUNT);
    assert_eq!(a.send(Flood { whom: a.clone(), count: COUNT, bytes: 100 }).await?, 0);
    running.shutdown().await
}
