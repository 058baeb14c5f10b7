//! One deployed topology: the engine's decisions carried out, the workers' words taken in. On the root's thread.

mod additions;
mod answers;
mod disturbances;
mod ending;
mod hangs;
mod introductions;
mod letters;
mod lives;
mod names;
mod states;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use self::additions::Additions;
use self::answers::Owed;
pub(super) use self::ending::Ending;
use self::states::States;
use super::broker::{Broker, Life};
use super::catalog::UnaskedCatalog;
use super::disturb::Interpose;
use super::error::{Error, Result};
use super::event::{Event, ProcessStatus};
use super::keys::{Keys, Revoked};
use super::launching;
use super::names::Rights;
use super::root_thread::Number;
use crate::id::{Exit, Incarnation, ProcessId, ProcessName};
use crate::process::asks::Asks;
use crate::process::event::{Report, WorkerEvent};
use crate::process::failure::LaunchFailure;
use crate::process::launcher::Worker;
use crate::process::logs;
use crate::process::programs::Programs;
use crate::process::routing::Router;
use crate::protocol::control::{Handling, ToRoot};
use crate::supervision::{Action, ChildId, ChildSpec, Engine};
use crate::topology::{Plan, PlannedProcess};

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
    letters: letters::Letters,
    states: States,
    owed: Owed,
    names: names::Names,
    additions: Additions,
    /// How many processes there were, those that are gone counted: the next gets the number after.
    numbered: u32,
    /// What the deploying program hosts.
    catalog: UnaskedCatalog,
    /// What addresses are sealed with.
    keys: Keys,
    revoked: Revoked,
    /// The plan, for those who look at it.
    shown: watch::Sender<Arc<Plan>>,
    /// Who stands between processes that are given a pipe.
    interposer: Option<Box<dyn Interpose>>,
    hangs: hangs::Hangs,
    /// Whose messages are compared.
    programs: Programs,
    router: Arc<Router>,
    asks: Arc<Asks>,
    reports: mpsc::Sender<Report>,
    events: broadcast::Sender<Event>,
    started: Option<oneshot::Sender<Result<()>>>,
    ended: watch::Sender<Option<Ending>>,
    ending: Option<Ending>,
}

/// How a deployment speaks and hears.
pub(super) struct Ways {
    pub(super) router: Arc<Router>,
    /// What the root itself has asked.
    pub(super) asks: Arc<Asks>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) started: oneshot::Sender<Result<()>>,
    pub(super) ended: watch::Sender<Option<Ending>>,
    pub(super) shown: watch::Sender<Arc<Plan>>,
    pub(super) keys: Keys,
    pub(super) programs: Programs,
}

/// The life of the root: there is one.
const ROOT_LIFE: Life = (ProcessId::ROOT, Incarnation::FIRST);

