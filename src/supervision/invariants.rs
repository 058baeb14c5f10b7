//! What must hold whenever the engine comes to rest, numbered; tests and messages cite the numbers.
//!
//! Checked at the end of every public mutator in debug builds. A breach is our own mistake, never a caller's, and
//! panics.
//!
//! - S-1 What has ended has no process and no timer.
//! - S-2 A child is stopped "to rest" exactly if its group, or one above, is being stopped.
//! - S-3 What is being stopped with its group waits for no start.
//! - S-4 Where a row is being stopped, its last living child is on its way down: there is always progress.
//! - S-5 Within a group that is not up or rising no group has a will of its own.
//! - S-6 A rising group walks; a one_for_one group that is up does not.
//! - S-7 While a group starts its members in order, all after the one whose turn it is are idle.
//! - S-8 No start that is due is left undone.
//! - S-9 Every child and group knows its place, and sits there; what was removed sits nowhere.

use std::time::Instant;

use super::action::{ChildId, GroupId};
use super::child::{AfterStop, Phase};
use super::engine::{Engine, Life};
use super::spec::Strategy;
use super::tree::{Group, GroupPhase, Place, Sitter, Subtree, Walk};

impl Engine {
    /// Panics at the first invariant that does not hold; costs nothing in release builds.
    pub(super) fn check_invariants(&self, now: Instant) {
        if !cfg!(debug_assertions) {
            return;
        }
        if self.life == Life::Ended {
            assert!(
                !self.children.iter().any(|child| child.phase.is_alive()),
                "S-1: a process outlived the end"
            );
            assert_eq!(self.poll_timeout(), None, "S-1: a timer outlived the end");
        }
        for child in self.child_ids() {
            self.check_child(child, now);
        }
        for id in self.group_ids() {
            self.check_stopping(id);
            self.check_starting(self.group(id));
            self.check_places(id);
            if let GroupPhase::BackingOff { until } = self.group(id).phase {
                assert!(until > now, "S-8: {id} should have started");
            }
        }
    }

    fn check_child(&self, id: ChildId, now: Instant) {
        let child = self.child(id);
        let closing = self.group(child.place.group).is_closing(child.place.seat);
        match child.phase {
            Phase::Stopping { then, .. } => {
                assert_eq!(
                    then == AfterStop::Rest,
                    closing,
                    "S-2: {id} is to {then:?} and closing is {closing}"
                );
            }
            Phase::BackingOff { until } => {
                assert!(!closing, "S-3: {id} waits for a start and is being stopped");
                assert!(until > now, "S-8: {id} should have started");
            }
            Phase::Idle | Phase::Starting { .. } | Phase::Ready { .. } | Phase::Ended => {}
        }
    }

    fn check_stopping(&self, id: GroupId) {
        let group = self.group(id);
        let from = match (group.phase, group.walk) {
            (GroupPhase::Falling { .. }, _) => 0,
            (_, Some(Walk::Clearing { from, .. })) => from,
            (GroupPhase::Idle | GroupPhase::BackingOff { .. } | GroupPhase::Ended, _) => {
                return self.assert_no_will(id, 0);
            }
            _ => return,
        };
        self.assert_no_will(id, from);
        let last = self.last_alive(id, from).map(|child| self.child(child).phase);
        assert!(
            matches!(last, Some(Phase::Stopping { .. })),
            "S-4: {id} is being stopped and waits for {last:?}"
        );
    }

    fn assert_no_will(&self, id: GroupId, from: usize) {
        for id in Subtree::from(&self.groups, id, from).groups {
            assert_eq!(
                self.group(id).phase,
                GroupPhase::Idle,
                "S-5: {id} within a group that is being stopped"
            );
        }
    }

    fn check_places(&self, id: GroupId) {
        for (seat, sitter) in self.group(id).seats.iter().map(|seat| seat.sitter).enumerate() {
            let here = Place { group: id, seat };
            let place = match sitter {
                Sitter::Child(child) => self.children.find(child).map(|child| child.place),
                Sitter::Group(group) => self.group(group).place,
            };
            assert_eq!(place, Some(here), "S-9: {sitter:?}");
        }
    }

    fn check_starting(&self, group: &Group) {
        match (group.phase, group.walk) {
            (GroupPhase::Rising, None) => panic!("S-6: a rising group stands still"),
            (GroupPhase::Up { .. }, Some(walk)) => {
                assert_ne!(
                    group.strategy,
                    Strategy::OneForOne,
                    "S-6: a one_for_one group that is up does {walk:?}"
                );
            }
            _ => {}
        }
        let Some(Walk::Starting { next, .. }) = group.walk else { return };
        for seat in group.seats.iter().skip(next + 1) {
            let rests = match seat.sitter {
                Sitter::Child(child) => self.child(child).phase == Phase::Idle,
                Sitter::Group(group) => self.group(group).phase == GroupPhase::Idle,
            };
            assert!(rests, "S-7: {:?} runs before its turn", seat.sitter);
        }
    }
}
