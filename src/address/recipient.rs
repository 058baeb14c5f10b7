//! The address of whatever handles one message type.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::actor::ProcMessage;
use super::context;
use super::dispatch::{self, Which};
use super::error::SendError;
use super::protocol;
use super::request::{Request, Tell};
use super::streaming::{StreamRequest, Streaming};
use super::target::Target;
use crate::codec::shape::{self, Whom};
use crate::id::AddressTextError;
use crate::protocol::connection::Mode;
use crate::protocol::wire::{Cause, Failure, MessageId};

/// A [`ProcAddr`](super::ProcAddr) that is typed by one message only: its holder need not know the actor.
///
/// Made by [`ProcAddr::recipient`](super::ProcAddr::recipient), or named in a topology like any address. Then the
/// message must have its plain type name in the actor's list.
pub struct ProcRecipient<M> {
    target: Target,
    /// The message's identity in that actor's protocol; none if only the actor's name is known as yet.
    id: Option<MessageId>,
    message: PhantomData<fn(M)>,
}

impl<M: ProcMessage> ProcRecipient<M> {
    pub(super) fn new(target: Target, id: Option<MessageId>) -> ProcRecipient<M> {
        ProcRecipient { target, id, message: PhantomData }
    }

    /// The actor that the topology calls `name`.
    pub fn named(name: &str) -> ProcRecipient<M> {
        ProcRecipient::new(Target::named(name.into()), None)
    }

    /// As [`ProcAddr::at_least_once`](super::ProcAddr::at_least_once).
    pub fn at_least_once(&self) -> ProcRecipient<M> {
        ProcRecipient::new(self.target.at_least_once(), self.id)
    }

    pub(super) fn from_target(target: Target) -> ProcRecipient<M> {
        let id = target.message();
        ProcRecipient::new(target, id)
    }

    pub(super) fn id(&self) -> Option<MessageId> {
        self.id
    }

    /// What it points to, with the message in it where that is known.
    pub(super) fn weak_target(&self) -> Target {
        self.target.for_message(self.id).unwrap_or_else(|_| self.target.clone())
    }

    /// As [`ProcAddr::pin`](super::ProcAddr::pin).
    ///
    /// # Errors
    /// As for that.
    pub fn pin(&self) -> Result<ProcRecipient<M>, Failure> {
        let router = context::current().ok_or(Failure::not_executed(Cause::NoRuntime))?;
        let pinned = self.target.pinned(&router).map_err(Failure::not_executed)?;
        Ok(ProcRecipient::new(pinned, self.id))
    }

    /// As [`ProcAddr::connected`](super::ProcAddr::connected).
    pub fn connected(&self) -> bool {
        super::addr::is_reachable(&self.target)
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn which(&self) -> Result<Which, Cause> {
        let name = plain_name::<M>();
        if let Some(id) = self.id {
            return Ok(Which { id, name });
        }
        if self.target.group().is_some() {
            // Known when its members are.
            return Ok(Which { id: MessageId(0), name });
        }
        let router = context::current().ok_or(Cause::NoRuntime)?;
        let actor = match self.target.name() {
            Some(name) => name.to_string(),
            // An address of a whole actor, read as one for a message: nothing says which that is there.
            None => {
                return Err(Cause::NotAccepted { actor: "actor whose type is not known here".to_owned() });
            }
        };
        let known = router.look_up(&actor).ok_or(Cause::UnknownName(actor))?;
        Ok(Which { id: MessageId::of(&known.type_name, name), name })
    }

    /// As [`ProcAddr::send`](super::ProcAddr::send).
    pub fn send(&self, message: M) -> Request<M> {
        Request(match self.which() {
            Ok(which) => dispatch::submit(&self.target, which, message, Mode::Call),
            Err(cause) => super::request::Pending::failed(cause, Some(message)),
        })
    }

    /// As [`ProcAddr::stream`](super::ProcAddr::stream).
    pub fn stream<T, E>(&self, message: M) -> StreamRequest<M, T, E>
    where
        M: actix::Message<Result = Streaming<T, E>>,
    {
        StreamRequest::new(self.send(message))
    }

    /// As [`ProcAddr::tell`](super::ProcAddr::tell).
    pub fn tell(&self, message: M) -> Tell<M> {
        Tell::of(match self.which() {
            Ok(which) => dispatch::submit(&self.target, which, message, Mode::Tell),
            Err(cause) => super::request::Pending::failed(cause, Some(message)),
        })
    }

    /// As [`ProcAddr::do_send`](super::ProcAddr::do_send).
    pub fn do_send(&self, message: M) {
        let which = self.which().unwrap_or(Which { id: MessageId(0), name: plain_name::<M>() });
        dispatch::do_send(&self.target, which, message);
    }

    /// As [`ProcAddr::try_send`](super::ProcAddr::try_send).
    ///
    /// # Errors
    /// With the message.
    pub fn try_send(&self, message: M) -> Result<(), SendError<M>> {
        match self.which() {
            Ok(which) => dispatch::try_send(&self.target, which, message),
            Err(cause) => Err(SendError::new(Failure::not_executed(cause), Some(message))),
        }
    }
}

/// The last segment of a type's path: what the derive calls a message by default.
pub(super) fn plain_name<M>() -> &'static str {
    let path = std::any::type_name::<M>();
    let generics = path.find('<').unwrap_or(path.len());
    path[..generics].rfind("::").map_or(path, |at| &path[at + 2..])
}

impl<M> Clone for ProcRecipient<M> {
    fn clone(&self) -> Self {
        ProcRecipient { target: self.target.clone(), id: self.id, message: PhantomData }
    }
}

impl<M> PartialEq for ProcRecipient<M> {
    fn eq(&self, other: &Self) -> bool {
        self.target == other.target
    }
}

impl<M> Eq for ProcRecipient<M> {}

impl<M> Hash for ProcRecipient<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.target.hash(state);
    }
}

impl<M> fmt::Debug for ProcRecipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcRecipient({:?})", self.target)
    }
}

impl<M> fmt::Display for ProcRecipient<M> {
    /// As that of [`ProcAddr`](super::ProcAddr).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.target.to_text(self.id).map_err(|_| fmt::Error)?)
    }
}

impl<M> std::str::FromStr for ProcRecipient<M> {
    type Err = AddressTextError;

    fn from_str(text: &str) -> Result<Self, AddressTextError> {
        let target = Target::of_text(text)?;
        let id = target.message();
        Ok(ProcRecipient { target, id, message: PhantomData })
    }
}

impl<M> Serialize for ProcRecipient<M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.target.serialize_for(self.id, serializer)
    }
}

impl<'de, M: ProcMessage> Deserialize<'de> for ProcRecipient<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whom = Whom::Message(plain_name::<M>(), protocol::wire::<M>);
        let Some(deserializer) = shape::mention(deserializer, whom)? else {
            return Ok(ProcRecipient::named("looked-at"));
        };
        let target = Target::deserialize(deserializer)?;
        let id = target.message();
        Ok(ProcRecipient { target, id, message: PhantomData })
    }
}
