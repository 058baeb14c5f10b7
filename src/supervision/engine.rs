//! The engine's contract: what goes in, what comes out, in which order.
//!
//! Here are the inputs and outputs alone; what an operator may ask for is in `operator.rs`. What a failure leads to is
//! in `failure.rs`, how stops and starts go on step by step in `progress.rs`, what must always hold in `invariants.rs`.

use std::collections::VecDeque;
use std::time::Instant;

use super::action::{Action, ChildId, GroupId, Note, Outcome, StopStep};
use super::backoff::Dice;
use super::child::{AfterStop, Child, ChildState, Origin, Phase};
use super::children::Children;
use super::intensity::Pace;
use super::shutdown::next_step;
use super::spec::{ChildSpec, GroupSpec};
use super::tree::{Fall, Group, GroupPhase, Place, Subtree, plant};
use crate::id::{Exit, Incarnation};

/// Decides what to start, what to stop and when to give up; starts and stops nothing itself.
///
/// # Order of calls
///
/// [`handle_start`](Engine::handle_start) once; then whatever happens, as it happens. After every `handle_*` take
/// [`poll_action`](Engine::poll_action) until it has nothing more, carry the actions out in that order, and call
/// [`handle_timeout`](Engine::handle_timeout) when the time of [`poll_timeout`](Engine::poll_timeout) has come.
/// [`Action::Ended`] comes once, last, when no process is left; from then on every input is ignored.
///
/// `now` is a clock that never goes back. One turn costs time in proportion to the number of children.
///
/// # What is ignored
///
/// Inputs about a child that there is not, about an incarnation that is not the last, and those that come twice: a
/// driver may hand on whatever its processes say, however late (H48).
///
/// # What is promised
///
/// - Children start in order, the next when the one before is ready; they stop in reverse order, one at a time,
///   each with its own [`Shutdown`](super::Shutdown). So it is too when a strategy restarts several.
/// - A child is started only when the end of its former life was reported (P-6).
/// - A child that ends after it was urged to is no failure, however it ends (P-4).
/// - At the first start of the topology a child that does not come up ends it all; in a restart that is one more
///   failure. A nested group that its parent starts anew starts as OTP's supervisors do: a member that does not
///   come up is a failed start of the whole group.
///
/// # Example
///
/// ```
/// use std::time::Instant;
///
/// use procession::id::{Exit, Incarnation, ProcessName};
/// use procession::supervision::{Action, ChildId, ChildSpec, Engine, GroupSpec, Member, Note};
///
/// let worker = ChildSpec::new(ProcessName::new("worker")?);
/// let tree = GroupSpec { members: vec![Member::Child(worker)], ..GroupSpec::default() };
/// let (mut engine, now) = (Engine::new(tree, 7), Instant::now());
///
/// let (child, incarnation) = (ChildId(0), Incarnation::FIRST);
/// engine.handle_start(now);
/// assert_eq!(engine.poll_action(), Some(Action::Start { child, incarnation }));
/// engine.handle_ready(child, incarnation, now);
/// assert_eq!(engine.poll_action(), Some(Action::Note(Note::AllStarted)));
///
/// engine.handle_exit(child, incarnation, Exit::Code(1), now);
/// assert!(matches!(engine.poll_action(), Some(Action::Note(Note::Restarting { restarts: 1, .. }))));
/// let due = engine.poll_timeout().expect("the restart waits for its backoff");
/// engine.handle_timeout(due);
/// assert_eq!(engine.poll_action(), Some(Action::Start { child, incarnation: incarnation.next() }));
/// # Ok::<(), procession::id::NameError>(())
/// ```
#[derive(Debug)]
pub struct Engine {
    pub(super) children: Children,
    pub(super) groups: Vec<Group>,
    pub(super) pace: Pace,
    pub(super) dice: Dice,
    pub(super) actions: VecDeque<Action>,
    pub(super) life: Life,
    /// Whether it goes on when every child has ended for good.
    pub(super) lasting: bool,
    /// The child that ended last of itself, and how.
    pub(super) last_end: Option<(ChildId, Exit)>,
}

