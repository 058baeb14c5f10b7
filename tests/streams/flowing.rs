//! Items come, all of them, in order, and no faster than they are taken.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use libtest_mimic::Trial;
use procession::address::Cause;
use procession::codec;
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{story, two};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("a_stream_yields_its_items_here_there_and_between_two_others", yields),
        story("a_stream_ends_with_a_typed_error", errors),
        story("a_slow_consumer_slows_the_producer", slow),
        story("credit_counts_bytes_and_a_larger_item_comes_alone", bytes),
        story("many_streams_flow_side_by_side", many),
        story("a_stream_within_a_result_and_one_that_is_sent_on", carried),
        story("items_carry_descriptors_and_blobs", descriptors),
        story("a_stream_is_asked_for_in_order_and_m7_not_at_all_if_it_is_dropped", ordered),
        story("x1_a_guessed_stream_yields_nothing", guessed),
    ]
}

async fn yields(root: Root) -> procession::Result<()> {
    let (running, a, b) = two(&root).await?;
    for count in [0, 1, 5, 10_000] {
        let all: Vec<u64> = a.stream(Count(count)).map(Result::unwrap).collect().await;
        assert_eq!(all, (0..count).collect::<Vec<_>>());
        let expected = Ok((0..count).sum());
        assert_eq!(b.send(Drink { whom: a.clone(), to: count }).await?, expected);
        assert_eq!(a.send(Drink { whom: a.clone(), to: count }).await?, expected, "to itself");
        let here = ProcAddr::export(Spring::default().start())?;
        assert_eq!(sum(here.stream(Count(count))).await, expected);
        assert_eq!(sum(a.recipient::<Count>().stream(Count(count))).await, expected);
    }
    let mut over = a.stream(Count(1));
    assert_eq!((over.next().await, over.next().await, over.next().await), (Some(Ok(0)), None, None));
    a.send(Await(0)).await?;
    running.shutdown().await
}

async fn errors(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let here = ProcAddr::export(Spring::default().start())?;
    for whom in [&a, &here] {
        let mut stream = whom.stream(Fail(2));
        assert_eq!(stream.next().await, Some(Ok(0)));
        assert_eq!(stream.next().await, Some(Ok(1)));
        let error = stream.next().await.unwrap().unwrap_err();
        assert_eq!(error, StreamError::Error(Bad("enough".into())));
        assert_eq!((error.cause(), error.verdict()), (None, Verdict::Failed));
        assert_eq!(stream.next().await, None, "nothing comes after an error");
        whom.send(Await(0)).await?;
    }
    let mut stream = a.stream(Thorny);
    assert_eq!(stream.next().await.unwrap().unwrap().0, 0);
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(error.cause(), Some(Cause::Encode(why)) if why.contains("prickly")), "{error}");
    running.shutdown().await
}

async fn slow(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    for credit in [1, 2, 10] {
        let (_, before) = a.send(Tally).await?;
        let mut stream = a.stream(Count(1000)).credit(credit, 1 << 20);
        for taken in 1..=100 {
            assert_eq!(stream.next().await, Some(Ok(taken - 1)));
            // Asked behind every pull, so it has seen whatever they led to.
            let (_, yielded) = a.send(Tally).await?;
            let ahead = yielded - before - taken;
            assert!(ahead <= u64::from(credit), "{ahead} items are ahead of {taken}, of {credit}");
        }
        drop(stream);
        a.send(Await(0)).await?;
    }
    running.shutdown().await
}

async fn bytes(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    for (count, size) in [(50, 1000_u64), (10, 100_000), (3, 3 << 20)] {
        let (_, before) = a.send(Tally).await?;
        let mut stream = a.stream(Texts(count, size.try_into().unwrap())).credit(1000, 4000);
        for taken in 1..=count {
            assert_eq!(stream.next().await.unwrap().unwrap().len() as u64, size);
            let (_, yielded) = a.send(Tally).await?;
            // In two batches, and one that had no room in the last.
            let most = 2 * (2000 / size).max(1) + 1;
            assert!(yielded - before - taken <= most, "{yielded} of {taken}, of {most}");
        }
        assert_eq!(stream.next().await, None);
    }
    running.shutdown().await
}

