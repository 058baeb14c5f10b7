//! Drives the engine that supervises the actors of this process: decides nothing, starts and stops what it says.
//!
//! All of it runs on the arbiter. What happens to a life is put into a queue and handed to the engine by the host's own
//! task, so that no code of a user runs within a call to the engine. Where nothing happens, nothing wakes up.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot, watch};

use super::hosted::{Factories, Hearing, Hosted};
use super::life::{ActorEnd, Running};
use crate::id::Incarnation;
use crate::process::keeping::Keeper;
use crate::process::routing::Router;
use crate::protocol::control::{ActorStart, Refusal, Welcome};
use crate::protocol::watching::EndReason;
use crate::protocol::{ActorRules, OnPanic};
use crate::runtime::spawn::Birth;
use crate::supervision::{Action, ChildId, ChildSpec, Engine, GroupSpec, Member, Phase, StopStep};

/// What the host tells its process.
pub(in crate::runtime) struct Orders {
    /// End in order with this code: the actors gave up, or have done their work.
    pub(in crate::runtime) end: Box<dyn Fn(i32)>,
    /// End at once: an actor panicked whose panic ends its process. Never returns.
    pub(in crate::runtime) die: Box<dyn Fn()>,
}

/// Where the actors of a process are, all together.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::runtime) enum Stage {
    /// They are started in order.
    Starting,
    /// Each was ready once.
    Up,
    /// None lives. If they never came up, why.
    Over(Option<Refusal>),
}

/// The actors of this process.
pub(in crate::runtime) struct Host {
    pub(super) router: Arc<Router>,
    pub(super) factories: Factories,
    /// The circumstances, but for the actor.
    birth: Birth,
    /// Where the actors keep their state.
    pub(super) keeper: Arc<Keeper>,
    pub(super) orders: Orders,
    pub(super) state: RefCell<State>,
    pub(super) stage: watch::Sender<Stage>,
    pub(super) wake: Notify,
}

pub(super) struct State {
    pub(super) engine: Engine,
    pub(super) actors: BTreeMap<ChildId, Rc<Kept>>,
    reports: VecDeque<Report>,
    /// The actors fall by themselves: nothing is done until the process, which was told, has drained.
    pub(super) waits_for_drain: bool,
    /// The last lives are ending.
    pub(super) ending: bool,
}

/// One actor, as its host keeps it.
pub(super) struct Kept {
    pub(super) start: ActorStart,
    pub(super) hosted: Rc<dyn Hosted>,
    pub(super) life: RefCell<Option<Running>>,
    /// Why its last start failed.
    pub(super) failure: RefCell<Option<Refusal>>,
    /// Who added it waits for its first start.
    pub(super) added: RefCell<Option<oneshot::Sender<Result<(), Refusal>>>>,
    /// Who removed it waits for its end.
    pub(super) removed: RefCell<Vec<oneshot::Sender<()>>>,
}

/// What happened to a life.
pub(super) struct Report {
    child: ChildId,
    incarnation: Incarnation,
    what: What,
}

pub(super) enum What {
    Began,
    NotBorn,
    Ended(ActorEnd),
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Host>>> = const { RefCell::new(None) };
}

impl Host {
    /// The host of a process. It starts nothing yet; from now on it is the current one of this thread.
    ///
    /// # Errors
    /// The program does not host an actor of this type.
    pub(in crate::runtime) fn new(
        router: &Arc<Router>,
        factories: Factories,
        (birth, keeper): (Birth, Arc<Keeper>),
        welcome: &Welcome,
        orders: Orders,
    ) -> Result<Rc<Host>, Refusal> {
        let group = &welcome.group;
        let tree = GroupSpec {
            strategy: group.strategy,
            intensity: group.intensity,
            auto_shutdown: group.auto_shutdown,
            members: welcome.actors.iter().map(|start| Member::Child(child(start))).collect(),
            ..GroupSpec::default()
        };
        let mut actors = BTreeMap::new();
        let engine = Engine::new(tree, seed()).lasting();
        // Each has its place before the first begins, which may send to the others at once.
        for ((id, _), start) in engine.children().zip(&welcome.actors) {
            actors.insert(id, Kept::new(&factories, router, start)?);
        }
        let reports = VecDeque::new();
        let state = RefCell::new(State { engine, actors, reports, waits_for_drain: false, ending: false });
        let (stage, wake) = (watch::Sender::new(Stage::Starting), Notify::new());
        let host = Rc::new(Host {
            router: Arc::clone(router),
            factories,
            birth,
            keeper,
            orders,
            state,
            stage,
            wake,
        });
        CURRENT.set(Some(Rc::clone(&host)));
        Ok(host)
    }

