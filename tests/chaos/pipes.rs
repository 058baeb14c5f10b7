//! Pipes that stall, break and are late.

use std::cell::Cell;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use procession::blob::Blob;
use procession::chaos::{Chaos, ChaosError};
use procession::prelude::*;

use crate::actors::*;
use crate::stage::{deploy, ms, story, who};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("m2_a_stalled_pipe_loses_nothing_and_a_deadline_ends_what_waits", stalled),
        story("m2_a_late_pipe_is_late_both_ways", late),
        story("m2_a_pipe_that_is_cut_within_a_frame_harms_nobody_and_is_replaced", cut),
        story("h14_descriptors_pass_a_disturbed_pipe", descriptors),
        story("m2_h41_verdicts_are_true_whatever_happens_to_pipes", verdicts),
        story("pipes_of_those_who_are_spared_are_left_alone", spared),
        story("one_chaos_of_pipes_at_a_time", another),
    ]
}

const HOUR: Duration = Duration::from_secs(3600);

async fn stalled(root: Root) -> procession::Result<()> {
    let (running, [left]) = deploy(&root, ["left"]).await?;
    let rampage = Chaos::new(1).every(ms(5)..=ms(5)).stall(1, HOUR..=HOUR).start(&running, HOUR).await?;
    // Until the pipe is there, which the first answer proves, stalls find none. On a machine without time for us, the time
    // of a message may be over before it is written.
    let mut answered = 0;
    loop {
        match left.send(Add(1)).timeout(ms(100)).await.map_err(|error| error.verdict()) {
            Ok(_) => answered += 1,
            Err(Verdict::Unknown) => break,
            Err(verdict) => assert_eq!(verdict, Verdict::NotExecuted),
        }
    }
    let waiting = left.send(Add(1_000_000));
    let report = rampage.enough().await;
    assert!(report.stalls >= 1 && report.deaths == 0 && report.is_survived(), "{report}");
    let total = waiting.await?;
    assert!(
        (answered..=answered + 1).contains(&(total - 1_000_000)),
        "{total}: each that was answered, and perhaps the late one"
    );
    running.shutdown().await
}

async fn late(root: Root) -> procession::Result<()> {
    let (running, [left]) = deploy(&root, ["left"]).await?;
    let by = ms(60);
    let rampage =
        Chaos::new(1).every(ms(1)..=ms(1)).delay(1, by..=by, HOUR..=HOUR).start(&running, HOUR).await?;
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        let sent = Instant::now();
        left.send(Add(1)).await?;
        longest = longest.max(sent.elapsed());
    }
    assert!(longest >= by * 2, "{longest:?}");
    let report = rampage.enough().await;
    assert!(report.delays >= 1 && report.is_survived(), "{report}");
    assert_eq!(left.send(Add(1)).await?, 6);
    running.shutdown().await
}

async fn cut(root: Root) -> procession::Result<()> {
    let (running, [left, right]) = deploy(&root, ["left", "right"]).await?;
    let (before_left, before_right) = (who(&left).await, who(&right).await);
    // The pipe of the two is made while it is on; those of the root are there already, and stay as they are.
    let chaos = Chaos::new(4).every(ms(20)..=ms(20)).cut(1, 1..=3000);
    let rampage = chaos.start(&running, HOUR).await?;
    let mut told = Told::default();
    while told.unknown == 0 {
        told += left.send(Pester { whom: right.clone(), count: 300 }).await?;
    }
    let report = rampage.enough().await;
    assert!(report.pipes_cut >= 1 && report.pipes_cut <= report.cuts, "{report}");
    assert!(report.deaths == 0 && report.blamed == 0 && report.is_survived(), "{report}");
    let sum = right.send(Add(0)).await?;
    assert!(told.failed == 0 && sum >= told.done && sum <= told.done + told.unknown, "{sum} of {told:?}");
    let after = left.send(Pester { whom: right.clone(), count: 10 }).await?;
    assert_eq!(after.done, 10, "the pipe that was made then is direct, or calm: {after:?}");
    assert_eq!((who(&left).await, who(&right).await), (before_left, before_right), "the same lives");
    running.shutdown().await
}

async fn descriptors(root: Root) -> procession::Result<()> {
    let (running, [left]) = deploy(&root, ["left"]).await?;
    let chaos =
        Chaos::new(1).every(ms(1)..=ms(3)).delay(1, ms(1)..=ms(5), ms(1)..=ms(5)).stall(1, ms(1)..=ms(5));
    let rampage = chaos.start(&running, HOUR).await?;
    for round in 1..=20_u64 {
        // Over the size from which a blob goes as memory, by its descriptor.
        let bytes = vec![u8::try_from(round).unwrap(); 1 << 20];
        assert_eq!(left.send(Take(Blob::copy_from(&bytes)?)).await?, round << 20);
    }
    let report = rampage.enough().await;
    assert!(report.delays + report.stalls >= 1 && report.is_survived(), "{report}");
    running.shutdown().await
}

/// A counter that nobody kills counts what it is asked: each `Ok` is in its sum, no `NotExecuted` is.
async fn verdicts(root: Root) -> procession::Result<()> {
    let (running, [left, right]) = deploy(&root, ["left", "right"]).await?;
    let chaos = Chaos::new(9)
        .every(ms(5)..=ms(25))
        .stall(2, ms(1)..=ms(60))
        .delay(2, ms(1)..=ms(10), ms(1)..=ms(60))
        .cut(2, 0..=4000)
        .only(["right"]);
    let mut rampage = chaos.start(&running, ms(4000)).await?;
    let is_over = Cell::new(false);
    let asking = async {
        let mut told = Told::default();
        while !is_over.get() {
            // From the root, and from a worker, over different pipes.
            told.count(right.send(Add(1)).await);
            told += left.send(Pester { whom: right.clone(), count: 20 }).await?;
        }
        Ok::<_, procession::Error>(told)
    };
    let raging = async {
        let report = rampage.finish().await;
        is_over.set(true);
        report
    };
    let (report, told) = tokio::join!(raging, asking);
    let told = told?;
    assert!(report.pipes_cut >= 1 && report.deaths == 0 && report.is_survived(), "{report}");
    let sum = right.send(Add(0)).await?;
    assert!(told.done > 0 && told.failed == 0, "{told:?}");
    assert!(sum >= told.done && sum <= told.done + told.unknown, "{sum} of {told:?}");
    running.shutdown().await
}

async fn spared(root: Root) -> procession::Result<()> {
    let (running, [left, right]) = deploy(&root, ["left", "right"]).await?;
    let chaos = Chaos::new(1).every(ms(1)..=ms(1)).stall(1, HOUR..=HOUR).only(["left"]);
    let rampage = chaos.start(&running, HOUR).await?;
    while left.send(Add(1)).timeout(ms(50)).await.is_ok() {}
    for count in 1..=100 {
        assert_eq!(right.send(Add(1)).await?, count, "the root's pipe to the other is not disturbed");
    }
    let report = rampage.enough().await;
    assert!(report.faults.iter().all(|fault| fault.process.as_str() == "left"), "{report}");
    running.shutdown().await
}

async fn another(root: Root) -> procession::Result<()> {
    let (running, _) = deploy(&root, ["left"]).await?;
    let of_pipes = Chaos::new(1).every(ms(5)..=ms(5)).stall(1, ms(1)..=ms(1));
    let first = of_pipes.start(&running, HOUR).await?;
    let second = of_pipes.start(&running, HOUR).await;
    assert!(matches!(second, Err(ChaosError::Another)), "{second:?}");
    first.enough().await;
    of_pipes.run(&running, ms(50)).await?;
    running.shutdown().await
}
