//! What makes an actor addressable from other processes. Implemented by `#[derive(ProcActor)]`.

use std::any::{Any, TypeId};

use actix::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::attend::Attend;
use super::export::Held;
use super::inbound::Inbound;
use super::inbox::{Arrived, IsPaused, Serving};
use super::json;
use super::protocol;
use super::visit::Visit;
use crate::codec::Encoded;
use crate::codec::shape::Looked;
use crate::process::routing::{Begun, Refused, Ticket};
use crate::protocol::json::JsonFault;
use crate::protocol::wire::MessageId;

/// A message that can go to another process: an actix message whose bytes and whose result's bytes serde knows.
///
/// Implemented for every type that fits; nobody implements it by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be sent to another process",
    note = "derive `Message`, `serde::Serialize` and `serde::Deserialize` for it, and let its `rtype` be a type that implements both and `Send`, too"
)]
pub trait ProcMessage:
    Message<Result: Serialize + DeserializeOwned + Send> + Serialize + DeserializeOwned + Send + 'static
{
}

impl<M> ProcMessage for M where
    M: Message<Result: Serialize + DeserializeOwned + Send> + Serialize + DeserializeOwned + Send + 'static
{
}

/// An actor with a list of messages that other processes may send it.
///
/// Derive it: `#[derive(ProcActor)] #[proc_actor(messages(Add, Get))]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no list of messages that other processes may send it",
    note = "add `#[derive(ProcActor)]` and `#[proc_actor(messages(...))]` to `{Self}`"
)]
pub trait ProcActor:
    Actor + Handler<StopActor> + Handler<Visit> + Handler<Arrived> + Handler<Attend>
{
    /// The stable name of the type, `crate::module::Type`: what `type = "..."` in a topology means.
    const TYPE_NAME: &'static str;

    /// The handler table.
    fn messages() -> &'static [MessageEntry<Self>];

    /// How it takes what arrives many at a time; `None` if it takes messages one by one.
    fn serving() -> Option<Serving<Self>>;
}

/// Makes an actor stop after what is in its mailbox. The derive implements its handler, so that a process can stop
/// its actors whatever else keeps them alive.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct StopActor;

/// A message that there is none of: the derive has every actor accept it, see there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub enum Never {}

/// An actor's list has this message. Implemented by the derive for each entry of the list.
#[diagnostic::on_unimplemented(
    message = "`{M}` is not in the message list of `{Self}`",
    label = "`{Self}` does not take `{M}` from other processes",
    note = "add `{M}` to `#[proc_actor(messages(...))]` of `{Self}`, and implement `Handler<{M}>` for it"
)]
pub trait Accepts<M: ProcMessage>: ProcActor + Handler<M> {
    /// The stable name of the message in this actor's protocol.
    const NAME: &'static str;
    /// Its identity on the wire.
    const ID: MessageId = MessageId::of(Self::TYPE_NAME, Self::NAME);
}

/// Decodes a message and puts it into the mailbox.
type Deliver<A> = fn(&Addr<A>, Encoded<'_>, Ticket) -> Result<(), Refused>;

/// Decodes a message without putting it anywhere: for an inbox.
type Open = fn(Encoded<'_>, Ticket) -> Result<Box<dyn Any + Send>, Refused>;

/// Handles casts that may begin, which are the first of these frames.
type HandleCasts<A> = fn(&mut A, Begun<'_>, &mut &[u8], &mut <A as Actor>::Context, IsPaused<A>);

/// A line of the handler table.
#[derive(Debug)]
pub struct MessageEntry<A: Actor> {
    /// The message's identity on the wire.
    pub id: MessageId,
    /// Its name.
    pub name: &'static str,
    pub(super) deliver: Deliver<A>,
    pub(super) deliver_local: fn(&Addr<A>, &mut dyn Any) -> bool,
    pub(super) hold_local: fn(&mut dyn Any) -> Option<Held<A>>,
    /// Takes a message out of its envelope, for an inbox.
    pub(super) unwrap: fn(&mut dyn Any) -> Option<Box<dyn Any + Send>>,
    /// The message's type.
    pub(super) message: fn() -> TypeId,
    pub(super) open: Open,
    /// Handles a message of the inbox that is still encoded.
    pub(super) handle_small: fn(&mut A, &[u8], Ticket, &mut A::Context),
    /// Handles casts of the inbox until they have had their turn or the actor pauses.
    pub(super) handle_casts: HandleCasts<A>,
    /// Handles what `open` made.
    pub(super) handle_whole: fn(&mut A, Box<dyn Any + Send>, &mut A::Context),
    /// Looks at the message and its result, as they travel.
    pub(crate) wire: fn() -> (Looked, Looked),
    /// Likewise, as JSON has them.
    pub(crate) readable: fn() -> (Looked, Looked),
    /// Makes the message of JSON, and encodes it.
    pub(super) from_json: fn(&str) -> Result<Encoded<'static>, JsonFault>,
}

impl<A: ProcActor> MessageEntry<A> {
    /// The line for one message.
    pub const fn new<M>() -> MessageEntry<A>
    where
        M: ProcMessage,
        A: Accepts<M> + Handler<Inbound<M>>,
        A::Context: ToEnvelope<A, Inbound<M>>,
    {
        MessageEntry {
            id: <A as Accepts<M>>::ID,
            name: <A as Accepts<M>>::NAME,
            deliver: Inbound::<M>::deliver::<A>,
            deliver_local: Inbound::<M>::deliver_local::<A>,
            hold_local: Inbound::<M>::hold_local::<A>,
            unwrap: Inbound::<M>::unwrap,
            message: TypeId::of::<M>,
            open: Inbound::<M>::open,
            handle_small: Inbound::<M>::handle_small::<A>,
            handle_casts: Inbound::<M>::handle_casts::<A>,
            handle_whole: Inbound::<M>::handle_whole::<A>,
            wire: protocol::wire::<M>,
            readable: protocol::readable::<M>,
            from_json: json::encode::<M>,
        }
    }
}

use actix::dev::ToEnvelope;

/// Whether two of these identities are the same: the derive refuses such a list at compile time (H52).
pub const fn duplicate_message(ids: &[MessageId]) -> bool {
    let mut left = 0;
    while left < ids.len() {
        let mut right = left + 1;
        while right < ids.len() {
            if ids[left].0 == ids[right].0 {
                return true;
            }
            right += 1;
        }
        left += 1;
    }
    false
}
