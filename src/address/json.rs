//! Sending a message as JSON, by its name: for the command line, for HTTP, for who knows none of an actor's types.
//!
//! The sender passes the text on; the process that hosts the actor makes the message of it, and JSON of the result.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix::Message;
use serde_json::Value;

use super::actor::ProcMessage;
use super::context;
use super::dispatch;
use super::error::SendError;
use super::request::Request;
use super::target::Target;
use crate::codec::{self, Encoded};
use crate::id::{Capability, did_you_mean};
use crate::protocol::json::{JsonCall, JsonFault, JsonReply, MAX_JSON_DEPTH};
use crate::protocol::wire::{Cause, Failure, MessageId};

impl Message for JsonCall {
    type Result = JsonReply;
}

/// Why a message that was sent as JSON has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The topology has no actor of that name.
    #[error("no actor is called `{actor}`: {help}")]
    NoSuchActor {
        /// The name.
        actor: String,
        /// What it may have been, or which there are.
        help: String,
    },
    /// The actor takes no message of that name.
    #[error("a {actor} takes no message called `{message}`: {}", mend(message, known))]
    UnknownMessage {
        /// The actor's type.
        actor: String,
        /// The name.
        message: String,
        /// The names that it takes.
        known: Vec<String>,
    },
    /// The JSON is no such message. Nothing was handled.
    #[error("{message}{}: {reason}", Field(path))]
    Wrong {
        /// The message.
        message: String,
        /// The way to the wrong value: `items[2].price`, or `.` for all of it.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The JSON is nested deeper than is read.
    #[error("the JSON is nested deeper than {MAX_JSON_DEPTH} levels")]
    TooDeep,
    /// The message was handled, and what its handler answered can't be written as JSON.
    #[error("{message} was handled, and its result can't be written as JSON: {reason}")]
    Result {
        /// The message.
        message: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It was not answered, for a reason that any message may have.
    #[error(transparent)]
    Send(Failure),
}

fn mend(message: &str, known: &[String]) -> String {
    did_you_mean(message, known.iter().map(String::as_str), "it takes")
}

/// A way into a message, behind its name.
struct Field<'p>(&'p str);

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "." => Ok(()),
            path if path.starts_with('[') => f.write_str(path),
            path => write!(f, ".{path}"),
        }
    }
}

/// Sends a message, by its name and as JSON, to the actor that the topology calls `actor`, from wherever it may be
/// reached by name.
///
/// As [`ProcAddr::send_json`](super::ProcAddr::send_json).
pub fn send_json(actor: &str, message: &str, json: &Value) -> JsonRequest {
    let known = context::current().and_then(|router| router.look_up(actor));
    send(&Target::named(actor.into()), known.as_ref().map(|known| known.type_name.as_str()), message, json)
}

/// To an actor of which the root knows address and type.
pub(crate) fn send_json_to(id: Capability, type_name: &str, message: &str, json: &Value) -> JsonRequest {
    send(&Target::of(id, None), Some(type_name), message, json)
}

pub(super) fn send(target: &Target, type_name: Option<&str>, message: &str, json: &Value) -> JsonRequest {
    let meant = type_name.map(|type_name| MessageId::of(type_name, message));
    let message = message.to_owned();
    if is_deeper(json, MAX_JSON_DEPTH) {
        return JsonRequest { message, sent: Err(Some(JsonError::TooDeep)) };
    }
    let call = JsonCall { message: message.clone(), json: json.to_string() };
    JsonRequest { message, sent: Ok(Request(dispatch::submit_json(target, meant, call))) }
}

/// Goes no deeper than it has to: a value that a program made may be as deep as its memory.
fn is_deeper(value: &Value, left: usize) -> bool {
    match (value, left) {
        (Value::Array(_) | Value::Object(_), 0) => true,
        (Value::Array(elements), left) => elements.iter().any(|value| is_deeper(value, left - 1)),
        (Value::Object(members), left) => members.values().any(|value| is_deeper(value, left - 1)),
        _ => false,
    }
}

