//! The runtime of this process, for its actors: processes and actors that are started and stopped while it runs.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::error::{Error, Result};
use super::spawn::Spawn;
use crate::address::{ProcActor, ProcAddr};
use crate::id::{ActorName, Capability, ProcessName, Slot};
use crate::process::asks::Asks;
use crate::process::routing::Router;
use crate::protocol::ActorRules;
use crate::protocol::control::{ActorStart, KnownActor};
pub use crate::protocol::requests::{ChangeError, ProcessInfo};
use crate::protocol::requests::{Granted, Request};
use crate::topology::Process;

/// A handle to the runtime of this process, for actors in any process of a topology.
///
/// What is started is supervised as if it had been declared: a process joins the topology's own group as its last
/// member, an actor that of its process. Names are unique in the topology, so that a starter which was restarted and
/// starts everything again is told [`ChangeError::AlreadyThere`], with the addresses of what it had started.
///
/// ```
/// # use procession::prelude::*;
/// # #[derive(ProcActor)]
/// # #[proc_actor(messages())]
/// # struct Worker;
/// # impl Actor for Worker { type Context = Context<Self>; }
/// # impl Spawn for Worker {
/// #     type Args = ();
/// #     fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> { Ok(Worker) }
/// # }
/// async fn grow(at: u32) -> Result<ProcAddr<Worker>, Box<dyn std::error::Error>> {
///     let process = Process::new(format!("worker-of-{at}")).actor::<Worker>(format!("w-{at}"), ());
///     let started = Runtime::current()?.start(process).await?;
///     Ok(started.addr(&format!("w-{at}"))?)
/// }
/// ```
#[derive(Clone)]
pub struct Runtime {
    asks: Arc<Asks>,
    router: Arc<Router>,
    /// Where actors of this process are started; none in a root.
    host: Option<Hosting>,
}

/// The way to the host, which lives on the main arbiter.
#[derive(Clone)]
pub(super) struct Hosting {
    orders: mpsc::Sender<HostOrder>,
    /// What holds for an actor of which nothing is said.
    rules: ActorRules,
}

impl Hosting {
    /// The way, and where it leads.
    pub(super) fn new(rules: ActorRules) -> (Hosting, mpsc::Receiver<HostOrder>) {
        let (orders, taken) = mpsc::channel(HOST_ORDERS);
        (Hosting { orders, rules }, taken)
    }
}

/// What the host is asked to do.
pub(super) enum HostOrder {
    /// Start it, and say when it has. Its slot is not looked at.
    Add(ActorStart, oneshot::Sender<std::result::Result<Capability, ChangeError>>),
    /// Stop it, and say when it is gone.
    Remove(String, oneshot::Sender<std::result::Result<(), ChangeError>>),
}

/// Orders that may wait: who gives one waits for it.
const HOST_ORDERS: usize = 64;

static CURRENT: Mutex<Option<Runtime>> = Mutex::new(None);

/// Makes a runtime the one of this process, or ends that.
pub(super) fn set_current(runtime: Option<Runtime>) {
    let before = std::mem::replace(&mut *CURRENT.lock().unwrap_or_else(PoisonError::into_inner), runtime);
    if let Some(before) = before {
        before.asks.close();
    }
}

impl Runtime {
    pub(super) fn new(asks: Arc<Asks>, router: Arc<Router>, host: Option<Hosting>) -> Runtime {
        Runtime { asks, router, host }
    }

    /// Requests to the root.
    pub(super) fn asks(&self) -> &Arc<Asks> {
        &self.asks
    }

    /// Who this process is, and whom it knows.
    pub(super) fn router(&self) -> &Arc<Router> {
        &self.router
    }

    /// The runtime of this process. Any thread may ask.
    ///
    /// # Errors
    /// [`ChangeError::NoRuntime`] outside `Program::run`.
    pub fn current() -> std::result::Result<Runtime, ChangeError> {
        let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone();
        current.ok_or(ChangeError::NoRuntime)
    }

