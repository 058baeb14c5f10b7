//! A world of processes that do as they like, and the laws that the engine must keep in it.
//!
//! It believes nothing of the engine: it knows the processes that it started itself and judges each action by the
//! specifications and by what happened before.
//!
//! - L-1 A child is started only when its former process is dead, as the life after the last (P-6).
//! - L-2 After the announcement of the end nothing is started and nothing counted as a restart.
//! - L-3 A child is started for the first time when all before it were ready once.
//! - L-4 Each step of a stop follows the one before, exactly when its time has come, or after a kill.
//! - L-5 When everything ends, the last one alive is stopped first.
//! - L-6 The end comes once, last, as announced, and when no process is left.
//! - L-7 A timeout that was handled is not asked for again.
//! - L-8 The topology restarts no more than its intensity allows, and is born no faster than its pace.
//! - L-9 The wait before a restart lies between the limits of its backoff.
//! - L-10 What was stopped by hand stays down until it is restarted by hand or with its group.
//! - L-11 What was removed has no process, and is never heard of again.
//! - L-12 Only what was added and never ready is given up without a failure.
//! - L-13 A group that ended for good starts nothing until a group above it restarts it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::shape::Shape;
use crate::id::{Exit, Incarnation};
use crate::supervision::*;

/// One process of the world.
pub(super) struct Process {
    pub(super) life: Incarnation,
    pub(super) ready: bool,
    pub(super) urged: Option<(StopStep, Instant)>,
    started: Instant,
    missed_its_start: bool,
}

/// What the world remembers of a child.
struct Known {
    spec: ChildSpec,
    life: Incarnation,
    was_ready: bool,
    added: bool,
    /// Stopped by hand.
    rests: bool,
    /// An operator laid hands on it: its turn to start may have passed.
    touched: bool,
}

impl Known {
    fn new(spec: ChildSpec, added: bool) -> Known {
        Known { spec, life: Incarnation::ANY, was_ready: false, added, rests: false, touched: added }
    }
}

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) now: Instant,
    pub(super) living: BTreeMap<ChildId, Process>,
    pub(super) outcome: Option<Outcome>,
    pub(super) killed: bool,
    pub(super) stopped: bool,
    shape: Shape,
    children: BTreeMap<ChildId, Known>,
    /// Children that were removed, and the groups they had been in.
    gone: BTreeMap<ChildId, Vec<GroupId>>,
    /// Groups that ended for good.
    over: BTreeSet<GroupId>,
    ends: Vec<(ChildId, Exit)>,
    announced: Option<Outcome>,
    births: Vec<Instant>,
    restarts: Vec<Instant>,
}

impl World {
    pub(super) fn new(tree: GroupSpec, seed: u64) -> World {
        let shape = Shape::new(&tree);
        let engine = Engine::new(tree, seed);
        let known = |(child, spec): (ChildId, &ChildSpec)| (child, Known::new(spec.clone(), false));
        let children = engine.children().map(known).collect();
        World {
            engine,
            now: Instant::now(),
            living: BTreeMap::new(),
            outcome: None,
            killed: false,
            stopped: false,
            shape,
            children,
            gone: BTreeMap::new(),
            over: BTreeSet::new(),
            ends: Vec::new(),
            announced: None,
            births: Vec::new(),
            restarts: Vec::new(),
        }
    }

    pub(super) fn spec(&self, child: ChildId) -> &ChildSpec {
        &self.children[&child].spec
    }

    /// Whether a child may be down when all is calm.
    pub(super) fn may_be_down(&self, child: ChildId) -> bool {
        let Known { spec, rests, .. } = &self.children[&child];
        let group_is_over = self.shape.above(child).iter().any(|group| self.over.contains(group));
        *rests || spec.policy != Policy::Permanent || spec.significant || group_is_over
    }

