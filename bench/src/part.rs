//! A part: one subject doing one task once, in a process of its own, so that nothing of one measurement (pinned
//! threads, warm memory, runtimes) is left for the next. The part is told in the environment, because the workers of
//! Procession and the other ends of peers are the same executable and find it there, too.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cores::Placement;
use crate::subjects::Subject;

/// Whatever went wrong; the bench ends with it.
pub(crate) type Failure = Box<dyn Error>;

/// The environment variable with a part.
const VARIABLE: &str = "PROCESSION_BENCH_PART";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Task {
    /// One request after the other: the time of each, in µs.
    Ask,
    /// Sixty-four requests under way: millions a second.
    Ask64,
    /// One-way messages until the receiver has confirmed the last: millions a second.
    Tell,
    /// One-way payloads of 1 MiB, likewise: GiB a second.
    Payload,
    /// So many bytes at once, until the receiver has them: µs.
    HandOver(u64),
    /// One more process until its first reply: ms.
    Spawn,
    /// From the kill of a process until a request to it succeeds again: ms.
    Restart,
    /// From the kill of a process until somebody else who watches it is told: the 99th percentile in ms.
    Down,
    /// Until so many processes that do nothing were told to stop and are gone: ms.
    Stop(u16),
    /// A process that has started so many others, and is killed: ms until the last of them is gone.
    RootKilled(u16),
    /// What a process costs that does nothing: MiB.
    Idle,
    /// One-way messages of many processes to one: millions a second.
    FanIn,
    /// So many requests a second, whatever becomes of those before: the time from when each was due, in µs.
    Rate(u32),
    /// Messages among so many processes: the time of each, in ns.
    AmongProcesses(u16),
    /// Messages to so many actors of one process: likewise.
    AmongActors(u32),
}

/// One measurement of one subject.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Who.
    pub(crate) subject: Subject,
    /// What.
    pub(crate) task: Task,
    /// Where.
    pub(crate) placement: Placement,
    /// For less time than what is published takes.
    pub(crate) quick: bool,
    /// Whether this process answers the one that measures.
    pub(crate) answers: bool,
}

/// What a part found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reading {
    /// The figure that the workload is about, in its unit.
    pub(crate) value: f64,
    /// More of it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) details: BTreeMap<String, f64>,
}

impl Reading {
    /// A single figure.
    pub(crate) fn new(value: f64) -> Reading {
        Reading { value, details: BTreeMap::new() }
    }

    /// With another figure beside it.
    pub(crate) fn with(mut self, name: &str, value: f64) -> Reading {
        self.details.insert(name.to_owned(), value);
        self
    }
}

impl Part {
    /// The part of this process, if it has one.
    pub(crate) fn of_this_process() -> Option<Result<Part, Failure>> {
        let told = std::env::var(VARIABLE).ok()?;
        Some(serde_json::from_str(&told).map_err(Failure::from))
    }

    /// This program, told to play the part.
    pub(crate) fn command(&self) -> Result<Command, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(VARIABLE, serde_json::to_string(self)?);
        Ok(command)
    }

    /// Has another process play the part, and waits for what it found.
    pub(crate) fn run(&self) -> Result<Reading, Failure> {
        let mut command = self.command()?;
        // A worker that is killed on purpose needs no warning.
        command.env("RUST_LOG", "error").stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output()?;
        if !output.status.success() {
            return Err(format!("{:?} of {:?}: {}", self.task, self.subject, output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Time to get warm, before anything counts.
    pub(crate) fn warm_up(&self) -> Duration {
        self.time() / 5
    }

    /// How long to measure. Long enough that the scheduler's slices and a neighbour's wake-ups average out.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_millis(if self.quick { 150 } else { 700 })
    }

    /// Likewise at a fixed rate, whose tails are rare.
    pub(crate) fn rate_time(&self) -> Duration {
        Duration::from_millis(if self.quick { 300 } else { 2_000 })
    }

    /// One-way messages between two confirmations: the confirmation is a small part of their time.
    pub(crate) fn batch(&self) -> u64 {
        if self.quick { 50_000 } else { 200_000 }
    }

    /// Likewise payloads.
    pub(crate) fn payloads(&self) -> usize {
        if self.quick { 16 } else { 64 }
    }

    /// Processes that send to one.
    pub(crate) fn senders(&self) -> u16 {
        8
    }

    /// How many processes are started, or killed.
    pub(crate) fn lives(&self) -> usize {
        if self.quick { 5 } else { 15 }
    }

    /// How many processes are killed where it is the tail that counts.
    pub(crate) fn kills(&self) -> usize {
        if self.quick { 20 } else { 200 }
    }

    /// How many processes do nothing, and for how long that is watched.
    pub(crate) fn idlers(&self) -> (u16, Duration) {
        if self.quick { (10, Duration::from_secs(1)) } else { (50, Duration::from_secs(4)) }
    }
}
