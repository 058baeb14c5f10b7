//! Starting workers, killing them, and letting them do nothing.

use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procession::prelude::*;

use super::{Setting, at_once, receiver};
use crate::drive;
use crate::part::{Failure, Part, Reading};
use crate::processes;
use crate::subjects::actors::{Receiver, Who};

/// One more worker, of a topology that has one, until its first reply.
pub(super) async fn spawn(root: &Root, part: &Part, setting: Setting) -> Result<Reading, Failure> {
    let place = setting.place(None);
    let running = root.deploy(setting.topology().process(receiver("first", place))).await?;
    running.addr::<Receiver>("first")?.send(Who).await?;
    let mut times = Vec::new();
    for _ in 0..part.lives() {
        let before = Instant::now();
        let started = running.start(receiver("far", place)).await?;
        started.addr::<Receiver>("far")?.send(Who).await?;
        times.push(before.elapsed());
        running.stop("process-far").await?;
    }
    running.shutdown().await?;
    Ok(drive::milliseconds(times))
}

/// From the kill of a worker until a request succeeds again. Those that fail meanwhile are repeated at once.
pub(super) async fn restart(root: &Root, part: &Part, setting: Setting) -> Result<Reading, Failure> {
    let process = at_once(receiver("far", setting.place(None)));
    let running = root.deploy(setting.topology().process(process)).await?;
    let far = running.addr::<Receiver>("far")?;
    let mut times = Vec::new();
    for _ in 0..part.lives() {
        let pid = Pid::from_raw(far.send(Who).await?.try_into()?);
        tokio::time::sleep(processes::random_moment(processes::BETWEEN_KILLS)).await;
        let before = Instant::now();
        kill(pid, Signal::SIGKILL)?;
        let mut failed = 0_u32;
        let next = loop {
            match far.send(Who).await {
                Ok(next) => break next,
                Err(_) if failed < MOST_FAILURES => failed += 1,
                Err(error) => return Err(error.into()),
            }
        };
        times.push(before.elapsed());
        if i64::from(next) == i64::from(pid.as_raw()) {
            return Err("a killed process answered".into());
        }
    }
    running.shutdown().await?;
    Ok(drive::milliseconds(times))
}

/// Requests that fail in one restart: one or two reach the dead life. More is a worker that does not come back.
const MOST_FAILURES: u32 = 100_000;

/// What workers cost that have been asked once and then do nothing.
pub(super) async fn idle(root: &Root, part: &Part, setting: Setting) -> Result<Reading, Failure> {
    let (count, time) = part.idlers();
    let process = receiver("far", setting.place(None)).replicas(count.into());
    let running = root.deploy(setting.topology().process(process)).await?;
    let mut pids = Vec::new();
    for number in 1..=count {
        pids.push(running.addr::<Receiver>(&format!("far-{number}"))?.send(Who).await?);
    }
    let reading =
        tokio::task::spawn_blocking(move || processes::idle(&pids, time).map_err(|error| error.to_string()));
    let reading = reading.await??;
    running.shutdown().await?;
    Ok(reading)
}
