//! What an end leads to: nothing, a restart of one or several, the end of a group, the end of everything.
//!
//! This is OTP's `do_restart`, `add_restart`, `auto_shutdown` and escalation. It only decides and marks; `progress.rs`
//! then stops and starts what was marked.

use std::time::Instant;

use super::action::{ChildId, GroupId, NotRestarted, Note, Outcome};
use super::child::{AfterStop, Origin, Phase};
use super::engine::Engine;
use super::spec::{AutoShutdown, Backoff};
use super::strategy::{End, Reach, Verdict, reach, verdict};
use super::tree::{Fall, GroupPhase, Place, Sitter, Subtree, Walk};
use crate::id::Exit;

impl Engine {
    /// A child's process is no more; without an exit it never came to be.
    pub(super) fn gone(&mut self, id: ChildId, exit: Option<Exit>, now: Instant) {
        let child = self.child_mut(id);
        let (Place { group, seat }, was) = (child.place, child.phase);
        child.phase = Phase::Idle;
        let of_itself = !matches!(was, Phase::Stopping { then: AfterStop::Rest | AfterStop::Down, .. });
        // Code 0 of a start that failed is no success, and must not look like one in the end.
        let misleads = matches!(was, Phase::Starting { .. }) && exit.is_some_and(Exit::is_success);
        if let Some(exit) = exit {
            child.last_exit = Some(exit);
            if of_itself && (!misleads || self.last_end.is_none()) {
                self.last_end = Some((id, exit));
            }
        }
        match (was, exit) {
            (Phase::Stopping { then: AfterStop::Rest, .. }, _) => {}
            (Phase::Stopping { then: AfterStop::Down, .. }, _) => self.put_down(id),
            (Phase::Stopping { then: AfterStop::Restart, .. }, _) => {
                self.child_mut(id).phase = Phase::BackingOff { until: now };
                return;
            }
            _ if self.group(group).is_closing(seat) => {
                self.note(Note::NotRestarted { child: id, why: NotRestarted::GroupStopping });
            }
            (Phase::Ready { since }, Some(exit)) => self.ended(id, exit, since, now),
            _ if self.child(id).origin == Origin::OnTrial => {
                return self.remove(id, Note::AddFailed { child: id });
            }
            _ => self.never_came_up(id, now),
        }
        if self.child(id).leaves_with_its_death() {
            self.remove(id, Note::Removed { child: id });
        }
    }

    /// A child that was at work ended of itself.
    fn ended(&mut self, id: ChildId, exit: Exit, since: Instant, now: Instant) {
        let child = self.child(id);
        let end = if exit.is_success() { End::Normal } else { End::Abnormal };
        match verdict(child.spec.policy, child.spec.significant, end) {
            Verdict::Restart => self.restart_member(child.place, id, Some(since), now),
            Verdict::Leave(why) => self.leave(id, why, Outcome::Completed { child: id, exit }),
        }
    }

    /// A child's start failed: its process never came to be, ended before it was ready, or was not ready in time.
    ///
    /// That is an abnormal end, whatever the code. The first time in a life of its group it fails the group's
    /// start, whatever the policy, as in a supervisor's `init`.
    fn never_came_up(&mut self, id: ChildId, now: Instant) {
        let child = self.child(id);
        let (Place { group, seat }, outcome) = (child.place, Outcome::StartFailed { child: id });
        if !self.group(group).seats[seat].proven {
            return self.fall(group, Fall::Failed(outcome));
        }
        match verdict(child.spec.policy, child.spec.significant, End::Abnormal) {
            Verdict::Restart => self.restart_member(child.place, id, None, now),
            Verdict::Leave(why) => self.leave(id, why, outcome),
        }
    }

    /// A child stays down; where it is significant its group may end with it.
    fn leave(&mut self, id: ChildId, why: NotRestarted, outcome: Outcome) {
        let child = self.child_mut(id);
        child.phase = Phase::Ended;
        let (place, significant) = (child.place, child.spec.significant);
        self.note(Note::NotRestarted { child: id, why });
        self.member_left(place.group, significant, outcome);
    }

    /// A child was stopped by hand: that ends no group, however significant it is, as in OTP.
    pub(super) fn put_down(&mut self, id: ChildId) {
        let child = self.child_mut(id);
        child.phase = Phase::Ended;
        let (Place { group, seat }, discarded) = (child.place, child.discarded);
        // What starts it again is an operator, whose group does not fail when that does not succeed at once.
        self.group_mut(group).seats[seat].proven = true;
        if !discarded {
            self.note(Note::StoppedByHand { child: id });
        }
    }

    /// A member ended of itself and stays down: this is OTP's `do_auto_shutdown`.
    fn member_left(&mut self, id: GroupId, significant: bool, outcome: Outcome) {
        let group = self.group(id);
        let falls = significant
            && match group.auto_shutdown {
                AutoShutdown::Never => false,
                AutoShutdown::AnySignificant => true,
                AutoShutdown::AllSignificant => {
                    !group.seats.iter().any(|seat| self.is_significant_and_not_ended(seat.sitter))
                }
            };
        if falls {
            self.fall(id, Fall::Finished(outcome));
        }
    }

    fn is_significant_and_not_ended(&self, sitter: Sitter) -> bool {
        match sitter {
            Sitter::Child(child) => {
                let child = self.child(child);
                child.spec.significant && child.phase != Phase::Ended
            }
            Sitter::Group(group) => {
                let group = self.group(group);
                group.significant && group.phase != GroupPhase::Ended
            }
        }
    }

