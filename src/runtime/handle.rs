//! What the closure of a root holds: the root, and what it has deployed.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::catalog::FileCatalog;
use super::deployment::Ending;
use super::error::{Error, Result};
use super::event::{Event, Events, ProcessStatus};
use super::keys::Keys;
use super::local::{ChangeError, Runtime, Started};
use super::registered::{self, Registered, Used};
use super::root_thread::{Command, Deployed, Number};
use crate::address::{self, JsonError, JsonRequest, ProcActor, ProcAddr};
use crate::id::{Exit, did_you_mean};
use crate::process::programs::Programs;
use crate::process::routing::{DeadLetter, LetterReport, Router};
use crate::topology::{Plan, Process, Topology};

/// The process that deploys.
#[derive(Clone)]
pub struct Root {
    commands: mpsc::Sender<Command>,
    runtime: Runtime,
    router: Arc<Router>,
    hosted: Vec<Registered>,
}

impl Root {
    pub(super) fn new(
        commands: mpsc::Sender<Command>,
        runtime: Runtime,
        router: Arc<Router>,
        hosted: Vec<Registered>,
    ) -> Root {
        Root { commands, runtime, router, hosted }
    }

    /// What this program, and the programs that a topology names, look like from here: for `Topology::check`.
    pub fn catalog(&self) -> FileCatalog {
        self.catalog_with(true)
    }

    fn catalog_with(&self, args: bool) -> FileCatalog {
        FileCatalog { deployer: self.hosted.iter().map(|registered| registered.hosted(args)).collect() }
    }

    /// Checks a topology, starts its processes in order, and returns when all are ready.
    ///
    /// # Errors
    /// [`Error::Invalid`] before anything was started; [`Error::Start`] when a process could not start, after those
    /// that had were stopped again, in reverse.
    ///
    /// Cancel safe: dropped while it waits, the topology is stopped.
    pub async fn deploy(&self, topology: Topology) -> Result<Running> {
        // Arguments that were given as Rust values need no checking.
        let plan = topology.plan(&self.catalog_with(topology.source().is_some()))?;
        self.deploy_plan(plan).await
    }

    /// As `deploy`, for a topology that was checked.
    ///
    /// # Errors
    /// As `deploy`.
    pub async fn deploy_plan(&self, plan: Plan) -> Result<Running> {
        let Launched { running, started, .. } = self.launch(plan).await?;
        let stop = StopOnDrop(Some((self.commands.clone(), running.number)));
        let result = started.await.unwrap_or(Err(Error::Ended));
        stop.disarm();
        result.map(|()| running)
    }

    /// As `deploy_plan`, but returns at once: for who wants to hear the events of the start, too.
    ///
    /// # Errors
    /// When another topology runs.
    pub async fn launch(&self, plan: Plan) -> Result<Launched> {
        let (reply, deployed) = oneshot::channel();
        let command = Command::Deploy { plan: Box::new(plan), reply };
        self.commands.send(command).await.map_err(|_| Error::Ended)?;
        let Deployed { number, plan, keys, started, ended, events, heard, programs } =
            deployed.await.map_err(|_| Error::Ended)??;
        // Of this thread, which is the one whose actors and asks the plan's setting is about.
        crate::transport::polling::set(plan.borrow().busy_poll);
        let (commands, runtime) = (self.commands.clone(), self.runtime.clone());
        let running = Running { number, plan, keys, commands, runtime, ended, events, programs };
        Ok(Launched { running, events: Events(heard), started })
    }

    /// Names and groups, processes at run time: what any process of the topology may ask for, asked by the root.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Shows each dead letter of this process to `subscriber`, until it returns false.
    pub fn on_dead_letter(&self, subscriber: impl Fn(&DeadLetter) -> bool + Send + 'static) {
        self.router.dead_letters().subscribe(subscriber);
    }
}

/// A topology that starts: see [`Root::launch`].
pub struct Launched {
    /// What is being started. Its addresses can be used, and wait for their processes.
    pub running: Running,
    /// What happens, from the very first on.
    pub events: Events,
    /// Resolves as [`Root::deploy_plan`] would.
    pub started: oneshot::Receiver<Result<()>>,
}

struct StopOnDrop(Option<(mpsc::Sender<Command>, Number)>);

impl StopOnDrop {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some((commands, number)) = &self.0 {
            let _ = commands.try_send(Command::Stop(*number));
        }
    }
}

/// A topology that runs. Dropping it changes nothing: what runs is stopped by `shutdown`, or when `Program::run`
/// returns.
#[derive(Clone)]
pub struct Running {
    pub(super) number: Number,
    plan: watch::Receiver<Arc<Plan>>,
    keys: Keys,
    pub(super) commands: mpsc::Sender<Command>,
    runtime: Runtime,
    ended: watch::Receiver<Option<Ending>>,
    events: broadcast::Sender<Event>,
    programs: Programs,
}

