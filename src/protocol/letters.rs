//! Messages that could not be delivered, as they are shown and told of across processes.
//!
//! Root and workers speak of subscriptions and reports on the control pipe; the letters themselves go from where they
//! died to who wants them as any message does, so that a flood of them fills no control pipe.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::wire::Cause;
use crate::id::{ActorId, ProcessId, ProcessName};

/// A message that could not be delivered, and that nobody waits for (M-5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Where it died, once it is buried there.
    pub process: Option<ProcessName>,
    /// The how manieth it is there: a gap between two that were told is what was missed.
    pub number: u64,
    /// For whom it was, if that is still known.
    pub target: Option<ActorId>,
    /// Its type, if that is still known.
    pub message: Option<Cow<'static, str>>,
    /// How many; more than one where only their number is known.
    pub count: u64,
    /// Why.
    pub cause: Cause,
    /// The message itself, encoded, where it was at hand, small enough, and not one of a flood.
    pub body: Option<Vec<u8>>,
}

impl DeadLetter {
    /// One message.
    pub fn new(target: Option<ActorId>, message: Option<&'static str>, cause: Cause) -> DeadLetter {
        let message = message.map(Cow::Borrowed);
        DeadLetter { process: None, number: 0, target, message, count: 1, cause, body: None }
    }
}

/// The dead letters of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LetterReport {
    /// How many there were so far, by reason.
    pub counts: BTreeMap<String, u64>,
    /// The last ones, oldest first.
    pub last: Vec<DeadLetter>,
}

/// Somebody who wants to hear of every dead letter of a topology.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Whose it is.
    pub owner: ProcessId,
    /// Which of that process.
    pub number: u64,
    /// To whom letters go: an encoded `ProcRecipient`, which the root can't read and need not.
    pub to: Vec<u8>,
}

/// Root to worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LettersToWorker {
    /// From now on, tell this one.
    Subscribe(Subscription),
    /// No more.
    Unsubscribe {
        /// Whose.
        owner: ProcessId,
        /// Which.
        number: u64,
    },
    /// Say what there is.
    Report {
        /// To answer with.
        request: u64,
    },
}

/// Worker to root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LettersToRoot {
    /// An actor of this process wants the dead letters of all others, too.
    Subscribe {
        /// Which, of this process.
        number: u64,
        /// To whom they go.
        to: Vec<u8>,
    },
    /// No more.
    Unsubscribe {
        /// Which.
        number: u64,
    },
    /// What was asked for.
    Report {
        /// The request.
        request: u64,
        /// What there is.
        report: LetterReport,
    },
}

/// An encoded recipient is an address and a name; more than this is none.
pub const MAX_RECIPIENT_BYTES: usize = 1 << 10;
