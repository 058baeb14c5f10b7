//! The bodies of frames that are not messages, and why a message has no reply.

use serde::{Deserialize, Serialize};

use super::control::PROTOCOL_VERSION;
use super::limits::Limits;
use crate::id::{ActorId, BuildId, Capability, Exit, FullName, Incarnation, ProcessId, ProcessName};

/// What each side says first on a data pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Its protocol.
    pub version: u16,
    /// Its number; must be the one that the root introduced.
    pub process: ProcessId,
    /// Its life; likewise.
    pub incarnation: Incarnation,
    /// Its executable.
    pub build: BuildId,
    /// What it accepts and grants.
    pub limits: Limits,
    /// The address of its desk, encoded: where those answer who were not asked. Empty if it has none.
    pub desk: Vec<u8>,
    /// What proves that an answer there is to a call of this connection.
    pub secret: u128,
}

impl Hello {
    /// What this build says.
    pub fn new(process: ProcessId, incarnation: Incarnation, build: BuildId, limits: Limits) -> Hello {
        Hello { version: PROTOCOL_VERSION, process, incarnation, build, limits, desk: Vec::new(), secret: 0 }
    }

    /// The same, with a desk.
    pub fn with_desk(self, desk: Vec<u8>, secret: u128) -> Hello {
        Hello { desk, secret, ..self }
    }
}

/// Asks for a channel to an actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The actor, and what proves that one may send to it.
    pub target: Capability,
}

/// A message's identity: a hash of the stable names of its actor type and of itself within it (H52).
///
/// Names, not a place in a list, so that two programs whose lists differ understand one another; and the actor
/// type with them, so that an address of the wrong type reaches no handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId(pub u32);

impl MessageId {
    /// No message of an actor: asks whether all that was sent before it on its channel has arrived.
    pub const ARRIVED: MessageId = MessageId(2);
    /// For [`Slot::SERVICE`](crate::id::Slot::SERVICE): asks whether all that its receiver has sent to an actor has arrived.
    pub const SETTLE: MessageId = MessageId(1);

    /// FNV-1a of `actor_type/message`: a constant at compile time. Two messages of one actor that collide are
    /// refused there.
    pub const fn of(actor_type: &str, message: &str) -> MessageId {
        let hash = fnv(0x811c_9dc5, actor_type.as_bytes());
        match fnv(fnv(hash, b"/"), message.as_bytes()) {
            // `MessageId::JSON`, `MessageId::ARRIVED`
            0 | 2 => MessageId(3),
            hash => MessageId(hash),
        }
    }
}

const fn fnv(mut hash: u32, bytes: &[u8]) -> u32 {
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}

/// Grants a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// What the opener may have under way.
    pub window_messages: u32,
    /// Likewise.
    pub window_bytes: u32,
}

/// Announces a body that follows in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Large {
    /// The number that its chunks bear.
    pub stream: u32,
    /// Its length.
    pub total: u32,
}

/// What became of a message that has no reply (M-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// No handler saw it: it is safe to send it again.
    NotExecuted,
    /// A handler took it and failed.
    Failed,
    /// It may have been handled, or not.
    Unknown,
}

/// A message that has no reply: what became of it, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{cause}{}", match .verdict {
    Verdict::NotExecuted => " (not executed)",
    Verdict::Failed => "",
    Verdict::Unknown => " (it may have been executed)",
})]
pub struct Failure {
    /// What became of it.
    pub verdict: Verdict,
    /// Why.
    pub cause: Cause,
}

impl Failure {
    /// No handler saw it.
    pub fn not_executed(cause: Cause) -> Failure {
        Failure { verdict: Verdict::NotExecuted, cause }
    }

    /// A handler took it and failed.
    pub fn failed(cause: Cause) -> Failure {
        Failure { verdict: Verdict::Failed, cause }
    }

    /// Nobody can tell.
    pub fn unknown(cause: Cause) -> Failure {
        Failure { verdict: Verdict::Unknown, cause }
    }
}

