//! What can be said of one process, or in the defaults for all of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::actors::Actors;
use super::hang::OnHang;
use super::restart::Restart;
use super::transport::Transport;
use super::violation::OnViolation;
use crate::protocol::{BusyPoll, OnPanic};
use crate::supervision::Shutdown;

/// The settings that a process and the defaults share. Nothing said is nothing here; the last resort is the plan's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::topology) struct Settings {
    pub(in crate::topology) program: Option<PathBuf>,
    pub(in crate::topology) build: Option<String>,
    pub(in crate::topology) env: BTreeMap<String, String>,
    pub(in crate::topology) restart: Restart,
    pub(in crate::topology) shutdown: Option<Shutdown>,
    pub(in crate::topology) start_deadline: Option<Duration>,
    pub(in crate::topology) ask_timeout: Option<Duration>,
    pub(in crate::topology) busy_poll: Option<BusyPoll>,
    pub(in crate::topology) max_message_bytes: Option<u64>,
    pub(in crate::topology) mailbox_messages: Option<u32>,
    pub(in crate::topology) mailbox_bytes: Option<u64>,
    pub(in crate::topology) on_violation: Option<OnViolation>,
    pub(in crate::topology) reply_budget: Option<u64>,
    pub(in crate::topology) pipe_buffer: Option<u64>,
    pub(in crate::topology) transport: Option<Transport>,
    pub(in crate::topology) panic: Option<OnPanic>,
    pub(in crate::topology) actors: Actors,
    pub(in crate::topology) hang_after: Option<Duration>,
    pub(in crate::topology) hang_then: Option<OnHang>,
    pub(in crate::topology) snapshot_limit: Option<u64>,
}

