//! What a program registers, as others may look at it: without its factories, which belong to its thread of actors.

use serde_json::Value;

use super::describe::{DescribedActor, DescribedMessage};
use super::spawn::Spawn;
use crate::address;
use crate::codec::shape::{self, ActorKey, Collection, Looked, Protocol};
use crate::topology::HostedType;

/// The name of a message, and what was seen of it and its result.
type Message = (&'static str, (Looked, Looked));

/// An actor type that the program hosts.
#[derive(Clone, Debug)]
pub(super) struct Registered {
    name: &'static str,
    messages: fn() -> Vec<&'static str>,
    args: fn() -> Looked,
    readable: fn() -> Vec<Message>,
    wire: fn() -> Vec<Message>,
    used: Used,
}

/// An actor type that the program merely sends to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    key: ActorKey,
    collect: fn(&mut Collection),
}

impl Used {
    pub(super) fn of<A: address::ProcActor>() -> Used {
        Used { key: address::key::<A>(), collect: address::collect::<A> }
    }
}

impl Registered {
    pub(super) fn of<A: Spawn>() -> Registered {
        Registered {
            name: A::TYPE_NAME,
            messages: || A::messages().iter().map(|entry| entry.name).collect(),
            args: shape::readable::<A::Args>,
            readable: || A::messages().iter().map(|entry| (entry.name, (entry.readable)())).collect(),
            wire: || A::messages().iter().map(|entry| (entry.name, (entry.wire)())).collect(),
            used: Used::of::<A>(),
        }
    }

    /// For those who check a topology; the arguments, which must be looked at, if they are to be checked.
    pub(super) fn hosted(&self, with_args: bool) -> HostedType {
        let messages = (self.messages)().into_iter().map(str::to_owned).collect();
        let args = with_args.then(|| self.args());
        let unfit = if with_args { self.fitness().into_iter().flatten().collect() } else { Vec::new() };
        HostedType { name: self.name.to_owned(), messages, args, unfit }
    }

    /// bincode has no names, so it can't carry a type that looks at them to know what it is (H55). Each message with
    /// why it can't go to another process, if it can't.
    fn fitness(&self) -> Vec<Option<String>> {
        let sentence = |(name, (message, result)): Message| {
            let (what, found) = match (message.shapes.anything(), result.shapes.anything()) {
                (Some(found), _) => ("", found),
                (None, Some(found)) => ("the result of ", found),
                (None, None) => return None,
            };
            let actor = self.name;
            Some(format!(
                "{what}message {name} of {actor} can't go to another process: in it is a {found}, which must see what it \
                 reads to know what it is"
            ))
        };
        (self.wire)().into_iter().map(sentence).collect()
    }

    fn args(&self) -> Value {
        shape::schema(&(self.args)().shapes, &format!("procession:{}/args", self.name))
    }

    /// For `--describe`.
    pub(super) fn described(&self) -> DescribedActor {
        let messages =
            (self.readable)().into_iter().zip(self.fitness()).map(|((name, (message, result)), unfit)| {
                let id = format!("procession:{}/{name}", self.name);
                let result = shape::schema(&result.shapes, &format!("{id}/result"));
                DescribedMessage {
                    name: name.to_owned(),
                    message: shape::schema(&message.shapes, &format!("{id}/message")),
                    result,
                    unfit,
                }
            });
        DescribedActor { type_name: self.name.to_owned(), args: self.args(), messages: messages.collect() }
    }
}

/// All messages that a program can receive, and all that it is seen to send.
pub(super) fn protocol(registered: &[Registered], used: &[Used]) -> Protocol {
    let mut collection = Collection::default();
    for actor in registered {
        collection.add(actor.used.key, actor.used.collect);
        // The addresses in its arguments lead to whom it sends.
        collection.mention((actor.args)());
    }
    used.iter().for_each(|used| collection.add(used.key, used.collect));
    collection.finish()
}
