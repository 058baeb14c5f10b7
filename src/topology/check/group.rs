//! Who is restarted with whom.

use super::merge::Merged;
use crate::supervision::{AutoShutdown, GroupSpec, Intensity, Member};
use crate::topology::declared::{Restart, Topology};
use crate::topology::plan::PlannedProcess;

/// All processes are one group. A process that speaks of strategy, intensity or period makes a group of its own in
/// it: its replicas, which then fail together or alone and have their own budget.
pub(super) fn group(topology: &Topology, merged: &[Merged], processes: &[PlannedProcess]) -> GroupSpec {
    let mut members = Vec::new();
    let mut left = processes.iter();
    for (process, merged) in topology.processes.iter().zip(merged) {
        let count = process.replicas.unwrap_or(1) as usize;
        let children = left.by_ref().take(count).map(|planned| Member::Child(planned.child.clone()));
        match process.settings.restart.speaks_of_a_group() {
            true => {
                let significant = process.significant;
                let own = GroupSpec { significant, ..spec(&merged.settings.restart, children.collect()) };
                members.push(Member::Group(own));
            }
            false => members.extend(children),
        }
    }
    spec(&topology.restart.or(&topology.defaults.settings.restart), members)
}

fn spec(restart: &Restart, members: Vec<Member>) -> GroupSpec {
    let unsaid = Intensity::default();
    GroupSpec {
        strategy: restart.strategy.unwrap_or_default(),
        intensity: Intensity {
            restarts: restart.intensity.unwrap_or(unsaid.restarts),
            period: restart.period.unwrap_or(unsaid.period),
        },
        // A significant process ends its group, which is significant itself, and so the topology.
        auto_shutdown: AutoShutdown::AnySignificant,
        members,
        ..GroupSpec::default()
    }
}