    /// Starts a process, or its replicas, and waits until all are ready. It is checked like a declared one, takes over
    /// the defaults of the topology, may address every actor that runs, and survives this process.
    ///
    /// # Errors
    /// Nothing has changed then. A first start that fails is not tried again.
    ///
    /// Dropped while it waits, the process is started all the same.
    pub async fn start(&self, process: Process) -> std::result::Result<Started, ChangeError> {
        self.begin(process, false).await
    }

    /// As [`start`](Runtime::start); what was started is stopped in order when this life of this process is over.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_linked(&self, process: Process) -> std::result::Result<Started, ChangeError> {
        self.begin(process, true).await
    }

    async fn begin(&self, process: Process, linked: bool) -> std::result::Result<Started, ChangeError> {
        let process = process.to_json().map_err(ChangeError::Encode)?;
        match self.asks.ask(Request::Start { process, linked }).await {
            Ok(Granted::Started { processes, actors }) => {
                self.router.learn(actors.iter().cloned());
                Ok(Started { processes, actors })
            }
            Ok(other) => Err(unexpected(&other)),
            Err(error) => {
                if let ChangeError::AlreadyThere { actors, .. } = &error {
                    self.router.learn(actors.iter().cloned());
                }
                Err(error)
            }
        }
    }

    /// Stops a process that this one started, in whatever life, and forgets it; of replicas all, by the name before
    /// their numbers. Returns when it is gone. Its name is free then, and its addresses lead nowhere for ever.
    ///
    /// The root may stop any process.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub async fn stop(&self, process: &str) -> std::result::Result<(), ChangeError> {
        self.asks.ask(Request::Stop { process: process.to_owned() }).await.map(drop)
    }

    /// The processes that run, declared or not, in the order of their first starts.
    ///
    /// # Errors
    /// The topology is stopping.
    pub async fn processes(&self) -> std::result::Result<Vec<ProcessInfo>, ChangeError> {
        match self.asks.ask(Request::Processes).await? {
            Granted::Processes(processes) => Ok(processes),
            other => Err(unexpected(&other)),
        }
    }

    /// Starts an actor in this process, and waits until its `started` has run. It lives again with every life of this
    /// process, at the same address, unless it is temporary.
    ///
    /// # Errors
    /// Nothing has changed then. [`ChangeError::InRoot`] in a root.
    ///
    /// Dropped while it waits, the actor is started all the same.
    pub async fn start_actor<A: Spawn>(
        &self,
        name: &str,
        args: A::Args,
    ) -> std::result::Result<ProcAddr<A>, ChangeError> {
        self.start_actor_with::<A>(name, args, |rules| rules).await
    }

    /// As [`start_actor`](Runtime::start_actor), with other rules than those of this process.
    ///
    /// # Errors
    /// As `start_actor`.
    pub async fn start_actor_with<A: Spawn>(
        &self,
        name: &str,
        args: A::Args,
        rules: impl FnOnce(ActorRules) -> ActorRules,
    ) -> std::result::Result<ProcAddr<A>, ChangeError> {
        let host = self.host.as_ref().ok_or(ChangeError::InRoot)?;
        let name = ActorName::new(name).map_err(|error| ChangeError::Invalid(error.to_string()))?;
        let args_json =
            serde_json::to_string(&args).map_err(|error| ChangeError::Encode(error.to_string()))?;
        let mut start = ActorStart::new(name.clone(), A::TYPE_NAME, Slot(0));
        (start.args_json, start.rules) = (args_json, rules(host.rules));
        let delivery = start.rules.delivery;
        let id = self.order(host, |reply| HostOrder::Add(start, reply)).await?;
        Ok(ProcAddr::of(id, Some(name.as_str().into())).delivering(delivery))
    }

    /// Stops an actor that was started in this process at run time, in order, and forgets it. Returns when it is gone.
    ///
    /// # Errors
    /// No such actor was started at run time.
    pub async fn stop_actor(&self, name: &str) -> std::result::Result<(), ChangeError> {
        let host = self.host.as_ref().ok_or(ChangeError::InRoot)?;
        self.order(host, |reply| HostOrder::Remove(name.to_owned(), reply)).await
    }

    async fn order<T>(
        &self,
        host: &Hosting,
        order: impl FnOnce(oneshot::Sender<std::result::Result<T, ChangeError>>) -> HostOrder,
    ) -> std::result::Result<T, ChangeError> {
        let (reply, done) = oneshot::channel();
        host.orders.send(order(reply)).await.map_err(|_| ChangeError::Stopping)?;
        done.await.unwrap_or(Err(ChangeError::Stopping))
    }

    /// Gets name and place of a new actor of this process from the root, so that its own `spawn` may look it up.
    pub(super) async fn reserve(&self, start: &ActorStart) -> std::result::Result<KnownActor, ChangeError> {
        let id = match self.asks.ask(Request::AddActor { start: Box::new(start.clone()) }).await? {
            Granted::Place(id) => id,
            other => return Err(unexpected(&other)),
        };
        let known = KnownActor {
            name: start.name.clone(),
            id: self.router.rights().mint(id.slot),
            type_name: start.type_name.clone(),
            process: self.router.identity().name.clone(),
            delivery: start.rules.delivery,
        };
        self.router.learn([known.clone()]);
        Ok(known)
    }

    /// An actor of this process that it may look up.
    pub(super) fn own_actor(&self, name: &str) -> Option<KnownActor> {
        self.router.look_up(name).filter(|known| self.router.is_local(known.id.process()))
    }

    /// Gives name and place of such an actor back.
    pub(super) async fn release(&self, known: &KnownActor) -> std::result::Result<(), ChangeError> {
        self.asks.ask(Request::RemoveActor { slot: known.id.slot() }).await?;
        // The name may mean another by now.
        if self.own_actor(known.name.as_str()).is_some_and(|now| now.id == known.id) {
            self.router.forget_actors([&known.name]);
        }
        Ok(())
    }

    /// Such an actor is there no more; perhaps that is known already.
    pub(super) async fn forget_actor(&self, known: &KnownActor) {
        // Where the root does not answer any more, there is nothing to forget.
        let _ = self.release(known).await;
    }
}

