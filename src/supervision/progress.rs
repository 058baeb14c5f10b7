//! How stops and starts go on: one child at a time, backwards down and forwards up.
//!
//! Whatever was marked by an input or by `failure.rs` is carried on here as far as it goes without news from
//! outside. Each step looks at the present state alone, so that it does not matter in which order the news came.

use std::time::Instant;

use super::action::{Action, ChildId, GroupId, NotRestarted, Note, Outcome, StopStep};
use super::child::{AfterStop, Child, Phase};
use super::engine::{Engine, Life};
use super::shutdown::{first_step, later};
use super::spec::Policy;
use super::tree::{Fall, GroupPhase, Place, Sitter, Walk};

/// How far the stopping of a row of children has come.
enum Clearing {
    /// The next one was urged just now.
    Urged,
    /// One is on its way down.
    Waiting,
    /// None lives.
    Done,
}

impl Engine {
    /// Takes every step that is possible now, once; false if there was none.
    ///
    /// It comes to rest: each step uses up a mark, or makes a birth or death for which only news from outside can
    /// make more.
    pub(super) fn progress(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for group in self.group_ids() {
            moved |= self.step_group(group, now);
        }
        let due = |child: &Child| matches!(child.phase, Phase::BackingOff { until } if until <= now);
        let due: Vec<ChildId> =
            self.children.iter().filter(|child| due(child)).map(|child| child.id).collect();
        for child in due {
            moved = true;
            self.launch(child, now);
        }
        moved || self.end_when_nothing_is_left()
    }

    fn step_group(&mut self, id: GroupId, now: Instant) -> bool {
        let group = self.group(id);
        match (group.phase, group.walk) {
            (GroupPhase::Idle | GroupPhase::Ended, _)
            | (GroupPhase::Rising | GroupPhase::Up { .. }, None) => false,
            (GroupPhase::BackingOff { until }, _) => {
                let due = until <= now;
                if due {
                    self.start_group(id, now);
                }
                due
            }
            (GroupPhase::Falling { fall, up_since }, _) => match self.stop_last(id, 0, now) {
                Clearing::Urged => true,
                Clearing::Waiting => false,
                Clearing::Done => {
                    self.fallen(id, fall, up_since, now);
                    true
                }
            },
            (_, Some(Walk::Clearing { from, not_before })) => match self.stop_last(id, from, now) {
                Clearing::Urged => true,
                Clearing::Waiting => false,
                Clearing::Done => {
                    self.group_mut(id).walk = Some(Walk::Starting { next: from, not_before });
                    true
                }
            },
            (_, Some(Walk::Starting { next, not_before })) => self.start_next(id, next, not_before, now),
        }
    }

    /// Stops the last child that lives at or after a place.
    fn stop_last(&mut self, id: GroupId, seat: usize, now: Instant) -> Clearing {
        let Some(last) = self.last_alive(id, seat) else {
            return Clearing::Done;
        };
        if let Phase::Stopping { .. } = self.child(last).phase {
            return Clearing::Waiting;
        }
        self.begin_stop(last, AfterStop::Rest, now);
        Clearing::Urged
    }

    /// The last child that lives at or after a place, in start order.
    pub(super) fn last_alive(&self, id: GroupId, seat: usize) -> Option<ChildId> {
        self.group(id).seats.iter().skip(seat).rev().find_map(|seat| match seat.sitter {
            Sitter::Child(child) => self.child(child).phase.is_alive().then_some(child),
            Sitter::Group(group) => self.last_alive(group, 0),
        })
    }

    /// Starts the member whose turn it is, or passes on to the next when it is ready.
    fn start_next(&mut self, id: GroupId, next: usize, not_before: Instant, now: Instant) -> bool {
        let Some(seat) = self.group(id).seats.get(next) else {
            self.all_are_up(id, now);
            return true;
        };
        let (sitter, spent) = (seat.sitter, seat.spent);
        let is_up = match sitter {
            Sitter::Child(child) => match self.child(child).phase {
                Phase::Idle if spent && self.child(child).spec.policy == Policy::Temporary => {
                    self.child_mut(child).phase = Phase::Ended;
                    self.note(Note::NotRestarted { child, why: NotRestarted::Temporary });
                    true
                }
                Phase::Idle => {
                    self.back_off(sitter, not_before.max(now));
                    return true;
                }
                Phase::Ready { .. } | Phase::Ended => true,
                Phase::BackingOff { .. } | Phase::Starting { .. } | Phase::Stopping { .. } => false,
            },
            Sitter::Group(group) => match self.group(group).phase {
                GroupPhase::Idle if spent && self.group(group).policy == Policy::Temporary => {
                    self.group_mut(group).phase = GroupPhase::Ended;
                    self.note(Note::GroupNotRestarted { group, why: NotRestarted::Temporary });
                    true
                }
                GroupPhase::Idle => {
                    self.back_off(sitter, not_before.max(now));
                    return true;
                }
                GroupPhase::Up { .. } | GroupPhase::Ended => true,
                GroupPhase::BackingOff { .. } | GroupPhase::Rising | GroupPhase::Falling { .. } => false,
            },
        };
        if is_up {
            self.group_mut(id).walk = Some(Walk::Starting { next: next + 1, not_before });
        }
        is_up
    }

