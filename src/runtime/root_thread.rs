//! The root's own thread: launches workers, hears them, and carries out what engine and broker decide.
//!
//! It lives from `Program::run` to its end, which is what the kernel's parent-death signal asks of the thread that
//! starts workers (H20). No user code runs on it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::catalog::UnaskedCatalog;
use super::deployment::{Deployment, Ending, Ways};
use super::disturb::Disturbance;
use super::error::{Error, Result};
use super::event::{EVENTS, Event, ProcessStatus};
use super::handle::Root;
use super::keys::Keys;
use super::launching;
use super::local::{self, Runtime};
use super::registered::{self, Registered, Used};
use crate::address;
use crate::id::{Incarnation, ProcessId, Signal};
use crate::process::asks::Asks;
use crate::process::event::Report;
use crate::process::janitor::Janitor;
use crate::process::logs::EVENT_TARGET;
use crate::process::programs::Programs;
use crate::process::routing::{self, Identity, Router};
use crate::protocol::Limits;
use crate::protocol::control::{ToRoot, ToWorker};
use crate::protocol::letters::LetterReport;
use crate::protocol::names::{NamesToRoot, NamesToWorker};
use crate::protocol::requests::ChangeError;
use crate::sys::{executable, slice};
use crate::topology::{DEFAULT_ASK_TIMEOUT, Plan};

/// What the thread is asked to do.
pub(super) enum Command {
    Deploy {
        plan: Box<Plan>,
        reply: oneshot::Sender<Result<Deployed>>,
    },
    /// Stops this deployment, if it still runs.
    Stop(Number),
    Restart {
        deployment: Number,
        process: String,
        reply: oneshot::Sender<Result<()>>,
    },
    Status {
        deployment: Number,
        reply: oneshot::Sender<Result<Vec<ProcessStatus>>>,
    },
    /// What a process could not deliver.
    Letters {
        deployment: Number,
        process: String,
        reply: oneshot::Sender<Result<LetterReport>>,
    },
    FromRoot(ToRoot),
    /// Chaos, if this deployment still runs; else what it waits for is dropped, which tells it.
    Disturb {
        deployment: Number,
        disturbance: Disturbance,
    },
    /// Stop what runs, and end.
    Shutdown,
}

/// Which deployment of this root: how many processes were deployed before it.
pub(super) type Number = u32;

/// A deployment that was accepted.
pub(super) struct Deployed {
    pub(super) number: Number,
    pub(super) plan: watch::Receiver<Arc<Plan>>,
    pub(super) keys: Keys,
    pub(super) started: oneshot::Receiver<Result<()>>,
    pub(super) ended: watch::Receiver<Option<Ending>>,
    pub(super) events: broadcast::Sender<Event>,
    /// From the first event on.
    pub(super) heard: broadcast::Receiver<Event>,
    pub(super) programs: Programs,
}

/// Commands that may wait: the root's router asks for each process at most once, and there are at most as many as a
/// topology may have; the rest is the closure's, which waits.
const COMMANDS: usize = 8192;

/// Reports of workers that may wait; each attendant waits when it is full.
const REPORTS: usize = 1024;

/// The thread, as `Program::run` holds it.
pub(super) struct RootThread {
    commands: mpsc::Sender<Command>,
    router: Arc<Router>,
    asks: Arc<Asks>,
    hosted: Vec<Registered>,
    interrupted: watch::Receiver<Option<Signal>>,
    signalled: watch::Receiver<Option<Signal>>,
    done: watch::Receiver<bool>,
    thread: Option<JoinHandle<()>>,
}

/// This process is the root for addresses, until this is dropped.
pub(super) struct Entered(Arc<Router>);

impl Entered {
    pub(super) fn router(&self) -> &Arc<Router> {
        &self.0
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.stop();
        local::set_current(None);
        address::leave();
    }
}

impl Drop for RootThread {
    /// Stops what still runs, in order, and waits for it.
    fn drop(&mut self) {
        let _ = self.commands.try_send(Command::Shutdown);
        if let Some(thread) = self.thread.take() {
            // If it panicked, its message is on stderr, and its workers were killed with it.
            let _ = thread.join();
        }
    }
}

