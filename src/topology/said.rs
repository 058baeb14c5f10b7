//! What a plan says of groups, processes and actors, in words: for pictures and lists, so that all say the same (`T-2`).

use super::declared::OnHang;
use super::plan::{Plan, PlannedActor, PlannedProcess};
use super::units::duration_text;
use crate::id::GroupName;
use crate::protocol::{ActorGroup, ActorRules, Delivery, OnPanic};
use crate::supervision::{AutoShutdown, GroupSpec, Intensity, Member, Policy, Strategy};

/// A declared group, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLine {
    /// How many groups it lies in.
    pub depth: usize,
    /// What it is called.
    pub name: GroupName,
    /// How it is restarted, who in it is restarted with whom, and when it ends by itself.
    pub notes: Vec<String>,
    /// Its processes and groups, in start order.
    pub members: Vec<String>,
}

impl Plan {
    /// The declared groups, each before those within it.
    pub fn groups(&self) -> Vec<GroupLine> {
        let mut lines = Vec::new();
        list(&self.group, 0, &mut lines);
        lines
    }

    /// How the processes and groups of the topology are restarted together, and when it ends by itself.
    pub fn notes(&self) -> Vec<String> {
        group(&self.group)
    }
}

impl PlannedProcess {
    /// What is not as it is for a process of which nothing is said, but for its own restarts.
    pub fn notes(&self) -> Vec<String> {
        let (actors, unsaid) = (&self.actor_group, ActorGroup::default());
        let mut notes = Vec::new();
        if (actors.strategy, actors.intensity) != (unsaid.strategy, unsaid.intensity) {
            notes.push(format!("actors: {}", together(actors.strategy, actors.intensity)));
        }
        if actors.auto_shutdown == AutoShutdown::AllSignificant {
            notes.push("ends with all significant actors".to_owned());
        }
        let after = duration_text(self.hang.after);
        match self.hang.then {
            OnHang::Log => {}
            OnHang::Kill => notes.push(format!("killed when it hangs for {after}")),
            OnHang::Abort => notes.push(format!("aborted when it hangs for {after}")),
        }
        notes
    }
}

impl PlannedActor {
    /// What is not as it is for an actor of which nothing is said.
    pub fn notes(&self) -> Vec<String> {
        let (rules, unsaid) = (&self.rules, ActorRules::default());
        let mut notes = Vec::new();
        if (rules.policy, rules.significant) != (unsaid.policy, unsaid.significant) {
            notes.push(ending(rules.policy, rules.significant));
        }
        if rules.panic == OnPanic::Process {
            notes.push("a panic ends the process".to_owned());
        }
        if rules.delivery == Delivery::AtLeastOnce {
            notes.push(format!("at least once, {} attempts", rules.attempts));
        }
        notes
    }
}

fn list(spec: &GroupSpec, depth: usize, lines: &mut Vec<GroupLine>) {
    for member in &spec.members {
        let Member::Group(inner) = member else { continue };
        // A group without a name is what replicas make by themselves: it is noted with them.
        let Some(name) = inner.name.clone() else { continue };
        let notes = std::iter::once(ending(inner.policy, inner.significant)).chain(group(inner)).collect();
        let mut members = Vec::new();
        names(inner, &mut members);
        lines.push(GroupLine { depth, name, notes, members });
        list(inner, depth + 1, lines);
    }
}

fn names(group: &GroupSpec, names: &mut Vec<String>) {
    for member in &group.members {
        match member {
            Member::Child(child) => names.push(child.name.to_string()),
            Member::Group(inner) => match &inner.name {
                Some(name) => names.push(name.to_string()),
                None => self::names(inner, names),
            },
        }
    }
}

/// Who is restarted with whom, and where it is not what is unsaid, when the group ends by itself.
pub(super) fn group(group: &GroupSpec) -> Vec<String> {
    let auto_shutdown = match group.auto_shutdown {
        AutoShutdown::Never => Some("never ends by itself"),
        AutoShutdown::AnySignificant => None,
        AutoShutdown::AllSignificant => Some("ends with all significant"),
    };
    let together = together(group.strategy, group.intensity);
    std::iter::once(together).chain(auto_shutdown.map(str::to_owned)).collect()
}

pub(super) fn together(strategy: Strategy, intensity: Intensity) -> String {
    let strategy = match strategy {
        Strategy::OneForOne => "one for one",
        Strategy::OneForAll => "one for all",
        Strategy::RestForOne => "rest for one",
    };
    let plural = if intensity.restarts == 1 { "" } else { "s" };
    format!("{strategy}, {} restart{plural} in {}", intensity.restarts, duration_text(intensity.period))
}

/// `permanent` or `transient, significant`.
pub(super) fn ending(policy: Policy, significant: bool) -> String {
    let policy = match policy {
        Policy::Permanent => "permanent",
        Policy::Transient => "transient",
        Policy::Temporary => "temporary",
    };
    format!("{policy}{}", if significant { ", significant" } else { "" })
}
