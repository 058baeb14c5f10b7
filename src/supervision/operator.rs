//! What an operator, or a program at run time, may ask for: a new life for a child, more children, fewer.
//!
//! As OTP's `restart_child`, `start_child`, `terminate_child` and `delete_child`. OTP answers such calls when the
//! supervisor has done what it is doing; here nothing waits, so that they are refused meanwhile.

use std::time::Instant;

use super::action::{ChildId, GroupId, Note, Refused};
use super::child::{AfterStop, Child, Phase};
use super::engine::{Engine, Life};
use super::spec::ChildSpec;
use super::tree::{GroupPhase, Place, Seat, Sitter};

impl Engine {
    /// A new life for one child: it is stopped in order, whatever its policy, and started again
    /// without a delay; one that is waiting for its restart, or that has ended or was stopped by hand, is started now.
    ///
    /// This costs nothing of its group's budget and touches no other member. If the start then fails, that is a
    /// failure like any other.
    pub fn handle_restart(&mut self, child: ChildId, now: Instant) -> Result<(), Refused> {
        match self.movable(child)? {
            Phase::Stopping { step, deadline, then: AfterStop::Down } if !self.child(child).discarded => {
                self.child_mut(child).phase = Phase::Stopping { step, deadline, then: AfterStop::Restart };
            }
            // Idle in a group that is not being stopped: its turn comes (S-7).
            Phase::Idle | Phase::Stopping { .. } => return Err(Refused::Underway),
            Phase::BackingOff { .. } | Phase::Ended => {
                self.child_mut(child).phase = Phase::BackingOff { until: now };
            }
            Phase::Starting { .. } | Phase::Ready { .. } => self.begin_stop(child, AfterStop::Restart, now),
        }
        self.settle(now);
        Ok(())
    }

    /// Adds a child as the last member of a group, and starts it when its turn comes: now, if the group is not
    /// starting or restarting members.
    ///
    /// Once it was ready it is supervised like a declared one, also through restarts of its group. If its first start
    /// fails it is removed ([`Note::AddFailed`]), and nothing else follows. A temporary one that ends is removed
    /// ([`Note::Removed`]), unless it is significant.
    pub fn handle_add_child(
        &mut self,
        group: GroupId,
        spec: ChildSpec,
        now: Instant,
    ) -> Result<ChildId, Refused> {
        let Some(joined) = self.groups.get(group.0 as usize) else {
            return Err(Refused::Unknown);
        };
        if self.is_ending() {
            return Err(Refused::Stopping);
        }
        if !joined.is_open() {
            return Err(self.refused_by(group));
        }
        let (seat, is_at_rest) = (joined.seats.len(), joined.walk.is_none());
        let id = self.children.add(|id| Child::added(id, spec, Place { group, seat }));
        self.group_mut(group).seats.push(Seat::new(Sitter::Child(id)));
        if is_at_rest {
            self.back_off(Sitter::Child(id), now);
        }
        self.settle(now);
        Ok(id)
    }

    /// Stops one child in order, as its specification says. It stays down, and in the tree, until it is restarted by
    /// hand or with its group, or removed. No failure, and no end of a group however significant it is.
    ///
    /// One that is down already stays down.
    pub fn handle_stop_child(&mut self, child: ChildId, now: Instant) -> Result<(), Refused> {
        self.put_to_rest(child, now)?;
        self.settle(now);
        Ok(())
    }

    /// Takes a child out of the tree that ended, or was stopped by hand.
    pub fn handle_remove_child(&mut self, child: ChildId, now: Instant) -> Result<(), Refused> {
        match self.movable(child)? {
            Phase::Ended => {}
            _ => return Err(Refused::Alive),
        }
        self.remove(child, Note::Removed { child });
        self.settle(now);
        Ok(())
    }

    /// Takes a child out of the tree in whatever state it is: one that lives is stopped in order first, one that is
    /// being stopped or waits to be started again is not started again. [`Note::Removed`] says when it is out.
    pub fn handle_discard_child(&mut self, child: ChildId, now: Instant) -> Result<(), Refused> {
        let Some(Child { phase, .. }) = self.children.find(child) else {
            return Err(Refused::Unknown);
        };
        if self.is_ending() {
            return Err(Refused::Stopping);
        }
        match phase.is_alive() {
            false => self.remove(child, Note::Removed { child }),
            true => {
                self.child_mut(child).discarded = true;
                // In a group that is being stopped it has its turn, and goes then.
                let _ = self.put_to_rest(child, now);
            }
        }
        self.settle(now);
        Ok(())
    }

    /// What stops a child by hand, wherever it is in its life.
    fn put_to_rest(&mut self, child: ChildId, now: Instant) -> Result<(), Refused> {
        match self.movable(child)? {
            Phase::Idle => return Err(Refused::Underway),
            Phase::Ended => {}
            Phase::BackingOff { .. } => self.put_down(child),
            Phase::Starting { .. } | Phase::Ready { .. } => self.begin_stop(child, AfterStop::Down, now),
            Phase::Stopping { step, deadline, .. } => {
                self.child_mut(child).phase = Phase::Stopping { step, deadline, then: AfterStop::Down };
            }
        }
        Ok(())
    }

    /// The phase of a child that can be moved by hand: it is there, and neither it nor a group above it goes down.
    fn movable(&self, child: ChildId) -> Result<Phase, Refused> {
        let Some(Child { place: Place { group, seat }, phase, .. }) = self.children.find(child) else {
            return Err(Refused::Unknown);
        };
        if self.is_ending() {
            return Err(Refused::Stopping);
        }
        if self.group(*group).is_closing(*seat) {
            return Err(self.refused_by(*group));
        }
        Ok(*phase)
    }

    fn is_ending(&self) -> bool {
        self.life == Life::Ended || matches!(self.group(GroupId::TOP).phase, GroupPhase::Falling { .. })
    }

    /// What to say of a group that is down or goes down: whether it will be there again by itself.
    fn refused_by(&self, group: GroupId) -> Refused {
        let mut up = Some(group);
        while let Some(id) = up {
            if self.group(id).phase == GroupPhase::Ended {
                return Refused::GroupDown;
            }
            up = self.group(id).place.map(|place| place.group);
        }
        Refused::Underway
    }
}
