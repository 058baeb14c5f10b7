//! What is in the picture, whichever language it is drawn in.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::id::{ActorId, ProcessId};
use crate::supervision::{GroupSpec, Member};
use crate::topology::check::address;
use crate::topology::plan::{Plan, PlannedActor, PlannedProcess, ResolvedProgram};
use crate::topology::said;

/// Replicas up to this many are drawn one by one, more as one box with their number: beyond this nobody counts
/// boxes.
pub const SHOWN_REPLICAS: u32 = 8;

/// A picture.
pub(super) struct Drawing {
    pub(super) name: String,
    /// Lines under the name.
    pub(super) notes: Vec<String>,
    pub(super) items: Vec<Item>,
    /// From one actor to another, by [`ActorNode::id`]; each once, in order.
    pub(super) arrows: BTreeSet<(NodeId, NodeId)>,
}

/// What is drawn inside of the picture or of a cluster, in start order.
pub(super) enum Item {
    Box(ProcessBox),
    Cluster(Cluster),
}

/// A declared group.
pub(super) struct Cluster {
    /// Its number, from 1 in start order.
    pub(super) id: usize,
    pub(super) title: String,
    pub(super) notes: Vec<String>,
    pub(super) items: Vec<Item>,
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
    pub(super) notes: Vec<String>,
}

impl ActorNode {
    /// Lines under the name.
    pub(super) fn lines(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.type_name).chain(&self.notes)
    }
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
        let mut families: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
        for (process, actor) in plan.actors() {
            let number = process.replica.as_ref().map(|replica| format!("-{}", replica.index));
            if let Some(base) =
                number.and_then(|number| actor.name.as_str().strip_suffix(&number).map(str::to_owned))
            {
                families.entry(base).or_default().push(node(process, actor.id));
            }
        }
        let mut arrows = BTreeSet::new();
        for process in &plan.processes {
            for actor in &process.actors {
                let from = node(process, actor.id);
                each_address(&actor.args, &mut |name| {
                    // A name without a number is that of the group that its replicas are.
                    let all = shown.get(name).into_iter().chain(families.get(name).into_iter().flatten());
                    arrows.extend(all.map(|to| (from, *to)));
                });
            }
        }
        let processes = plan.processes.iter().map(|process| (process.name.as_str(), process)).collect();
        let mut nesting = Nesting { processes, clusters: 0 };
        let mut items = Vec::new();
        nesting.members(&plan.group, None, &mut items);
        // Those that joined while the topology ran stand in no declared group.
        let later =
            plan.processes.iter().filter(|process| nesting.processes.contains_key(process.name.as_str()));
        items.extend(
            later
                .filter(|process| shown_id(process) == process.id)
                .map(|process| Item::Box(process_box(process, None))),
        );
        Drawing { name: plan.name.to_string(), notes: said::group(&plan.group), items, arrows }
    }
}

/// Puts boxes into clusters.
struct Nesting<'p> {
    /// Those that are not drawn yet.
    processes: BTreeMap<&'p str, &'p PlannedProcess>,
    /// How many there are so far.
    clusters: usize,
}

impl Nesting<'_> {
    /// `own` is the group that a process makes by itself, which is noted in its boxes.
    fn members(&mut self, group: &GroupSpec, own: Option<&GroupSpec>, items: &mut Vec<Item>) {
        for member in &group.members {
            match member {
                Member::Child(child) => {
                    let process = self.processes.remove(child.name.as_str());
                    let shown = process.filter(|process| shown_id(process) == process.id);
                    items.extend(shown.map(|process| Item::Box(process_box(process, own))));
                }
                Member::Group(inner) => match &inner.name {
                    Some(name) => {
                        self.clusters += 1;
                        let (id, title) = (self.clusters, name.to_string());
                        let mut notes = vec![said::ending(inner.policy, inner.significant)];
                        notes.extend(said::group(inner));
                        let mut within = Vec::new();
                        self.members(inner, None, &mut within);
                        items.push(Item::Cluster(Cluster { id, title, notes, items: within }));
                    }
                    None => self.members(inner, Some(inner), items),
                },
            }
        }
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
    notes.push(said::ending(process.child.policy, process.child.significant));
    notes.extend(group.map(|group| said::together(group.strategy, group.intensity)));
    notes.extend(process.notes());
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
    let (id, type_name) = (node(process, actor.id), actor.type_name.clone());
    ActorNode { id, name, type_name, notes: actor.notes() }
}

fn each_address<'v>(value: &'v Value, visit: &mut impl FnMut(&'v str)) {
    match (address(value), value) {
        (Some(name), _) => visit(name),
        (None, Value::Array(elements)) => elements.iter().for_each(|element| each_address(element, visit)),
        (None, Value::Object(members)) => members.values().for_each(|member| each_address(member, visit)),
        _ => {}
    }
}
