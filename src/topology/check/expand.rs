//! Replicas become processes, processes get their numbers, and every name is seen to be one and unique.

use std::collections::HashMap;

use super::name;
use super::placed::Placed;
use crate::id::{ActorId, ActorName, NameError, ProcessId, ProcessName, Slot};
use crate::topology::declared::{DeclaredActor, Process};
use crate::topology::diagnostic::{Diagnostic, ValuePath};
use crate::topology::plan::Replica;

/// More copies of one process than a host has cores for; a larger number is a slip.
pub const MAX_REPLICAS: u32 = 1000;

/// The root holds about five descriptors for each process (control pipe, process, output, data), and with this many
/// stays far below the usual hard limit of 524 288.
pub const MAX_PROCESSES: usize = 4096;

/// Actors of all processes together. Each is built before the topology is ready; more of one kind belong behind one
/// actor that makes them.
pub const MAX_ACTORS: usize = 65_536;

/// What the process that deploys is called in logs and tables, and so no other.
pub const ROOT_NAME: &str = "root";

/// One process to be: a declared one, or one of its replicas.
pub(super) struct Instance<'t> {
    /// Which declared process, by position.
    pub(super) declared: usize,
    /// That process.
    pub(super) process: &'t Process,
    /// Where it is declared.
    pub(super) path: ValuePath,
    /// Its own name, if it is one.
    pub(super) name: String,
    pub(super) id: ProcessId,
    pub(super) replica: Option<Replica>,
    pub(super) actors: Vec<ActorInstance<'t>>,
}

/// One actor to be.
pub(super) struct ActorInstance<'t> {
    pub(super) declared: &'t DeclaredActor,
    /// Where it is declared.
    pub(super) path: ValuePath,
    /// Its own name, if it is one.
    pub(super) name: String,
    pub(super) id: ActorId,
}

impl Instance<'_> {
    /// Whether findings in this process are news: what is wrong in one replica is wrong in all.
    pub(super) fn is_first(&self) -> bool {
        self.replica.as_ref().is_none_or(|replica| replica.index == 1)
    }
}

/// Every process and actor to be, in start order; none if there are too many to go on.
pub(super) fn expand<'t>(placed: &[Placed<'t>], findings: &mut Vec<Diagnostic>) -> Option<Vec<Instance<'t>>> {
    let mut instances = Vec::new();
    let mut names =
        Names { processes: Taken::new("process", "a process"), actors: Taken::new("actor", "an actor") };
    let mut actors = 0;
    for (declared, Placed { process, path }) in placed.iter().enumerate() {
        let replicas = replicas(process, path, findings);
        names.claim(process, path, replicas, findings);
        let count = replicas.unwrap_or(1);
        for index in 1..=count {
            let replica = replicas.map(|count| Replica { base: process.name.clone(), index, count });
            actors += process.actors.len();
            if instances.len() == MAX_PROCESSES || actors > MAX_ACTORS {
                findings.push(too_many(path, instances.len() == MAX_PROCESSES));
                return None;
            }
            let id = ProcessId(u32::try_from(instances.len() + 1).ok()?);
            instances.push(instance(declared, process, path, id, replica));
        }
    }
    Some(instances)
}

fn instance<'t>(
    declared: usize,
    process: &'t Process,
    path: &ValuePath,
    id: ProcessId,
    replica: Option<Replica>,
) -> Instance<'t> {
    let index = replica.as_ref().map(|replica| replica.index);
    let actors = (0..).zip(&process.actors).map(|(slot, actor)| ActorInstance {
        declared: actor,
        path: path.key("actor").key(&actor.name),
        name: numbered(&actor.name, index),
        id: ActorId::declared(id, Slot(slot)),
    });
    let actors = actors.collect();
    Instance {
        declared,
        process,
        path: path.clone(),
        name: numbered(&process.name, index),
        id,
        replica,
        actors,
    }
}

/// `right` and 2 is `right-2`.
pub(super) fn numbered(base: &str, index: Option<u32>) -> String {
    index.map_or_else(|| base.to_owned(), |index| format!("{base}-{index}"))
}

