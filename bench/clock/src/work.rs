//! What is measured, for how long, and what was found: all that a subject of the bench needs to know.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cores::Placement;

/// Whatever went wrong; the measurement ends with it.
pub type Failure = Box<dyn Error>;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
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
    /// A question to the runtime of a process while others flood it with messages: the 99th percentile in ms.
    Control,
    /// So many requests a second, whatever becomes of those before: the time from when each was due, in µs.
    Rate(u32),
    /// Messages among so many processes: the time of each, in ns.
    AmongProcesses(u16),
    /// Messages to so many actors of one process: likewise.
    AmongActors(u32),
}

/// A task, where it is done, and how thoroughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// What.
    pub task: Task,
    /// Where.
    pub placement: Placement,
    /// For less time than what is published takes.
    pub quick: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The figure that the workload is about, in its unit.
    pub value: f64,
    /// More of it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, f64>,
}

impl Reading {
    /// A single figure.
    pub fn new(value: f64) -> Reading {
        Reading { value, details: BTreeMap::new() }
    }

    /// With another figure beside it.
    pub fn with(mut self, name: &str, value: f64) -> Reading {
        self.details.insert(name.to_owned(), value);
        self
    }
}

impl Work {
    /// Time to get warm, before anything counts.
    pub fn warm_up(&self) -> Duration {
        self.time() / 5
    }

    /// How long to measure. Long enough that the scheduler's slices and a neighbour's wake-ups average out.
    pub fn time(&self) -> Duration {
        Duration::from_millis(if self.quick { 150 } else { 700 })
    }

    /// Likewise at a fixed rate, whose tails are rare.
    pub fn rate_time(&self) -> Duration {
        Duration::from_millis(if self.quick { 300 } else { 2_000 })
    }

    /// Likewise for questions, of which there are a thousand a second at most.
    pub fn question_time(&self) -> Duration {
        Duration::from_millis(if self.quick { 1_000 } else { 5_000 })
    }

    /// One-way messages between two confirmations: the confirmation is a small part of their time.
    pub fn batch(&self) -> u64 {
        if self.quick { 50_000 } else { 200_000 }
    }

    /// Likewise payloads.
    pub fn payloads(&self) -> usize {
        if self.quick { 16 } else { 64 }
    }

    /// Processes that send to one.
    pub fn senders(&self) -> u16 {
        8
    }

    /// How many processes are started, or killed.
    pub fn lives(&self) -> usize {
        if self.quick { 5 } else { 15 }
    }

    /// How many processes are killed where it is the tail that counts.
    pub fn kills(&self) -> usize {
        if self.quick { 20 } else { 200 }
    }

    /// How many processes do nothing, and for how long that is watched.
    pub fn idlers(&self) -> (u16, Duration) {
        if self.quick { (10, Duration::from_secs(1)) } else { (50, Duration::from_secs(10)) }
    }
}
