//! Peers whose ends live in tokio: driven from a task of a thread with one runtime, as actors are.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use tokio::task::{LocalSet, spawn_local};

use crate::drive::{OUTSTANDING, millions_a_second};
use crate::work::{Failure, Reading, Work};

/// Runs a future as a task of this thread, until it has ended.
pub fn run<T: 'static>(future: impl Future<Output = Result<T, Failure>> + 'static) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async { spawn_local(future).await? })
}

/// Sixty-four tasks that each have one request under way: for those whose requests leave only when somebody waits for
/// them. Millions a second.
pub async fn asks64<F>(work: &Work, ask: impl Fn() -> F + Clone + 'static) -> Result<Reading, Failure>
where
    F: Future<Output = Result<(), Failure>> + 'static,
{
    let answered = Rc::new(Cell::new(0_u64));
    let begin = Instant::now();
    let (warm, end) = (work.warm_up(), work.warm_up() + work.time());
    let tasks: Vec<_> = (0..OUTSTANDING)
        .map(|_| {
            let (ask, answered) = (ask.clone(), Rc::clone(&answered));
            spawn_local(async move {
                while begin.elapsed() < end {
                    ask().await?;
                    if begin.elapsed() >= warm {
                        answered.set(answered.get() + 1);
                    }
                }
                Ok::<(), Failure>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(Reading::new(millions_a_second(answered.get(), begin.elapsed().saturating_sub(warm))))
}

/// So many requests, sixty-four tasks with one under way each: for those whose one-way messages are requests with an
/// empty answer.
pub async fn many<F>(count: u64, request: impl Fn() -> F + Clone + 'static) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>> + 'static,
{
    let left = Rc::new(Cell::new(count));
    let tasks: Vec<_> = (0..OUTSTANDING)
        .map(|_| {
            let (request, left) = (request.clone(), Rc::clone(&left));
            spawn_local(async move {
                while left.get() > 0 {
                    left.set(left.get() - 1);
                    request().await?;
                }
                Ok::<(), Failure>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}