/// How many replicas to go on with; none if it is no replicated process.
fn replicas(process: &Process, path: &ValuePath, findings: &mut Vec<Diagnostic>) -> Option<u32> {
    let wrong = |message: String, help: &str| Diagnostic::error(path.key("replicas"), message).help(help);
    match process.replicas? {
        0 => findings.push(wrong("no replicas are no process".into(), "1 or more; or leave the process out")),
        count if count > MAX_REPLICAS => findings.push(wrong(
            format!("{count} replicas are more than the {MAX_REPLICAS} that are allowed"),
            "put more actors into fewer processes",
        )),
        count => return Some(count),
    }
    Some(1)
}

fn too_many(path: &ValuePath, processes: bool) -> Diagnostic {
    let (what, limit) = if processes { ("processes", MAX_PROCESSES) } else { ("actors", MAX_ACTORS) };
    Diagnostic::error(path.clone(), format!("with this process there are more than {limit} {what}"))
        .on_key()
        .help(format!("a topology may have {limit} {what}, counting each replica"))
}

/// The names given away so far.
struct Names {
    processes: Taken,
    actors: Taken,
}

impl Names {
    /// Checks the names of a process and its actors, and of all their replicas.
    fn claim(
        &mut self,
        process: &Process,
        path: &ValuePath,
        replicas: Option<u32>,
        findings: &mut Vec<Diagnostic>,
    ) {
        let valid = |name: &str| ProcessName::new(name).map(drop);
        if process.name == ROOT_NAME {
            let reserved = format!("`{ROOT_NAME}` is what the process that deploys is called");
            findings.push(Diagnostic::error(path.clone(), reserved).on_key().help("another name"));
        }
        self.processes.claim(&process.name, path, replicas, valid, findings);
        if process.actors.is_empty() {
            let none =
                Diagnostic::error(path.key("actor"), format!("process `{}` has no actors", process.name));
            findings.push(none.help("declare one: actor.NAME = { type = \"...\" }"));
        }
        for actor in &process.actors {
            let valid = |name: &str| ActorName::new(name).map(drop);
            self.actors.claim(&actor.name, &path.key("actor").key(&actor.name), replicas, valid, findings);
        }
    }
}

/// The names of one kind that are given away, and to which declaration.
struct Taken {
    kind: &'static str,
    article: &'static str,
    names: HashMap<String, ValuePath>,
}

impl Taken {
    fn new(kind: &'static str, article: &'static str) -> Taken {
        Taken { kind, article, names: HashMap::new() }
    }

    /// Gives a name to what is declared at `path`, and with replicas all the numbered ones too. Tells one fault at
    /// most.
    fn claim(
        &mut self,
        base: &str,
        path: &ValuePath,
        replicas: Option<u32>,
        valid: impl Fn(&str) -> Result<(), NameError>,
        findings: &mut Vec<Diagnostic>,
    ) {
        let kind = self.kind;
        let longest = numbered(base, replicas);
        let wrong = valid(base).err().map(|error| (base, error));
        let wrong = wrong.or_else(|| valid(&longest).err().map(|error| (longest.as_str(), error)));
        if let Some((name, error)) = wrong {
            findings.push(name::refused(self.article, name, &error, path.clone()).on_key());
        }
        let numbers = (1..=replicas.unwrap_or(0)).map(|index| numbered(base, Some(index)));
        let mut told = false;
        for name in std::iter::once(base.to_owned()).chain(numbers) {
            if let Some(owner) = self.names.get(&name).filter(|_| !told) {
                findings.push(clash(kind, base, &name, path, owner));
                told = true;
            }
            self.names.entry(name).or_insert_with(|| path.clone());
        }
    }
}

fn clash(kind: &str, base: &str, name: &str, path: &ValuePath, owner: &ValuePath) -> Diagnostic {
    let message = match name == base {
        true => format!("a second {kind} is called `{name}`"),
        false => format!("a replica of {kind} `{base}` would be a second `{name}`"),
    };
    let help = format!("names are unique in the topology, those of replicas included; the first is {owner}");
    Diagnostic::error(path.clone(), message).on_key().help(help)
}