/// Where the whole is: `New → Running → Ended`, and from `New` a stop goes through to `Ended` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    New,
    Running,
    Ended,
}

impl Engine {
    /// Takes a tree, and a seed for the jitter of its backoffs. Nothing starts yet.
    pub fn new(tree: GroupSpec, seed: u64) -> Engine {
        let (children, groups) = plant(tree);
        Engine {
            children,
            groups,
            pace: Pace::default(),
            dice: Dice::new(seed),
            actions: VecDeque::new(),
            life: Life::New,
            lasting: false,
            last_end: None,
        }
    }

    /// Goes on when every child has ended for good, as OTP's supervisors do, until it is stopped.
    #[must_use]
    pub fn lasting(mut self) -> Engine {
        self.lasting = true;
        self
    }

    /// Starts the topology. A second call does nothing.
    pub fn handle_start(&mut self, now: Instant) {
        if self.life == Life::New {
            self.life = Life::Running;
            self.start_group(GroupId::TOP, now);
            self.settle(now);
        }
    }

    /// This life of the child is ready for work.
    pub fn handle_ready(&mut self, child: ChildId, incarnation: Incarnation, now: Instant) {
        if let Some(Phase::Starting { .. }) = self.phase_of_life(child, incarnation) {
            let ready = self.child_mut(child);
            ready.phase = Phase::Ready { since: now };
            if ready.origin == Origin::OnTrial {
                ready.origin = Origin::Added;
            }
            let Place { group, seat } = ready.place;
            self.group_mut(group).seats[seat].proven = true;
            self.settle(now);
        }
    }

    /// No process came to be for this life: the program is missing, a limit is reached, exec failed.
    ///
    /// Once there was a process its end is reported by [`handle_exit`](Engine::handle_exit) instead.
    pub fn handle_start_failure(&mut self, child: ChildId, incarnation: Incarnation, now: Instant) {
        if let Some(Phase::Starting { .. } | Phase::Stopping { .. }) = self.phase_of_life(child, incarnation)
        {
            self.gone(child, None, now);
            self.settle(now);
        }
    }

    /// This life of the child is over: its death is proven, and how it ended is known.
    pub fn handle_exit(&mut self, child: ChildId, incarnation: Incarnation, exit: Exit, now: Instant) {
        if self.phase_of_life(child, incarnation).is_some_and(Phase::is_alive) {
            self.gone(child, Some(exit), now);
            self.settle(now);
        }
    }

    /// Stop everything in reverse order, each child as its specification says, and start nothing more.
    pub fn handle_stop(&mut self, now: Instant) {
        if self.life != Life::Ended {
            self.life = Life::Running;
            self.fall(GroupId::TOP, Fall::Finished(Outcome::Stopped));
            self.settle(now);
        }
    }

    /// SIGKILL for all that live, at once and in no order.
    pub fn handle_kill(&mut self, now: Instant) {
        if self.life != Life::Ended {
            self.life = Life::Running;
            self.fall(GroupId::TOP, Fall::Finished(Outcome::Stopped));
            for child in self.child_ids() {
                match self.child(child).phase {
                    Phase::Stopping { step: StopStep::Kill, .. } => {}
                    phase if phase.is_alive() => self.urge(child, StopStep::Kill, None, AfterStop::Rest),
                    _ => {}
                }
            }
            self.settle(now);
        }
    }

