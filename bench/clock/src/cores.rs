//! Which cores the two ends of a measurement run on. Waking another core costs more than all the rest of a
//! message, so that each placement is an experiment of its own.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::work::Failure;

/// Where the two ends are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Placement {
    /// Each on a core of its own.
    TwoCores,
    /// Both on one.
    OneCore,
    /// Where the kernel puts them: for what takes more than two processes.
    Anywhere,
    /// The same, on processors that never halt.
    Awake,
}

impl Placement {
    /// The core of the end that measures.
    pub fn near(self) -> Result<Option<usize>, Failure> {
        self.core(0)
    }

    /// The core of the end that answers.
    pub fn far(self) -> Result<Option<usize>, Failure> {
        self.core(1)
    }

    fn core(self, end: usize) -> Result<Option<usize>, Failure> {
        let end = match self {
            Placement::Anywhere | Placement::Awake => return Ok(None),
            Placement::OneCore => 0,
            Placement::TwoCores => end,
        };
        let online = online()?;
        Ok(online.get(end).or(online.first()).copied())
    }
}

/// The cores that the machine has, whatever this thread is pinned to.
fn online() -> Result<Vec<usize>, Failure> {
    let folder = std::path::Path::new("/sys/devices/system/cpu");
    let cores: Vec<usize> =
        (0..CpuSet::count()).filter(|core| folder.join(format!("cpu{core}")).exists()).collect();
    if cores.is_empty() { Err("no core is online".into()) } else { Ok(cores) }
}

/// Those that this process may use.
pub fn allowed() -> Result<Vec<usize>, Failure> {
    let cores = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|core| cores.is_set(*core) == Ok(true)).collect())
}

/// Keeps this thread, and the threads and processes that it starts from now on, on one core.
pub fn pin(core: Option<usize>) -> Result<(), Failure> {
    let Some(core) = core else { return Ok(()) };
    let mut cores = CpuSet::new();
    cores.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &cores)?;
    debug_assert!(sched_getaffinity(Pid::from_raw(0))?.is_set(core)?);
    Ok(())
}
