//! A process that joins a topology that runs: checked as if it had been declared last.

use super::directory::Directory;
use super::expand::{self, Instance, MAX_ACTORS, MAX_PROCESSES};
use super::merge::{self, Merged};
use super::placed::{self, Basis};
use super::program::Programs;
use super::{actors, arguments, assemble, edges, settings, wiring};
use crate::id::ProcessId;
use crate::supervision::AutoShutdown;
use crate::topology::catalog::Catalog;
use crate::topology::declared::{Process, Topology};
use crate::topology::diagnostic::{Diagnostic, Diagnostics};
use crate::topology::plan::{Plan, PlannedProcess};

impl Plan {
    /// The processes that `process` would add to what runs; the first gets this number. It may address the actors that
    /// there are, and takes over the defaults of the topology.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn addition(
        &self,
        process: &Process,
        first: ProcessId,
        catalog: &impl Catalog,
    ) -> Result<Vec<PlannedProcess>, Diagnostics> {
        let alone =
            Topology::new(self.name.as_str()).defaults(self.later.defaults.clone()).process(process.clone());
        let mut findings = Vec::new();
        let added = add(self, &alone, first, catalog, &mut findings);
        let findings = Diagnostics::new(findings, None);
        match added {
            Some(added) if !findings.has_errors() => Ok(added),
            _ => Err(findings),
        }
    }
}

fn add(
    plan: &Plan,
    alone: &Topology,
    first: ProcessId,
    catalog: &impl Catalog,
    findings: &mut Vec<Diagnostic>,
) -> Option<Vec<PlannedProcess>> {
    let (placed, groups) = placed::all(&alone.members);
    let basis = Basis { folder: plan.later.folder.as_deref(), ..Basis::of(alone) };
    settings::check(alone, &placed, &groups, findings);
    let mut instances = expand::expand(&placed, findings)?;
    for instance in &mut instances {
        // They were numbered from 1.
        instance.id.0 += first.0 - 1;
        instance.actors.iter_mut().for_each(|actor| actor.id.process = instance.id);
    }
    fits(plan, &instances, findings);
    let merged: Vec<Merged> = placed.iter().map(|placed| merge::merge(basis, placed, findings)).collect();
    let programs = Programs::ask(basis, &placed, &merged, catalog, findings);
    let directory = Directory::new(&placed, &instances).beside(plan);
    arguments::check(&placed, &merged, &programs, &directory, findings);
    let mut budget = wiring::Budget::default();
    let mut processes = Vec::with_capacity(instances.len());
    for instance in &instances {
        let mut wired = wiring::wire((&directory, &plan.namespaces), instance, &mut budget, findings)?;
        edges::restrict(instance, &mut wired.wired, &programs, findings);
        processes.extend(assemble(instance, wired, &merged[instance.declared], &programs));
    }
    Some(processes)
}

/// What only a process that joins others can do wrong.
fn fits(plan: &Plan, instances: &[Instance<'_>], findings: &mut Vec<Diagnostic>) {
    let added = || instances.iter().flat_map(|instance| &instance.actors);
    for actor in added() {
        if let Some((home, _)) = plan.actor(&actor.name) {
            let message = format!("a second actor is called `{}`", actor.name);
            let help = format!("names are unique in the topology; the first is in process `{}`", home.name);
            findings.push(Diagnostic::error(actor.path.clone(), message).on_key().help(help));
        }
    }
    let Some(first) = instances.first() else { return };
    if first.process.settings.restart.speaks_of_a_group() {
        let message = "strategy, intensity and period belong to a group, and a process that is started at run time \
                       joins the topology's own";
        let help = "say policy and backoff alone, or declare it in the topology";
        findings.push(Diagnostic::error(first.path.key("restart"), message).help(help));
    }
    if first.process.significant && plan.group.auto_shutdown == AutoShutdown::Never {
        findings.push(actors::never(first.path.key("significant"), "process", &first.process.name));
    }
    let (processes, all) = (plan.processes.len() + instances.len(), plan.actors().count() + added().count());
    if processes > MAX_PROCESSES || all > MAX_ACTORS {
        let message = "with this process there are more processes or actors than a topology may have";
        let help = format!("at most {MAX_PROCESSES} processes and {MAX_ACTORS} actors; stop some first");
        findings.push(Diagnostic::error(first.path.clone(), message).on_key().help(help));
    }
}
