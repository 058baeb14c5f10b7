//! The address of an actor, wherever it lives.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use actix::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::actor::{Accepts, ProcActor, ProcMessage};
use super::context;
use super::dispatch::{self, Which};
use super::error::SendError;
use super::export::ActorExport;
use super::json::{self, JsonRequest};
use super::protocol;
use super::recipient::ProcRecipient;
use super::request::{Request, Tell};
use super::streaming::{StreamRequest, Streaming};
use super::target::Target;
use crate::codec::shape::{self, Whom};
use crate::id::{AddressTextError, Capability};
use crate::protocol::Delivery;
use crate::protocol::connection::Mode;
use crate::protocol::wire::{Cause, Failure};

/// The address of an actor in this process or another: actix's [`Addr`], process-spanning.
///
/// A plain value: it can be cloned, compared, stored, be a field of a message or of `Args`, and go anywhere.
/// It holds no descriptor and keeps nothing alive. It names the actor, not a life of it: after the actor's process
/// was restarted, it reaches the next incarnation.
///
/// It is also the right to send: it bears a seal that can't be guessed, and is checked by root and owner. Whoever
/// holds one can [narrow](Self::limited) it and hand that on; its owner can [revoke](Self::revoke) it. `Debug` shows no seal.
///
/// In a human-readable format it is its name, `{ addr = "counter" }`, where this process may look that name up. Any other
/// address is written as text, as [`Display`](fmt::Display) shows and `parse` reads it: for this run of the root, an
/// [`AddressTextError`](super::AddressTextError) in any other. A text is as good as the address, so it belongs into no log.
pub struct ProcAddr<A> {
    target: Target,
    actor: PhantomData<fn() -> A>,
}

