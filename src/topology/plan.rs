//! The validated and ordered form of a topology: what will run, and who may talk to whom.
//!
//! A [`Plan`] is made by [`Topology::check`](super::Topology::check) alone and holds nothing that a check refuses,
//! so those who read it (the runtime, `procession plan`, the graph) check nothing again. It is plain data: two plans
//! are equal exactly if they would run the same.

mod namespace;
mod serial;

pub use namespace::{PlannedNamespace, Whom};
pub(super) use serial::{busy_poll_text, shutdown_text};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::declared::{Defaults, Hang, OnViolation, Transport};
use crate::id::{ActorId, ActorName, FullName, ProcessId, ProcessName, Slot, TopologyName};
use crate::protocol::{ActorGroup, ActorRules, BusyPoll};
use crate::supervision::{ChildSpec, GroupSpec};

/// What will run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// What the topology is called.
    pub name: TopologyName,
    /// How long a `send` of the root may take when the call says nothing else.
    #[serde(with = "serial::words")]
    pub ask_timeout: Duration,
    /// Whether the root's thread of actors polls before it sleeps.
    #[serde(serialize_with = "serial::busy_poll")]
    pub busy_poll: BusyPoll,
    /// What the pipes of the root are made of.
    pub transport: Transport,
    /// Every process but the root, in start order; their numbers ascend. As declared, that with the number `n`
    /// stands at `n - 1`.
    pub processes: Vec<PlannedProcess>,
    /// Who is restarted with whom: the processes above, in the same order.
    #[serde(serialize_with = "serial::group")]
    pub group: GroupSpec,
    /// Where names and groups may be given at run time, and by whom.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<PlannedNamespace>,
    /// What holds for processes that are started later.
    #[serde(skip)]
    pub(in crate::topology) later: Later,
}

/// What processes that join a running topology take over from it.
#[derive(Clone, Debug, Default)]
pub(in crate::topology) struct Later {
    pub(in crate::topology) defaults: Defaults,
    /// Where relative paths begin.
    pub(in crate::topology) folder: Option<PathBuf>,
}

impl PartialEq for Later {
    /// It makes no difference to what the plan runs.
    fn eq(&self, _: &Later) -> bool {
        true
    }
}

/// One process that will run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedProcess {
    /// Its number, from 1 in start order.
    pub id: ProcessId,
    /// What it is called, `left` or `right-2`.
    pub name: ProcessName,
    /// Which of its likes it is, for a process declared with `replicas`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<Replica>,
    /// Which executable it runs.
    pub program: ResolvedProgram,
    /// The program's own command-line arguments.
    pub args: Vec<String>,
    /// What is added to its environment.
    pub env: BTreeMap<String, String>,
    /// The actors it gives birth to, in order.
    pub actors: Vec<PlannedActor>,
    /// The actors whose addresses its actors are given, in the order of their ids: the only ones that it may reach
    /// before a message brings it more addresses (`A-3`). The root may reach all.
    pub wired: Vec<WiredActor>,
    /// The groups whose addresses its actors are given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<FullName>,
    /// How it is started, stopped and restarted.
    #[serde(flatten, serialize_with = "serial::child")]
    pub child: ChildSpec,
    /// How long a `send` from one of its actors may take when the call says nothing else.
    #[serde(with = "serial::words")]
    pub ask_timeout: Duration,
    /// Whether its thread of actors polls before it sleeps.
    #[serde(serialize_with = "serial::busy_poll")]
    pub busy_poll: BusyPoll,
    /// What its actors accept.
    pub limits: MessageLimits,
    /// What becomes of it when another worker says that it broke the protocol.
    pub on_violation: OnViolation,
    /// What its pipes are made of, if the other side agrees.
    pub transport: Transport,
    /// When it counts as hung, and what becomes of it then.
    #[serde(serialize_with = "serial::hang")]
    pub hang: Hang,
    /// How many bytes of state the root keeps for each of its actors.
    pub snapshot_limit: u64,
    /// The group that its actors are.
    #[serde(serialize_with = "serial::actor_group")]
    pub actor_group: ActorGroup,
}