struct Say(mpsc::Sender<Command>);

impl routing::Broker for Say {
    fn say(&self, what: ToRoot) {
        // Full cannot be, see COMMANDS; closed means that everything has ended.
        let _ = self.0.try_send(Command::FromRoot(what));
    }
}

impl RootThread {
    pub(super) fn start(hosted: Vec<Registered>, used: Vec<Used>) -> Result<RootThread> {
        let (commands, queue) = mpsc::channel(COMMANDS);
        let build = executable::build_id().map_err(Error::io("read its own executable"))?;
        let keys = Keys::random().map_err(Error::io("make its keys"))?;
        let identity = Identity {
            process: ProcessId::ROOT,
            incarnation: Incarnation::FIRST,
            name: launching::name_of(None, ProcessId::ROOT),
            build,
            limits: Limits::default(),
            ask_timeout: DEFAULT_ASK_TIMEOUT,
            serialise_always: launching::serialise_always(),
            key: keys.of_process(ProcessId::ROOT),
            run: keys.run,
        };
        let router = Router::new(identity, Box::new(Say(commands.clone())));
        let asks = Asks::new(&router);
        let (interrupt, interrupted) = watch::channel(None);
        let (signal, signalled) = watch::channel(None);
        let (finish, done) = watch::channel(false);
        let (routing, answers) = (Arc::clone(&router), Arc::clone(&asks));
        let catalog =
            UnaskedCatalog { deployer: hosted.iter().map(|registered| registered.hosted(false)).collect() };
        let registered = hosted.clone();
        let look = move || registered::protocol(&registered, &used);
        let programs = Programs::new(build, executable::path(), look);
        let (listening, heard) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name(crate::process::logs::ROOT_THREAD.to_owned())
            .spawn(move || {
                // Where that is forbidden, ends are told later.
                let _ = slice::shorten();
                let runtime = super::worker::tokio_runtime();
                let local = tokio::task::LocalSet::new();
                let serve = async {
                    let signals = Signals::listen();
                    let _ = listening.send(());
                    let known = (catalog, keys, programs);
                    Loop::new(queue, routing, answers, known, interrupt, signal).run(signals).await;
                };
                local.block_on(&runtime, serve);
                // What is left of attendants finishes: they reap the last workers.
                finish.send_replace(true);
            })
            .map_err(Error::io("start its thread"))?;
        // A signal that comes as soon as `main` runs is one to stop in order.
        let _ = heard.recv();
        let thread = Some(thread);
        Ok(RootThread { commands, router, asks, hosted, interrupted, signalled, done, thread })
    }

    /// Makes this process the root for addresses.
    pub(super) fn enter(&self) -> Result<Entered> {
        match address::enter(Arc::clone(&self.router)) {
            true => {
                local::set_current(Some(self.runtime()));
                Ok(Entered(Arc::clone(&self.router)))
            }
            false => Err(Error::AlreadyRunning),
        }
    }

    pub(super) fn root(&self) -> Root {
        Root::new(self.commands.clone(), self.runtime(), Arc::clone(&self.router), self.hosted.clone())
    }

    fn runtime(&self) -> Runtime {
        Runtime::new(Arc::clone(&self.asks), Arc::clone(&self.router), None)
    }