    /// The time of [`poll_timeout`](Engine::poll_timeout) has come. Early and needless calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.life != Life::Running {
            return;
        }
        for id in self.child_ids() {
            let child = self.child(id);
            match child.phase {
                Phase::Starting { deadline: Some(deadline) } if deadline <= now => {
                    let (incarnation, Place { group, seat }) = (child.incarnation, child.place);
                    let then = match self.group(group).is_closing(seat) {
                        true => AfterStop::Rest,
                        false => AfterStop::Fail,
                    };
                    self.note(Note::StartDeadlinePassed { child: id, incarnation });
                    self.urge(id, StopStep::Kill, None, then);
                }
                Phase::Stopping { step, deadline: Some(deadline), then } if deadline <= now => {
                    let (step, deadline) = next_step(step, now);
                    self.urge(id, step, deadline, then);
                }
                _ => {}
            }
        }
        self.settle(now);
    }

    /// The next thing to do, if there is one.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`handle_timeout`](Engine::handle_timeout) has to be called if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let children = self.children.iter().filter_map(|child| child.phase.timer());
        let groups = self.groups.iter().filter_map(|group| match group.phase {
            GroupPhase::BackingOff { until } => Some(until),
            _ => None,
        });
        children.chain(groups).min()
    }

    /// How a child is, or none if there is no such child.
    pub fn state(&self, child: ChildId, now: Instant) -> Option<ChildState> {
        let child = self.children.find(child)?;
        Some(ChildState {
            phase: child.phase,
            incarnation: child.incarnation,
            restarts: child.incarnation.0.saturating_sub(1),
            budget_left: self.group(child.place.group).window.left(now),
            last_exit: child.last_exit,
        })
    }

    /// The children in start order, each with what it was specified to be.
    pub fn children(&self) -> impl Iterator<Item = (ChildId, &ChildSpec)> {
        let in_order = Subtree::from(&self.groups, GroupId::TOP, 0).children;
        in_order.into_iter().map(|child| (child, &self.child(child).spec))
    }

    /// The group that was given this name.
    pub fn group_named(&self, name: &str) -> Option<GroupId> {
        let named = |group: &Group| group.name.as_ref().is_some_and(|own| own.as_str() == name);
        self.group_ids().find(|id| named(self.group(*id)))
    }

    /// The children of a group and of those within it, in start order; none if there is no such group.
    pub fn children_in(&self, group: GroupId) -> Vec<ChildId> {
        match (group.0 as usize) < self.groups.len() {
            true => Subtree::from(&self.groups, group, 0).children,
            false => Vec::new(),
        }
    }

    /// The group that a child is a member of.
    pub fn group_of(&self, child: ChildId) -> Option<GroupId> {
        self.children.find(child).map(|child| child.place.group)
    }

    /// Whether [`Action::Ended`] was given or waits to be polled.
    pub fn is_ended(&self) -> bool {
        self.life == Life::Ended
    }

    /// The phase of a child, if this is its last life.
    fn phase_of_life(&self, child: ChildId, incarnation: Incarnation) -> Option<Phase> {
        let child = self.children.find(child)?;
        (child.incarnation == incarnation).then_some(child.phase)
    }

    /// Goes on as far as it goes, and checks that all is well.
    pub(super) fn settle(&mut self, now: Instant) {
        while self.progress(now) {}
        self.check_invariants(now);
    }

    pub(super) fn child(&self, child: ChildId) -> &Child {
        self.children.find(child).expect("the tree has this child")
    }

    pub(super) fn child_mut(&mut self, child: ChildId) -> &mut Child {
        self.children.find_mut(child).expect("the tree has this child")
    }

    pub(super) fn group(&self, group: GroupId) -> &Group {
        &self.groups[group.0 as usize]
    }

    pub(super) fn group_mut(&mut self, group: GroupId) -> &mut Group {
        &mut self.groups[group.0 as usize]
    }

    pub(super) fn child_ids(&self) -> Vec<ChildId> {
        self.children.iter().map(|child| child.id).collect()
    }

    pub(super) fn group_ids(&self) -> impl Iterator<Item = GroupId> + use<> {
        (0..).map(GroupId).take(self.groups.len())
    }

    pub(super) fn note(&mut self, note: Note) {
        self.actions.push_back(Action::Note(note));
    }
}