/// Why a message has no reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// Its deadline passed.
    #[error("no reply in time")]
    TimedOut,
    /// The receiver dropped it because the sender had.
    #[error("cancelled")]
    Cancelled,
    /// There is no room, and the call does not wait for any.
    #[error("no room: the receiver has not taken what it was sent before")]
    Full,
    /// The encoded message is over the receiver's limit.
    #[error("the message is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u32,
    },
    /// It could not be encoded.
    #[error("{0}")]
    Encode(String),
    /// It, or its reply, could not be decoded: the two sides disagree about its shape.
    #[error("{0}")]
    Decode(String),
    /// No actor lives at that address.
    #[error("no actor lives at {0}")]
    NoActor(ActorId),
    /// The seal of the address is wrong.
    #[error(
        "the address of {0} was made up or changed, or is of another run of the topology: it gives no right to send"
    )]
    NoRight(ActorId),
    /// The owner of the actor took the address back.
    #[error("the address of {0} was revoked")]
    Revoked(ActorId),
    /// The address was good for a time that is over.
    #[error("the address of {0} was good for a time that is over")]
    Expired(ActorId),
    /// The address was good for so many messages.
    #[error("the address was good for {most} messages, and so many were sent")]
    UsedUp {
        /// How many.
        most: u32,
    },
    /// The address, or the topology, lets its holder send other messages alone.
    #[error("{message} may not be sent to {actor} by this address: it is good for other messages alone")]
    NotGranted {
        /// To whom.
        actor: ActorId,
        /// The message, by its name where that is known, else by its identity.
        message: String,
    },
    /// The address can't bear another condition, or this process can't give it this one.
    #[error("the address can't be narrowed: {0}")]
    NotNarrowed(String),
    /// Only a process of the actor itself may do this.
    #[error("only the process in which {0} lives can do this")]
    NotOwner(ActorId),
    /// The actor that lives there is of another type than the address, or its program's message list is another.
    #[error(
        "the actor there is a {actor} and does not know this message: the address is of another type, or the programs' message lists differ"
    )]
    NotAccepted {
        /// The type of the actor.
        actor: String,
    },
    /// The actor stopped before it took the message.
    #[error("the actor stopped")]
    ActorStopped,
    /// The handler panicked.
    #[error("the handler panicked: {0}")]
    Panicked(String),
    /// The handler ended without a reply.
    #[error("the handler gave no reply")]
    NoReply,
    /// The address is pinned to a life that is over.
    #[error("the address is for another incarnation of process {process}")]
    Stale {
        /// Whose.
        process: ProcessId,
    },
    /// The process of the actor is dead.
    #[error("process {process} #{incarnation} {}", match .exit {
        Some(exit) => exit.to_string(),
        None => "closed the connection".to_owned(),
    })]
    PeerDied {
        /// Its name.
        process: ProcessName,
        /// Which life of it.
        incarnation: Incarnation,
        /// How it ended, where the root said so in time.
        exit: Option<Exit>,
    },
    /// The root can't introduce us.
    #[error("process {process} can't be reached: {why}")]
    Unreachable {
        /// Whom.
        process: ProcessId,
        /// Why.
        why: super::control::Unreachable,
    },
    /// The process of the actor is stopping, as it was asked to.
    #[error("process {0} is stopping")]
    Stopping(ProcessName),
    /// This process is stopping.
    #[error("this process is stopping")]
    ShuttingDown,
    /// No actor of that name can be reached from this process.
    #[error(
        "no actor is called {0:?} in what this process may reach: wire it in the topology, as an argument `{{ addr = \"{0}\" }}` of one of its actors"
    )]
    UnknownName(String),
    /// Addresses work in the processes of a topology only.
    #[error("no Procession runtime runs in this process: send from within `Program::run`")]
    NoRuntime,
    /// The peer broke the protocol.
    #[error("the connection was ended, since process {process} broke the protocol: {reason}")]
    Protocol {
        /// Who.
        process: ProcessName,
        /// How.
        reason: String,
    },
    /// A message of a series came before its turn; its sender sends it again (M-6). No user sees it.
    #[error("a message before it is still to come")]
    Early,
    /// An at-least-once message of which its actor died as often as it may (H47).
    #[error(
        "the message is held to be the cause of {deaths} deaths of its actor, and is not delivered again"
    )]
    Poison {
        /// How many.
        deaths: u16,
    },
    /// It was sent as JSON, and is no message of the actor, or its result can't be written as JSON.
    #[error("{0}")]
    Json(super::json::JsonFault),
    /// The stream is over, or never was.
    #[error("there is no such stream, or it is over")]
    NoStream,
    /// A group has no member that is known here, or none that was not tried.
    #[error("group {0} has no member that could take the message")]
    NoMember(FullName),
    /// This process may not use the group.
    #[error("group {group} can't be used: {why}")]
    GroupRefused {
        /// The group.
        group: FullName,
        /// Why.
        why: String,
    },
    /// The address is that of a group, where one actor is meant.
    #[error("this is the address of group {0}, and only one actor can be watched, linked or pinned")]
    IsGroup(FullName),
}