    /// Resolves when a signal has stopped everything.
    pub(super) async fn interrupted(&self) -> Signal {
        let mut interrupted = self.interrupted.clone();
        let signal = match interrupted.wait_for(Option::is_some).await {
            Ok(signal) => *signal,
            Err(_) => None,
        };
        match signal {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }

    /// The signal that asked to stop, if one did.
    pub(super) fn signalled(&self) -> Option<Signal> {
        *self.signalled.borrow()
    }

    /// Stops what runs and ends the thread.
    pub(super) async fn shutdown(&self) {
        let _ = self.commands.send(Command::Shutdown).await;
        let _ = self.done.clone().wait_for(|done| *done).await;
    }
}

/// The signals that ask a root to stop.
struct Signals {
    interrupts: Option<tokio::signal::unix::Signal>,
    terminations: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    fn listen() -> Signals {
        Signals {
            interrupts: signal(SignalKind::interrupt()).ok(),
            terminations: signal(SignalKind::terminate()).ok(),
        }
    }
}

struct Loop {
    commands: mpsc::Receiver<Command>,
    router: Arc<Router>,
    asks: Arc<Asks>,
    catalog: UnaskedCatalog,
    keys: Keys,
    programs: Programs,
    interrupt: watch::Sender<Option<Signal>>,
    reports: mpsc::Receiver<Report>,
    report: mpsc::Sender<Report>,
    deployment: Option<Deployment>,
    /// The highest process number that was ever used.
    used: u32,
    /// The signal that asked to stop.
    signal: watch::Sender<Option<Signal>>,
    ending: bool,
    /// While a deployment runs, from when the first of its workers was ready: what those have started that were not is little.
    janitor: Option<tokio::task::JoinHandle<Option<Janitor>>>,
}

impl Loop {
    fn new(
        commands: mpsc::Receiver<Command>,
        router: Arc<Router>,
        asks: Arc<Asks>,
        (catalog, keys, programs): (UnaskedCatalog, Keys, Programs),
        interrupt: watch::Sender<Option<Signal>>,
        signal: watch::Sender<Option<Signal>>,
    ) -> Loop {
        let (report, reports) = mpsc::channel(REPORTS);
        let (deployment, used, ending) = (None, 0, false);
        Loop {
            commands,
            router,
            asks,
            catalog,
            keys,
            programs,
            interrupt,
            reports,
            report,
            deployment,
            used,
            signal,
            ending,
            janitor: None,
        }
    }

    async fn run(mut self, signals: Signals) {
        let Signals { mut interrupts, mut terminations } = signals;
        while !(self.ending && self.deployment.is_none()) {
            let timeout = self.deployment.as_ref().and_then(Deployment::poll_timeout);
            tokio::select! {
                report = self.reports.recv() => {
                    if let (Some(report), Some(deployment)) = (report, &mut self.deployment) {
                        deployment.report(report).await;
                    }
                }
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => self.command(Command::Shutdown),
                },
                () = recv(&mut interrupts) => self.signal(Signal(libc::SIGINT)),
                () = recv(&mut terminations) => self.signal(Signal(libc::SIGTERM)),
                () = sleep_until(timeout) => {
                    if let Some(deployment) = &mut self.deployment {
                        deployment.handle_timeout();
                    }
                }
            }
            if let Some(deployment) = &mut self.deployment {
                deployment.carry_out();
                if self.janitor.is_none() && deployment.has_ready() {
                    // It may be started by any thread, and this one has better to do now.
                    self.janitor = Some(tokio::task::spawn_blocking(Janitor::start));
                }
            }
            if let Some(ended) = self.deployment.take_if(|deployment| deployment.is_ended()) {
                let signal = *self.signal.borrow();
                if signal.is_some() {
                    self.interrupt.send_replace(signal);
                }
                self.used = self.used.max(ended.last_number());
                if let Some(janitor) = self.janitor.take() {
                    // Whoever hears of the end finds no child left. An error says that it has panicked, which is on stderr.
                    drop(janitor.await);
                }
                ended.announce();
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Deploy { plan, reply } => self.deploy(*plan, reply),
            Command::Stop(number) => {
                if self.running(number).is_some() {
                    self.stop();
                }
            }
            Command::Shutdown => {
                self.ending = true;
                self.stop();
            }
            Command::Restart { deployment, process, reply } => {
                let result = match self.running(deployment) {
                    Some(deployment) => deployment.restart(&process),
                    None => Err(Error::Ended),
                };
                let _ = reply.send(result);
            }
            Command::Status { deployment, reply } => {
                let status = self.running(deployment).map(|deployment| deployment.status());
                let _ = reply.send(status.ok_or(Error::Ended));
            }
            Command::Disturb { deployment, disturbance } => {
                if let Some(deployment) = self.running(deployment) {
                    deployment.disturb(disturbance);
                }
            }
            Command::Letters { deployment, process, reply } => match self.running(deployment) {
                Some(deployment) => deployment.ask_for_letters(&process, reply),
                None => drop(reply.send(Err(Error::Ended))),
            },
            Command::FromRoot(said) => match &mut self.deployment {
                Some(deployment) => deployment.root_says(said),
                None => self.unreachable(&said),
            },
        }
    }

