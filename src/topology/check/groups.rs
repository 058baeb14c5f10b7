//! What is told of groups: their names, and settings that are well each but not together.

use std::collections::HashMap;

use super::actors::never;
use super::merge::{check_backoff_at, policy};
use super::name;
use super::placed::PlacedGroup;
use crate::id::GroupName;
use crate::supervision::{AutoShutdown, Policy};
use crate::topology::declared::{DeclaredMember, MAX_GROUP_DEPTH, Topology};
use crate::topology::diagnostic::{Diagnostic, ValuePath};

/// Tells everything that is wrong with groups, that of all processes included.
pub(super) fn check(topology: &Topology, groups: &[PlacedGroup<'_>], findings: &mut Vec<Diagnostic>) {
    auto_shutdown(topology.auto_shutdown, &topology.members, &ValuePath::root(), findings);
    let mut names: HashMap<&str, &ValuePath> = HashMap::new();
    for placed in groups {
        let (group, path) = (placed.group, &placed.path);
        if placed.too_deep {
            let message = format!("groups lie deeper than {MAX_GROUP_DEPTH} levels here");
            findings
                .push(Diagnostic::error(path.clone(), message).on_key().help("give them a flatter shape"));
            continue;
        }
        if let Err(error) = GroupName::new(&group.name) {
            findings.push(name::refused("a group", &group.name, &error, path.clone()).on_key());
        }
        if let Some(first) = names.get(group.name.as_str()) {
            let message = format!("a second group is called `{}`", group.name);
            let help = format!("names of groups are unique in the topology; the first is {first}");
            findings.push(Diagnostic::error(path.clone(), message).on_key().help(help));
        }
        names.entry(&group.name).or_insert(path);
        if group.members.is_empty() {
            let message = format!("group `{}` has no processes, so it does nothing", group.name);
            let help =
                format!("declare one: [{}]; or leave the group out", path.key("process").key("worker"));
            findings.push(Diagnostic::warning(path.clone(), message).on_key().help(help));
        }
        auto_shutdown(group.auto_shutdown, &group.members, path, findings);
        restart(placed, findings);
    }
}

fn restart(placed: &PlacedGroup<'_>, findings: &mut Vec<Diagnostic>) {
    let (group, path) = (placed.group, &placed.path);
    check_backoff_at(&group.restart, path.clone(), findings);
    let policy = policy(&group.restart, group.significant);
    if group.significant && policy == Policy::Permanent {
        let message = "a permanent group is always restarted, so its end never ends what is around it";
        let help =
            "leave the policy out, or restart = { policy = \"transient\" }, or leave `significant` out";
        findings.push(Diagnostic::error(path.key("significant"), message).help(help));
    }
    if policy == Policy::Temporary && group.restart.backoff_min.or(group.restart.backoff_max).is_some() {
        let message = "a temporary group is never restarted, so its backoff is never used";
        let path = path.key("restart").key("backoff");
        findings.push(Diagnostic::warning(path, message).help("leave it out"));
    }
}

/// Sees that a group ends by itself if it should, and only then. `path` leads to the group.
fn auto_shutdown(
    said: Option<AutoShutdown>,
    members: &[DeclaredMember],
    path: &ValuePath,
    findings: &mut Vec<Diagnostic>,
) {
    let significant = members.iter().find_map(|member| match member {
        DeclaredMember::Process(process) => process.significant.then_some(("process", process.name.as_str())),
        DeclaredMember::Group(group) => group.significant.then_some(("group", group.name.as_str())),
    });
    let path = path.key("auto_shutdown");
    match (said, significant) {
        (Some(AutoShutdown::Never), Some((kind, name))) => findings.push(never(path, kind, name)),
        (Some(AutoShutdown::AnySignificant | AutoShutdown::AllSignificant), None) => {
            let message = "none of its members is significant, so it never ends by itself";
            let help = "say which: significant = true in a process or group of it; or leave it out";
            findings.push(Diagnostic::warning(path, message).help(help));
        }
        _ => {}
    }
}
