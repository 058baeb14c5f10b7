//! What the kernel tells of processes.

use std::time::Duration;

use crate::part::{Failure, Reading};

/// The share of the machine's memory that is this process's, in MiB: pages that it has for itself, and its part of
/// those that it shares.
pub(crate) fn memory(pid: u32) -> Result<f64, Failure> {
    let told = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = told.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss in smaps_rollup")?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes / 1024.0)
}

/// The time that all threads of a process have run.
pub(crate) fn time_run(pid: u32) -> Result<Duration, Failure> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let told = match std::fs::read_to_string(thread?.path().join("schedstat")) {
            // It ended meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            told => told?,
        };
        nanoseconds += told.split(' ').next().ok_or("an empty schedstat")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Watches processes that should do nothing: the mean of their memory, and how busy they keep a core.
pub(crate) fn idle(pids: &[u32], time: Duration) -> Result<Reading, Failure> {
    // What they did so far settles first.
    std::thread::sleep(SETTLING);
    let run = || pids.iter().map(|pid| time_run(*pid)).sum::<Result<Duration, Failure>>();
    let before = run()?;
    std::thread::sleep(time);
    let busy = run()? - before;
    let memory = pids.iter().map(|pid| memory(*pid)).sum::<Result<f64, Failure>>()?;
    let count = pids.len() as f64;
    let percent = busy.as_secs_f64() / time.as_secs_f64() / count * 100.0;
    Ok(Reading::new(memory / count).with("cpu_percent", percent).with("processes", count))
}

/// Longer than anything that a process does once after its first message.
const SETTLING: Duration = Duration::from_millis(500);

/// A moment that nobody's timer is in step with, up to so long from now.
pub(crate) fn random_moment(most: Duration) -> Duration {
    // The keys of each are random.
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0_u8);
    most.mul_f64(random as f64 / u64::MAX as f64)
}

/// How far apart kills are, at most: past the pace that a supervisor may keep for restarts.
pub(crate) const BETWEEN_KILLS: Duration = Duration::from_millis(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_runs() {
        let me = std::process::id();
        assert!(memory(me).expect("memory") > 0.1);
        let before = time_run(me).expect("a time");
        while time_run(me).expect("a time") == before {}
    }

    #[test]
    fn moments_differ_and_are_not_later_than_asked() {
        let moments: Vec<_> = (0..50).map(|_| random_moment(BETWEEN_KILLS)).collect();
        assert!(moments.iter().all(|moment| *moment <= BETWEEN_KILLS));
        assert!(moments.iter().any(|moment| *moment != moments[0]));
    }
}
