//! From the declared topology to the plan, or to everything that is wrong with it.
//!
//! The steps, each in its file: [`settings`] looks at every value by itself, [`merge`] puts it together with the
//! defaults, [`expand`] makes processes of replicas and sees that names are unique, [`program`] asks the catalog,
//! [`wiring`] finds out who may talk to whom, [`group`] says who is restarted with whom. No step stops at an error: each goes on with
//! what a person probably meant, so that one fault gives one finding, and the plan is dropped in the end.

mod actors;
mod addition;
mod arguments;
mod directory;
mod edges;
mod expand;
mod group;
mod groups;
mod merge;
mod name;
mod namespaces;
mod placed;
mod program;
mod settings;
mod wiring;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use expand::{MAX_ACTORS, MAX_PROCESSES, MAX_REPLICAS, ROOT_NAME};
pub use merge::{
    DEFAULT_ASK_TIMEOUT, DEFAULT_MAILBOX_BYTES, DEFAULT_MAILBOX_MESSAGES, DEFAULT_MAX_MESSAGE_BYTES,
    DEFAULT_REPLY_BUDGET,
};
pub use namespaces::{MAX_NAMES, MAX_NAMESPACES};
pub use settings::{
    MAX_ATTEMPTS, MAX_MAILBOX_MESSAGES, MAX_MESSAGE_BYTES, MAX_SNAPSHOT_BYTES, MIN_HANG_AFTER,
};
pub use wiring::{MAX_ARGS_DEPTH, MAX_VALUES};

pub(super) use wiring::address;

use self::directory::Directory;
use self::expand::Instance;
use self::merge::Merged;
use self::placed::Basis;
use self::program::Programs;
use super::catalog::Catalog;
use super::declared::Topology;
use super::diagnostic::{Diagnostic, Diagnostics, ValuePath};
use super::file;
use super::plan::{Later, Plan, PlannedActor, PlannedProcess};
use crate::id::{ActorName, ProcessName, TopologyName};

/// What a check came to.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What would run; none if anything stands in the way.
    pub plan: Option<Plan>,
    /// Everything that was found; warnings too, and also beside a plan.
    pub findings: Diagnostics,
}

impl Checked {
    /// The plan, without its warnings, or what stands in its way.
    pub fn into_plan(self) -> Result<Plan, Diagnostics> {
        self.plan.ok_or(self.findings)
    }
}

impl Topology {
    /// Checks everything that can be checked before anything starts (`T-1`).
    pub fn check(&self, catalog: &impl Catalog) -> Checked {
        let mut findings = Vec::new();
        let plan = plan(self, catalog, &mut findings);
        let findings = Diagnostics::new(findings, self.source.as_ref());
        Checked { plan: plan.filter(|_| !findings.has_errors()), findings }
    }

    /// The plan, or everything that stands in its way. [`Topology::check`] tells of warnings too.
    pub fn plan(&self, catalog: &impl Catalog) -> Result<Plan, Diagnostics> {
        self.check(catalog).into_plan()
    }

    /// Reads a topology file and checks it in one go, so that a value of the wrong kind in one place does not hide
    /// a wrong address in another. `origin` is the name of the file.
    pub fn check_toml(text: &str, origin: &Path, catalog: &impl Catalog) -> Checked {
        let file::Read { topology, mut findings, is_toml } = file::read(text, origin);
        let plan = match is_toml {
            true => plan(&topology, catalog, &mut findings),
            false => None,
        };
        let findings = Diagnostics::new(findings, topology.source.as_ref());
        Checked { plan: plan.filter(|_| !findings.has_errors()), findings }
    }
}

/// The plan as far as it can be made; of no use if an error was found.
fn plan(topology: &Topology, catalog: &impl Catalog, findings: &mut Vec<Diagnostic>) -> Option<Plan> {
    let (basis, (placed, groups)) = (Basis::of(topology), placed::all(&topology.members));
    settings::check(topology, &placed, &groups, findings);
    groups::check(topology, &groups, findings);
    let name = TopologyName::new(&topology.name).map_err(|error| {
        findings.push(name::refused("a topology", &topology.name, &error, ValuePath::root().key("name")))
    });
    if placed.is_empty() {
        let none = Diagnostic::error(ValuePath::root().key("process"), "there are no processes");
        findings.push(none.help("declare one: [process.worker]"));
    }
    let instances = expand::expand(&placed, findings)?;
    let merged: Vec<Merged> = placed.iter().map(|placed| merge::merge(basis, placed, findings)).collect();
    let programs = Programs::ask(basis, &placed, &merged, catalog, findings);
    let directory = Directory::new(&placed, &instances);
    let namespaces = namespaces::check(topology, &instances, findings);
    arguments::check(&placed, &merged, &programs, &directory, findings);
    let mut budget = wiring::Budget::default();
    let mut processes = Vec::with_capacity(instances.len());
    for instance in &instances {
        let mut wired = wiring::wire((&directory, &namespaces), instance, &mut budget, findings)?;
        edges::restrict(instance, &mut wired.wired, &programs, findings);
        processes.extend(assemble(instance, wired, &merged[instance.declared], &programs));
    }
    let group = group::group(topology, &merged, &processes);
    let ask_timeout = topology.defaults.settings.ask_timeout.unwrap_or(DEFAULT_ASK_TIMEOUT);
    let busy_poll = topology.defaults.settings.busy_poll.unwrap_or_default();
    let transport = topology.defaults.settings.transport.unwrap_or_default();
    let later = Later { defaults: topology.defaults.clone(), folder: topology.folder().map(Path::to_owned) };
    Some(Plan { name: name.ok()?, ask_timeout, busy_poll, transport, processes, group, namespaces, later })
}

/// One process of the plan; none if a name in it is none, which `expand` has told.
fn assemble(
    instance: &Instance<'_>,
    wiring: wiring::Wiring,
    merged: &Merged,
    programs: &Programs,
) -> Option<PlannedProcess> {
    let name = ProcessName::new(&instance.name).ok()?;
    let mut actors = Vec::with_capacity(instance.actors.len());
    for (actor, args) in instance.actors.iter().zip(wiring.args) {
        actors.push(PlannedActor {
            name: ActorName::new(&actor.name).ok()?,
            type_name: actor.declared.type_name.clone(),
            args,
            slot: actor.id.slot,
            id: actor.id,
            rules: actors::rules(&actor.declared.settings, &merged.settings),
        });
    }
    Some(PlannedProcess {
        id: instance.id,
        replica: instance.replica.clone(),
        program: programs.resolved(&merged.program),
        args: instance.process.args.clone(),
        env: merged.settings.env.clone(),
        actors,
        wired: wiring.wired,
        groups: wiring.groups,
        child: merged.child(name.clone(), instance.process.significant),
        ask_timeout: merged.ask_timeout,
        busy_poll: merged.busy_poll,
        limits: merged.limits,
        on_violation: merged.on_violation,
        transport: merged.transport,
        hang: merged.hang,
        snapshot_limit: merged.snapshot_limit,
        actor_group: actors::group(&merged.settings),
        name,
    })
}

/// Where the defaults are declared.
fn defaults_path() -> ValuePath {
    ValuePath::root().key("defaults")
}