async fn many(root: Root) -> procession::Result<()> {
    let (running, a, b) = two(&root).await?;
    let streams = (0..300).map(|at| sum(a.stream(Count(at)).credit(3, 100)));
    for (at, got) in join_all(streams).await.into_iter().enumerate() {
        assert_eq!(got, Ok((0..at as u64).sum()));
    }
    let drinkers = (0..50).map(|at| b.send(Drink { whom: a.clone(), to: at * 10 }));
    for (at, got) in join_all(drinkers).await.into_iter().enumerate() {
        assert_eq!(got?, Ok((0..at as u64 * 10).sum()));
    }
    a.send(Await(0)).await?;
    running.shutdown().await
}

async fn carried(root: Root) -> procession::Result<()> {
    let (running, a, b) = two(&root).await?;
    assert_eq!(a.send(Perhaps(false)).await?.unwrap_err(), Bad("not today".into()));
    assert_eq!(sum(a.send(Perhaps(true)).await?.unwrap()).await, Ok(3));
    // To a third process, which pulls it from the first; and home.
    for whom in [&b, &a] {
        let stream = a.send(Count(5000)).await?;
        assert_eq!(whom.send(Sum(stream)).await?, Ok((0..5000).sum()));
    }
    // One that was made here.
    let here = Streaming::of(futures_util::stream::iter(0..100_u64));
    assert_eq!(b.send(Sum(here)).await?, Ok((0..100).sum()));
    // One that has begun is somebody's.
    let mut begun = a.send(Count(5)).await?;
    assert_eq!(begun.next().await, Some(Ok(0)));
    let error = b.send(Sum(begun)).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Encode(why) if why.contains("taken")), "{error}");
    let Sum(rest) = error.into_message().unwrap();
    assert_eq!(sum(rest).await, Ok(1 + 2 + 3 + 4), "and goes on where it was");
    a.send(Await(0)).await?;
    running.shutdown().await
}

async fn descriptors(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let here = ProcAddr::export(Spring::default().start())?;
    for whom in [&a, &here] {
        let mut stream = whom.stream(Pipes(40));
        for at in 0..40 {
            let (number, Descriptor(reading)) = stream.next().await.unwrap().unwrap();
            let mut text = String::new();
            File::from(reading).read_to_string(&mut text).unwrap();
            assert_eq!((number, text), (at, "x".repeat(usize::try_from(at).unwrap())));
        }
        assert!(stream.next().await.is_none());
    }
    let mut stream = a.stream(Blobs(5, 1 << 20));
    for at in 0..5_u8 {
        let blob = stream.next().await.unwrap().unwrap();
        assert!(blob.len() == 1 << 20 && blob.iter().all(|byte| *byte == at));
    }
    assert!(stream.next().await.is_none());
    running.shutdown().await
}

async fn ordered(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let a2 = running.addr::<Spring>("a2")?;
    let held = a.send(Hold);
    let dropped = a.stream(Stall(1));
    let kept = a.stream(Count(3));
    drop(dropped);
    a2.send(Release).await?;
    held.await?;
    assert_eq!(sum(kept).await, Ok(3));
    let (living, yielded) = a.send(Tally).await?;
    assert_eq!((living, yielded), (0, 3), "what was dropped was not handled");
    // Given up after the handler had begun, and before it answered: nobody claims the stream.
    let late = a.stream(Later_(1)).timeout(Duration::from_millis(50));
    let error = late.map(Result::unwrap_err).next().await.unwrap();
    assert_eq!((error.cause(), error.verdict()), (Some(&Cause::TimedOut), Verdict::Unknown));
    a2.send(Release).await?;
    running.shutdown().await
}

async fn guessed(root: Root) -> procession::Result<()> {
    let (running, a, _) = two(&root).await?;
    let stream = a.send(Count(3)).await?;
    let mut bytes = Vec::new();
    codec::encode_with_descriptors(&stream, &mut bytes, 1000, 0).unwrap();
    // It ends with the key, and how often it was sent on.
    for at in [bytes.len() - 5, bytes.len() - 20] {
        let mut forged = bytes.clone();
        forged[at] ^= 1;
        let mut forged: Streaming<u64> = codec::decode(&forged).unwrap();
        let error = forged.next().await.unwrap().unwrap_err();
        assert_eq!(error.cause(), Some(&Cause::NoStream));
    }
    let true_one: Streaming<u64> = codec::decode(&bytes).unwrap();
    assert_eq!(sum(true_one).await, Ok(3));
    drop(stream);
    running.shutdown().await
}
