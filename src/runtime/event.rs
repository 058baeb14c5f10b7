//! What happens in a deployment, as typed events: for programs, for `procession up`, for logs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use super::event_text::{DeathRecord, Handled, Hang};
use super::progress::HangKind;
use crate::id::{Incarnation, ProcessName};
use crate::process::event::Death;
use crate::process::failure::LaunchFailure;
use crate::process::logs::EVENT_TARGET;
use crate::protocol::control::{Handling, PanicReport};
use crate::topology::OnHang;

/// One thing that happened. Its `Display` is one line for people.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A process was started and is not ready yet.
    Started {
        /// Which.
        process: ProcessName,
        /// Which life of it.
        incarnation: Incarnation,
        /// Its number with the kernel.
        pid: i32,
    },
    /// All actors of a process have started.
    Ready {
        /// Which.
        process: ProcessName,
        /// Which life of it.
        incarnation: Incarnation,
        /// How long that took from its start.
        after: Duration,
    },
    /// A process could not start.
    StartFailed {
        /// Which.
        process: ProcessName,
        /// Which life of it.
        incarnation: Incarnation,
        /// Why.
        failure: Arc<LaunchFailure>,
        /// How it ended, if it had begun.
        death: Option<Arc<Death>>,
    },
    /// An actor panicked.
    Panicked {
        /// In which process.
        process: ProcessName,
        /// In which life of it.
        incarnation: Incarnation,
        /// What is known.
        report: Arc<PanicReport>,
    },
    /// A process broke the protocol towards another.
    Blamed {
        /// Which.
        process: ProcessName,
        /// Which life of it.
        incarnation: Incarnation,
        /// Who says so; what the root says it has seen itself.
        by: ProcessName,
        /// How.
        reason: String,
        /// How often that was said of it, in all its lives.
        count: u64,
        /// Whether it is killed for that.
        killed: bool,
    },
    /// A process makes no progress (P-3).
    Hung {
        /// Which.
        process: ProcessName,
        /// Which life of it.
        incarnation: Incarnation,
        /// In what way.
        kind: HangKind,
        /// What it is handling.
        handling: Vec<Handling>,
        /// Since how long.
        stalled: Duration,
        /// Whether its control thread answers.
        alive: bool,
        /// What becomes of it.
        then: OnHang,
    },
    /// A process that hung makes progress again.
    Recovered {
        /// Which.
        process: ProcessName,
        /// Which life of it.
        incarnation: Incarnation,
        /// How long it made none.
        stalled: Duration,
    },
    /// A process is dead. If `asked`, it was told to end, and this is no failure (P-4).
    Exited {
        /// Which.
        process: ProcessName,
        /// Which life of it.
        incarnation: Incarnation,
        /// What is known.
        death: Arc<Death>,
        /// Whether it had been told to end.
        asked: bool,
    },
    /// A failed process will be started again.
    Restarting {
        /// Which.
        process: ProcessName,
        /// When.
        delay: Duration,
        /// How often its group was restarted within the period.
        restarts: u32,
        /// How often it may still be.
        budget_left: u32,
    },
    /// A process joined the topology at run time.
    Added {
        /// Which.
        process: ProcessName,
        /// Who started it.
        by: ProcessName,
    },
    /// A process is part of the topology no more.
    Removed {
        /// Which.
        process: ProcessName,
    },
    /// A process ended and stays down.
    StaysDown {
        /// Which.
        process: ProcessName,
        /// Why.
        why: String,
    },
    /// Every process is ready.
    Running {
        /// How many there are.
        processes: usize,
    },
    /// The topology is being stopped.
    Stopping {
        /// Why.
        why: String,
    },
    /// Everything has ended.
    Ended {
        /// How.
        why: String,
        /// Whether that is a failure.
        failed: bool,
    },
}