    fn running(&mut self, number: Number) -> Option<&mut Deployment> {
        self.deployment.as_mut().filter(|deployment| deployment.number() == number)
    }

    fn deploy(&mut self, mut plan: Plan, reply: oneshot::Sender<Result<Deployed>>) {
        if self.deployment.is_some() {
            let _ = reply.send(Err(Error::AlreadyDeployed));
            return;
        }
        if self.ending || self.signal.borrow().is_some() {
            let _ = reply.send(Err(Error::Ended));
            return;
        }
        let base = self.used;
        launching::rebase(&mut plan, base);
        self.used += u32::try_from(plan.processes.len()).unwrap_or(u32::MAX);
        self.router.forget_names();
        self.router.learn(launching::everybody(&plan, &self.keys));
        self.router.set_ask_timeout(plan.ask_timeout);
        let plan = Arc::new(plan);
        let (shown, show) = watch::channel(Arc::clone(&plan));
        let (events, heard) = broadcast::channel(EVENTS);
        let (start, started) = oneshot::channel();
        let (end, ended) = watch::channel(None);
        let (keys, programs) = (self.keys.clone(), self.programs.anew());
        let deployed = Deployed {
            number: base,
            plan: show,
            keys: keys.clone(),
            started,
            ended,
            events: events.clone(),
            heard,
            programs: programs.clone(),
        };
        if reply.send(Ok(deployed)).is_err() {
            return;
        }
        let ways = Ways {
            router: Arc::clone(&self.router),
            asks: Arc::clone(&self.asks),
            reports: self.report.clone(),
            events,
            started: start,
            ended: end,
            shown,
            keys,
            programs,
        };
        let deployment = Deployment::new(plan, base, self.catalog.clone(), ways);
        self.deployment.insert(deployment).start();
    }

    fn stop(&mut self) {
        if let Some(deployment) = &mut self.deployment {
            deployment.stop();
        }
    }

    /// The first signal stops in order, the second by force.
    fn signal(&mut self, signal: Signal) {
        let first = self.signal.send_replace(Some(signal)).is_none();
        match &mut self.deployment {
            Some(deployment) if first => {
                tracing::info!(target: EVENT_TARGET, event = "signal", "{signal}: stopping in order; once more stops by force");
                deployment.stop();
            }
            Some(deployment) => {
                tracing::warn!(target: EVENT_TARGET, event = "signal", "{signal} once more: killing what is left");
                deployment.kill();
            }
            None => {
                self.interrupt.send_replace(Some(signal));
            }
        }
    }

    /// Nobody is there to be introduced to.
    fn unreachable(&self, said: &ToRoot) {
        if let ToRoot::Ask(ask) = said {
            self.asks.handle_answer(ask.number, Err(ChangeError::NoRuntime));
        }
        if let ToRoot::Names(NamesToRoot::Use { group }) = said {
            let refused = NamesToWorker::Refused { group: group.clone(), why: ChangeError::NoRuntime.into() };
            self.router.handle_control(ToWorker::Names(refused), Vec::new());
        }
        if let ToRoot::Introduce { target, .. } = said {
            let why = crate::protocol::control::Unreachable::Stopping;
            let frame = ToWorker::Unreachable { process: target.process(), why };
            self.router.handle_control(frame, Vec::new());
        }
    }
}

async fn recv(signals: &mut Option<tokio::signal::unix::Signal>) {
    let received = match signals {
        Some(signals) => signals.recv().await,
        None => None,
    };
    if received.is_none() {
        std::future::pending().await
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    // Without a deadline there is nothing to do; a long sleep costs one timer.
    let far = Instant::now() + Duration::from_secs(3600);
    tokio::time::sleep_until(deadline.unwrap_or(far).into()).await;
}
