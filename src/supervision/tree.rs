//! The tree of groups and children, laid flat: everything is a number, and a subtree is a range of numbers.
//!
//! Children are numbered depth-first, which is the start order of the whole tree; so "the members from here on,
//! with all they contain" is a range, and stopping in reverse order is walking a range backwards.

use std::ops::Range;
use std::time::Instant;

use super::action::{ChildId, GroupId, Outcome};
use super::backoff::Row;
use super::child::Child;
use super::intensity::Window;
use super::spec::{GroupSpec, Member, Strategy};

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
    /// Started in this life of the group: a temporary child is not started again.
    pub(super) spent: bool,
    /// Ready in this life of the group: from then on a failed start counts as a failed restart.
    pub(super) proven: bool,
    /// Failures in a row.
    pub(super) row: Row,
    /// The first child of the subtree at this place, or where it would be.
    first_child: u32,
    /// The first group of the subtree at this place, or where it would be.
    first_group: u32,
}

/// Where a group is in its life.
///
/// ```text
///          turn came            due           all were ready
///   Idle ───────────▶ BackingOff ───▶ Rising ────────────────▶ Up
///    ▲                                   │                      │
///    │                                   └──────────┬───────────┘
///    │                                              ▼ a first start failed, or too many restarts
///    └── all down ─────────────────────────────  Falling
/// ```
///
/// The topology's own group goes from `Idle` to `Rising` by itself, and falls for any outcome. From every phase a
/// group is `Idle` at once when a group above it is stopped: its processes then belong to that one's row. Where
/// the group above restarts this one alone, it goes from `Idle` on to `BackingOff`.
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
    /// Its members are stopped in reverse order; then it ends, or fails in the group above, with this outcome.
    /// If it had been up, since when.
    Falling { outcome: Outcome, up_since: Option<Instant> },
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
    /// None for the topology itself.
    pub(super) place: Option<Place>,
    pub(super) strategy: Strategy,
    pub(super) window: Window,
    pub(super) seats: Vec<Seat>,
    pub(super) phase: GroupPhase,
    /// None when no members are stopped or started in order.
    pub(super) walk: Option<Walk>,
    /// One past the last child of the subtree.
    end_child: u32,
    /// One past the last group of the subtree.
    end_group: u32,
}

impl Group {
    /// The children at this place and after it, with all that nested groups contain.
    pub(super) fn children_from(&self, seat: usize) -> Range<u32> {
        self.seats.get(seat).map_or(self.end_child, |seat| seat.first_child)..self.end_child
    }

    /// The groups at this place and after it, with all that they contain.
    pub(super) fn groups_from(&self, seat: usize) -> Range<u32> {
        self.seats.get(seat).map_or(self.end_group, |seat| seat.first_group)..self.end_group
    }

    /// Whether who sits here is being stopped with the group or one above it, or is down with it.
    pub(super) fn is_closing(&self, seat: usize) -> bool {
        match (self.phase, self.walk) {
            (GroupPhase::Rising | GroupPhase::Up { .. }, Some(Walk::Clearing { from, .. })) => seat >= from,
            (GroupPhase::Rising | GroupPhase::Up { .. }, _) => false,
            _ => true,
        }
    }
}

/// Numbers a specification depth-first.
pub(super) fn flatten(spec: GroupSpec) -> (Vec<Child>, Vec<Group>) {
    let (mut children, mut groups) = (Vec::new(), Vec::new());
    add_group(spec, None, &mut children, &mut groups);
    (children, groups)
}

fn add_group(
    spec: GroupSpec,
    place: Option<Place>,
    children: &mut Vec<Child>,
    groups: &mut Vec<Group>,
) -> GroupId {
    let id = GroupId(number(groups.len()));
    groups.push(Group {
        place,
        strategy: spec.strategy,
        window: Window::new(spec.intensity),
        seats: Vec::with_capacity(spec.members.len()),
        phase: GroupPhase::Idle,
        walk: None,
        end_child: 0,
        end_group: 0,
    });
    for (seat, member) in spec.members.into_iter().enumerate() {
        let (first_child, first_group) = (number(children.len()), number(groups.len()));
        let place = Place { group: id, seat };
        let sitter = match member {
            Member::Child(child) => {
                children.push(Child::new(child, place));
                Sitter::Child(ChildId(first_child))
            }
            Member::Group(group) => Sitter::Group(add_group(group, Some(place), children, groups)),
        };
        let seat =
            Seat { sitter, spent: false, proven: false, row: Row::default(), first_child, first_group };
        groups[id.0 as usize].seats.push(seat);
    }
    let (end_child, end_group) = (number(children.len()), number(groups.len()));
    let group = &mut groups[id.0 as usize];
    (group.end_child, group.end_group) = (end_child, end_group);
    id
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("fewer than 2^32 children and groups")
}
