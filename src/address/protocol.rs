//! The shapes of an actor's messages, and of what is answered.

use super::actor::{ProcActor, ProcMessage};
use crate::codec::shape::{self, ActorKey, Collection, Looked, MessageShapes};

/// A message and its result, as they travel.
pub(super) fn wire<M: ProcMessage>() -> (Looked, Looked) {
    (shape::wire::<M>(), shape::wire::<M::Result>())
}

/// A message and its result, as JSON has them.
pub(super) fn readable<M: ProcMessage>() -> (Looked, Looked) {
    (shape::readable::<M>(), shape::readable::<M::Result>())
}

/// What an actor type is called.
pub(crate) fn key<A: ProcActor>() -> ActorKey {
    (A::TYPE_NAME, std::any::type_name::<A>())
}

/// Adds the messages of an actor type.
pub(crate) fn collect<A: ProcActor>(collection: &mut Collection) {
    let messages = A::messages().iter().map(|entry| {
        let (message, result) = (entry.wire)();
        MessageShapes {
            name: entry.name.to_owned(),
            message: collection.mention(message),
            result: collection.mention(result),
        }
    });
    let messages = messages.collect();
    collection.found(key::<A>(), messages);
}
