//! Addresses that only name an actor: what a table of whom one knows should hold.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::actor::{ProcActor, ProcMessage};
use super::addr::ProcAddr;
use super::protocol;
use super::recipient::{ProcRecipient, plain_name};
use super::target::Target;
use crate::codec::shape::{self, Whom};
use crate::process::routing::reading;
use crate::protocol::wire::MessageId;

/// An address as a file or an argument shows it where it does not wire: `{ weak = "counter" }`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Readable {
    weak: String,
}

fn serialize<S: Serializer>(
    target: &Target,
    message: Option<MessageId>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if !serializer.is_human_readable() {
        return target.serialize_weakly(message, serializer);
    }
    let weak = target.to_text(message).map_err(serde::ser::Error::custom)?;
    Readable { weak }.serialize(serializer)
}

fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
    if !deserializer.is_human_readable() {
        // Whoever only knows somebody holds back nothing that he sends there, whatever its giver says.
        return reading(None, || Target::deserialize(deserializer));
    }
    let Readable { weak } = Readable::deserialize(deserializer)?;
    Target::of_text(&weak).map_err(D::Error::custom)
}

macro_rules! weak {
    ($(#[$doc:meta])* $name:ident<$type:ident: $bound:ident> of $strong:ident, $made:expr, $message:expr, $whom:expr) => {
        $(#[$doc])*
        pub struct $name<$type> {
            target: Target,
            marker: PhantomData<fn() -> $type>,
        }

        impl<$type: $bound> $strong<$type> {
            /// The same address, as a name alone.
            pub fn downgrade(&self) -> $name<$type> {
                $name { target: self.weak_target(), marker: PhantomData }
            }
        }

        impl<$type: $bound> $name<$type> {
            /// The address, if the actor is believed to be alive: as [`ProcAddr::connected`] says. A name is looked up,
            /// which succeeds only where something else lets this process do so.
            pub fn upgrade(&self) -> Option<$strong<$type>> {
                super::addr::is_reachable(&self.target).then(|| $made(self.target.clone()))
            }
        }

        impl<$type> Clone for $name<$type> {
            fn clone(&self) -> Self {
                $name { target: self.target.clone(), marker: PhantomData }
            }
        }

        impl<$type> PartialEq for $name<$type> {
            fn eq(&self, other: &Self) -> bool {
                self.target == other.target
            }
        }

        impl<$type> Eq for $name<$type> {}

        impl<$type> Hash for $name<$type> {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.target.hash(state);
            }
        }

        impl<$type> fmt::Debug for $name<$type> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.target)
            }
        }

        impl<$type> Serialize for $name<$type> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serialize(&self.target, $message(&self.target), serializer)
            }
        }

        impl<'de, $type: $bound> Deserialize<'de> for $name<$type> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let target = match shape::mention_weak(deserializer, $whom)? {
                    Some(deserializer) => deserialize(deserializer)?,
                    None => Target::named("looked-at".into()),
                };
                Ok($name { target, marker: PhantomData })
            }
        }
    };
}

weak! {
    /// A [`ProcAddr`] that only names its actor: it is compared, kept, shown and passed on like one, and sends nothing until
    /// it is [upgraded](Self::upgrade).
    ///
    /// No address keeps an actor alive, so this one need not differ in that. It differs in that it says nothing of wanting to
    /// send: in the arguments of a topology it does not wire, `{ weak = "counter" }` instead of `{ addr = "counter" }`, and what
    /// is sent by one that came in a message waits for nothing that its giver had sent there before: a long table of
    /// them costs whoever reads it nothing.
    WeakProcAddr<A: ProcActor> of ProcAddr, ProcAddr::new, |_: &Target| None,
    Whom::Actor(protocol::key::<A>(), protocol::collect::<A>)
}

weak! {
    /// A [`ProcRecipient`] that only names its actor: see [`WeakProcAddr`].
    WeakProcRecipient<M: ProcMessage> of ProcRecipient, ProcRecipient::from_target, |target: &Target| target.message(),
    Whom::Message(plain_name::<M>(), protocol::wire::<M>)
}