impl Running {
    /// The address of an actor of the topology.
    ///
    /// # Errors
    /// No actor has that name, or it is of another type; or its process is of another program, where a message of the
    /// type has another shape ([`Error::Shapes`]).
    pub fn addr<A: ProcActor>(&self, name: &str) -> Result<ProcAddr<A>> {
        let plan = self.plan();
        let (process, actor) = plan.actor(name).ok_or_else(|| Error::NoSuchActor(name.to_owned()))?;
        if actor.type_name != A::TYPE_NAME {
            let found = actor.type_name.clone();
            return Err(Error::WrongType { actor: name.to_owned(), wanted: A::TYPE_NAME, found });
        }
        let shapes = || registered::protocol(&[], &[Used::of::<A>()]);
        self.programs.agree(process.id, shapes).map_err(Error::shapes)?;
        let addr = ProcAddr::of(self.keys.mint(actor.id), Some(actor.name.as_str().into()));
        Ok(addr.delivering(actor.rules.delivery))
    }

    /// Sends a message to an actor of the topology, by its name in the actor's protocol and as JSON, and waits for the
    /// result as JSON: for a root that knows none of the types, as that of a command line.
    ///
    /// The process of the actor makes the message of it, as `serde_json` reads its type. Cancel safe, as
    /// [`ProcAddr::send`].
    ///
    /// # Errors
    /// [`JsonError`]: no such actor, no such message, a value that does not fit and where, or why there is no reply.
    pub fn send_json(&self, actor: &str, message: &str, json: &serde_json::Value) -> JsonRequest {
        let plan = self.plan();
        match plan.actor(actor) {
            Some((_, planned)) => {
                let id = self.keys.mint(planned.id);
                address::send_json_to(id, &planned.type_name, message, json)
            }
            None => {
                let names = plan.actors().map(|(_, actor)| actor.name.as_str());
                let help = did_you_mean(actor, names.collect::<Vec<_>>(), "there are");
                JsonRequest::failed(JsonError::NoSuchActor { actor: actor.to_owned(), help })
            }
        }
    }

    /// What runs: as it was planned, with what was started and without what was stopped since.
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.borrow())
    }

    /// Starts a process that the topology does not declare, or its replicas, and waits until all are ready:
    /// [`Runtime::start`].
    ///
    /// # Errors
    /// Nothing has changed then.
    pub async fn start(&self, process: Process) -> Result<Started, ChangeError> {
        self.alive()?;
        self.runtime.start(process).await
    }

    /// Stops a process in order, declared or started at run time, and forgets it: [`Runtime::stop`].
    ///
    /// # Errors
    /// Nothing has changed then.
    pub async fn stop(&self, process: &str) -> Result<(), ChangeError> {
        self.alive()?;
        self.runtime.stop(process).await
    }

    /// Names and groups: what any process of the topology may ask for, asked by the root.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Another topology may run by now.
    fn alive(&self) -> Result<(), ChangeError> {
        if self.ended.borrow().is_some() { Err(ChangeError::Stopping) } else { Ok(()) }
    }

    /// The processes, in start order.
    ///
    /// # Errors
    /// When the topology has ended.
    pub async fn processes(&self) -> Result<Vec<ProcessStatus>> {
        let (reply, status) = oneshot::channel();
        self.commands
            .send(Command::Status { deployment: self.number, reply })
            .await
            .map_err(|_| Error::Ended)?;
        status.await.map_err(|_| Error::Ended)?
    }

    /// The dead letters of one process: how many, by reason, and the last ones. Those of the root are at
    /// [`dead_letters`](crate::address::dead_letters).
    ///
    /// # Errors
    /// No such process, or it is not ready, or it ended before it had answered.
    pub async fn dead_letters(&self, process: &str) -> Result<LetterReport> {
        let (reply, report) = oneshot::channel();
        let command = Command::Letters { deployment: self.number, process: process.to_owned(), reply };
        self.commands.send(command).await.map_err(|_| Error::Ended)?;
        report.await.map_err(|_| Error::Ended)?
    }

    /// Stops one process in order and starts it again. Does not count against its intensity.
    ///
    /// # Errors
    /// No such process, or it is being stopped or restarted already.
    pub async fn restart(&self, process: &str) -> Result<()> {
        let (reply, done) = oneshot::channel();
        let command = Command::Restart { deployment: self.number, process: process.to_owned(), reply };
        self.commands.send(command).await.map_err(|_| Error::Ended)?;
        done.await.map_err(|_| Error::Ended)?
    }

    /// What happens from now on. [`Root::launch`] has what happened before, too.
    pub fn events(&self) -> Events {
        Events(self.events.subscribe())
    }

    /// Stops everything, in reverse start order, and returns when the last process is gone.
    ///
    /// # Errors
    /// The topology had ended by itself, with a failure.
    pub async fn shutdown(self) -> Result<()> {
        let _ = self.commands.send(Command::Stop(self.number)).await;
        self.wait().await.map(|_| ())
    }

    /// Waits until the topology ends by itself or is stopped. The exit is that of the significant process that ended
    /// it, or code 0.
    ///
    /// # Errors
    /// A process could not start, or failed too often. Cancel safe.
    pub async fn wait(&self) -> Result<Exit> {
        let mut ended = self.ended.clone();
        let ending = ended.wait_for(Option::is_some).await.map_err(|_| Error::Ended)?.clone();
        ending.ok_or(Error::Ended)?.result()
    }
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Root").field("hosted", &self.hosted).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("topology", &self.plan().name).finish_non_exhaustive()
    }
}