    /// A member of a group, itself or through the child `by` in it, ended and has to be restarted if that may be.
    ///
    /// It is down already. `up_since` says since when it had been up, if it had.
    fn restart_member(&mut self, place: Place, by: ChildId, up_since: Option<Instant>, now: Instant) {
        let Place { group: id, seat } = place;
        let backoff = self.backoff_of(place, by);
        let group = &mut self.groups[id.0 as usize];
        let period = group.window.period();
        if !group.window.admit(now) {
            let restarts = group.window.used(now);
            self.note(Note::GroupGaveUp { group: id, child: by, restarts, period });
            return self.fall(id, Fall::Failed(Outcome::GaveUp { child: by, restarts, period }));
        }
        let delay = group.seats[seat].row.next_delay(backoff, period, up_since, now, &mut self.dice);
        let (restarts, budget_left) = (group.window.used(now), group.window.left(now));
        let (sitter, reach) = (group.seats[seat].sitter, reach(group.strategy, seat));
        self.note(Note::Restarting { child: by, group: id, delay, restarts, budget_left });
        match reach {
            Reach::Alone => self.back_off(sitter, now + delay),
            Reach::From(seat) => self.clear_from(id, seat, now + delay),
        }
    }

    /// What a group says itself, or else the child that ended; that one may have been removed meanwhile.
    fn backoff_of(&self, place: Place, by: ChildId) -> Backoff {
        let own = match self.group(place.group).seats[place.seat].sitter {
            Sitter::Group(group) => self.group(group).backoff,
            Sitter::Child(_) => None,
        };
        own.or_else(|| self.children.find(by).map(|child| child.spec.backoff)).unwrap_or_default()
    }

    /// Marks the members from a place on to be stopped in reverse order, then started in order.
    ///
    /// A walk that is under way is taken over: none of its members fails but those before the one whose turn it is
    /// (S-7), so that the new walk covers the old one; and it starts no earlier than the old one would have.
    fn clear_from(&mut self, id: GroupId, from: usize, not_before: Instant) {
        let not_before = match self.group(id).walk {
            None => not_before,
            Some(Walk::Clearing { not_before: other, .. } | Walk::Starting { not_before: other, .. }) => {
                not_before.max(other)
            }
        };
        self.close(id, from);
        self.group_mut(id).walk = Some(Walk::Clearing { from, not_before });
    }

    /// Marks a whole group to be stopped in reverse order, for good or to fail in the group above. The first
    /// reason stands.
    pub(super) fn fall(&mut self, id: GroupId, fall: Fall) {
        let up_since = match self.group(id).phase {
            GroupPhase::Falling { .. } => return,
            GroupPhase::Up { since } => Some(since),
            GroupPhase::Idle | GroupPhase::BackingOff { .. } | GroupPhase::Rising | GroupPhase::Ended => None,
        };
        self.close(id, 0);
        let group = self.group_mut(id);
        group.walk = None;
        group.phase = GroupPhase::Falling { fall, up_since };
        if id == GroupId::TOP {
            self.note(Note::Ending(fall.outcome()));
        }
    }

    /// Cancels whatever the members from a place on were about to do. Their processes are stopped afterwards,
    /// one by one, by the group whose place this is; the groups among them have no say any more.
    fn close(&mut self, id: GroupId, seat: usize) {
        let Subtree { children, groups } = Subtree::from(&self.groups, id, seat);
        for child in children {
            let phase = &mut self.child_mut(child).phase;
            match phase {
                Phase::BackingOff { .. } | Phase::Ended => *phase = Phase::Idle,
                Phase::Stopping { then, .. } => *then = AfterStop::Rest,
                Phase::Idle | Phase::Starting { .. } | Phase::Ready { .. } => {}
            }
        }
        for group in groups {
            let group = self.group_mut(group);
            (group.phase, group.walk) = (GroupPhase::Idle, None);
        }
    }

    /// A group is down: the topology ends, or a member of the group above has ended, normally or not.
    pub(super) fn fallen(&mut self, id: GroupId, fall: Fall, up_since: Option<Instant>, now: Instant) {
        let group = self.group_mut(id);
        group.phase = GroupPhase::Idle;
        let (policy, significant, outcome) = (group.policy, group.significant, fall.outcome());
        let (Some(place), Some(by)) = (group.place, outcome.child()) else {
            return self.end(outcome);
        };
        let end = match fall {
            Fall::Finished(_) => End::Normal,
            Fall::Failed(_) => End::Abnormal,
        };
        let proven = self.group(place.group).seats[place.seat].proven;
        if end == End::Abnormal && !proven {
            return self.fall(place.group, Fall::Failed(Outcome::StartFailed { child: by }));
        }
        match verdict(policy, significant, end) {
            Verdict::Restart => self.restart_member(place, by, up_since, now),
            Verdict::Leave(why) => {
                self.group_mut(id).phase = GroupPhase::Ended;
                self.note(Note::GroupNotRestarted { group: id, why });
                self.member_left(place.group, significant, outcome);
            }
        }
    }

    /// Takes a child without a process out of the tree.
    pub(super) fn remove(&mut self, id: ChildId, note: Note) {
        let Some(child) = self.children.remove(id) else { return };
        let Place { group, seat } = child.place;
        self.group_mut(group).take_seat(seat);
        for seat in seat..self.group(group).seats.len() {
            match self.group(group).seats[seat].sitter {
                Sitter::Child(child) => self.child_mut(child).place.seat = seat,
                Sitter::Group(inner) => self.group_mut(inner).place = Some(Place { group, seat }),
            }
        }
        self.note(note);
    }

    /// Waits with the start of one member, beside whatever else its group does.
    pub(super) fn back_off(&mut self, sitter: Sitter, until: Instant) {
        match sitter {
            Sitter::Child(child) => self.child_mut(child).phase = Phase::BackingOff { until },
            Sitter::Group(group) => self.group_mut(group).phase = GroupPhase::BackingOff { until },
        }
    }
}