/// Only a root of another version answers so.
fn unexpected(granted: &Granted) -> ChangeError {
    ChangeError::Encode(format!("the root answers something else: {granted:?}"))
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("process", &self.router.identity().name).finish_non_exhaustive()
    }
}

/// Processes that were started at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    processes: Vec<ProcessName>,
    actors: Vec<KnownActor>,
}

impl Started {
    /// What they are called: one, or as many as there are replicas.
    pub fn processes(&self) -> &[ProcessName] {
        &self.processes
    }

    /// The address of one of their actors.
    ///
    /// # Errors
    /// None has that name, or it is of another type.
    pub fn addr<A: ProcActor>(&self, name: &str) -> Result<ProcAddr<A>> {
        addr_of(&self.actors, name)
    }
}

impl ChangeError {
    /// The address of an actor that was already there.
    ///
    /// # Errors
    /// The error says nothing of such an actor, or it is of another type.
    pub fn addr<A: ProcActor>(&self, name: &str) -> Result<ProcAddr<A>> {
        match self {
            ChangeError::AlreadyThere { actors, .. } => addr_of(actors, name),
            ChangeError::ActorAlreadyThere { actor: Some(actor), .. } => {
                addr_of(std::slice::from_ref(&**actor), name)
            }
            _ => Err(Error::NoSuchActor(name.to_owned())),
        }
    }
}

pub(super) fn addr_of<A: ProcActor>(actors: &[KnownActor], name: &str) -> Result<ProcAddr<A>> {
    let found = actors.iter().find(|actor| actor.name.as_str() == name);
    let actor = found.ok_or_else(|| Error::NoSuchActor(name.to_owned()))?;
    if actor.type_name != A::TYPE_NAME {
        let found = actor.type_name.clone();
        return Err(Error::WrongType { actor: name.to_owned(), wanted: A::TYPE_NAME, found });
    }
    Ok(ProcAddr::of(actor.id, Some(actor.name.as_str().into())).delivering(actor.delivery))
}
