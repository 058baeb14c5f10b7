//! Who is restarted with whom.

use super::merge::{Merged, backoff, policy};
use crate::supervision::{AutoShutdown, GroupSpec, Intensity, Member};
use crate::topology::declared::{DeclaredMember, Group, MAX_GROUP_DEPTH, Process, Restart, Topology};
use crate::topology::plan::PlannedProcess;

/// What significance is for. Without a significant member it means nothing.
const UNSAID: AutoShutdown = AutoShutdown::AnySignificant;

/// All processes are one group, with the declared groups in it. A process that speaks of strategy, intensity or period
/// makes a group of its own: its replicas, which then fail together or alone and have their own budget.
///
/// `merged` belongs to the declared processes and `processes` to their replicas, both in start order.
pub(super) fn group(topology: &Topology, merged: &[Merged], processes: &[PlannedProcess]) -> GroupSpec {
    let mut left = Left { merged: merged.iter(), processes: processes.iter() };
    let defaults = &topology.defaults.settings.restart;
    let auto_shutdown = topology.auto_shutdown.unwrap_or(UNSAID);
    let members = left.members(&topology.members, defaults, auto_shutdown, 0);
    GroupSpec { auto_shutdown, ..spec(&topology.restart.or(defaults), members) }
}

/// What was not put into a group yet.
struct Left<'p> {
    merged: std::slice::Iter<'p, Merged>,
    processes: std::slice::Iter<'p, PlannedProcess>,
}

impl Left<'_> {
    /// The members of a group that ends as `around` says. Deeper groups than are allowed have been told of.
    fn members(
        &mut self,
        declared: &[DeclaredMember],
        defaults: &Restart,
        around: AutoShutdown,
        depth: usize,
    ) -> Vec<Member> {
        let mut members = Vec::new();
        for member in declared {
            match member {
                DeclaredMember::Process(process) => self.process(process, around, &mut members),
                DeclaredMember::Group(group) if depth < MAX_GROUP_DEPTH => {
                    members.push(Member::Group(self.group(group, defaults, depth)));
                }
                DeclaredMember::Group(_) => {}
            }
        }
        members
    }

    fn group(&mut self, group: &Group, defaults: &Restart, depth: usize) -> GroupSpec {
        let auto_shutdown = group.auto_shutdown.unwrap_or(UNSAID);
        let members = self.members(&group.members, defaults, auto_shutdown, depth + 1);
        let said = group.restart.backoff_min.or(group.restart.backoff_max).is_some();
        GroupSpec {
            // A name that is none has been told of; there will be no plan.
            name: crate::id::GroupName::new(&group.name).ok(),
            policy: policy(&group.restart, group.significant),
            backoff: said.then(|| backoff(&group.restart)),
            significant: group.significant,
            auto_shutdown,
            ..spec(&group.restart.or(defaults), members)
        }
    }

    fn process(&mut self, process: &Process, around: AutoShutdown, members: &mut Vec<Member>) {
        let Some(merged) = self.merged.next() else { return };
        let count = process.replicas.unwrap_or(1) as usize;
        let children =
            self.processes.by_ref().take(count).map(|planned| Member::Child(planned.child.clone()));
        match process.settings.restart.speaks_of_a_group() {
            true => {
                // Its replicas count for the group around it as if they stood in it one by one.
                let (significant, auto_shutdown) = (process.significant, around);
                let own = spec(&merged.settings.restart, children.collect());
                members.push(Member::Group(GroupSpec { significant, auto_shutdown, ..own }));
            }
            false => members.extend(children),
        }
    }
}

fn spec(restart: &Restart, members: Vec<Member>) -> GroupSpec {
    let unsaid = Intensity::default();
    GroupSpec {
        strategy: restart.strategy.unwrap_or_default(),
        intensity: Intensity {
            restarts: restart.intensity.unwrap_or(unsaid.restarts),
            period: restart.period.unwrap_or(unsaid.period),
        },
        members,
        ..GroupSpec::default()
    }
}
