//! Who may register and look up what: what the topology says of namespaces, and of the groups of replicas.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{FullName, ProcessId, ProcessName, REPLICAS};
use crate::protocol::names::{Holder, NameError, Right};
use crate::runtime::keys::Keys;
use crate::topology::{Plan, PlannedNamespace, PlannedProcess};

/// What the plan says, as far as the directory asks for it.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Rights {
    namespaces: BTreeMap<String, PlannedNamespace>,
    processes: BTreeMap<ProcessId, Known>,
}

#[derive(Debug)]
struct Known {
    name: ProcessName,
    /// The name before its number, and how the topology speaks of it.
    base: Option<String>,
    /// Groups of replicas that it is wired to.
    wired: BTreeSet<FullName>,
}

impl Rights {
    pub(in crate::runtime) fn of(plan: &Plan) -> Rights {
        let namespaces = plan.namespaces.iter().map(|namespace| (namespace.name.clone(), namespace.clone()));
        let mut rights = Rights { namespaces: namespaces.collect(), processes: BTreeMap::new() };
        let root = ProcessName::new(crate::topology::ROOT_NAME).expect("a name");
        rights.processes.insert(ProcessId::ROOT, Known { name: root, base: None, wired: BTreeSet::new() });
        plan.processes.iter().for_each(|process| rights.learn(process));
        rights
    }

    /// A process that is there from now on.
    pub(in crate::runtime) fn learn(&mut self, process: &PlannedProcess) {
        let base = process.replica.as_ref().map(|replica| replica.base.clone());
        let wired = process.groups.iter().cloned().collect();
        self.processes.insert(process.id, Known { name: process.name.clone(), base, wired });
    }

    /// A process may use the groups of what it has started.
    pub(in crate::runtime) fn allow(&mut self, process: ProcessId, group: FullName) {
        if let Some(known) = self.processes.get_mut(&process) {
            known.wired.insert(group);
        }
    }

    pub(in crate::runtime) fn forget(&mut self, process: ProcessId) {
        self.processes.remove(&process);
    }

    /// Groups of replicas that somebody is wired to.
    pub(super) fn groups(&self) -> impl Iterator<Item = &FullName> {
        self.processes.values().flat_map(|known| &known.wired)
    }

    pub(super) fn process_name(&self, process: ProcessId) -> Option<ProcessName> {
        self.processes.get(&process).map(|known| known.name.clone())
    }

    pub(super) fn most(&self, namespace: &str) -> usize {
        self.namespaces.get(namespace).map_or(0, |namespace| namespace.most as usize)
    }

    pub(super) fn check(&self, by: ProcessId, name: &FullName, right: Right) -> Result<(), NameError> {
        let known = self.processes.get(&by);
        let is_wired = right == Right::LookUp && known.is_some_and(|known| known.wired.contains(name));
        let is_of_replicas = name.namespace() == REPLICAS;
        if is_wired || (is_of_replicas && by.is_root() && right == Right::LookUp) {
            return Ok(());
        }
        let found = self.namespaces.get(name.namespace());
        let refused =
            |process| NameError::NotAllowed { namespace: name.namespace().to_owned(), right, process };
        let Some(known) = known else {
            return Err(refused(ProcessName::new(&by.to_string()).expect("a number is a name")));
        };
        let namespace = match found {
            Some(namespace) => namespace,
            None if is_of_replicas => return Err(refused(known.name.clone())),
            None => return Err(NameError::NoNamespace(name.namespace().to_owned())),
        };
        let whom = match right {
            Right::Register => &namespace.register,
            Right::LookUp => &namespace.lookup,
        };
        match by.is_root() || whom.iter().any(|whom| whom.means(known.name.as_str(), known.base.as_deref())) {
            true => Ok(()),
            false => Err(refused(known.name.clone())),
        }
    }
}

/// The groups that the actors of a replicated process are members of, each with the actor.
pub(in crate::runtime) fn replicas(process: &PlannedProcess, keys: &Keys) -> Vec<(FullName, Holder)> {
    let Some(replica) = &process.replica else { return Vec::new() };
    let number = format!("-{}", replica.index);
    let member = |actor: &crate::topology::PlannedActor| {
        let group = FullName::of_replicas(actor.name.as_str().strip_suffix(&number)?).ok()?;
        let holder = Holder {
            id: actor.id,
            type_name: actor.type_name.clone(),
            process: process.name.clone(),
            addr: keys.mint(actor.id),
            delivery: actor.rules.delivery,
            life: 0,
        };
        Some((group, holder))
    };
    process.actors.iter().filter_map(member).collect()
}
