//! A group of processes as it is declared.

use super::process::Process;
use super::restart::Restart;
use crate::supervision::AutoShutdown;
use crate::topology::diagnostic::ValuePath;

/// Groups within groups, the outermost counted: trees that people draw have three or four levels, and whoever reads one
/// goes through it by recursion.
pub const MAX_GROUP_DEPTH: usize = 16;

/// Processes and groups that fail together or alone, within a topology or within another group.
///
/// In the group around it a group is a member like a process: it has a policy and a backoff of its own, and may be
/// significant. It fails when its members need more restarts than its intensity allows, and ends normally when its
/// significant members end it.
///
/// ```
/// use procession::supervision::{Policy, Strategy};
/// use procession::topology::{Group, Process, Topology};
/// use serde_json::json;
///
/// let cache = Process::new("cache").actor_value("cache", "demo::Cache", json!(null));
/// let api = Process::new("api").actor_value("api", "demo::Api", json!({ "cache": { "addr": "cache" } }));
/// Topology::new("demo").group(
///     Group::new("backend").restart(Strategy::RestForOne).restart(Policy::Transient).process(cache).process(api),
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub(in crate::topology) name: String,
    pub(in crate::topology) restart: Restart,
    pub(in crate::topology) significant: bool,
    pub(in crate::topology) auto_shutdown: Option<AutoShutdown>,
    pub(in crate::topology) members: Vec<DeclaredMember>,
}

/// What stands in a topology or in a group, in start order.
// A topology has few of them, and each is moved about once.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq)]
pub(in crate::topology) enum DeclaredMember {
    Process(Process),
    Group(Group),
}

impl Group {
    /// A group without processes.
    pub fn new(name: impl Into<String>) -> Group {
        let (restart, significant, auto_shutdown) = Default::default();
        Group { name: name.into(), restart, significant, auto_shutdown, members: Vec::new() }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a process. Members start in the order in which they are added, and stop in reverse.
    #[must_use]
    pub fn process(mut self, process: Process) -> Group {
        self.members.push(DeclaredMember::Process(process));
        self
    }

    /// Adds a group.
    #[must_use]
    pub fn group(mut self, group: Group) -> Group {
        self.members.push(DeclaredMember::Group(group));
        self
    }

    /// Who in it is restarted with whom (a `Strategy`), how many restarts are too many (an `Intensity`), and when it is
    /// itself restarted by the group around it (a `Policy`, a `Backoff`); or all of that, a [`Restart`]. Parts said in
    /// several calls add up. Strategy and intensity that are not said here are taken from the defaults.
    #[must_use]
    pub fn restart(mut self, restart: impl Into<Restart>) -> Group {
        self.restart = restart.into().or(&self.restart);
        self
    }

    /// Whether the group around it, or the topology, ends in order when this group ends and is not restarted.
    #[must_use]
    pub fn significant(mut self, significant: bool) -> Group {
        self.significant = significant;
        self
    }

    /// Whether it ends, in order, because its significant members did. The default is with the first of them.
    #[must_use]
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Group {
        self.auto_shutdown = Some(auto_shutdown);
        self
    }
}

/// What a walk through a topology comes by.
pub(in crate::topology) enum Visited<'t> {
    Process(&'t Process),
    /// A group; its members come next.
    Group(&'t Group),
    /// A group that lies deeper than is looked.
    TooDeep(&'t Group),
}

/// Shows all processes and groups in start order, with the way to each. `path` leads to what has the members.
pub(in crate::topology) fn walk<'t>(
    members: &'t [DeclaredMember],
    path: &ValuePath,
    visit: &mut impl FnMut(ValuePath, Visited<'t>),
) {
    walk_at(members, path, 0, visit);
}

fn walk_at<'t>(
    members: &'t [DeclaredMember],
    path: &ValuePath,
    depth: usize,
    visit: &mut impl FnMut(ValuePath, Visited<'t>),
) {
    for member in members {
        match member {
            DeclaredMember::Process(process) => {
                visit(path.key("process").key(&process.name), Visited::Process(process));
            }
            DeclaredMember::Group(group) => {
                let path = path.key("group").key(&group.name);
                if depth == MAX_GROUP_DEPTH {
                    visit(path, Visited::TooDeep(group));
                    continue;
                }
                visit(path.clone(), Visited::Group(group));
                walk_at(&group.members, &path, depth + 1, visit);
            }
        }
    }
}
