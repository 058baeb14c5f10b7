//! The messages of actors: what two programs that share them compare.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::compare::difference;
use super::form::Shapes;
use super::look::Looked;

/// All that a program can receive, and all that it can see to send: the messages of the actors that it hosts, and of those
/// to whose addresses it has room in arguments, messages and results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    /// By type.
    pub actors: Vec<ActorProtocol>,
}

/// The messages of one actor type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorProtocol {
    /// The type's stable name.
    pub actor: String,
    /// In the order of its list.
    pub messages: Vec<MessageShapes>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageShapes {
    /// Its name in the actor's protocol.
    pub name: String,
    /// Itself.
    pub message: Shapes,
    /// What is answered.
    pub result: Shapes,
}

/// The stable name of an actor type, and Rust's own.
pub type ActorKey = (&'static str, &'static str);

/// Adds the messages of one actor type.
pub(super) type Collect = fn(&mut Collection);

/// A protocol that is being found out.
#[derive(Debug, Default)]
pub struct Collection {
    /// By stable name and Rust's own: a program may have two types of one stable name, and send to both.
    actors: BTreeMap<ActorKey, Option<ActorProtocol>>,
    waiting: Vec<Collect>,
}

impl Collection {
    /// Actors to whose addresses there is room in what was looked at.
    pub fn mention(&mut self, looked: Looked) -> Shapes {
        for (key, collect) in looked.actors {
            self.add(key, collect);
        }
        looked.shapes
    }

    /// An actor type, whose messages are found out unless they are.
    pub fn add(&mut self, key: ActorKey, collect: Collect) {
        if let Entry::Vacant(new) = self.actors.entry(key) {
            new.insert(None);
            self.waiting.push(collect);
        }
    }

    /// The messages of a type.
    pub fn found(&mut self, key: ActorKey, messages: Vec<MessageShapes>) {
        self.actors.insert(key, Some(ActorProtocol { actor: key.0.to_owned(), messages }));
    }

    /// Everything, with what is mentioned in it, and so on.
    pub fn finish(mut self) -> Protocol {
        while let Some(collect) = self.waiting.pop() {
            collect(&mut self);
        }
        Protocol { actors: self.actors.into_values().flatten().collect() }
    }
}

/// A message that has another shape in another program (T-3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// The actor type.
    pub actor: String,
    /// The message.
    pub message: String,
    /// Whether it is what is answered that differs.
    pub in_result: bool,
    /// Where: `.items[].price`; nothing for all of it.
    pub path: String,
    /// What is there on one side.
    pub left: String,
    /// And on the other.
    pub right: String,
}

impl Protocol {
    /// The first difference in a message that both have. What only one of them has is nothing to differ about.
    pub fn mismatch(&self, other: &Protocol) -> Option<Mismatch> {
        let mut theirs: BTreeMap<(&str, &str), Vec<&MessageShapes>> = BTreeMap::new();
        for actor in &other.actors {
            for message in &actor.messages {
                theirs.entry((&actor.actor, &message.name)).or_default().push(message);
            }
        }
        self.actors.iter().find_map(|actor| {
            actor.messages.iter().find_map(|message| {
                let theirs = theirs.get(&(actor.actor.as_str(), message.name.as_str()))?;
                theirs.iter().find_map(|theirs| differ(&actor.actor, message, theirs))
            })
        })
    }
}

fn differ(actor: &str, left: &MessageShapes, right: &MessageShapes) -> Option<Mismatch> {
    let message = difference(&left.message, &right.message).map(|found| (found, false));
    let found = message.or_else(|| difference(&left.result, &right.result).map(|found| (found, true)));
    found.map(|(found, in_result)| Mismatch {
        actor: actor.to_owned(),
        message: left.name.clone(),
        in_result,
        path: found.path,
        left: found.left,
        right: found.right,
    })
}

impl Mismatch {
    /// The place, as `Add.items[].price`.
    pub fn place(&self) -> String {
        let result = if self.in_result { " -> result" } else { "" };
        format!("{}{result}{}", self.message, self.path)
    }

    /// As a sentence about programs with these names.
    pub fn between(&self, left: &str, right: &str) -> impl fmt::Display {
        let Mismatch { actor, left: one, right: other, .. } = self;
        let place = self.place();
        format!(
            "message {} of {actor} has another shape: `{place}` is {one} in {left}, and {other} in {right}",
            self.message
        )
    }
}
