//! What an end leads to: nothing, a restart of one or several, the end of a group, the end of everything.
//!
//! This is OTP's `do_restart`, `add_restart` and escalation. It only decides and marks; `progress.rs` then stops
//! and starts what was marked.

use std::time::Instant;

use super::action::{ChildId, GroupId, NotRestarted, Note, Outcome};
use super::child::{AfterStop, Phase};
use super::engine::Engine;
use super::strategy::{End, Reach, Verdict, reach, verdict};
use super::tree::{GroupPhase, Place, Sitter, Walk};
use crate::id::Exit;

impl Engine {
    /// A child's process is no more; without an exit it never came to be.
    pub(super) fn gone(&mut self, id: ChildId, exit: Option<Exit>, now: Instant) {
        let child = self.child_mut(id);
        let (Place { group, seat }, was) = (child.place, child.phase);
        child.phase = Phase::Idle;
        if let Some(exit) = exit {
            child.last_exit = Some(exit);
            self.last_end = Some((id, exit));
        }
        match (was, exit) {
            (Phase::Stopping { then: AfterStop::Rest, .. }, _) => {}
            (Phase::Stopping { then: AfterStop::Restart, .. }, _) => {
                self.child_mut(id).phase = Phase::BackingOff { until: now };
            }
            _ if self.group(group).is_closing(seat) => {
                self.note(Note::NotRestarted { child: id, why: NotRestarted::GroupStopping });
            }
            (Phase::Ready { since }, Some(exit)) => self.ended(id, exit, since, now),
            _ => self.never_came_up(id, now),
        }
    }

    /// A child that was at work ended of itself.
    fn ended(&mut self, id: ChildId, exit: Exit, since: Instant, now: Instant) {
        let child = self.child(id);
        let end = if exit.is_success() { End::Normal } else { End::Abnormal };
        match verdict(&child.spec, end) {
            Verdict::Restart => self.member_failed(child.place, id, Some(since), now),
            Verdict::Leave(why) => self.leave(id, why, Outcome::Completed { child: id, exit }),
        }
    }

    /// A child's start failed: its process never came to be, ended before it was ready, or was not ready in time.
    ///
    /// That is an abnormal end, whatever the code. The first time in a life of its group it fails the group's
    /// start, whatever the policy, as in a supervisor's `init`.
    fn never_came_up(&mut self, id: ChildId, now: Instant) {
        let child = self.child(id);
        let Place { group, seat } = child.place;
        match verdict(&child.spec, End::Abnormal) {
            Verdict::Leave(why) if self.group(group).seats[seat].proven => {
                self.leave(id, why, Outcome::StartFailed { child: id });
            }
            Verdict::Restart | Verdict::Leave(_) => self.member_failed(child.place, id, None, now),
        }
    }

    /// A child stays down; where it is significant the topology ends with it.
    fn leave(&mut self, id: ChildId, why: NotRestarted, outcome: Outcome) {
        let child = self.child_mut(id);
        child.phase = Phase::Ended;
        let significant = child.spec.significant;
        self.note(Note::NotRestarted { child: id, why });
        if significant {
            self.fall(GroupId::TOP, outcome);
        }
    }

    /// A member of a group, itself or through the child `by` in it, ended and has to be restarted if that may be.
    ///
    /// It is down already. `up_since` says since when it had been up, if it had.
    pub(super) fn member_failed(
        &mut self,
        place: Place,
        by: ChildId,
        up_since: Option<Instant>,
        now: Instant,
    ) {
        let Place { group: id, seat } = place;
        let backoff = self.child(by).spec.backoff;
        let group = &mut self.groups[id.0 as usize];
        if !group.seats[seat].proven {
            return self.fall(id, Outcome::StartFailed { child: by });
        }
        let period = group.window.period();
        if !group.window.admit(now) {
            let restarts = group.window.used(now);
            self.note(Note::GroupGaveUp { group: id, child: by, restarts, period });
            return self.fall(id, Outcome::GaveUp { child: by, restarts, period });
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
    pub(super) fn fall(&mut self, id: GroupId, outcome: Outcome) {
        let up_since = match self.group(id).phase {
            GroupPhase::Falling { .. } => return,
            GroupPhase::Up { since } => Some(since),
            GroupPhase::Idle | GroupPhase::BackingOff { .. } | GroupPhase::Rising => None,
        };
        self.close(id, 0);
        let group = self.group_mut(id);
        group.walk = None;
        group.phase = GroupPhase::Falling { outcome, up_since };
        if id == GroupId::TOP {
            self.note(Note::Ending(outcome));
        }
    }

    /// Cancels whatever the members from a place on were about to do. Their processes are stopped afterwards,
    /// one by one, by the group whose place this is; the groups among them have no say any more.
    fn close(&mut self, id: GroupId, seat: usize) {
        for child in self.group(id).children_from(seat) {
            let phase = &mut self.child_mut(ChildId(child)).phase;
            match phase {
                Phase::BackingOff { .. } | Phase::Ended => *phase = Phase::Idle,
                Phase::Stopping { then, .. } => *then = AfterStop::Rest,
                Phase::Idle | Phase::Starting { .. } | Phase::Ready { .. } => {}
            }
        }
        for group in self.group(id).groups_from(seat) {
            let group = self.group_mut(GroupId(group));
            (group.phase, group.walk) = (GroupPhase::Idle, None);
        }
    }

    /// A group is down because it could not go on: the topology ends, or the group above has a failed member.
    pub(super) fn fallen(&mut self, id: GroupId, outcome: Outcome, up_since: Option<Instant>, now: Instant) {
        self.group_mut(id).phase = GroupPhase::Idle;
        let Some(place) = self.group(id).place else {
            return self.end(outcome);
        };
        match outcome {
            Outcome::StartFailed { child } | Outcome::GaveUp { child, .. } => {
                self.member_failed(place, child, up_since, now);
            }
            Outcome::Stopped | Outcome::Completed { .. } => unreachable!("only the topology itself ends so"),
        }
    }

    /// Waits with the start of one member, beside whatever else its group does.
    pub(super) fn back_off(&mut self, sitter: Sitter, until: Instant) {
        match sitter {
            Sitter::Child(child) => self.child_mut(child).phase = Phase::BackingOff { until },
            Sitter::Group(group) => self.group_mut(group).phase = GroupPhase::BackingOff { until },
        }
    }
}
