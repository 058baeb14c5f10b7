//! What is in the picture, whichever language it is drawn in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::id::{ActorId, ProcessId};
use crate::supervision::{GroupSpec, Member, Policy, Strategy};
use crate::topology::check::address;
use crate::topology::plan::{Plan, PlannedActor, PlannedProcess, ResolvedProgram};
use crate::topology::units::duration_text;

/// Replicas up to this many are drawn one by one, more as one box with their number: beyond this nobody counts
/// boxes.
pub const SHOWN_REPLICAS: u32 = 8;

/// A picture.
pub(super) struct Drawing {
    pub(super) name: String,
    /// Lines under the name.
    pub(super) notes: Vec<String>,
    pub(super) boxes: Vec<ProcessBox>,
    /// From one actor to another, by [`ActorNode::id`]; each once, in order.
    pub(super) arrows: BTreeSet<(NodeId, NodeId)>,
}

/// A process, or many replicas of one.
pub(super) struct ProcessBox {
    pub(super) id: ProcessId,
    pub(super) title: String,
    pub(super) notes: Vec<String>,
    pub(super) actors: Vec<ActorNode>,
}

/// An actor, or one of each of many replicas.
pub(super) struct ActorNode {
    pub(super) id: NodeId,
    pub(super) name: String,
    pub(super) type_name: String,
}

/// A name for a node that every language of pictures allows: the process's number and the actor's place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId {
    process: ProcessId,
    slot: u32,
}

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a{}_{}", self.process, self.slot)
    }
}

impl Drawing {
    pub(super) fn new(plan: &Plan) -> Drawing {
        let shown: BTreeMap<&str, NodeId> =
            plan.actors().map(|(process, actor)| (actor.name.as_str(), node(process, actor.id))).collect();
        let groups = own_groups(&plan.group);
        let mut arrows = BTreeSet::new();
        let mut boxes = Vec::new();
        for process in &plan.processes {
            for actor in &process.actors {
                let from = node(process, actor.id);
                each_address(&actor.args, &mut |name| {
                    arrows.extend(shown.get(name).map(|to| (from, *to)));
                });
            }
            if shown_id(process) == process.id {
                boxes.push(process_box(process, groups.get(process.name.as_str()).copied()));
            }
        }
        Drawing { name: plan.name.to_string(), notes: vec![group_note(&plan.group)], boxes, arrows }
    }
}

fn is_collapsed(process: &PlannedProcess) -> bool {
    process.replica.as_ref().is_some_and(|replica| replica.count > SHOWN_REPLICAS)
}

/// The process in whose box this one is drawn: its own, or that of the first of many replicas.
fn shown_id(process: &PlannedProcess) -> ProcessId {
    match &process.replica {
        Some(replica) if is_collapsed(process) => ProcessId(process.id.0 - (replica.index - 1)),
        _ => process.id,
    }
}

fn node(process: &PlannedProcess, actor: ActorId) -> NodeId {
    NodeId { process: shown_id(process), slot: actor.slot.0 }
}

fn process_box(process: &PlannedProcess, group: Option<&GroupSpec>) -> ProcessBox {
    let title = match &process.replica {
        Some(replica) if is_collapsed(process) => format!("{} ×{}", replica.base, replica.count),
        _ => process.name.to_string(),
    };
    let mut notes = Vec::new();
    if let ResolvedProgram::Path(path) = &process.program {
        notes.push(path.display().to_string());
    }
    let significant = if process.child.significant { ", significant" } else { "" };
    notes.push(format!("{}{significant}", policy(process.child.policy)));
    notes.extend(group.map(group_note));
    let actors = process.actors.iter().map(|actor| actor_node(process, actor)).collect();
    ProcessBox { id: process.id, title, notes, actors }
}

fn actor_node(process: &PlannedProcess, actor: &PlannedActor) -> ActorNode {
    let name = match &process.replica {
        Some(replica) if is_collapsed(process) => {
            let base = actor.name.as_str().strip_suffix(&format!("-{}", replica.index));
            format!("{}-*", base.unwrap_or(actor.name.as_str()))
        }
        _ => actor.name.to_string(),
    };
    ActorNode { id: node(process, actor.id), name, type_name: actor.type_name.clone() }
}

/// The group in the topology's group that each process is in, if it is in one.
fn own_groups(group: &GroupSpec) -> BTreeMap<&str, &GroupSpec> {
    let mut own = BTreeMap::new();
    for member in &group.members {
        if let Member::Group(inner) = member {
            own.extend(inner.members.iter().filter_map(|member| match member {
                Member::Child(child) => Some((child.name.as_str(), inner)),
                Member::Group(_) => None,
            }));
            own.extend(own_groups(inner));
        }
    }
    own
}

fn group_note(group: &GroupSpec) -> String {
    let strategy = match group.strategy {
        Strategy::OneForOne => "one for one",
        Strategy::OneForAll => "one for all",
        Strategy::RestForOne => "rest for one",
    };
    let intensity = group.intensity;
    format!("{strategy}, {} restarts in {}", intensity.restarts, duration_text(intensity.period))
}

fn policy(policy: Policy) -> &'static str {
    match policy {
        Policy::Permanent => "permanent",
        Policy::Transient => "transient",
        Policy::Temporary => "temporary",
    }
}

fn each_address<'v>(value: &'v Value, visit: &mut impl FnMut(&'v str)) {
    match (address(value), value) {
        (Some(name), _) => visit(name),
        (None, Value::Array(elements)) => elements.iter().for_each(|element| each_address(element, visit)),
        (None, Value::Object(members)) => members.values().for_each(|member| each_address(member, visit)),
        _ => {}
    }
}
