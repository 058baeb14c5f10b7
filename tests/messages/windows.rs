//! M-1 and M-3: order, and room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;
use procession::address::Cause;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{deploy, left, one, probe, release, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("m1_order_holds_over_100_000_messages_and_a_small_window", order),
        story("m1_order_holds_while_verbs_mix_and_wait", mixed_order),
        story("m3_try_send_without_room_gives_the_message_back", full),
        story("m3_do_send_past_the_outbox_becomes_counted_dead_letters", overflow),
        story("m3_locally_too_try_send_is_refused_and_do_send_overflows_counted", local_overflow),
        story("m4_a_stuck_actor_delays_nobody_else", stuck),
    ]
}

async fn order(root: Root) -> procession::Result<()> {
    const COUNT: u32 = 100_000;
    let running = deploy(&root, [probe("left", "a"), probe("right", "b").mailbox(7, 2000)]).await?;
    let (a, b) = (running.addr::<Probe>("a")?, running.addr::<Probe>("b")?);
    // Some fifty thousand credits, each of which both sides wait for: seconds, on a busy machine many.
    let sending = a.send(SendNotes { whom: b.clone(), count: COUNT, how: How::Tell });
    let lost = sending.timeout(Duration::from_secs(50)).await?;
    let notes = b.send(Notes).await?;
    assert_eq!((lost, notes.len()), (0, COUNT as usize));
    assert!(notes.into_iter().eq(0..COUNT));
    running.shutdown().await
}

async fn mixed_order(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [probe("left", "a").mailbox(4, 1000)]).await?;
    let a = running.addr::<Probe>("a")?;
    // Nothing of this waits for anything, so most of it waits in line.
    let mut asks = Vec::new();
    let mut tells = Vec::new();
    for note in 0..300 {
        if note % 3 == 0 {
            asks.push(a.send(Note(note)));
        } else {
            tells.push(a.tell(Note(note)));
        }
    }
    for ask in asks {
        ask.await?;
    }
    for tell in tells {
        tell.await?;
    }
    assert!(a.send(Notes).await?.into_iter().eq(0..300));
    running.shutdown().await
}

async fn full(root: Root) -> procession::Result<()> {
    let running = deploy(&root, [left().mailbox(4, 100_000)]).await?;
    let a = running.addr::<Probe>("a")?;
    a.send(Nothing).await?;
    let hold = a.send(Hold);
    // The hold left the mailbox before this was answered.
    running.addr::<Probe>("a2")?.send(Nothing).await?;
    let mut accepted = Vec::new();
    let refused = (0..100).find_map(|note| match a.try_send(Note(note)) {
        Ok(()) => {
            accepted.push(note);
            None
        }
        Err(error) => Some((note, error)),
    });
    let (note, error) = refused.expect("the window ends");
    assert_eq!((error.cause(), error.verdict()), (&Cause::Full, Verdict::NotExecuted));
    assert_eq!(error.into_message().map(|back| back.0), Some(note));
    assert!(accepted.len() <= 4, "{accepted:?}");
    release(&running).await?;
    hold.await?;
    assert_eq!(a.send(Notes).await?, accepted);
    running.shutdown().await
}

/// Counts what dies for want of room.
fn count_full(root: &Root) -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&count);
    root.on_dead_letter(move |letter| {
        if letter.cause == Cause::Full {
            assert_eq!(letter.message.as_deref(), Some("Note"));
            counting.fetch_add(letter.count, Ordering::Relaxed);
        }
        true
    });
    count
}

async fn overflow(root: Root) -> procession::Result<()> {
    const COUNT: u32 = 10_000;
    let dead = count_full(&root);
    let (running, a) = one(&root).await?;
    a.send(Nothing).await?;
    let hold = a.send(Hold);
    running.addr::<Probe>("a2")?.send(Nothing).await?;
    for note in 0..COUNT {
        a.do_send(Note(note));
    }
    release(&running).await?;
    hold.await?;
    let notes = a.send(Notes).await?;
    let dead = dead.load(Ordering::Relaxed);
    assert!(dead > 0 && notes.len() > 1000, "{dead} of {COUNT} had no room");
    assert_eq!(notes.len() as u64 + dead, u64::from(COUNT), "nothing vanishes");
    assert!(notes.is_sorted());
    running.shutdown().await
}

async fn local_overflow(root: Root) -> procession::Result<()> {
    const COUNT: u32 = 10_000;
    let dead = count_full(&root);
    let a = ProcAddr::export(Probe::new(1, 0, None).start())?;
    for note in 0..COUNT {
        a.do_send(Note(note));
    }
    let error = a.try_send(Note(COUNT)).unwrap_err();
    assert_eq!(error.cause(), &Cause::Full);
    assert_eq!(error.into_message().map(|back| back.0), Some(COUNT));
    let notes = a.send(Notes).await?;
    assert_eq!(notes.len() as u64 + dead.load(Ordering::Relaxed), u64::from(COUNT));
    assert!(notes.is_sorted() && notes.len() > 1000);
    Ok(())
}

async fn stuck(root: Root) -> procession::Result<()> {
    let (running, a) = one(&root).await?;
    let a2 = running.addr::<Probe>("a2")?;
    let hold = a.send(Hold);
    let flood: Vec<_> = (0..5000).map(|note| a.send(Note(note))).collect();
    for value in 0..100 {
        assert_eq!(a2.send(Double(value)).await?, 2 * value);
    }
    release(&running).await?;
    hold.await?;
    for note in flood {
        note.await?;
    }
    assert!(a.send(Notes).await?.into_iter().eq(0..5000));
    running.shutdown().await
}
