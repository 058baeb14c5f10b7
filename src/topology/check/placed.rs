//! Every declared process and group, with the way to it.

use std::path::Path;

use crate::topology::declared::{DeclaredMember, Group, Process, Settings, Topology, Visited, walk};
use crate::topology::diagnostic::ValuePath;

/// A declared process and where it is declared.
#[derive(Clone)]
pub(super) struct Placed<'t> {
    pub(super) process: &'t Process,
    pub(super) path: ValuePath,
}

/// A declared group and where it is declared.
pub(super) struct PlacedGroup<'t> {
    pub(super) group: &'t Group,
    pub(super) path: ValuePath,
    /// Whether it lies deeper than groups may, so that what is in it is not looked at.
    pub(super) too_deep: bool,
}

/// What holds for all processes, declared or started later.
#[derive(Clone, Copy)]
pub(super) struct Basis<'t> {
    pub(super) defaults: &'t Settings,
    /// Where relative paths begin.
    pub(super) folder: Option<&'t Path>,
}

impl<'t> Basis<'t> {
    pub(super) fn of(topology: &'t Topology) -> Basis<'t> {
        Basis { defaults: &topology.defaults.settings, folder: topology.folder() }
    }
}

/// All processes in start order, and all groups.
pub(super) fn all(members: &[DeclaredMember]) -> (Vec<Placed<'_>>, Vec<PlacedGroup<'_>>) {
    let (mut processes, mut groups) = (Vec::new(), Vec::new());
    walk(members, &ValuePath::root(), &mut |path, visited| match visited {
        Visited::Process(process) => processes.push(Placed { process, path }),
        Visited::Group(group) => groups.push(PlacedGroup { group, path, too_deep: false }),
        Visited::TooDeep(group) => groups.push(PlacedGroup { group, path, too_deep: true }),
    });
    (processes, groups)
}