/// Which of several equal processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replica {
    /// The name in the topology: `right` for the process `right-2`.
    pub base: String,
    /// From 1.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

/// Which executable a process runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolvedProgram {
    /// That of the process that deploys, started again.
    Deployer,
    /// This file.
    Path(PathBuf),
}

/// One actor that will live in a process.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedActor {
    /// What it is called, `counter` or `doubler-2`.
    pub name: ActorName,
    /// The name under which its program knows its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What it is born from; patterns and placeholders are replaced, so each address names one actor.
    pub args: Value,
    /// Its place in its process.
    pub slot: Slot,
    /// What its address holds.
    #[serde(serialize_with = "serial::display")]
    pub id: ActorId,
    /// How it is started, stopped, restarted and sent to.
    #[serde(flatten, serialize_with = "serial::rules")]
    pub rules: ActorRules,
}

/// An actor that a process is given the address of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WiredActor {
    /// What it is called.
    pub name: ActorName,
    /// What its address holds.
    #[serde(serialize_with = "serial::display")]
    pub id: ActorId,
    /// The name under which its program knows its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The messages that the process may send it; none if it may send all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<String>>,
}

/// What the actors of a process accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MessageLimits {
    /// The largest message, encoded. Never more than the mailbox holds.
    pub max_message_bytes: u64,
    /// The window that each sending process has for each actor.
    pub mailbox: Mailbox,
    /// Bytes of replies that are held for one asking process before what else it asked must wait.
    pub reply_budget: u64,
    /// What the kernel is asked to hold of what this process writes to each data pipe; its own default if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipe_buffer: Option<u64>,
}

/// How much one process may send to one actor ahead of its handling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mailbox {
    /// Messages.
    pub messages: u32,
    /// Their bytes, encoded.
    pub bytes: u64,
}

impl Plan {
    /// The process of this name.
    pub fn process(&self, name: &str) -> Option<&PlannedProcess> {
        self.processes.iter().find(|process| process.name.as_str() == name)
    }

    /// The process of this number; none for the root.
    pub fn process_by_id(&self, id: ProcessId) -> Option<&PlannedProcess> {
        // In start order, so in the order of their numbers, which need not begin at 1.
        let index = self.processes.binary_search_by_key(&id, |process| process.id).ok()?;
        self.processes.get(index)
    }

    /// The actor of this name, and the process it lives in.
    pub fn actor(&self, name: &str) -> Option<(&PlannedProcess, &PlannedActor)> {
        self.actors().find(|(_, actor)| actor.name.as_str() == name)
    }

    /// The declared actor that this id means, in whichever life, and the process it lives in.
    pub fn actor_by_id(&self, id: ActorId) -> Option<(&PlannedProcess, &PlannedActor)> {
        let process = self.process_by_id(id.process)?;
        // Slots are in order; where actors came and went, some are missing.
        let index = process.actors.binary_search_by_key(&id.slot, |actor| actor.slot).ok()?;
        let actor = process.actors.get(index)?;
        Some((process, actor))
    }

    /// Every actor with its process, in start order.
    pub fn actors(&self) -> impl Iterator<Item = (&PlannedProcess, &PlannedActor)> {
        self.processes.iter().flat_map(|process| process.actors.iter().map(move |actor| (process, actor)))
    }
}

impl PlannedProcess {
    /// Whether it is trusted with memory that others read and write: every process is, until a sandbox says that it is
    /// there to contain it.
    pub fn is_trusted(&self) -> bool {
        true
    }

    /// The name in the topology: `right` for the process `right-2`, its own name for one without replicas.
    pub fn base(&self) -> &str {
        self.replica.as_ref().map_or(self.name.as_str(), |replica| &replica.base)
    }
}
