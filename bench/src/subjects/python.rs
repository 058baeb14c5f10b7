//! Python's multiprocessing, which does the measuring itself.

use std::process::Command;

use crate::part::{Failure, Part, Reading, Task};

pub(super) fn measure(part: &Part) -> Result<Reading, Failure> {
    let count = match part.task {
        // It is slow enough for fewer.
        Task::Tell => part.batch() / 4,
        Task::Payload => u64::try_from(part.payloads())?,
        Task::Spawn | Task::Restart => u64::try_from(part.lives())?,
        Task::Down => u64::try_from(part.kills())?,
        Task::Stop(count) => u64::from(count),
        Task::Ask => 0,
        other => return Err(format!("{other:?} is no task for Python").into()),
    };
    let core = |core: Option<usize>| core.map_or("-1".to_owned(), |core| core.to_string());
    let output = peer()
        .args([task(part), part.time().as_secs_f64().to_string(), count.to_string()])
        .args([core(part.placement.near()?), core(part.placement.far()?)])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A program that starts children by hand and is killed.
pub(super) fn doomed(part: &Part) -> Result<Command, Failure> {
    let Task::RootKilled(count) = part.task else {
        return Err(format!("nobody is killed in {:?}", part.task).into());
    };
    let mut command = peer();
    command.args([task(part), "0".to_owned(), count.to_string(), "-1".to_owned(), "-1".to_owned()]);
    Ok(command)
}

fn peer() -> Command {
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/subjects/peer.py"));
    command
}

/// The name of a task, without what belongs to it.
fn task(part: &Part) -> String {
    let told = format!("{:?}", part.task);
    told.split('(').next().unwrap_or_default().to_owned()
}