impl<A: ProcActor> ProcAddr<A> {
    pub(super) fn new(target: Target) -> ProcAddr<A> {
        ProcAddr { target, actor: PhantomData }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// The actor that the topology calls `name`. Looked up where it is used: an unknown name is an error of the
    /// send ([`Cause::UnknownName`]), and of `check` where it is an argument in a topology.
    pub fn named(name: &str) -> ProcAddr<A> {
        ProcAddr::new(Target::named(Arc::from(name)))
    }

    /// The actor with this number, of which the topology or the runtime says that it is an `A`.
    pub(crate) fn of(id: Capability, name: Option<Arc<str>>) -> ProcAddr<A> {
        ProcAddr::new(Target::of(id, name))
    }

    /// The same, as its rules say that messages are delivered.
    pub(crate) fn delivering(self, delivery: Delivery) -> ProcAddr<A> {
        match delivery {
            Delivery::AtMostOnce => self,
            Delivery::AtLeastOnce => self.at_least_once(),
        }
    }

    /// Gives an actor of this process an address that other processes can use. It stays addressable, and is kept
    /// alive, until it stops by itself; it does not survive its process.
    ///
    /// # Errors
    /// [`Cause::NoRuntime`] outside `Program::run`.
    pub fn export(addr: Addr<A>) -> Result<ProcAddr<A>, Failure> {
        let router = context::current().ok_or(Failure::not_executed(Cause::NoRuntime))?;
        let identity = router.identity();
        let export = ActorExport::new(Some(addr));
        Ok(ProcAddr::of(router.registry().export(export, identity.limits.window_messages), None))
    }

    /// Sends a message and waits for the reply (an ask). Waits for room first, if need be.
    pub fn send<M>(&self, message: M) -> Request<M>
    where
        A: Accepts<M>,
        M: ProcMessage,
    {
        Request(dispatch::submit(&self.target, which::<A, M>(), message, Mode::Call))
    }

    /// Asks for a stream: a message whose result is a [`Streaming`]. What this gives yields its items.
    pub fn stream<M, T, E>(&self, message: M) -> StreamRequest<M, T, E>
    where
        A: Accepts<M>,
        M: ProcMessage + Message<Result = Streaming<T, E>>,
    {
        StreamRequest::new(self.send(message))
    }

    /// Sends a message and waits until there is room for it, not until it is handled.
    pub fn tell<M>(&self, message: M) -> Tell<M>
    where
        A: Accepts<M>,
        M: ProcMessage,
    {
        Tell::of(dispatch::submit(&self.target, which::<A, M>(), message, Mode::Tell))
    }

    /// Sends a message without waiting. If there is no room, it waits in a bounded outbox; past that, it is a dead
    /// letter, counted and logged (M-3).
    pub fn do_send<M>(&self, message: M)
    where
        A: Accepts<M>,
        M: ProcMessage,
    {
        dispatch::do_send(&self.target, which::<A, M>(), message);
    }

    /// Sends a message if there is room now.
    ///
    /// # Errors
    /// [`Cause::Full`] and every other reason not to send, with the message.
    pub fn try_send<M>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Accepts<M>,
        M: ProcMessage,
    {
        dispatch::try_send(&self.target, which::<A, M>(), message)
    }

    /// The same address, whose messages are delivered at least once (M-6), whatever the topology says of the actor.
    ///
    /// A message with room is kept, encoded, until the actor has handled it to the end, an asynchronous handler included.
    /// What was not acknowledged when the actor or its process died is sent to the next life, in order and before what
    /// was sent later. The window that the actor grants bounds what is kept: `send` and `tell` wait for room, `try_send`
    /// gives the message back, and what [`do_send`](Self::do_send) can't put into its outbox is a dead letter.
    ///
    /// - A handler may see a message more than once; [`Arrival::current`](super::Arrival::current) tells which one it is
    ///   and which delivery.
    /// - A message of which the actor died as often as its `attempts` say is parked: a dead letter with the cause
    ///   [`Cause::Poison`], and those after it go on (H47).
    /// - From the moment that it has room, a message is delivered even if the future is dropped or its time is up; the
    ///   error is then [`Cause::TimedOut`] with the verdict `Unknown`.
    /// - What this process has not handed on dies with it.
    ///
    /// The mark stays with the address wherever it goes.
    pub fn at_least_once(&self) -> ProcAddr<A> {
        ProcAddr::new(self.target.at_least_once())
    }

    /// Whether messages are delivered at least once: by [`at_least_once`](Self::at_least_once), or since the topology says
    /// so of the actor.
    pub fn is_at_least_once(&self) -> bool {
        let known = || self.target.resolve_fully(&*context::current()?).ok();
        self.target.is_at_least_once() || known().is_some_and(|(_, at_least_once)| at_least_once)
    }

    pub(super) fn weak_target(&self) -> Target {
        self.target.clone()
    }

    /// The same address, for one message type alone. Whoever it is given to in another process can send nothing else by
    /// it.
    pub fn recipient<M>(&self) -> ProcRecipient<M>
    where
        A: Accepts<M>,
        M: ProcMessage,
    {
        ProcRecipient::new(self.target.clone(), Some(<A as Accepts<M>>::ID))
    }

    /// Whether the actor is believed to be reachable. For an actor of another process that is so until the root
    /// has said otherwise; a send tells for sure.
    pub fn connected(&self) -> bool {
        match self.target.group() {
            Some(group) => group.has_members(),
            None => is_reachable(&self.target),
        }
    }

    /// An address of the life that this process is connected with now: sends to any other life fail with
    /// [`Cause::Stale`].
    ///
    /// # Errors
    /// The address can't be resolved, or nothing was sent there yet, so that no life is known.
    pub fn pin(&self) -> Result<ProcAddr<A>, Failure> {
        let router = context::current().ok_or(Failure::not_executed(Cause::NoRuntime))?;
        self.target.pinned(&router).map(ProcAddr::new).map_err(Failure::not_executed)
    }

    /// Sends a message by its name in the actor's protocol, as JSON, and waits for the result as JSON (an ask): for who
    /// knows the type of the actor and not that of the message.
    ///
    /// The process of the actor makes the message of it, as `serde_json` reads its type. At most once, whatever the
    /// address asks for.
    pub fn send_json(&self, message: &str, json: &serde_json::Value) -> JsonRequest {
        json::send(&self.target, Some(A::TYPE_NAME), message, json)
    }

    /// The name that the topology gave the actor, where it is known here.
    pub fn name(&self) -> Option<&str> {
        self.target.name().map(|name| &**name)
    }
}

/// Whether an actor is believed to be reachable.
pub(super) fn is_reachable(target: &Target) -> bool {
    let Some(router) = context::current() else { return false };
    match target.resolve(&router) {
        Ok(id) if router.is_local(id.process()) => {
            router.find_local(&id).is_ok_and(|exported| exported.actor.is_alive())
        }
        Ok(id) => router.is_reachable(id.process()),
        Err(_) => false,
    }
}

pub(super) fn which<A: Accepts<M>, M: ProcMessage>() -> Which {
    Which { id: <A as Accepts<M>>::ID, name: <A as Accepts<M>>::NAME }
}

impl<A> Clone for ProcAddr<A> {
    fn clone(&self) -> Self {
        ProcAddr { target: self.target.clone(), actor: PhantomData }
    }
}

impl<A> PartialEq for ProcAddr<A> {
    fn eq(&self, other: &Self) -> bool {
        self.target == other.target
    }
}

impl<A> Eq for ProcAddr<A> {}

impl<A> Hash for ProcAddr<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.target.hash(state);
    }
}

impl<A> fmt::Debug for ProcAddr<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcAddr({:?})", self.target)
    }
}

impl<A> fmt::Display for ProcAddr<A> {
    /// The address as text: its name, or all of it. See the type's documentation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.target.to_text(None).map_err(|_| fmt::Error)?)
    }
}

impl<A> std::str::FromStr for ProcAddr<A> {
    type Err = AddressTextError;

    fn from_str(text: &str) -> Result<Self, AddressTextError> {
        Ok(ProcAddr { target: Target::of_text(text)?, actor: PhantomData })
    }
}

impl<A> Serialize for ProcAddr<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.target.serialize(serializer)
    }
}

impl<'de, A: ProcActor> Deserialize<'de> for ProcAddr<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whom = Whom::Actor(protocol::key::<A>(), protocol::collect::<A>);
        let Some(deserializer) = shape::mention(deserializer, whom)? else {
            return Ok(ProcAddr::named("looked-at"));
        };
        Ok(ProcAddr { target: Target::deserialize(deserializer)?, actor: PhantomData })
    }
}