impl Deployment {
    pub(super) fn new(plan: Arc<Plan>, base: u32, catalog: UnaskedCatalog, ways: Ways) -> Deployment {
        let Ways { router, asks, reports, events, started, ended, shown, keys, programs } = ways;
        let mut broker = Broker::default();
        broker.ready(ROOT_LIFE);
        plan.processes.iter().for_each(|process| broker.expect(process.id));
        let engine = Engine::new(with_slack(plan.group.clone()), seed());
        let names = names::Names::new(Rights::of(&plan));
        let (living, last_exits, failures, violations) = Default::default();
        let started = Some(started);
        let numbered = u32::try_from(plan.processes.len()).unwrap_or(u32::MAX);
        Deployment {
            plan,
            base,
            engine,
            broker,
            living,
            last_exits,
            failures,
            violations,
            letters: letters::Letters::default(),
            states: States::default(),
            owed: Owed::default(),
            names,
            additions: Additions::default(),
            numbered,
            catalog,
            keys,
            revoked: Revoked::default(),
            shown,
            interposer: None,
            hangs: hangs::Hangs::default(),
            programs,
            router,
            asks,
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

    /// The highest process number that it has used.
    pub(super) fn last_number(&self) -> u32 {
        self.base + self.numbered
    }

    fn is_ending(&self) -> bool {
        self.additions.is_closed()
    }

    fn change_plan(&mut self, change: impl FnOnce(&mut Plan)) {
        change(Arc::make_mut(&mut self.plan));
        self.shown.send_replace(Arc::clone(&self.plan));
    }

    pub(super) fn start(&mut self) {
        self.engine.handle_start(Instant::now());
    }

    pub(super) fn stop(&mut self) {
        self.engine.handle_stop(Instant::now());
    }

    pub(super) fn kill(&mut self) {
        self.engine.handle_kill(Instant::now());
    }

    pub(super) fn restart(&mut self, name: &str) -> Result<()> {
        let process = self.plan.process(name).ok_or_else(|| Error::NoSuchProcess(name.to_owned()))?;
        let child = self.child_of(process.id);
        self.engine.handle_restart(child, Instant::now()).map_err(Error::other)?;
        Ok(())
    }

    pub(super) fn is_ended(&self) -> bool {
        self.engine.is_ended()
    }

    pub(super) fn has_ready(&self) -> bool {
        self.living.values().any(|living| living.ready)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let (engine, broker) = (self.engine.poll_timeout(), self.broker.poll_timeout());
        let (owed, names) = (self.owed.poll_timeout(), self.names.poll_timeout());
        let timeouts = [engine, broker, owed, names, self.hangs.poll_timeout()];
        timeouts.into_iter().flatten().min()
    }

    pub(super) fn handle_timeout(&mut self) {
        let now = Instant::now();
        self.engine.handle_timeout(now);
        self.broker.handle_timeout(now);
        self.answer_again(now);
        self.say_names_again(now);
        self.look_for_hangs(now);
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
    }

    /// What happened to a worker.
    pub(super) async fn report(&mut self, (process, incarnation, event): Report) {
        let name = self.name(process);
        match event {
            WorkerEvent::Frame(frame, _) => self.frame((process, incarnation), frame),
            WorkerEvent::Line(line) => logs::relay_line(&name, incarnation, &line),
            WorkerEvent::Violation(violation) => {
                // Its attendant has killed it.
                self.blamed((process, incarnation), ProcessId::ROOT, violation.to_string(), true);
            }
            WorkerEvent::Died(exit, cursor, _telling) => {
                self.died((process, incarnation), exit, &cursor).await;
            }
            WorkerEvent::Exited(death) => self.exited(process, incarnation, *death),
        }
    }

    /// Does what engine and broker have decided. To be called after each input.
    pub(super) fn carry_out(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Start { child, incarnation } => self.launch(child, incarnation),
                Action::Stop { child, incarnation, step } => self.urge(child, incarnation, step),
                Action::Note(note) => self.note(note),
                Action::Ended(outcome) => self.end(outcome),
            }
        }
        self.say_all();
    }

    fn say_all(&mut self) {
        for say in self.broker.poll() {
            self.say(say);
        }
        self.say_names();
    }

    /// What is said is also written, as far as its readers read.
    async fn say_at_once(&mut self) {
        self.say_all();
        // The writers are tasks of this thread.
        tokio::task::yield_now().await;
    }

    fn tell(&self, event: Event) {
        event.log();
        // Nobody need listen.
        let _ = self.events.send(event);
    }

    /// Says who sent what was being handled.
    fn name_senders(&self, handling: &mut [Handling]) {
        for handling in handling {
            handling.sender_name = handling.sender.map(|sender| self.name(sender));
        }
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
            Member::Child(child) => Member::Child(child_with_slack(child)),
            Member::Group(inner) => Member::Group(with_slack(inner)),
        })
        .collect();
    group
}

fn child_with_slack(mut child: ChildSpec) -> ChildSpec {
    child.start_deadline += launching::DEADLINE_SLACK;
    child
}

/// Jitter need not be unpredictable, only different for each root.
fn seed() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id())
}