    /// The host of this process, on the thread where its actors live.
    pub(in crate::runtime) fn current() -> Option<Rc<Host>> {
        CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
    }

    /// Starts the actors, and keeps them as they are to be, until none lives any more. A task of its own.
    pub(in crate::runtime) async fn run(self: Rc<Self>) {
        self.state.borrow_mut().engine.handle_start(Instant::now());
        while !matches!(*self.stage.borrow(), Stage::Over(_)) {
            while self.turn() {}
            let due = self.due();
            let woken = self.wake.notified();
            match due {
                None => woken.await,
                // Whichever comes first.
                Some(due) => drop(tokio::time::timeout_at(due.into(), woken).await),
            }
        }
    }

    /// Where the actors are, and what becomes of them.
    pub(in crate::runtime) fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Stops the actors in reverse order of their start, each as it is to be stopped, and starts none any more.
    pub(in crate::runtime) async fn stop(&self) {
        {
            let mut state = self.state.borrow_mut();
            state.waits_for_drain = false;
            state.engine.handle_stop(Instant::now());
        }
        self.wake.notify_one();
        let _ = self.stage.subscribe().wait_for(|stage| matches!(stage, Stage::Over(_))).await;
        // What they handed over is with the root before this process ends.
        self.keeper.settled().await;
    }

    fn due(&self) -> Option<Instant> {
        let state = self.state.borrow();
        if state.waits_for_drain { None } else { state.engine.poll_timeout() }
    }

    /// One report, or one timeout, and all that follows. False if there was neither.
    fn turn(self: &Rc<Self>) -> bool {
        let mut state = self.state.borrow_mut();
        let report = state.reports.pop_front();
        let now = Instant::now();
        let is_due = !state.waits_for_drain && state.engine.poll_timeout().is_some_and(|due| due <= now);
        if report.is_none() && is_due {
            state.engine.handle_timeout(now);
        }
        drop(state);
        let reported = report.is_some();
        if let Some(report) = report {
            self.take_in(report, now);
        }
        self.carry_out() || reported || is_due
    }

    fn take_in(&self, Report { child, incarnation, what }: Report, now: Instant) {
        let mut state = self.state.borrow_mut();
        let Some(kept) = state.actors.get(&child).cloned() else { return };
        match what {
            What::Began => {
                state.engine.handle_ready(child, incarnation, now);
                let asked = state.engine.state(child, now).map(|state| state.phase);
                // It was asked before it had a mailbox that it could be asked through.
                if let Some(Phase::Stopping { step: StopStep::Ask, .. }) = asked {
                    kept.hosted.ask_to_stop(state.ending);
                }
                if let Some(added) = kept.added.take() {
                    let _ = added.send(Ok(()));
                }
            }
            What::NotBorn => state.engine.handle_start_failure(child, incarnation, now),
            What::Ended(end) => {
                kept.life.take();
                state.engine.handle_exit(child, incarnation, end.exit(), now);
                drop(state);
                self.ended(&kept, incarnation, &end);
            }
        }
    }

    /// The one place that knows of every end of an actor of this process.
    fn ended(&self, kept: &Kept, incarnation: Incarnation, end: &ActorEnd) {
        tracing::debug!(target: "procession", actor = %kept.start.name, %incarnation, "an actor ended: {end}");
        if !matches!(end, ActorEnd::Stopped) {
            let (actor, reason) = (kept.start.name.clone(), end.to_string());
            *kept.failure.borrow_mut() = Some(Refusal::Spawn { actor, reason });
        }
    }

    /// Does what the engine has decided. False if that was nothing.
    fn carry_out(self: &Rc<Self>) -> bool {
        let mut did = false;
        loop {
            let mut state = self.state.borrow_mut();
            let action = if state.waits_for_drain { None } else { state.engine.poll_action() };
            drop(state);
            let Some(action) = action else { return did };
            did = true;
            match action {
                Action::Start { child, incarnation } => self.begin(child, incarnation),
                Action::Stop { child, step, .. } => self.urge(child, step),
                Action::Note(note) => self.note(note),
                Action::Ended(outcome) => self.over(outcome),
            }
        }
    }

