//! Messages as JSON, by name: for who knows no type of the actor.
//!
//! A call whose message is [`MessageId::JSON`] has a [`JsonCall`] as its body and is answered with a [`JsonReply`].

use serde::{Deserialize, Serialize};

use super::wire::MessageId;

impl MessageId {
    /// The identity of every message that travels as JSON; what it is, its body says. No name has this hash.
    pub const JSON: MessageId = MessageId(0);
}

/// The body of such a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonCall {
    /// The message's name in its actor's protocol.
    pub message: String,
    /// The message, as JSON text.
    pub json: String,
}

/// Its answer: the result, as JSON text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonReply(pub String);

/// What is wrong with such a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum JsonFault {
    /// The actor takes no message of that name.
    #[error("a {actor} takes no message called `{message}`")]
    UnknownMessage {
        /// The actor's type.
        actor: String,
        /// The name.
        message: String,
        /// The names that it takes: at most [`MAX_KNOWN`] of them.
        known: Vec<String>,
    },
    /// It is no such message.
    #[error("at `{path}`: {reason}")]
    Message {
        /// The way to the wrong value: `items[2].price`, or `.` for all of it.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The handler ran, and what it answered can't be written as JSON.
    #[error("the result can't be written as JSON: {0}")]
    Result(String),
}

/// A list of names is to be read, and to fit into a frame.
pub const MAX_KNOWN: usize = 64;

/// Values within values: less than a reader of JSON allows, which ends at 128.
pub const MAX_JSON_DEPTH: usize = 120;
