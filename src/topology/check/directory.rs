//! Which actors there are, for those who look for one by name.

use std::collections::HashMap;

use super::expand::{Instance, numbered};
use super::placed::Placed;
use crate::id::{ActorId, ActorName};
use crate::topology::diagnostic::{did_you_mean, listed};
use crate::topology::plan::Plan;

/// Every actor of the topology by its name.
pub(super) struct Directory<'t> {
    actors: HashMap<String, Listed<'t>>,
    families: HashMap<&'t str, Family>,
    /// The names in declared order, for suggestions.
    names: Vec<&'t str>,
    /// The actors of each declared process, for those who took the process for an actor.
    processes: HashMap<&'t str, Vec<&'t str>>,
}

/// One actor.
pub(super) struct Listed<'t> {
    pub(super) id: ActorId,
    pub(super) type_name: &'t str,
}

/// The actors that replicas of one process have under one declared name.
pub(super) struct Family {
    /// Which declared process, by position.
    pub(super) declared: usize,
    pub(super) count: u32,
}

impl<'t> Directory<'t> {
    pub(super) fn new(placed: &[Placed<'t>], instances: &[Instance<'t>]) -> Directory<'t> {
        let mut actors = HashMap::new();
        let mut families = HashMap::new();
        for instance in instances {
            for actor in &instance.actors {
                let listed = Listed { id: actor.id, type_name: &actor.declared.type_name };
                actors.entry(actor.name.clone()).or_insert(listed);
                if let Some(replica) = &instance.replica {
                    let family = Family { declared: instance.declared, count: replica.count };
                    families.entry(actor.declared.name.as_str()).or_insert(family);
                }
            }
        }
        let declared = |placed: &Placed<'t>| -> Vec<&'t str> {
            placed.process.actors.iter().map(|actor| actor.name.as_str()).collect()
        };
        let names = placed.iter().flat_map(declared).collect();
        let processes =
            placed.iter().map(|placed| (placed.process.name.as_str(), declared(placed))).collect();
        Directory { actors, families, names, processes }
    }

    /// With the actors that run already.
    pub(super) fn beside(mut self, plan: &'t Plan) -> Directory<'t> {
        for (process, actor) in plan.actors() {
            let listed = Listed { id: actor.id, type_name: &actor.type_name };
            self.actors.entry(actor.name.to_string()).or_insert(listed);
            self.names.push(actor.name.as_str());
            let Some(replica) = &process.replica else { continue };
            if let Some(base) = actor.name.as_str().strip_suffix(&format!("-{}", replica.index)) {
                // Of no process that is declared here.
                let family = Family { declared: usize::MAX, count: replica.count };
                self.families.entry(base).or_insert(family);
            }
        }
        self
    }

    pub(super) fn actor(&self, name: &str) -> Option<&Listed<'t>> {
        self.actors.get(name)
    }

    pub(super) fn family(&self, base: &str) -> Option<&Family> {
        self.families.get(base)
    }

    /// What to do instead of addressing this name, which no actor has.
    pub(super) fn mend(&self, name: &str) -> String {
        if let Some(actors) = self.processes.get(name) {
            let actors = listed(actors.iter().copied());
            return format!("`{name}` is a process; its actors are: {actors}");
        }
        if ActorName::new(name).is_err() {
            return "a table with the one key `addr` is the address of an actor; name the key otherwise"
                .to_owned();
        }
        let numbered = name.rsplit_once('-').filter(|(_, number)| number.parse::<u32>().is_ok());
        match numbered.and_then(|(base, _)| Some((base, self.family(base)?))) {
            Some((base, family)) => format!("there are `{base}-1` to `{base}-{}`", family.count),
            None => did_you_mean(name, self.names(), "the actors are"),
        }
    }

    /// The declared names, without numbers.
    pub(super) fn names(&self) -> impl Iterator<Item = &'t str> + Clone {
        self.names.iter().copied()
    }

    /// The declared names that have replicas.
    pub(super) fn family_names(&self) -> impl Iterator<Item = &'t str> + Clone {
        self.names().filter(|name| self.families.contains_key(name))
    }
}

impl Family {
    /// The names of its members, in order.
    pub(super) fn members(&self, base: &str) -> impl Iterator<Item = String> {
        (1..=self.count).map(move |index| numbered(base, Some(index)))
    }
}