    fn begin(self: &Rc<Self>, child: ChildId, incarnation: Incarnation) {
        let Some(kept) = self.kept(child) else { return };
        let birth = Birth {
            id: self.router.rights().mint(kept.start.slot),
            actor: kept.start.name.clone(),
            restarts: incarnation.0.saturating_sub(Incarnation::FIRST.0),
            delivery: kept.start.rules.delivery,
            ..self.birth.clone()
        };
        let report = |what: fn(ActorEnd) -> What| {
            let host = Rc::downgrade(self);
            move |end| {
                if let Some(host) = host.upgrade() {
                    host.report(Report { child, incarnation, what: what(end) });
                }
            }
        };
        let (began, ended) = (report(|_| What::Began), report(What::Ended));
        let (host, ends_process) = (Rc::downgrade(self), kept.start.rules.panic == OnPanic::Process);
        let hearing = Hearing {
            began: Box::new(move || began(ActorEnd::Stopped)),
            panicked: Box::new(move || {
                if let Some(host) = host.upgrade().filter(|_| ends_process) {
                    (host.orders.die)();
                }
            }),
            ended: Box::new(ended),
        };
        match kept.hosted.begin(&kept.start, birth, &self.keeper, hearing) {
            Ok(life) => *kept.life.borrow_mut() = Some(life),
            Err(refusal) => {
                tracing::error!(target: "procession", actor = %kept.start.name, "an actor can't be started: {refusal}");
                *kept.failure.borrow_mut() = Some(refusal);
                self.report(Report { child, incarnation, what: What::NotBorn });
            }
        }
    }

    fn urge(&self, child: ChildId, step: StopStep) {
        let (Some(kept), is_last) = (self.kept(child), self.state.borrow().ending) else { return };
        match (step, &*kept.life.borrow()) {
            (StopStep::Ask, _) => kept.hosted.ask_to_stop(is_last),
            (StopStep::Terminate | StopStep::Kill, Some(life)) => {
                kept.hosted.hold(EndReason::Stopped);
                life.end(ActorEnd::Ended);
            }
            (StopStep::Terminate | StopStep::Kill, None) => {}
        }
    }

    pub(super) fn report(&self, report: Report) {
        self.state.borrow_mut().reports.push_back(report);
        self.wake.notify_one();
    }

    pub(super) fn kept(&self, child: ChildId) -> Option<Rc<Kept>> {
        self.state.borrow().actors.get(&child).cloned()
    }
}

impl Kept {
    /// Gives an actor its place.
    pub(super) fn new(
        factories: &Factories,
        router: &Arc<Router>,
        start: &ActorStart,
    ) -> Result<Rc<Kept>, Refusal> {
        let factory = factories.get(start.type_name.as_str()).ok_or_else(|| Refusal::UnknownActor {
            actor: start.name.clone(),
            type_name: start.type_name.clone(),
            known: factories.keys().map(|name| (*name).to_owned()).collect(),
        })?;
        Ok(Rc::new(Kept {
            start: start.clone(),
            hosted: factory.place(router, start),
            life: RefCell::default(),
            failure: RefCell::default(),
            added: RefCell::default(),
            removed: RefCell::default(),
        }))
    }

    /// Why it did not come up.
    pub(super) fn failure(&self) -> Refusal {
        let unknown = || Refusal::Spawn {
            actor: self.start.name.clone(),
            reason: "it stopped before it had started".to_owned(),
        };
        self.failure.borrow().clone().unwrap_or_else(unknown)
    }
}

/// An actor in the words of the engine. It has no deadline to start: its thread does nothing else meanwhile, and the
/// process has one.
pub(super) fn child(start: &ActorStart) -> ChildSpec {
    let ActorRules { policy, backoff, shutdown, significant, .. } = start.rules;
    ChildSpec {
        policy,
        backoff,
        shutdown,
        significant,
        start_deadline: Duration::MAX,
        ..ChildSpec::new(start.name.clone())
    }
}

/// Jitter need not be unpredictable, only different for each process.
fn seed() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id())
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("stage", &*self.stage.borrow()).finish_non_exhaustive()
    }
}
