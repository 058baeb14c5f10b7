//! The clocks of requests at a fixed rate, beside the closed loops that all subjects share.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use hdrhistogram::Histogram;
use procession::sys::readiness::watch_readable;
use procession_bench_clock::drive::nanoseconds;

pub(crate) use procession_bench_clock::drive::*;

use crate::metronome::Metronome;
use crate::part::{Failure, Part, Reading};

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
