//! One actor through all its lives in this process, and the factory that makes it, both without its type.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, AsyncContext as _, Context};

use super::life::{ActorEnd, Life, Running};
use crate::address::ActorExport;
use crate::process::handling;
use crate::process::keeping::Keeper;
use crate::process::routing::Router;
use crate::protocol::control::{ActorStart, Refusal};
use crate::protocol::watching::EndReason;
use crate::runtime::registered::Registered;
use crate::runtime::spawn::{Birth, Spawn};
use crate::runtime::state::Keeping;

/// What a program can host, by the names of the types.
pub(in crate::runtime) type Factories = Rc<BTreeMap<&'static str, Box<dyn Factory>>>;

/// Makes actors of one type.
pub(in crate::runtime) trait Factory {
    fn registered(&self) -> Registered;
    /// Gives an actor its place, in which it can be addressed from now on. Its first life is still to come.
    fn place(&self, router: &Arc<Router>, start: &ActorStart) -> Rc<dyn Hosted>;
}

pub(in crate::runtime) struct TypedFactory<A>(PhantomData<fn() -> A>);

impl<A> Default for TypedFactory<A> {
    fn default() -> Self {
        TypedFactory(PhantomData)
    }
}

impl<A: Spawn> Factory for TypedFactory<A> {
    fn registered(&self) -> Registered {
        Registered::of::<A>()
    }

    fn place(&self, router: &Arc<Router>, start: &ActorStart) -> Rc<dyn Hosted> {
        let export = ActorExport::<A>::new(None);
        let window = router.identity().limits.window_messages;
        router.registry().declare(start.slot, start.name.clone(), export.clone(), window);
        router.registry().set_attempts(start.slot, start.rules.attempts);
        Rc::new(Placed { export, router: Arc::clone(router), keeping: RefCell::default() })
    }
}

/// What the host hears of one life.
pub(in crate::runtime) struct Hearing {
    /// `started` has run.
    pub(super) began: Box<dyn FnOnce()>,
    /// It panics just now.
    pub(super) panicked: Box<dyn Fn()>,
    /// It is over.
    pub(super) ended: Box<dyn FnOnce(ActorEnd)>,
}

/// An actor of whatever type, in its place.
pub(in crate::runtime) trait Hosted {
    /// Begins a life of it, with what the keeper has of the one before.
    fn begin(
        &self,
        start: &ActorStart,
        birth: Birth,
        keeper: &Arc<Keeper>,
        hearing: Hearing,
    ) -> Result<Running, Refusal>;
    /// Asks the life to end when it has handled what is in its mailbox. What comes after that waits for the next life,
    /// unless this is the last.
    fn ask_to_stop(&self, is_last: bool);
    /// The life is ended for this reason; what comes from now on waits for the next.
    fn hold(&self, why: EndReason);
    /// There will be no further life: what waits for one learns so.
    fn bury(&self);
}

struct Placed<A: Actor> {
    export: Arc<ActorExport<A>>,
    router: Arc<Router>,
    /// What the life that lives now keeps.
    keeping: RefCell<Keeping>,
}

impl<A: Spawn> Hosted for Placed<A> {
    fn begin(
        &self,
        start: &ActorStart,
        birth: Birth,
        keeper: &Arc<Keeper>,
        hearing: Hearing,
    ) -> Result<Running, Refusal> {
        let args = arguments::<A>(start)?;
        let keeping = Keeping::begin(keeper, start.slot);
        let actor = make::<A>(start, args, &Birth { keeping: keeping.clone(), ..birth })?;
        keeping.begun();
        self.keeping.replace(keeping);
        let context = Context::<A>::new();
        // Kept until `started` has run: without an address an actor is over before it began.
        let (export, address) = (Arc::clone(&self.export), context.address());
        let began = hearing.began;
        let life = Life::new(
            context.into_future(actor),
            move || {
                export.set(Some(address));
                began();
            },
            hearing.panicked,
        );
        Ok(Running::spawn(life, hearing.ended))
    }

    fn ask_to_stop(&self, is_last: bool) {
        let Some(addr) = self.export.addr() else { return };
        match is_last {
            true => self.export.set(None),
            false => self.export.hold(EndReason::Stopped),
        }
        let router = Arc::clone(&self.router);
        addr.do_send(self.keeping.borrow().leave::<A>(move || router.is_stopping()));
    }

    fn hold(&self, why: EndReason) {
        self.export.hold(why);
    }

    fn bury(&self) {
        self.export.set(None);
    }
}

fn arguments<A: Spawn>(start: &ActorStart) -> Result<A::Args, Refusal> {
    let mut json = serde_json::Deserializer::from_str(&start.args_json);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { format!(".{path}") };
        Refusal::Args { actor: start.name.clone(), path, reason: error.inner().to_string() }
    })
}

/// The actor itself.
fn make<A: Spawn>(start: &ActorStart, args: A::Args, birth: &Birth) -> Result<A, Refusal> {
    let refused = |reason: String| Refusal::Spawn { actor: start.name.clone(), reason };
    match catch_unwind(AssertUnwindSafe(|| A::spawn(args, birth))) {
        Ok(Ok(actor)) => Ok(actor),
        Ok(Err(error)) => Err(refused(error.to_string())),
        Err(_) => Err(refused(format!("panicked: {}", handling::last_panic()))),
    }
}