impl Settings {
    /// What is said here, and where nothing is, what is said there. Environments are merged name by name.
    pub(in crate::topology) fn or(&self, other: &Settings) -> Settings {
        let mut env = other.env.clone();
        env.extend(self.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        Settings {
            program: self.program.clone().or_else(|| other.program.clone()),
            build: self.build.clone().or_else(|| other.build.clone()),
            env,
            restart: self.restart.or(&other.restart),
            shutdown: self.shutdown.or(other.shutdown),
            start_deadline: self.start_deadline.or(other.start_deadline),
            ask_timeout: self.ask_timeout.or(other.ask_timeout),
            busy_poll: self.busy_poll.or(other.busy_poll),
            max_message_bytes: self.max_message_bytes.or(other.max_message_bytes),
            mailbox_messages: self.mailbox_messages.or(other.mailbox_messages),
            mailbox_bytes: self.mailbox_bytes.or(other.mailbox_bytes),
            on_violation: self.on_violation.or(other.on_violation),
            reply_budget: self.reply_budget.or(other.reply_budget),
            pipe_buffer: self.pipe_buffer.or(other.pipe_buffer),
            transport: self.transport.or(other.transport),
            panic: self.panic.or(other.panic),
            actors: self.actors.or(&other.actors),
            hang_after: self.hang_after.or(other.hang_after),
            hang_then: self.hang_then.or(other.hang_then),
            snapshot_limit: self.snapshot_limit.or(other.snapshot_limit),
        }
    }
}

/// Writes the builder's methods for [`Settings`] once for all that have them.
macro_rules! settings_methods {
    ($declared:ty) => {
        impl $declared {
            /// The executable: a path, or a bare name that is looked for in `PATH`. A relative path starts at the
            /// folder of the topology file, or at the current directory for a topology made in Rust. The default is
            /// the program that deploys.
            #[must_use]
            pub fn program(mut self, program: impl Into<std::path::PathBuf>) -> Self {
                self.settings.program = Some(program.into());
                self
            }

            /// The command that makes the program, split into words as a shell does; `procession up` runs it first.
            #[must_use]
            pub fn build(mut self, command: impl Into<String>) -> Self {
                self.settings.build = Some(command.into());
                self
            }

            /// Adds a variable to the environment.
            #[must_use]
            pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
                self.settings.env.insert(name.into(), value.into());
                self
            }

            /// When and how to restart: a `Policy`, a `Backoff`, a `Strategy`, an `Intensity`, or a whole
            /// [`Restart`](crate::topology::Restart). Parts said in several calls add up.
            #[must_use]
            pub fn restart(mut self, restart: impl Into<super::restart::Restart>) -> Self {
                self.settings.restart = restart.into().or(&self.settings.restart);
                self
            }

            /// How to stop.
            #[must_use]
            pub fn shutdown(mut self, shutdown: crate::supervision::Shutdown) -> Self {
                self.settings.shutdown = Some(shutdown);
                self
            }

            /// How long it may take from the start of the process to its readiness.
            #[must_use]
            pub fn start_deadline(mut self, deadline: std::time::Duration) -> Self {
                self.settings.start_deadline = Some(deadline);
                self
            }

            /// How long a `send` may take when the call says nothing else.
            #[must_use]
            pub fn ask_timeout(mut self, timeout: std::time::Duration) -> Self {
                self.settings.ask_timeout = Some(timeout);
                self
            }

            /// Whether the thread of its actors looks at its pipes for a while before it sleeps.
            #[must_use]
            pub fn busy_poll(mut self, busy_poll: crate::protocol::BusyPoll) -> Self {
                self.settings.busy_poll = Some(busy_poll);
                self
            }

            /// The largest message that actors accept, encoded.
            #[must_use]
            pub fn max_message_bytes(mut self, bytes: u64) -> Self {
                self.settings.max_message_bytes = Some(bytes);
                self
            }

            /// How many messages, and how many bytes of them, one process may send to one actor ahead of its
            /// handling.
            #[must_use]
            pub fn mailbox(mut self, messages: u32, bytes: u64) -> Self {
                self.settings.mailbox_messages = Some(messages);
                self.settings.mailbox_bytes = Some(bytes);
                self
            }

            /// What becomes of the process when another worker says that it broke the protocol.
            #[must_use]
            pub fn on_violation(mut self, policy: crate::topology::OnViolation) -> Self {
                self.settings.on_violation = Some(policy);
                self
            }

            /// How many bytes of replies are held for one process that asks faster than it reads, before what else it
            /// asked waits.
            #[must_use]
            pub fn reply_budget(mut self, bytes: u64) -> Self {
                self.settings.reply_budget = Some(bytes);
                self
            }

            /// How many bytes the kernel holds of what is written to each data pipe. The kernel rounds it, to twice as
            /// much and at least some 4 KiB. Less of it lets small messages pass large ones sooner and costs
            /// throughput; unsaid, it is the kernel's default, which is 208 KiB.
            #[must_use]
            pub fn pipe_buffer(mut self, bytes: u64) -> Self {
                self.settings.pipe_buffer = Some(bytes);
                self
            }

            /// What the pipes to other processes are made of. In the defaults it holds for the root, too.
            #[must_use]
            pub fn transport(mut self, transport: crate::topology::Transport) -> Self {
                self.settings.transport = Some(transport);
                self
            }

            /// What a panic of an actor ends that says nothing else.
            #[must_use]
            pub fn panic(mut self, panic: crate::protocol::OnPanic) -> Self {
                self.settings.panic = Some(panic);
                self
            }

            /// What holds for its actors that say nothing else, and for all of them together. Parts said in several
            /// calls add up.
            #[must_use]
            pub fn actors(mut self, actors: crate::topology::Actors) -> Self {
                self.settings.actors = actors.or(&self.settings.actors);
                self
            }

            /// After how long without progress it counts as hung, and what becomes of it then.
            #[must_use]
            pub fn hang(mut self, after: std::time::Duration, then: crate::topology::OnHang) -> Self {
                self.settings.hang_after = Some(after);
                self.settings.hang_then = Some(then);
                self
            }

            /// How many bytes of state the root keeps for each actor, encoded; with 0 it keeps none.
            #[must_use]
            pub fn snapshot_limit(mut self, bytes: u64) -> Self {
                self.settings.snapshot_limit = Some(bytes);
                self
            }
        }
    };
}
pub(super) use settings_methods;

/// What holds for every process that says nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    pub(in crate::topology) settings: Settings,
}

impl Defaults {
    /// Procession's own defaults.
    pub fn new() -> Defaults {
        Defaults::default()
    }
}

settings_methods!(Defaults);
