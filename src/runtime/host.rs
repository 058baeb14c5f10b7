//! Hosts the actors of a worker: starts them in order, starts them anew after a panic, stops them in reverse.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, AsyncContext as _, Context};
use tokio::task::JoinHandle;

use super::spawn::{Birth, Spawn};
use super::state::Keeping;
use crate::address::ActorExport;
use crate::id::ActorId;
use crate::process::keeping::Keeper;
use crate::process::routing::Router;
use crate::protocol::control::{ActorStart, Refusal};
use crate::supervision::Intensity;
use crate::topology::HostedType;

/// Makes actors of one type.
pub(super) trait Factory {
    fn hosted(&self) -> HostedType;
    /// Starts one actor, and keeps it started.
    fn start(&self, host: &Rc<Host>, start: &ActorStart) -> Result<(), Refusal>;
}

pub(super) struct TypedFactory<A>(PhantomData<fn() -> A>);

impl<A> Default for TypedFactory<A> {
    fn default() -> Self {
        TypedFactory(PhantomData)
    }
}

impl<A: Spawn> Factory for TypedFactory<A> {
    fn hosted(&self) -> HostedType {
        let messages = A::messages().iter().map(|entry| entry.name.to_owned()).collect();
        HostedType { name: A::TYPE_NAME.to_owned(), messages }
    }

    fn start(&self, host: &Rc<Host>, start: &ActorStart) -> Result<(), Refusal> {
        let export = ActorExport::<A>::new(None);
        let hosted = Rc::new(Hosted {
            host: Rc::clone(host),
            start: start.clone(),
            export: Arc::clone(&export),
            restarts: RefCell::default(),
            keeping: RefCell::default(),
        });
        let running = hosted.give_birth(0)?;
        let window = host.router.identity().limits.window_messages;
        host.router.registry().declare(start.slot, start.name.clone(), export.clone(), window);
        host.router.registry().set_attempts(start.slot, start.rules.attempts);
        let watch = actix::spawn(Rc::clone(&hosted).keep_alive(running));
        host.actors.borrow_mut().push(Box::new(Guarded { hosted, watch }));
        Ok(())
    }
}

/// The actors of this process.
pub(super) struct Host {
    pub(super) router: Arc<Router>,
    /// The circumstances, but for the actor.
    pub(super) birth: Birth,
    /// Where the actors keep their state.
    pub(super) keeper: Arc<Keeper>,
    actors: RefCell<Vec<Box<dyn Stop>>>,
    /// An actor panicked more often than it may: the process is to end.
    gave_up: Box<dyn Fn()>,
}

/// A started actor of whatever type.
trait Stop {
    /// It ends when it has handled what is in its mailbox; then this resolves.
    fn stop(self: Box<Self>) -> JoinHandle<()>;
}

struct Guarded<A: Actor> {
    hosted: Rc<Hosted<A>>,
    watch: JoinHandle<()>,
}

impl<A: Spawn> Stop for Guarded<A> {
    fn stop(self: Box<Self>) -> JoinHandle<()> {
        let Hosted { host, export, keeping, .. } = &*self.hosted;
        if let Some(addr) = export.addr() {
            let router = Arc::clone(&host.router);
            addr.do_send(keeping.borrow().leave::<A>(move || router.is_stopping()));
        }
        export.set(None);
        self.watch
    }
}

impl Host {
    pub(super) fn new(
        router: Arc<Router>,
        birth: Birth,
        keeper: Arc<Keeper>,
        gave_up: impl Fn() + 'static,
    ) -> Rc<Host> {
        Rc::new(Host { router, birth, keeper, actors: RefCell::default(), gave_up: Box::new(gave_up) })
    }

    /// Stops the actors in reverse order of their start, each after it has handled what is in its mailbox.
    pub(super) async fn stop(&self) {
        loop {
            let Some(last) = self.actors.borrow_mut().pop() else { break };
            // A panic in `stopping` ends it as well.
            let _ = last.stop().await;
        }
        // What they handed over is with the root before this process ends.
        self.keeper.settled().await;
    }
}

/// One actor through all its lives in this process.
struct Hosted<A: Actor> {
    host: Rc<Host>,
    start: ActorStart,
    export: Arc<ActorExport<A>>,
    restarts: RefCell<VecDeque<Instant>>,
    /// What the life that lives now keeps.
    keeping: RefCell<Keeping>,
}

impl<A: Spawn> Hosted<A> {
    /// Makes the actor and starts it as a task of its own, whose end tells how it ended.
    fn give_birth(&self, restarts: u32) -> Result<JoinHandle<()>, Refusal> {
        let name = &self.start.name;
        let mut json = serde_json::Deserializer::from_str(&self.start.args_json);
        let args: A::Args = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { format!(".{path}") };
            Refusal::Args { actor: name.clone(), path, reason: error.inner().to_string() }
        })?;
        let keeping = Keeping::begin(&self.host.keeper, self.start.slot);
        let id = ActorId::declared(self.host.router.identity().process, self.start.slot);
        let (actor, keeping_too) = (name.clone(), keeping.clone());
        let birth = Birth { actor, restarts, keeping: keeping_too, id, ..self.host.birth.clone() };
        let refused = |reason: String| Refusal::Spawn { actor: name.clone(), reason };
        let made = std::panic::catch_unwind(AssertUnwindSafe(|| A::spawn(args, &birth)));
        let actor = match made {
            Ok(Ok(actor)) => actor,
            Ok(Err(error)) => return Err(refused(error.to_string())),
            Err(_) => return Err(refused(format!("panicked: {}", crate::process::handling::last_panic()))),
        };
        keeping.begun();
        self.keeping.replace(keeping);
        let context = Context::<A>::new();
        self.export.set(Some(context.address()));
        Ok(actix::spawn(context.into_future(actor)))
    }

    /// Starts the actor anew whenever a panic ended it (P-5), and gives up when that is too often.
    async fn keep_alive(self: Rc<Self>, running: JoinHandle<()>) {
        self.restart_while_it_panics(running).await;
        // What waits for the next life learns that there is none.
        self.export.set(None);
    }

    async fn restart_while_it_panics(&self, mut running: JoinHandle<()>) {
        loop {
            let panicked = matches!(running.await, Err(error) if error.is_panic());
            if !panicked || self.host.router.is_stopping() {
                return;
            }
            let Some(restarts) = self.count_restart(Instant::now()) else {
                tracing::error!(target: "procession", actor = %self.start.name, "the actor panics too often; its process ends");
                return (self.host.gave_up)();
            };
            running = match self.give_birth(restarts) {
                Ok(running) => running,
                Err(refusal) => {
                    tracing::error!(target: "procession", actor = %self.start.name, "the actor can't be restarted: {refusal}");
                    return (self.host.gave_up)();
                }
            };
            tracing::warn!(target: "procession", actor = %self.start.name, restarts, "the actor panicked and was restarted");
        }
    }

    /// The number of this restart, or nothing if it is one too many.
    fn count_restart(&self, now: Instant) -> Option<u32> {
        let Intensity { restarts: most, period } = Intensity::default();
        let mut restarts = self.restarts.borrow_mut();
        restarts.push_back(now);
        while restarts.front().is_some_and(|first| now.duration_since(*first) > period) {
            restarts.pop_front();
        }
        u32::try_from(restarts.len()).ok().filter(|count| *count <= most)
    }
}
