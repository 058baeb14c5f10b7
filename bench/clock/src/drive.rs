//! The clocks: every subject is driven by the same loops, asynchronous ones as they are, blocking ones through
//! [`at_once`]. All but those at a rate are closed loops: the next message leaves when there is room for it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use procession::sys::readiness::watch_readable;

use crate::metronome::Metronome;
use crate::part::{Failure, Part, Reading};

/// Requests under way in [`Task::Ask64`](crate::part::Task::Ask64).
pub(crate) const OUTSTANDING: usize = 64;

/// The size of a message.
pub(crate) const MESSAGE: usize = 64;

/// The size of a payload.
pub(crate) const PAYLOAD: usize = 1 << 20;

/// The least that the machine maps at once.
const PAGE: usize = 4096;

/// How many requests pass between two looks at the clock, where single ones are not timed.
const STRIDE: u64 = 256;

/// One request after the other. The median in µs, with tails.
pub(crate) async fn asks<F>(part: &Part, mut ask: impl FnMut() -> F) -> Result<Reading, Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let warm = Instant::now();
    while warm.elapsed() < part.warm_up() {
        ask().await?;
    }
    let mut times = Histogram::<u64>::new(3)?;
    let begin = Instant::now();
    let mut before = begin;
    while before - begin < part.time() {
        ask().await?;
        let now = Instant::now();
        times.record(nanoseconds(now - before))?;
        before = now;
    }
    Ok(quantiles(&times))
}

/// The median of a histogram of nanoseconds in µs, with tails.
pub(crate) fn quantiles(times: &Histogram<u64>) -> Reading {
    let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    Reading::new(at(0.5)).with("p90", at(0.9)).with("p99", at(0.99)).with("p99_9", at(0.999))
}

/// Sixty-four requests under way: whenever the oldest is answered, another leaves. Millions a second.
pub(crate) async fn asks64<F>(part: &Part, mut ask: impl FnMut() -> F) -> Result<Reading, Failure>
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
        if !warm && passed >= part.warm_up() {
            (warm, answered, begin) = (true, 0, Instant::now());
        } else if warm && passed >= part.time() {
            for last in under_way {
                last.await?;
            }
            return Ok(Reading::new(millions_a_second(answered, passed)));
        }
    }
}

/// The same for who keeps them under way by himself: `next` sends one and waits for the oldest.
pub(crate) fn one_by_one(
    part: &Part,
    mut next: impl FnMut() -> Result<(), Failure>,
) -> Result<Reading, Failure> {
    let warm = Instant::now();
    while warm.elapsed() < part.warm_up() {
        next()?;
    }
    let (begin, mut answered) = (Instant::now(), 0);
    while begin.elapsed() < part.time() {
        for _ in 0..STRIDE {
            next()?;
        }
        answered += STRIDE;
    }
    Ok(Reading::new(millions_a_second(answered, begin.elapsed())))
}

/// So many requests a second, each sent when it is due, whatever became of those before it. Times count from when it
/// was due, so that a stall is seen by every request that it delays, not by one. The tail in µs.
pub(crate) async fn at_rate<F>(part: &Part, rate: u32, mut ask: impl FnMut() -> F) -> Result<Reading, Failure>
where
    F: Future<Output = Result<(), Failure>> + 'static,
{
    let metronome = Metronome::new(rate)?;
    let ticks = watch_readable(metronome.descriptor()?)?;
    let times = Rc::new(RefCell::new(Histogram::<u64>::new(3)?));
    let mut under_way = tokio::task::JoinSet::new();
    while metronome.due_next() < part.rate_time() {
        let mut ready = ticks.readable().await?;
        let Ok(due) = ready.try_io(|_| metronome.due()) else { continue };
        for due in due? {
            let (request, times) = (ask(), Rc::clone(&times));
            under_way.spawn_local(async move {
                let outcome = request.await.map_err(|error| error.to_string());
                // A time past the histogram's range would be hours.
                let _ = times.borrow_mut().record(nanoseconds(due.elapsed()));
                outcome
            });
        }
        while let Some(ended) = under_way.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    let times = times.borrow();
    Ok(tail(&times))
}

/// The same for who can have one request under way: those that are due meanwhile wait, and their time counts.
pub(crate) fn at_rate_blocking(
    part: &Part,
    rate: u32,
    mut ask: impl FnMut() -> Result<(), Failure>,
) -> Result<Reading, Failure> {
    let metronome = Metronome::new(rate)?;
    let mut times = Histogram::<u64>::new(3)?;
    while metronome.due_next() < part.rate_time() {
        metronome.wait()?;
        for due in metronome.due()? {
            ask()?;
            times.record(nanoseconds(due.elapsed()))?;
        }
    }
    Ok(tail(&times))
}

/// The 99th percentile of a histogram of nanoseconds in µs, with the others.
fn tail(times: &Histogram<u64>) -> Reading {
    let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    let reading = Reading::new(at(0.99)).with("p50", at(0.5)).with("p90", at(0.9)).with("p99_9", at(0.999));
    reading.with("most", times.max() as f64 / 1e3).with("requests", times.len() as f64)
}

/// Batches, until the time is up; each ends when the receiver has confirmed the last message.
/// The time of one batch in the middle.
pub(crate) async fn batches<F>(part: &Part, mut batch: impl FnMut() -> F) -> Result<Duration, Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    batch().await?;
    let begin = Instant::now();
    let mut times = Vec::new();
    while begin.elapsed() < part.time() {
        let before = Instant::now();
        batch().await?;
        times.push(before.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// Batches of one-way messages. Millions a second.
pub(crate) async fn tells<F>(part: &Part, batch: impl FnMut() -> F) -> Result<Reading, Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    Ok(Reading::new(millions_a_second(part.batch(), batches(part, batch).await?)))
}

/// Batches of payloads. GiB a second.
pub(crate) async fn payloads<F>(part: &Part, batch: impl FnMut() -> F) -> Result<Reading, Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let bytes = part.payloads() * PAYLOAD;
    let time = batches(part, batch).await?;
    Ok(Reading::new(bytes as f64 / time.as_secs_f64() / f64::from(1 << 30)))
}

/// Reads something of each page of a payload, as its user would.
pub(crate) fn touch(payload: &[u8]) -> u64 {
    payload.iter().step_by(PAGE).map(|byte| u64::from(*byte)).sum()
}

/// The median of some times in ms, with its extremes.
pub(crate) fn milliseconds(mut times: Vec<Duration>) -> Reading {
    times.sort_unstable();
    let at = |place: usize| times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    Reading::new(at(times.len() / 2)).with("least", at(0)).with("most", at(times.len().saturating_sub(1)))
}

/// The 99th percentile of some times in ms, with their median and the longest.
pub(crate) fn tail_ms(mut times: Vec<Duration>) -> Reading {
    times.sort_unstable();
    let at = |place: usize| times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    let last = times.len().saturating_sub(1);
    Reading::new(at((times.len() * 99).div_ceil(100).saturating_sub(1)))
        .with("p50", at(times.len() / 2))
        .with("most", at(last))
}

/// The outcome of a future that never waits.
pub(crate) fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => unreachable!("blocking subjects do not wait asynchronously"),
    }
}

pub(crate) fn millions_a_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64() / 1e6
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
