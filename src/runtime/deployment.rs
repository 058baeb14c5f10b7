//! One deployed topology: the engine's decisions carried out, the workers' words taken in. On the root's thread.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::broker::{Broker, Life, Say};
use super::error::{Error, Result};
use super::event::{Event, ProcessStatus};
use super::introduction::{self, Part};
use super::launching;
use super::root_thread::Number;
use crate::id::{Exit, Incarnation, ProcessId, ProcessName};
use crate::process::event::{Death, Report, WorkerEvent};
use crate::process::failure::LaunchFailure;
use crate::process::launcher::{self, Worker};
use crate::process::logs;
use crate::process::routing::Router;
use crate::process::text::cut;
use crate::protocol::control::{Peer, ToRoot, ToWorker, Unreachable};
use crate::supervision::{Action, ChildId, Engine, NotRestarted, Note, Outcome, StopStep};
use crate::topology::{OnViolation, Plan, PlannedProcess};

/// How a deployment ended, for all who wait.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) outcome: Outcome,
    /// The process that decided it, and why it did not start.
    pub(super) process: Option<ProcessName>,
    pub(super) failure: Option<LaunchFailure>,
}

impl Ending {
    pub(super) fn result(&self) -> Result<Exit> {
        let process = || self.process.clone().unwrap_or_else(|| launching::name_of(None, ProcessId::ROOT));
        match self.outcome {
            Outcome::Stopped => Ok(Exit::Code(0)),
            Outcome::Completed { exit, .. } => Ok(exit),
            Outcome::GaveUp { restarts, period, .. } => {
                Err(Error::GaveUp { process: process(), restarts, period })
            }
            Outcome::StartFailed { .. } => match &self.failure {
                Some(failure) => Err(Error::Start { process: process(), failure: Box::new(failure.clone()) }),
                None => Err(Error::Ended),
            },
        }
    }
}

/// A worker that lives, or whose death is not yet proven.
struct Living {
    worker: Worker,
    incarnation: Incarnation,
    since: Instant,
    ready: bool,
    asked_to_end: bool,
}

pub(super) struct Deployment {
    plan: Arc<Plan>,
    /// The number of the process before the first.
    base: u32,
    engine: Engine,
    broker: Broker,
    living: BTreeMap<ProcessId, Living>,
    last_exits: BTreeMap<ProcessId, Exit>,
    failures: BTreeMap<ProcessId, LaunchFailure>,
    /// How often each process was found to break the protocol.
    violations: BTreeMap<ProcessId, u64>,
    router: Arc<Router>,
    reports: mpsc::Sender<Report>,
    events: broadcast::Sender<Event>,
    started: Option<oneshot::Sender<Result<()>>>,
    ended: watch::Sender<Option<Ending>>,
    ending: Option<Ending>,
}

/// What a worker says of another is cut there: it is shown to people and kept by those who listen.
const MAX_REASON_BYTES: usize = 1 << 10;

/// The life of the root: there is one.
const ROOT_LIFE: Life = (ProcessId::ROOT, Incarnation::FIRST);

impl Deployment {
    pub(super) fn new(
        plan: Arc<Plan>,
        base: u32,
        router: Arc<Router>,
        reports: mpsc::Sender<Report>,
        events: broadcast::Sender<Event>,
        started: oneshot::Sender<Result<()>>,
        ended: watch::Sender<Option<Ending>>,
    ) -> Deployment {
        let mut broker = Broker::default();
        broker.ready(ROOT_LIFE);
        plan.processes.iter().for_each(|process| broker.expect(process.id));
        let engine = Engine::new(with_slack(plan.group.clone()), seed());
        let (living, last_exits, failures, violations) = Default::default();
        let started = Some(started);
        Deployment {
            plan,
            base,
            engine,
            broker,
            living,
            last_exits,
            failures,
            violations,
            router,
            reports,
            events,
            started,
            ended,
            ending: None,
        }
    }

    pub(super) fn number(&self) -> Number {
        self.base
    }

    pub(super) fn start(&mut self) {
        self.engine.handle_start(Instant::now());
        self.carry_out();
    }

    pub(super) fn stop(&mut self) {
        self.engine.handle_stop(Instant::now());
        self.carry_out();
    }

    pub(super) fn kill(&mut self) {
        self.engine.handle_kill(Instant::now());
        self.carry_out();
    }

    pub(super) fn restart(&mut self, name: &str) -> Result<()> {
        let process = self.plan.process(name).ok_or_else(|| Error::NoSuchProcess(name.to_owned()))?;
        let child = self.child_of(process.id);
        self.engine.handle_restart(child, Instant::now()).map_err(Error::other)?;
        self.carry_out();
        Ok(())
    }

