//! The clocks: every subject is driven by the same loops, asynchronous ones as they are, blocking ones through
//! [`at_once`]. All are closed loops: the next message leaves when there is room for it.

use std::collections::VecDeque;
use std::future::Future;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::work::{Failure, Reading, Work};

/// Requests under way in [`Task::Ask64`](crate::work::Task::Ask64).
pub const OUTSTANDING: usize = 64;

/// The size of a message.
pub const MESSAGE: usize = 64;

/// The size of a payload.
pub const PAYLOAD: usize = 1 << 20;

/// The least that the machine maps at once.
const PAGE: usize = 4096;

/// How many requests pass between two looks at the clock, where single ones are not timed.
const STRIDE: u64 = 256;

/// One request after the other. The median in µs, with tails.
pub async fn asks(
    work: &Work,
    mut ask: impl AsyncFnMut() -> Result<(), Failure>,
) -> Result<Reading, Failure> {
    let warm = Instant::now();
    while warm.elapsed() < work.warm_up() {
        ask().await?;
    }
    let mut times = Histogram::<u64>::new(3)?;
    let begin = Instant::now();
    let mut before = begin;
    while before - begin < work.time() {
        ask().await?;
        let now = Instant::now();
        times.record(nanoseconds(now - before))?;
        before = now;
    }
    Ok(quantiles(&times))
}

/// The median of a histogram of nanoseconds in µs, with tails.
pub fn quantiles(times: &Histogram<u64>) -> Reading {
    let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    Reading::new(at(0.5)).with("p90", at(0.9)).with("p99", at(0.99)).with("p99_9", at(0.999))
}

/// Sixty-four requests under way: whenever the oldest is answered, another leaves. Millions a second.
pub async fn asks64<F>(work: &Work, mut ask: impl FnMut() -> F) -> Result<Reading, Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let mut under_way: VecDeque<F> = (0..OUTSTANDING).map(|_| ask()).collect();
    let mut begin = Instant::now();
    let (mut answered, mut warm) = (0, false);
    loop {
        if let Some(oldest) = under_way.pop_front() {
            oldest.await?;
        }
        under_way.push_back(ask());
        answered += 1;
        if answered % STRIDE != 0 {
            continue;
        }
        let passed = begin.elapsed();
        if !warm && passed >= work.warm_up() {
            (warm, answered, begin) = (true, 0, Instant::now());
        } else if warm && passed >= work.time() {
            for last in under_way {
                last.await?;
            }
            return Ok(Reading::new(millions_a_second(answered, passed)));
        }
    }
}

/// The same for who keeps them under way by himself: `next` sends one and waits for the oldest.
pub fn one_by_one(work: &Work, mut next: impl FnMut() -> Result<(), Failure>) -> Result<Reading, Failure> {
    let warm = Instant::now();
    while warm.elapsed() < work.warm_up() {
        next()?;
    }
    let (begin, mut answered) = (Instant::now(), 0);
    while begin.elapsed() < work.time() {
        for _ in 0..STRIDE {
            next()?;
        }
        answered += STRIDE;
    }
    Ok(Reading::new(millions_a_second(answered, begin.elapsed())))
}

/// Likewise, asynchronously.
pub async fn in_turn(
    work: &Work,
    mut next: impl AsyncFnMut() -> Result<(), Failure>,
) -> Result<Reading, Failure> {
    let warm = Instant::now();
    while warm.elapsed() < work.warm_up() {
        next().await?;
    }
    let (begin, mut answered) = (Instant::now(), 0);
    while begin.elapsed() < work.time() {
        for _ in 0..STRIDE {
            next().await?;
        }
        answered += STRIDE;
    }
    Ok(Reading::new(millions_a_second(answered, begin.elapsed())))
}

/// Batches, until the time is up; each ends when the receiver has confirmed the last message.
/// The time of one batch in the middle.
pub async fn batches(
    work: &Work,
    mut batch: impl AsyncFnMut() -> Result<(), Failure>,
) -> Result<Duration, Failure> {
    batch().await?;
    let begin = Instant::now();
    let mut times = Vec::new();
    while begin.elapsed() < work.time() {
        let before = Instant::now();
        batch().await?;
        times.push(before.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// Batches of one-way messages. Millions a second.
pub async fn tells(work: &Work, batch: impl AsyncFnMut() -> Result<(), Failure>) -> Result<Reading, Failure> {
    tells_of(work, work.batch(), batch).await
}

/// The same for who is slow enough for fewer in a batch.
pub async fn tells_of(
    work: &Work,
    count: u64,
    batch: impl AsyncFnMut() -> Result<(), Failure>,
) -> Result<Reading, Failure> {
    Ok(Reading::new(millions_a_second(count, batches(work, batch).await?)))
}

/// Batches of payloads. GiB a second.
pub async fn payloads(
    work: &Work,
    batch: impl AsyncFnMut() -> Result<(), Failure>,
) -> Result<Reading, Failure> {
    let bytes = work.payloads() * PAYLOAD;
    let time = batches(work, batch).await?;
    Ok(Reading::new(bytes as f64 / time.as_secs_f64() / f64::from(1 << 30)))
}

/// Reads something of each page of a payload, as its user would.
pub fn touch(payload: &[u8]) -> u64 {
    payload.iter().step_by(PAGE).map(|byte| u64::from(*byte)).sum()
}

/// The median of some times in ms, with its extremes.
pub fn milliseconds(mut times: Vec<Duration>) -> Reading {
    times.sort_unstable();
    let at = |place: usize| times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    Reading::new(at(times.len() / 2)).with("least", at(0)).with("most", at(times.len().saturating_sub(1)))
}

/// The 99th percentile of some times in ms, with their median and the longest.
pub fn tail_ms(mut times: Vec<Duration>) -> Reading {
    times.sort_unstable();
    let at = |place: usize| times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    let last = times.len().saturating_sub(1);
    Reading::new(at((times.len() * 99).div_ceil(100).saturating_sub(1)))
        .with("p50", at(times.len() / 2))
        .with("most", at(last))
}

/// The outcome of a future that never waits.
pub fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => unreachable!("blocking subjects do not wait asynchronously"),
    }
}

/// So many in that time.
pub fn millions_a_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64() / 1e6
}

/// All that a histogram counts in.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The content of a message.
pub type Words = [u64; MESSAGE / size_of::<u64>()];

/// The content of every message.
pub const WORDS: Words = [1; MESSAGE / size_of::<u64>()];

/// That nothing was lost on the way.
pub fn confirmed(found: u64, count: u64) -> Result<(), Failure> {
    if found == count { Ok(()) } else { Err(format!("{found} of {count} messages arrived").into()) }
}