/// A message that was sent as JSON, and waits for its result.
///
/// It is on its way as soon as it is made, has a deadline, and is cancelled by being dropped, as a
/// [`Request`] is.
#[must_use = "dropping a request cancels it; await it"]
pub struct JsonRequest {
    message: String,
    sent: Result<Request<JsonCall>, Option<JsonError>>,
}

impl JsonRequest {
    /// Did not even begin.
    pub(crate) fn failed(error: JsonError) -> JsonRequest {
        JsonRequest { message: String::new(), sent: Err(Some(error)) }
    }

    /// Ends the request after this time from now, instead of the topology's `ask_timeout`.
    pub fn timeout(self, timeout: Duration) -> JsonRequest {
        JsonRequest { sent: self.sent.map(|request| request.timeout(timeout)), ..self }
    }

    fn error(&self, error: SendError<JsonCall>) -> JsonError {
        let message = self.message.clone();
        match error.into_failure() {
            Failure { cause: Cause::Json(fault), .. } => match fault {
                JsonFault::UnknownMessage { actor, message, known } => {
                    JsonError::UnknownMessage { actor, message, known }
                }
                JsonFault::Message { path, reason } => JsonError::Wrong { message, path, reason },
                JsonFault::Result(reason) => JsonError::Result { message, reason },
            },
            other => JsonError::Send(other),
        }
    }
}

impl Future for JsonRequest {
    type Output = Result<Value, JsonError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answered = match &mut self.sent {
            Ok(request) => ready!(Pin::new(request).poll(context)),
            Err(error) => {
                let error = error.take();
                return Poll::Ready(Err(error.unwrap_or(JsonError::Send(Failure::failed(Cause::NoReply)))));
            }
        };
        Poll::Ready(match answered {
            Err(error) => Err(self.error(error)),
            Ok(JsonReply(text)) => serde_json::from_str(&text)
                .map_err(|error| JsonError::Send(Failure::failed(Cause::Decode(error.to_string())))),
        })
    }
}

impl fmt::Debug for JsonRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonRequest").field("message", &self.message).finish_non_exhaustive()
    }
}

/// What the message of a JSON text may have as bytes: as many as a large message, whatever defaults its type fills in.
const MAX_ENCODED_BYTES: usize = 64 << 20;

/// Makes the message of its JSON, and encodes it. What the text says panics nobody: its depth is bounded by its reader,
/// its size by the limit for messages.
pub(super) fn encode<M: ProcMessage>(json: &str) -> Result<Encoded<'static>, JsonFault> {
    let whole = |reason: String| JsonFault::Message { path: ".".to_owned(), reason };
    let made = catch_unwind(AssertUnwindSafe(|| {
        let mut reader = serde_json::Deserializer::from_str(json);
        let message: M = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            JsonFault::Message { path, reason: codec::cut(error.into_inner().to_string()) }
        })?;
        reader.end().map_err(|error| whole(error.to_string()))?;
        Ok(codec::encode(&message, MAX_ENCODED_BYTES))
    }));
    let encoded = made.unwrap_or_else(|_| Err(whole("its Deserialize panicked".to_owned())))?;
    let bytes = encoded.map_err(|error| whole(error.to_string()))?;
    Ok(Encoded { bytes: bytes.into(), descriptors: Vec::new() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn depth_is_counted_from_outside() {
        let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        assert!(!is_deeper(&nested(MAX_JSON_DEPTH), MAX_JSON_DEPTH));
        assert!(is_deeper(&nested(MAX_JSON_DEPTH + 1), MAX_JSON_DEPTH));
    }

    #[test]
    fn errors_name_the_way() {
        let wrong = |path: &str| {
            let (message, path, reason) = ("Add".to_owned(), path.to_owned(), "no".to_owned());
            JsonError::Wrong { message, path, reason }.to_string()
        };
        assert_eq!([wrong("."), wrong("a.b"), wrong("[0].a")], ["Add: no", "Add.a.b: no", "Add[0].a: no"]);
        let known = vec!["Add".to_owned(), "Get".to_owned()];
        let unknown = JsonError::UnknownMessage { actor: "demo::C".into(), message: "Ad".into(), known };
        assert_eq!(unknown.to_string(), "a demo::C takes no message called `Ad`: did you mean `Add`?");
    }
}