    pub(super) fn is_ended(&self) -> bool {
        self.engine.is_ended()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.engine.poll_timeout(), self.broker.poll_timeout()].into_iter().flatten().min()
    }

    pub(super) fn handle_timeout(&mut self) {
        let now = Instant::now();
        self.engine.handle_timeout(now);
        self.broker.handle_timeout(now);
        self.carry_out();
    }

    pub(super) fn status(&self) -> Vec<ProcessStatus> {
        let status = |process: &PlannedProcess| {
            let living = self.living.get(&process.id);
            ProcessStatus {
                name: process.name.clone(),
                incarnation: living.map(|living| living.incarnation),
                pid: living.map(|living| living.worker.pid()),
                ready: living.is_some_and(|living| living.ready),
                violations: self.violations.get(&process.id).copied().unwrap_or(0),
                actors: process.actors.iter().map(|actor| actor.name.to_string()).collect(),
            }
        };
        self.plan.processes.iter().map(status).collect()
    }

    /// What the root's own router says.
    pub(super) fn root_says(&mut self, said: ToRoot) {
        self.frame(ROOT_LIFE, said);
        self.carry_out();
    }

    /// What happened to a worker.
    pub(super) fn report(&mut self, (process, incarnation, event): Report) {
        let name = self.name(process);
        match event {
            WorkerEvent::Frame(frame, _) => self.frame((process, incarnation), frame),
            WorkerEvent::Line(line) => logs::relay_line(&name, incarnation, &line),
            WorkerEvent::Violation(violation) => {
                // Its attendant has killed it.
                self.blamed((process, incarnation), ProcessId::ROOT, violation.to_string(), true);
            }
            WorkerEvent::Exited(death) => self.exited(process, incarnation, death),
        }
        self.carry_out();
    }

    fn frame(&mut self, life: Life, frame: ToRoot) {
        let (process, incarnation) = life;
        let name = self.name(process);
        match frame {
            ToRoot::Ready(_) => self.ready(life),
            // The launcher keeps it as the failure of the death that follows.
            ToRoot::Refused(_) => {}
            ToRoot::Introduce { process: target, broken } => {
                self.broker.request(life, target, broken, Instant::now());
            }
            ToRoot::Blame { process, incarnation, reason } => {
                self.accuse(life, (process, incarnation), reason);
            }
            ToRoot::Log(record) => logs::relay_record(&name, incarnation, &record),
            ToRoot::Panic(report) => {
                self.tell(Event::Panicked { process: name, incarnation, report: Arc::new(report) });
            }
            ToRoot::Finish { .. } => self.broker.leaving(process),
        }
    }

    /// A process says that its peer broke the protocol of their pipe. What the root itself saw is certain; a worker may
    /// be mistaken, or lie, so its word kills only where the topology says so (H59).
    fn accuse(&mut self, by: Life, accused: Life, reason: String) {
        let reason = cut(reason, MAX_REASON_BYTES);
        if !self.broker.accuse(by, accused) {
            let (by, process) = (self.name(by.0), self.name(accused.0));
            tracing::warn!(target: "procession", %by, %process, reason, "a process blames another to which it has no pipe");
            return;
        }
        let policy = self.plan.process_by_id(accused.0).map(|planned| planned.on_violation);
        let is_certain = by.0.is_root() || policy == Some(OnViolation::Kill);
        let killed = is_certain && self.kill_life(accused);
        self.blamed(accused, by.0, reason, killed);
    }

    /// Kills a process as if it had died by itself: its restart policy decides what follows. False if that life is over.
    fn kill_life(&mut self, (process, incarnation): Life) -> bool {
        let Some(living) = self.living.get(&process).filter(|living| living.incarnation == incarnation)
        else {
            return false;
        };
        if let Err(error) = living.worker.kill() {
            tracing::error!(target: "procession", process = %self.name(process), %error, "can't kill the process");
            return false;
        }
        self.broker.leaving(process);
        true
    }

    fn blamed(&mut self, (process, incarnation): Life, by: ProcessId, reason: String, killed: bool) {
        let count = self.violations.entry(process).or_default();
        *count += 1;
        let (count, process, by) = (*count, self.name(process), self.name(by));
        self.tell(Event::Blamed { process, incarnation, by, reason, count, killed });
    }

    fn ready(&mut self, life: Life) {
        let (process, incarnation) = life;
        let Some(living) = self.living.get_mut(&process) else { return };
        living.ready = true;
        let after = living.since.elapsed();
        self.tell(Event::Ready { process: self.name(process), incarnation, after });
        self.broker.ready(life);
        self.engine.handle_ready(self.child_of(process), incarnation, Instant::now());
    }

    fn exited(&mut self, process: ProcessId, incarnation: Incarnation, mut death: Death) {
        let name = self.name(process);
        let asked = self.living.remove(&process).is_some_and(|living| living.asked_to_end);
        let exit = death.exit;
        self.last_exits.insert(process, exit);
        match death.failure.take() {
            Some(failure) if !asked => {
                self.tell(Event::StartFailed {
                    process: name,
                    incarnation,
                    failure: Arc::new(failure.clone()),
                });
                self.failures.insert(process, failure);
            }
            _ => self.tell(Event::Exited { process: name, incarnation, death: Arc::new(death), asked }),
        }
        self.broker.down((process, incarnation), exit);
        self.engine.handle_exit(self.child_of(process), incarnation, exit, Instant::now());
    }

    /// Does what engine and broker have decided.
    fn carry_out(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Start { child, incarnation } => self.launch(child, incarnation),
                Action::Stop { child, incarnation, step } => self.urge(child, incarnation, step),
                Action::Note(note) => self.note(note),
                Action::Ended(outcome) => self.end(outcome),
            }
        }
        for say in self.broker.poll() {
            self.say(say);
        }
    }

    fn launch(&mut self, child: ChildId, incarnation: Incarnation) {
        let plan = Arc::clone(&self.plan);
        let planned =
            plan.process_by_id(self.process_of(child)).expect("the engine's children are the plan's");
        let last_exit = self.last_exits.get(&planned.id).copied();
        let launch = launching::launch(&plan, planned, incarnation, last_exit);
        let process = planned.name.clone();
        match launcher::launch(launch, self.reports.clone()) {
            Ok(worker) => {
                let pid = worker.pid();
                let living =
                    Living { worker, incarnation, since: Instant::now(), ready: false, asked_to_end: false };
                self.living.insert(planned.id, living);
                self.tell(Event::Started { process, incarnation, pid });
            }
            Err(failure) => {
                self.failures.insert(planned.id, failure.clone());
                self.tell(Event::StartFailed { process, incarnation, failure: Arc::new(failure) });
                self.engine.handle_start_failure(child, incarnation, Instant::now());
            }
        }
    }

    fn urge(&mut self, child: ChildId, incarnation: Incarnation, step: StopStep) {
        let process = self.process_of(child);
        self.broker.leaving(process);
        let grace_ms = self.plan.process_by_id(process).map(|planned| planned.child.shutdown);
        let grace_ms = grace_ms.map_or(0, launching::grace_ms);
        let Some(living) = self.living.get_mut(&process) else { return };
        if living.incarnation != incarnation {
            return;
        }
        living.asked_to_end = true;
        let done = match step {
            StopStep::Ask => match living.worker.send(&ToWorker::Stop { grace_ms }, None) {
                // Whoever does not read its control pipe is asked by signal.
                Err(launcher::SendError::Full) => living.worker.terminate(),
                _ => Ok(()),
            },
            StopStep::Terminate => living.worker.terminate(),
            StopStep::Kill => living.worker.kill(),
        };
        if let Err(error) = done {
            tracing::error!(target: "procession", process = %self.name(process), %error, "can't signal the process");
        }
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::AllStarted => {
                self.tell(Event::Running { processes: self.plan.processes.len() });
                if let Some(started) = self.started.take() {
                    let _ = started.send(Ok(()));
                }
            }
            Note::Restarting { child, delay, restarts, budget_left, .. } => {
                let process = self.name(self.process_of(child));
                self.tell(Event::Restarting { process, delay, restarts, budget_left });
            }
            Note::NotRestarted { child, why } => {
                let process = self.process_of(child);
                let why = match why {
                    NotRestarted::Temporary => "it is temporary",
                    NotRestarted::EndedNormally => "it ended normally",
                    // Perhaps to start again together: then whoever waits for it waits on.
                    NotRestarted::GroupStopping => return,
                };
                let exit = self.last_exits.get(&process).copied().unwrap_or(Exit::Code(0));
                self.broker.gone(process, Unreachable::Ended(exit));
                self.tell(Event::StaysDown { process: self.name(process), why: why.to_owned() });
            }
            Note::StartDeadlinePassed { .. } => {}
            Note::GroupGaveUp { child, restarts, period, .. } => {
                let process = self.name(self.process_of(child));
                let why = format!(
                    "{process} failed, and its group was restarted {restarts} times within {period:?}"
                );
                self.tell(Event::StaysDown { process, why });
            }
            Note::Ending(outcome) => {
                self.broker.ending();
                let why = self.describe(outcome);
                self.tell(Event::Stopping { why });
            }
        }
    }

    fn end(&mut self, outcome: Outcome) {
        let child = match outcome {
            Outcome::Stopped => None,
            Outcome::Completed { child, .. }
            | Outcome::StartFailed { child }
            | Outcome::GaveUp { child, .. } => Some(child),
        };
        let process = child.map(|child| self.process_of(child));
        let failure = process.and_then(|process| self.failures.get(&process).cloned());
        let ending = Ending { outcome, process: process.map(|process| self.name(process)), failure };
        for planned in &self.plan.processes {
            let exit = self.last_exits.get(&planned.id).map(|exit| Unreachable::Ended(*exit));
            self.broker.gone(planned.id, exit.unwrap_or(Unreachable::Stopping));
        }
        let failed = ending.result().map_or(true, |exit| !exit.is_success());
        self.tell(Event::Ended { why: self.describe(outcome), failed });
        self.ending = Some(ending);
    }

    /// Tells those who wait for the end. Apart from the end itself, so that the signal that caused it is known to them
    /// first.
    pub(super) fn announce(self) {
        let Some(ending) = self.ending else { return };
        if let Some(started) = self.started {
            let _ = started.send(ending.result().and(Err(Error::Ended)));
        }
        self.ended.send_replace(Some(ending));
    }

    fn describe(&self, outcome: Outcome) -> String {
        let name = |child| self.name(self.process_of(child));
        match outcome {
            Outcome::Stopped => "as asked".to_owned(),
            Outcome::Completed { child, exit } => format!("{} {exit}", name(child)),
            Outcome::StartFailed { child } => format!("{} could not start", name(child)),
            Outcome::GaveUp { child, restarts, period } => {
                format!("{} failed too often: {restarts} restarts within {period:?}", name(child))
            }
        }
    }

    fn say(&mut self, say: Say) {
        match say {
            Say::Introduce(left, right) => match introduction::pipe(&self.plan, left.0, right.0) {
                Ok((to_left, to_right)) => {
                    let handed = self.introduce(left, right, to_left) & self.introduce(right, left, to_right);
                    if !handed {
                        self.broker.retry(left, right, Instant::now());
                    }
                }
                Err(error) => {
                    tracing::error!(target: "procession", %error, "no pipe for an introduction, trying again: raise the limit of open files");
                    self.broker.retry(left, right, Instant::now());
                }
            },
            Say::Unreachable(to, process, why) => {
                self.hand(to, ToWorker::Unreachable { process, why }, Vec::new());
            }
            Say::Down(to, (process, incarnation), exit) => {
                self.hand(to, ToWorker::Down { process, incarnation, exit }, Vec::new());
            }
        }
    }

    fn introduce(&self, to: Life, (process, incarnation): Life, part: Part) -> bool {
        let peer = Peer { process, incarnation, name: self.name(process) };
        self.hand(to.0, ToWorker::Introduce { peer, medium: part.medium }, part.descriptors)
    }

    /// False if the process lives and its control pipe is full. One that is dead needs no word, and its death tells
    /// the others.
    fn hand(&self, to: ProcessId, frame: ToWorker, descriptors: Vec<OwnedFd>) -> bool {
        if to.is_root() {
            self.router.handle_control(frame, descriptors);
            return true;
        }
        let Some(living) = self.living.get(&to) else { return true };
        !matches!(living.worker.send(&frame, descriptors), Err(launcher::SendError::Full))
    }

    fn tell(&self, event: Event) {
        event.log();
        // Nobody need listen.
        let _ = self.events.send(event);
    }

    fn name(&self, process: ProcessId) -> ProcessName {
        launching::name_of(Some(&self.plan), process)
    }

    fn process_of(&self, child: ChildId) -> ProcessId {
        ProcessId(self.base + child.0 + 1)
    }

    fn child_of(&self, process: ProcessId) -> ChildId {
        ChildId(process.0 - self.base - 1)
    }
}

fn with_slack(mut group: crate::supervision::GroupSpec) -> crate::supervision::GroupSpec {
    use crate::supervision::Member;
    group.members = group
        .members
        .into_iter()
        .map(|member| match member {
            Member::Child(mut child) => {
                child.start_deadline += launching::DEADLINE_SLACK;
                Member::Child(child)
            }
            Member::Group(inner) => Member::Group(with_slack(inner)),
        })
        .collect();
    group
}

/// Jitter need not be unpredictable, only different for each root.
fn seed() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id())
}