impl Event {
    /// One word for the kind of event, as the JSON log has it.
    pub fn kind(&self) -> &'static str {
        match self {
            Event::Started { .. } => "started",
            Event::Ready { .. } => "ready",
            Event::StartFailed { .. } => "start_failed",
            Event::Panicked { .. } => "panicked",
            Event::Blamed { .. } => "blamed",
            Event::Hung { .. } => "hung",
            Event::Recovered { .. } => "recovered",
            Event::Exited { .. } => "exited",
            Event::Restarting { .. } => "restarting",
            Event::Added { .. } => "added",
            Event::Removed { .. } => "removed",
            Event::StaysDown { .. } => "stays_down",
            Event::Running { .. } => "running",
            Event::Stopping { .. } => "stopping",
            Event::Ended { .. } => "ended",
        }
    }

    /// The process that it is about.
    pub fn process(&self) -> Option<&ProcessName> {
        match self {
            Event::Started { process, .. }
            | Event::Ready { process, .. }
            | Event::StartFailed { process, .. }
            | Event::Panicked { process, .. }
            | Event::Blamed { process, .. }
            | Event::Hung { process, .. }
            | Event::Recovered { process, .. }
            | Event::Exited { process, .. }
            | Event::Restarting { process, .. }
            | Event::Added { process, .. }
            | Event::Removed { process }
            | Event::StaysDown { process, .. } => Some(process),
            _ => None,
        }
    }

    /// The life of the process that it is about.
    pub fn incarnation(&self) -> Option<Incarnation> {
        match self {
            Event::Started { incarnation, .. }
            | Event::Ready { incarnation, .. }
            | Event::StartFailed { incarnation, .. }
            | Event::Panicked { incarnation, .. }
            | Event::Blamed { incarnation, .. }
            | Event::Hung { incarnation, .. }
            | Event::Recovered { incarnation, .. }
            | Event::Exited { incarnation, .. } => Some(*incarnation),
            _ => None,
        }
    }

    /// Whether it is bad news.
    pub fn is_failure(&self) -> bool {
        match self {
            Event::StartFailed { .. }
            | Event::Panicked { .. }
            | Event::Blamed { .. }
            | Event::Hung { .. } => true,
            Event::Exited { death, asked, .. } => !asked && !death.exit.is_success(),
            Event::Ended { failed, .. } => *failed,
            _ => false,
        }
    }

    /// Writes it to the log, with its `details` as a JSON object.
    pub(super) fn log(&self) {
        let (kind, process) = (self.kind(), self.process().map(ProcessName::as_str));
        let incarnation = self.incarnation().map(|incarnation| incarnation.0);
        let details = super::event_details::details(self).to_string();
        match self.is_failure() {
            true => {
                tracing::warn!(target: EVENT_TARGET, event = kind, process, incarnation, details, "{self}")
            }
            false => {
                tracing::info!(target: EVENT_TARGET, event = kind, process, incarnation, details, "{self}")
            }
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Started { process, incarnation, pid } => {
                write!(f, "{process}#{incarnation} started as pid {pid}")
            }
            Event::Ready { process, incarnation, after } => {
                write!(f, "{process}#{incarnation} ready after {after:.1?}")
            }
            Event::StartFailed { process, incarnation, failure, .. } => {
                write!(f, "{process}#{incarnation} did not start: {failure}")
            }
            Event::Panicked { process, incarnation, report } => write_panic(f, process, *incarnation, report),
            Event::Blamed { process, incarnation, by, reason, killed, .. } => {
                let fate = if *killed { "; it is killed" } else { "" };
                write!(f, "{process}#{incarnation} broke the protocol, says {by}: {reason}{fate}")
            }
            Event::Hung { process, incarnation, kind, handling, stalled, alive, then } => {
                let hang = Hang { kind: *kind, handling, stalled: *stalled, alive: *alive, then: *then };
                write!(f, "{process}#{incarnation} {hang}")
            }
            Event::Recovered { process, incarnation, stalled } => {
                write!(f, "{process}#{incarnation} makes progress again, after {stalled:.1?}")
            }
            Event::Exited { process, incarnation, death, asked } => {
                write!(f, "{process}#{incarnation} {}", DeathRecord { death, asked: *asked })
            }
            Event::Restarting { process, delay, restarts, budget_left } => {
                write!(f, "{process} restarts in {delay:.1?} (restart {restarts}, {budget_left} left)")
            }
            Event::Added { process, by } => write!(f, "{process} joins the topology, started by {by}"),
            Event::Removed { process } => write!(f, "{process} is removed"),
            Event::StaysDown { process, why } => write!(f, "{process} stays down: {why}"),
            Event::Running { processes } => write!(f, "running: {processes} processes are ready"),
            Event::Stopping { why } => write!(f, "stopping: {why}"),
            Event::Ended { why, .. } => write!(f, "ended: {why}"),
        }
    }
}

fn write_panic(
    f: &mut fmt::Formatter<'_>,
    process: &ProcessName,
    incarnation: Incarnation,
    report: &PanicReport,
) -> fmt::Result {
    write!(f, "{process}#{incarnation} panicked at {}: {}", report.place, report.message)?;
    match &report.handling {
        Some(handling) => write!(f, " (while {})", Handled(handling)),
        None => Ok(()),
    }
}

/// Events that wait for a slow listener; older ones are then skipped, and counted.
pub(super) const EVENTS: usize = 1024;

/// The events of a deployment, from where it was asked for.
#[derive(Debug)]
pub struct Events(pub(super) broadcast::Receiver<Event>);

impl Events {
    /// The next event; `None` after the last. Cancel safe. A listener that falls more than a thousand events
    /// behind misses the oldest; the log has them.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// A process of a running topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessStatus {
    /// Its name.
    pub name: ProcessName,
    /// Its life; none before the first.
    pub incarnation: Option<Incarnation>,
    /// Its number with the kernel, while it lives.
    pub pid: Option<i32>,
    /// Whether it is ready.
    pub ready: bool,
    /// How often it was found to break the protocol, in all its lives.
    pub violations: u64,
    /// The names of its actors.
    pub actors: Vec<String>,
}
