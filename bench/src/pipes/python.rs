//! Python's `multiprocessing.Pipe` with a spawned child, measured by itself.

use std::process::Command;
use std::time::Duration;

use super::{Measured, Work, place};

/// Runs the script, which prints two numbers.
pub(crate) fn measure(work: Work) -> Measured {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pipes/peer.py");
    let core = place::child_core().to_string();
    let arguments = [work.size, work.echoes, work.swallows].map(|number| number.to_string());
    let output = Command::new("python3").arg(script).args(arguments).arg(core).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let told = String::from_utf8(output.stdout)?;
    let mut seconds = told.split_whitespace().map(str::parse::<f64>);
    let mut next = || seconds.next().ok_or("the script printed too little");
    Ok(super::Figures {
        round_trip: Duration::from_secs_f64(next()??),
        one_way: Duration::from_secs_f64(next()??),
    })
}
