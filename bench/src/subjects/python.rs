//! Python's multiprocessing, which does the measuring itself.

use std::process::Command;

use crate::part::{Failure, Part, Reading, Task};

pub(super) fn measure(part: &Part) -> Result<Reading, Failure> {
    let count = match part.task {
        // It is slow enough for fewer.
        Task::Tell => part.batch() / 4,
        Task::Payload => u64::try_from(part.payloads())?,
        Task::Spawn | Task::Restart => u64::try_from(part.lives())?,
        Task::Ask => 0,
        other => return Err(format!("{other:?} is no task for Python").into()),
    };
    let core = |core: Option<usize>| core.map_or("-1".to_owned(), |core| core.to_string());
    let output = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/subjects/peer.py"))
        .args([format!("{:?}", part.task), part.time().as_secs_f64().to_string(), count.to_string()])
        .args([core(part.placement.near()?), core(part.placement.far()?)])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
