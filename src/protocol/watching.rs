//! What processes say to one another about the ends of actors: who is watched, by whom, and how it ended.
//!
//! Values only. The rules by which they travel are the connection's (`connection/watching.rs`), who is told is decided
//! in `process::routing`.

use serde::{Deserialize, Serialize};

use super::control::Unreachable;
use crate::id::{ActorId, Capability, Exit};

/// Names one monitor or link of a connection, for both sides: given by the side that asked for it, rising, never used
/// twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reference(pub u64);

/// Asks to be told of an actor's end. The body of `Monitor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Whose end: an actor of the receiver, and what proves that one may ask.
    pub target: Capability,
    /// Who is told, if it is an actor with an address: behind everything that the target's process has sent it.
    pub watcher: Option<ActorId>,
}

/// How an actor ended, or why there is none to watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum EndReason {
    /// It stopped by itself.
    #[error("it stopped by itself")]
    Normal,
    /// It was stopped in order: its process stops, or its supervisor wanted it so.
    #[error("it was stopped")]
    Stopped,
    /// A handler panicked; the message of the panic.
    #[error("it panicked: {0}")]
    Panicked(String),
    /// Somebody with whom it was linked ended.
    #[error("{with}, to which it was linked, ended: {reason}")]
    Linked {
        /// Who.
        with: ActorId,
        /// How, in words.
        reason: String,
    },
    /// Its process ended before it had ended itself. The exit is missing where the root did not say it in time.
    #[error("its process {}", match .0 {
        Some(exit) => exit.to_string(),
        None => "is gone".to_owned(),
    })]
    ProcessDied(Option<Exit>),
    /// No actor lives at that address.
    #[error("no actor lives at that address")]
    NoActor,
    /// The address is pinned to a life of its process that is over.
    #[error("the address is for another life of its process")]
    Stale,
    /// The address gives no right to ask, or none any more.
    #[error("the address gives no right to watch it")]
    NoRight,
    /// Its process can't be reached, and will not be.
    #[error("its process can't be reached: {0}")]
    Unreachable(Unreachable),
    /// No actor or process of that name can be reached from here.
    #[error("nobody here knows the name {0:?}")]
    UnknownName(String),
    /// The connection with its process ended although the process may live: whether it ended is not known.
    #[error("the connection with its process ended: {0}")]
    Disconnected(String),
}

impl EndReason {
    /// Whether a link passes it on: everything but an end by itself, and a stop that was asked for.
    pub fn is_abnormal(&self) -> bool {
        !matches!(self, EndReason::Normal | EndReason::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Signal;

    #[test]
    fn an_end_reads_as_a_sentence_and_only_two_are_normal() {
        let killed = EndReason::ProcessDied(Some(Exit::Signal { signal: Signal(9), core_dumped: false }));
        assert_eq!(killed.to_string(), "its process killed by SIGKILL");
        assert!(killed.is_abnormal() && EndReason::NoActor.is_abnormal());
        assert!(!EndReason::Normal.is_abnormal() && !EndReason::Stopped.is_abnormal());
    }
}