    pub(super) fn start(&mut self) {
        self.engine.handle_start(self.now);
        self.look();
    }

    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.engine.handle_stop(self.now);
        self.look();
    }

    pub(super) fn kill(&mut self) {
        (self.stopped, self.killed) = (true, true);
        self.engine.handle_kill(self.now);
        self.look();
    }

    pub(super) fn restart(&mut self, child: ChildId) {
        let result = self.engine.handle_restart(child, self.now);
        self.answered(child, result);
        if result.is_ok() {
            self.children.get_mut(&child).expect("a child").rests = false;
        }
        self.look();
    }

    pub(super) fn add(&mut self, group: GroupId, spec: ChildSpec) {
        let result = self.engine.handle_add_child(group, spec.clone(), self.now);
        match result {
            Ok(child) => {
                assert_eq!(self.shape.add(group), child, "L-11: a number is used once");
                self.children.insert(child, Known::new(spec, true));
            }
            Err(Refused::Unknown) => assert!(!self.shape.has_group(group)),
            Err(Refused::Stopping) => assert!(self.announced.is_some()),
            Err(Refused::GroupDown) => assert!(!self.over.is_empty()),
            Err(Refused::Underway) => assert!(group != GroupId::TOP),
            Err(Refused::Alive) => panic!("of whom?"),
        }
        self.look();
    }

    pub(super) fn stop_child(&mut self, child: ChildId) {
        let result = self.engine.handle_stop_child(child, self.now);
        self.answered(child, result);
        self.look();
    }

    pub(super) fn remove_child(&mut self, child: ChildId) {
        let result = self.engine.handle_remove_child(child, self.now);
        self.answered(child, result);
        assert!(result.is_err() || !self.living.contains_key(&child), "L-11: {child} lives");
        self.look();
        assert!(result.is_err() || !self.children.contains_key(&child), "L-11: {child} is still there");
    }

    pub(super) fn discard_child(&mut self, child: ChildId) {
        let result = self.engine.handle_discard_child(child, self.now);
        self.answered(child, result);
        assert!(!matches!(result, Err(Refused::Underway | Refused::GroupDown | Refused::Alive)));
        self.look();
        let is_down = !self.living.contains_key(&child);
        assert!(result.is_err() || !is_down || !self.children.contains_key(&child), "L-11: {child} is there");
    }

    fn answered(&mut self, child: ChildId, result: Result<(), Refused>) {
        match self.children.get_mut(&child) {
            None => assert_eq!(result, Err(Refused::Unknown)),
            Some(_) if self.announced.is_some() => assert_eq!(result, Err(Refused::Stopping)),
            Some(known) => known.touched |= result.is_ok(),
        }
    }

    pub(super) fn ready(&mut self, child: ChildId) {
        let process = self.living.get_mut(&child).expect("a living child");
        process.ready |= process.urged.is_none();
        let (life, ready) = (process.life, process.ready);
        self.children.get_mut(&child).expect("a child").was_ready |= ready;
        self.engine.handle_ready(child, life, self.now);
        self.look();
    }

    pub(super) fn exit(&mut self, child: ChildId, exit: Exit) {
        let process = self.living.remove(&child).expect("a living child");
        self.ends.push((child, exit));
        self.engine.handle_exit(child, process.life, exit, self.now);
        self.look();
    }

    pub(super) fn fail_to_start(&mut self, child: ChildId) {
        let process = self.living.remove(&child).expect("a living child");
        assert!(!process.ready, "the world does not lie");
        self.engine.handle_start_failure(child, process.life, self.now);
        self.look();
    }

    /// Says something about a life that is not the present one, which must change nothing.
    pub(super) fn babble(&mut self, child: ChildId, life: Incarnation, what: u8) {
        if self.living.get(&child).is_some_and(|process| process.life == life) {
            return;
        }
        let before = self.engine.state(child, self.now);
        match what % 3 {
            0 => self.engine.handle_ready(child, life, self.now),
            1 => self.engine.handle_start_failure(child, life, self.now),
            _ => self.engine.handle_exit(child, life, Exit::Code(1), self.now),
        }
        assert_eq!((self.engine.poll_action(), self.engine.state(child, self.now)), (None, before));
    }

    /// Lets time pass; the engine is called exactly when it wants to be.
    pub(super) fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= end) {
            assert!(due >= self.now, "L-7: {due:?} is over already");
            self.now = due;
            self.engine.handle_timeout(self.now);
            self.look();
            assert!(self.engine.poll_timeout().is_none_or(|next| next > due), "L-7: asked for again");
        }
        self.now = end;
    }

    /// Judges what the engine wants, and does it.
    fn look(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            assert_eq!(self.outcome, None, "L-6: {action:?} after the end");
            match action {
                Action::Start { child, incarnation } => self.born(child, incarnation),
                Action::Stop { child, incarnation, step } => self.urged(child, incarnation, step),
                Action::Note(note) => self.noted(note),
                Action::Ended(outcome) => {
                    assert!(self.living.is_empty(), "L-6: ended before the last process");
                    assert_eq!(self.announced, Some(outcome), "L-6: another end than announced");
                    self.outcome = Some(outcome);
                }
            }
        }
    }

    fn born(&mut self, child: ChildId, life: Incarnation) {
        assert!(!self.living.contains_key(&child), "L-1: two of {child}");
        assert_eq!(self.announced, None, "L-2: {child} started while all end");
        if life == Incarnation::FIRST {
            let order = self.shape.order();
            let mut before = order.iter().take_while(|other| **other != child);
            assert_eq!(
                before.find(|other| !self.had_its_turn(**other)),
                None,
                "L-3: {child} before its turn"
            );
        } else {
            self.births.push(self.now);
            let recent =
                self.births.iter().filter(|birth| self.now - **birth < Duration::from_secs(1)).count();
            assert!(recent <= MAX_RESTARTS_PER_SECOND, "L-8: {recent} births in a second");
        }
        for group in self.shape.above(child) {
            assert!(!self.over.contains(&group), "L-13: {child} started in {group}, which is over");
        }
        let known = self.children.get_mut(&child).expect("L-11: there is no such child");
        assert!(!known.rests, "L-10: {child} was stopped by hand");
        assert_eq!(life, known.life.next(), "L-1: not the next life of {child}");
        known.life = life;
        let (started, now) = (self.now, self.now);
        let process = Process { life, ready: false, urged: None, started, missed_its_start: false };
        self.living.insert(child, process);
        assert!(self.engine.state(child, now).is_some());
    }

    /// Whether those after this one may start for the first time.
    fn had_its_turn(&self, child: ChildId) -> bool {
        let Known { spec, was_ready, touched, .. } = &self.children[&child];
        // A group can end before all of its members were ready, and those after it go on: in good order, or, where it is
        // temporary, by a failure in the middle of a restart.
        let may_end_early = |group: &GroupId| {
            let spec = self.shape.group(*group);
            *group != GroupId::TOP
                && (spec.auto_shutdown != AutoShutdown::Never || spec.policy == Policy::Temporary)
        };
        *was_ready
            || *touched
            || spec.policy == Policy::Temporary
            || self.shape.above(child).iter().any(may_end_early)
    }

    fn urged(&mut self, child: ChildId, life: Incarnation, step: StopStep) {
        let shutdown = self.spec(child).shutdown;
        assert_eq!(life, self.children[&child].life, "L-1: {step:?} for a life that is none");
        let last = self.shape.order().into_iter().rfind(|child| self.living.contains_key(child));
        let process = self.living.get_mut(&child).expect("the world reports each death at once");
        let waited = process.urged.map(|(step, since)| (step, self.now - since));
        let by_force = self.killed || process.missed_its_start;
        let right = match (step, waited) {
            (StopStep::Kill, Some((StopStep::Kill, _))) => false,
            (StopStep::Kill, _) if by_force => true,
            (StopStep::Ask, None) => shutdown != Shutdown::BrutalKill,
            (StopStep::Kill, None) => shutdown == Shutdown::BrutalKill,
            (StopStep::Terminate, Some((StopStep::Ask, waited))) => shutdown == Shutdown::Timeout(waited),
            (StopStep::Kill, Some((StopStep::Terminate, waited))) => waited == TERMINATE_GRACE,
            _ => false,
        };
        assert!(right, "L-4: {step:?} for {child} after {waited:?}, with {shutdown:?}");
        if self.announced.is_some() && waited.is_none() && !by_force {
            assert_eq!(Some(child), last, "L-5: {child} is not the last alive");
        }
        process.urged = Some((step, self.now));
    }

    fn noted(&mut self, note: Note) {
        match note {
            Note::Ending(outcome) => {
                assert_eq!(self.announced.replace(outcome), None, "L-6: two ends");
                self.judge(outcome);
            }
            Note::Restarting { child, group, delay, restarts, budget_left } => {
                assert_eq!(self.announced, None, "L-2: a restart while all end");
                // What was removed has no say any more.
                let backoff =
                    self.children.get(&child).map_or_else(Backoff::default, |known| known.spec.backoff);
                assert!(backoff.min <= delay && delay <= backoff.max, "L-9: {delay:?} of {backoff:?}");
                self.restarting(child, group);
                if group == GroupId::TOP {
                    let top = self.shape.group(GroupId::TOP).intensity;
                    self.restarts.push(self.now);
                    let period = top.period;
                    let counted = self.restarts.iter().filter(|then| self.now - **then <= period).count();
                    assert_eq!(u32::try_from(counted), Ok(restarts), "L-8: miscounted");
                    assert_eq!(restarts + budget_left, top.restarts, "L-8: beyond the intensity");
                }
            }
            Note::StartDeadlinePassed { child, incarnation } => {
                let deadline = self.spec(child).start_deadline;
                let process = self.living.get_mut(&child).expect("it lives");
                assert_eq!((process.life, process.ready), (incarnation, false), "L-4: it was in time");
                assert_eq!(self.now - process.started, deadline, "L-4: not its deadline");
                process.missed_its_start = true;
            }
            Note::Removed { child } => self.left(child),
            Note::AddFailed { child } => {
                let Known { added, was_ready, .. } = &self.children[&child];
                assert!(*added && !was_ready, "L-12: {child} was known to work");
                self.left(child);
            }
            Note::StoppedByHand { child } => {
                assert!(!self.living.contains_key(&child), "L-10: {child} lives");
                self.children.get_mut(&child).expect("L-11: a child").rests = true;
            }
            Note::GroupNotRestarted { group, .. } => {
                let spec = self.shape.group(group);
                let may = spec.policy != Policy::Permanent || spec.significant;
                assert!(may && group != GroupId::TOP, "{group} is permanent");
                self.over.insert(group);
            }
            Note::AllStarted | Note::NotRestarted { .. } | Note::GroupGaveUp { .. } => {}
        }
    }

    fn left(&mut self, child: ChildId) {
        assert!(!self.living.contains_key(&child), "L-11: {child} lives");
        assert!(self.children.remove(&child).is_some(), "L-11: removed twice");
        self.gone.insert(child, self.shape.above(child));
        self.shape.remove(child);
    }

    /// A restart brings back what rests, in the member that failed and those that restart with it.
    fn restarting(&mut self, by: ChildId, group: GroupId) {
        let above = self.gone.get(&by).map_or_else(|| self.shape.above(by), Vec::clone);
        let member = above.iter().take_while(|id| **id != group).last().copied();
        for child in self.shape.restarted_with(group, member, by) {
            self.children.get_mut(&child).expect("a child").rests = false;
            let above = self.shape.above(child);
            above.iter().take_while(|id| **id != group).for_each(|id| {
                self.over.remove(id);
            });
        }
    }

    /// An outcome needs its cause.
    fn judge(&self, outcome: Outcome) {
        match outcome {
            Outcome::Stopped => assert!(self.stopped, "nobody asked for it"),
            Outcome::Completed { child, exit } => assert!(self.ends.contains(&(child, exit))),
            Outcome::StartFailed { child } => assert!(!self.living.contains_key(&child)),
            Outcome::GaveUp { restarts, period, .. } => {
                let is_its_budget = |spec: &GroupSpec| spec.intensity == Intensity { restarts, period };
                assert!(self.shape.groups().any(is_its_budget));
            }
        }
    }
}
