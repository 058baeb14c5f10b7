//! Which actors there are, for those who look for one by name.

use std::collections::HashMap;

use super::expand::{Instance, numbered};
use crate::id::ActorId;
use crate::topology::declared::Topology;

/// Every actor of the topology by its name.
pub(super) struct Directory<'t> {
    actors: HashMap<String, Listed<'t>>,
    families: HashMap<&'t str, Family>,
    /// The names in declared order, for suggestions.
    names: Vec<&'t str>,
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
    pub(super) fn new(topology: &'t Topology, instances: &[Instance<'t>]) -> Directory<'t> {
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
        let declared = topology.processes.iter().flat_map(|process| &process.actors);
        Directory { actors, families, names: declared.map(|actor| actor.name.as_str()).collect() }
    }

    pub(super) fn actor(&self, name: &str) -> Option<&Listed<'t>> {
        self.actors.get(name)
    }

    pub(super) fn family(&self, base: &str) -> Option<&Family> {
        self.families.get(base)
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
