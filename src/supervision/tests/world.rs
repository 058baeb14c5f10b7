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

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

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

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) now: Instant,
    pub(super) living: BTreeMap<ChildId, Process>,
    pub(super) outcome: Option<Outcome>,
    pub(super) killed: bool,
    pub(super) stopped: bool,
    top: Intensity,
    specs: Vec<ChildSpec>,
    lives: Vec<Incarnation>,
    was_ready: Vec<bool>,
    last_exits: BTreeMap<ChildId, Exit>,
    announced: Option<Outcome>,
    births: Vec<Instant>,
    restarts: Vec<Instant>,
}

impl World {
    pub(super) fn new(tree: GroupSpec, seed: u64) -> World {
        let (top, engine) = (tree.intensity, Engine::new(tree, seed));
        let specs: Vec<ChildSpec> = engine.children().map(|(_, spec)| spec.clone()).collect();
        let (lives, was_ready) = (vec![Incarnation::ANY; specs.len()], vec![false; specs.len()]);
        World {
            engine,
            now: Instant::now(),
            living: BTreeMap::new(),
            outcome: None,
            killed: false,
            stopped: false,
            top,
            specs,
            lives,
            was_ready,
            last_exits: BTreeMap::new(),
            announced: None,
            births: Vec::new(),
            restarts: Vec::new(),
        }
    }

    pub(super) fn spec(&self, child: ChildId) -> &ChildSpec {
        &self.specs[child.0 as usize]
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
        if child.0 as usize >= self.specs.len() {
            assert_eq!(result, Err(RestartRefused::Unknown));
        } else if self.announced.is_some() {
            assert_eq!(result, Err(RestartRefused::Stopping));
        }
        self.look();
    }

    pub(super) fn ready(&mut self, child: ChildId) {
        let process = self.living.get_mut(&child).expect("a living child");
        process.ready |= process.urged.is_none();
        self.was_ready[child.0 as usize] |= process.ready;
        self.engine.handle_ready(child, process.life, self.now);
        self.look();
    }

    pub(super) fn exit(&mut self, child: ChildId, exit: Exit) {
        let process = self.living.remove(&child).expect("a living child");
        self.last_exits.insert(child, exit);
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
        let at = child.0 as usize;
        assert!(!self.living.contains_key(&child), "L-1: two of {child}");
        assert_eq!(life, self.lives[at].next(), "L-1: not the next life of {child}");
        assert_eq!(self.announced, None, "L-2: {child} started while all end");
        if life == Incarnation::FIRST {
            let late = (0..at).find(|i| !self.was_ready[*i] && self.specs[*i].policy != Policy::Temporary);
            assert_eq!(late, None, "L-3: {child} started before its turn");
        } else {
            self.births.push(self.now);
            let recent =
                self.births.iter().filter(|birth| self.now - **birth < Duration::from_secs(1)).count();
            assert!(recent <= MAX_RESTARTS_PER_SECOND, "L-8: {recent} births in a second");
        }
        self.lives[at] = life;
        let (started, now) = (self.now, self.now);
        let process = Process { life, ready: false, urged: None, started, missed_its_start: false };
        self.living.insert(child, process);
        assert!(self.engine.state(child, now).is_some());
    }

    fn urged(&mut self, child: ChildId, life: Incarnation, step: StopStep) {
        let shutdown = self.spec(child).shutdown;
        assert_eq!(life, self.lives[child.0 as usize], "L-1: {step:?} for a life that is none");
        let last = self.living.keys().next_back().copied();
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
                let backoff = self.spec(child).backoff;
                assert!(backoff.min <= delay && delay <= backoff.max, "L-9: {delay:?} of {backoff:?}");
                if group == GroupId::TOP {
                    self.restarts.push(self.now);
                    let period = self.top.period;
                    let counted = self.restarts.iter().filter(|then| self.now - **then <= period).count();
                    assert_eq!(u32::try_from(counted), Ok(restarts), "L-8: miscounted");
                    assert_eq!(restarts + budget_left, self.top.restarts, "L-8: beyond the intensity");
                }
            }
            Note::StartDeadlinePassed { child, incarnation } => {
                let deadline = self.spec(child).start_deadline;
                let process = self.living.get_mut(&child).expect("it lives");
                assert_eq!((process.life, process.ready), (incarnation, false), "L-4: it was in time");
                assert_eq!(self.now - process.started, deadline, "L-4: not its deadline");
                process.missed_its_start = true;
            }
            Note::AllStarted | Note::NotRestarted { .. } | Note::GroupGaveUp { .. } => {}
        }
    }

    /// An outcome needs its cause.
    fn judge(&self, outcome: Outcome) {
        match outcome {
            Outcome::Stopped => assert!(self.stopped, "nobody asked for it"),
            Outcome::Completed { child, exit } => assert_eq!(self.last_exits.get(&child), Some(&exit)),
            Outcome::StartFailed { child } => assert!(!self.living.contains_key(&child)),
            Outcome::GaveUp { restarts, period, .. } => {
                assert_eq!((restarts, period), (self.top.restarts, self.top.period));
            }
        }
    }
}