    /// A walk reached the end of its group.
    fn all_are_up(&mut self, id: GroupId, now: Instant) {
        let group = self.group_mut(id);
        group.walk = None;
        if group.phase == GroupPhase::Rising {
            group.phase = GroupPhase::Up { since: now };
            match group.place {
                Some(Place { group, seat }) => self.group_mut(group).seats[seat].proven = true,
                None => self.note(Note::AllStarted),
            }
        }
    }

    /// Begins a new life of a group: what it knew of its members is forgotten, as with a supervisor started anew.
    pub(super) fn start_group(&mut self, id: GroupId, now: Instant) {
        let group = self.group_mut(id);
        group.phase = GroupPhase::Rising;
        group.walk = Some(Walk::Starting { next: 0, not_before: now });
        group.window.clear();
        for seat in &mut group.seats {
            (seat.spent, seat.proven) = (false, false);
        }
        if let Some(Place { group, seat }) = group.place {
            self.group_mut(group).seats[seat].spent = true;
        }
    }

    /// Begins a new life of a child, or puts it off while the topology has had too many births.
    fn launch(&mut self, id: ChildId, now: Instant) {
        if self.child(id).has_lived()
            && let Err(room_at) = self.pace.admit(now)
        {
            self.child_mut(id).phase = Phase::BackingOff { until: room_at };
            return;
        }
        let child = self.child_mut(id);
        child.incarnation = child.incarnation.next();
        child.phase = Phase::Starting { deadline: later(now, child.spec.start_deadline) };
        let (incarnation, Place { group, seat }) = (child.incarnation, child.place);
        self.group_mut(group).seats[seat].spent = true;
        self.actions.push_back(Action::Start { child: id, incarnation });
    }

    /// Takes the first step of a child's shutdown.
    pub(super) fn begin_stop(&mut self, id: ChildId, then: AfterStop, now: Instant) {
        let (step, deadline) = first_step(self.child(id).spec.shutdown, now);
        self.urge(id, step, deadline, then);
    }

    /// Takes one step of a child's shutdown.
    pub(super) fn urge(&mut self, id: ChildId, step: StopStep, deadline: Option<Instant>, then: AfterStop) {
        let child = self.child_mut(id);
        child.phase = Phase::Stopping { step, deadline, then };
        let incarnation = child.incarnation;
        self.actions.push_back(Action::Stop { child: id, incarnation, step });
    }

    /// Ends a topology in which every child has ended for good: nothing would ever happen in it again.
    ///
    /// OTP keeps such a supervisor, because children can be added to it; so does a lasting engine.
    fn end_when_nothing_is_left(&mut self) -> bool {
        match self.last_end {
            Some((child, exit))
                if !self.lasting && !self.children.is_empty() && self.is_over(GroupId::TOP) =>
            {
                self.fall(GroupId::TOP, Fall::Finished(Outcome::Completed { child, exit }));
                true
            }
            _ => false,
        }
    }

    /// Whether nothing will ever happen in this group again by itself.
    fn is_over(&self, id: GroupId) -> bool {
        let group = self.group(id);
        match group.phase {
            GroupPhase::Ended => true,
            GroupPhase::Up { .. } if group.walk.is_none() => {
                group.seats.iter().all(|seat| match seat.sitter {
                    Sitter::Child(child) => self.child(child).phase == Phase::Ended,
                    Sitter::Group(group) => self.is_over(group),
                })
            }
            _ => false,
        }
    }

    /// The last word.
    pub(super) fn end(&mut self, outcome: Outcome) {
        self.life = Life::Ended;
        self.actions.push_back(Action::Ended(outcome));
    }
}
