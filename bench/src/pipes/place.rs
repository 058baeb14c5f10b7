//! Which cores the two processes run on.

use std::error::Error;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Where the two ends are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Each on a core of its own.
    TwoCores,
    /// Both on one.
    OneCore,
}

/// The environment variable with the child's core.
const CORE: &str = "PROCESSION_BENCH_CORE";

/// Pins this process to one core, and says where its children go.
pub(crate) fn choose(placement: Placement) -> Result<(), Box<dyn Error>> {
    let all: Vec<usize> = std::fs::read_to_string("/proc/self/status")?
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .map(|_| (0..CpuSet::count()).filter(|core| is_online(*core)).collect())
        .unwrap_or_default();
    let first = *all.first().ok_or("no core is online")?;
    let other = all.get(1).copied().unwrap_or(first);
    CHILD_CORE.store(
        if placement == Placement::OneCore { first } else { other },
        std::sync::atomic::Ordering::Relaxed,
    );
    pin(first)
}

/// The core of the children, to be given to one that can't pin itself.
pub(crate) fn child_core() -> usize {
    CHILD_CORE.load(std::sync::atomic::Ordering::Relaxed)
}

/// The variable that pins a child of ours.
pub(crate) fn variable() -> (&'static str, String) {
    (CORE, child_core().to_string())
}

/// Pins this child to its core.
pub(crate) fn pin_child() -> Result<(), Box<dyn Error>> {
    match std::env::var(CORE) {
        Ok(core) => pin(core.parse()?),
        Err(_) => Ok(()),
    }
}

static CHILD_CORE: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

fn pin(core: usize) -> Result<(), Box<dyn Error>> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &cores)?;
    debug_assert!(sched_getaffinity(Pid::from_raw(0))?.is_set(core)?);
    Ok(())
}

fn is_online(core: usize) -> bool {
    std::path::Path::new(&format!("/sys/devices/system/cpu/cpu{core}")).exists()
}
