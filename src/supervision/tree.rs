//! The tree of groups and children: who sits where, in start order, and how a row of them is walked.
//!
//! Declared children are numbered depth-first; those added later get the numbers after them, whichever group they join.
//! So a number says nothing about the order: that is the order of the seats, depth-first.

use std::time::Instant;

use super::action::{ChildId, GroupId, Outcome};
use super::backoff::Row;
use super::child::Child;
use super::children::Children;
use super::intensity::Window;
use super::spec::{AutoShutdown, Backoff, GroupSpec, Member, Policy, Strategy};
use crate::id::GroupName;

/// Where a child or group sits: in which group, and at which of its places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) group: GroupId,
    pub(super) seat: usize,
}

/// Who sits at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sitter {
    Child(ChildId),
    Group(GroupId),
}

/// One place of a group, and what the group remembers of who sits there.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) sitter: Sitter,
    /// Started in this life of the group: a temporary member is not started again.
    pub(super) spent: bool,
    /// Ready in this life of the group: from then on a failed start counts as a failed restart.
    pub(super) proven: bool,
    /// Failures in a row.
    pub(super) row: Row,
}

impl Seat {
    pub(super) fn new(sitter: Sitter) -> Seat {
        Seat { sitter, spent: false, proven: false, row: Row::default() }
    }
}

/// Why a group falls, and so how it ended in the eyes of the group above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fall {
    /// Its significant members did their work, or an operator wants it so: a normal end.
    Finished(Outcome),
    /// A first start failed, or too many restarts: an abnormal end.
    Failed(Outcome),
}

impl Fall {
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Fall::Finished(outcome) | Fall::Failed(outcome) => outcome,
        }
    }
}

/// Where a group is in its life.
///
/// ```text
///          turn came            due           all were ready
///   Idle ───────────▶ BackingOff ───▶ Rising ────────────────▶ Up
///    ▲                                   │                      │
///    │                                   └──────────┬───────────┘
///    │                                              ▼ a first start failed, too many restarts, auto_shutdown
///    ├── all down, to restart ───────────────── Falling ─── all down, for good ──▶ Ended
/// ```
///
/// The topology's own group goes from `Idle` to `Rising` by itself, and falls for any outcome. From every phase a
/// group is `Idle` at once when a group above it is stopped: its processes then belong to that one's row. Where
/// the group above restarts this one alone, it goes from `Idle` on to `BackingOff`. A temporary group whose turn
/// comes a second time goes from `Idle` to `Ended`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GroupPhase {
    /// Down, or being stopped as a part of the group above.
    Idle,
    /// Down, and to be started by itself at this time.
    BackingOff { until: Instant },
    /// Its members are started in order for the first time in this life.
    Rising,
    /// Every member was ready once.
    Up { since: Instant },
    /// Its members are stopped in reverse order; then it ends, or fails in the group above, for this reason.
    /// If it had been up, since when.
    Falling { fall: Fall, up_since: Option<Instant> },
    /// Down, and not to be started again in this life of the group above.
    Ended,
}

/// A walk along the members of a group, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// Backwards: members from this place on are stopped, to be started again, not before this time.
    Clearing { from: usize, not_before: Instant },
    /// Forwards: members are started, the next when the one before is ready.
    Starting { next: usize, not_before: Instant },
}

/// A group as the engine holds it.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: Option<GroupName>,
    /// None for the topology itself.
    pub(super) place: Option<Place>,
    pub(super) policy: Policy,
    pub(super) backoff: Option<Backoff>,
    pub(super) significant: bool,
    pub(super) auto_shutdown: AutoShutdown,
    pub(super) strategy: Strategy,
    pub(super) window: Window,
    pub(super) seats: Vec<Seat>,
    pub(super) phase: GroupPhase,
    /// None when no members are stopped or started in order.
    pub(super) walk: Option<Walk>,
}

impl Group {
    /// Whether who sits here is being stopped with the group or one above it, or is down with it.
    pub(super) fn is_closing(&self, seat: usize) -> bool {
        match (self.phase, self.walk) {
            (GroupPhase::Rising | GroupPhase::Up { .. }, Some(Walk::Clearing { from, .. })) => seat >= from,
            (GroupPhase::Rising | GroupPhase::Up { .. }, _) => false,
            _ => true,
        }
    }

    /// Whether it takes new members: it has begun its life and is not ending it.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, GroupPhase::Rising | GroupPhase::Up { .. })
    }

    /// Takes a seat away; a walk that had come past it, or covers what is after it, goes on as before.
    pub(super) fn take_seat(&mut self, seat: usize) {
        self.seats.remove(seat);
        match &mut self.walk {
            Some(Walk::Clearing { from: at, .. } | Walk::Starting { next: at, .. }) if *at > seat => *at -= 1,
            _ => {}
        }
    }
}

/// Numbers a specification depth-first.
pub(super) fn plant(spec: GroupSpec) -> (Children, Vec<Group>) {
    let (mut children, mut groups) = (Children::default(), Vec::new());
    plant_group(spec, None, &mut children, &mut groups);
    (children, groups)
}

fn plant_group(
    spec: GroupSpec,
    place: Option<Place>,
    children: &mut Children,
    groups: &mut Vec<Group>,
) -> GroupId {
    let id = GroupId(u32::try_from(groups.len()).expect("fewer than 2^32 groups"));
    groups.push(Group {
        name: spec.name,
        place,
        policy: spec.policy,
        backoff: spec.backoff,
        significant: spec.significant,
        auto_shutdown: spec.auto_shutdown,
        strategy: spec.strategy,
        window: Window::new(spec.intensity),
        seats: Vec::with_capacity(spec.members.len()),
        phase: GroupPhase::Idle,
        walk: None,
    });
    for (seat, member) in spec.members.into_iter().enumerate() {
        let place = Place { group: id, seat };
        let sitter = match member {
            Member::Child(spec) => Sitter::Child(children.add(|id| Child::declared(id, spec, place))),
            Member::Group(group) => Sitter::Group(plant_group(group, Some(place), children, groups)),
        };
        groups[id.0 as usize].seats.push(Seat::new(sitter));
    }
    id
}

/// Every child and group at a place of a group and after it, with all that nested groups contain, in start order.
#[derive(Debug, Default)]
pub(super) struct Subtree {
    pub(super) children: Vec<ChildId>,
    pub(super) groups: Vec<GroupId>,
}

impl Subtree {
    pub(super) fn from(groups: &[Group], id: GroupId, seat: usize) -> Subtree {
        let mut found = Subtree::default();
        found.collect(groups, id, seat);
        found
    }

    fn collect(&mut self, groups: &[Group], id: GroupId, seat: usize) {
        for seat in groups[id.0 as usize].seats.iter().skip(seat) {
            match seat.sitter {
                Sitter::Child(child) => self.children.push(child),
                Sitter::Group(group) => {
                    self.groups.push(group);
                    self.collect(groups, group, 0);
                }
            }
        }
    }
}
