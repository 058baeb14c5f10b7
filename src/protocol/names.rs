//! What processes and the root say to one another of names and groups that are given at run time.
//!
//! Values only. Who holds what is decided by the root's directory (`runtime::names`); which member of a group gets a
//! message is decided by the sender (`members`).

use serde::{Deserialize, Serialize};

use super::requests::ChangeError;
use super::rights::Denial;
use super::rules::Delivery;
use crate::id::{ActorId, Capability, FullName, ProcessName};

/// The name of a type is a path in a program.
pub const MAX_TYPE_NAME_BYTES: usize = 512;

/// Members of one group: as many as a process may have replicas, and so few that the whole membership fits into every
/// message about it.
pub const MAX_MEMBERS: usize = 1024;

/// Names and groups of one namespace of which nothing is said.
pub const DEFAULT_MOST_NAMES: u32 = 1024;

/// Names that one process watches, and as many groups that it uses: each costs the root a mark for each change.
pub const MAX_WATCHED: usize = 1024;

/// Actors of one topology that hold names or are members: what the root keeps of each is less than a kilobyte.
pub const MAX_TENANTS: usize = 65_536;

/// An actor that holds a name or is a member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// Which actor.
    pub id: ActorId,
    /// The stable name of its type.
    pub type_name: String,
    /// The name of its process.
    pub process: ProcessName,
    /// Its address: the root hands on what it was shown, as narrow as that is.
    pub addr: Capability,
    /// How messages are delivered by it.
    pub delivery: Delivery,
    /// Which of its lives this is, counted from 1 since the directory knows it; 0 for none yet.
    pub life: u64,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of process {} ({})", self.id, self.process, self.type_name)
    }
}

/// What a namespace lets a process do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Right {
    /// Register names, join groups.
    Register,
    /// Look names up and watch them, send to groups and watch them.
    LookUp,
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Right::Register => "register",
            Right::LookUp => "lookup",
        })
    }
}

/// Why a name or group is not had, given or used. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The caller's mistake: it is no name.
    #[error("{name:?} is no name: {reason}")]
    Invalid {
        /// What was given.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The topology declares no such namespace.
    #[error("there is no namespace {0:?}: declare it in the topology, [namespace.{0}]")]
    NoNamespace(String),
    /// The namespace does not let this process do that.
    #[error(
        "process {process} may not do that in namespace {namespace:?}: add it to its `{right}` in the topology"
    )]
    NotAllowed {
        /// The namespace.
        namespace: String,
        /// What is missing.
        right: Right,
        /// Who asked.
        process: ProcessName,
    },
    /// Another actor holds the name.
    #[error("{name} is held by {holder}")]
    Taken {
        /// The name.
        name: FullName,
        /// Who holds it, perhaps between two lives.
        holder: Box<Holder>,
    },
    /// Somebody who looked the name up is starting its holder.
    #[error("process {by} is starting the holder of {name}")]
    BeingStarted {
        /// The name.
        name: FullName,
        /// Who.
        by: ProcessName,
    },
    /// Nobody holds the name, or is a member.
    #[error("nobody is called {0}")]
    Unknown(FullName),
    /// Its holder is between two lives, and will hold it again.
    #[error("{name} is held by {holder}, which is between two lives")]
    Away {
        /// The name.
        name: FullName,
        /// Who.
        holder: Box<Holder>,
    },
    /// It is an actor, or a group of actors, of another type.
    #[error("{name} is a {found}, and was asked for as a {wanted}")]
    WrongType {
        /// The name or group.
        name: FullName,
        /// What was asked for.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// The actor that was to hold it does not live, and will not.
    #[error("no actor lives at {0}")]
    NoActor(ActorId),
    /// The address that was shown gives no right to its actor.
    #[error("the address of {0} can't be given a name: {1}")]
    NoRight(ActorId, Denial),
    /// Another process gave it, for an actor of another process.
    #[error(
        "{0} was given by another process, which alone, with the root and the actor's own process, may take it back"
    )]
    NotYours(FullName),
    /// Replicas are the members of their group by themselves.
    #[error("{0} is the group of replicas, which nobody else joins or leaves")]
    OfReplicas(FullName),
    /// There are as many as there may be.
    #[error("there are {most} {what} already")]
    TooMany {
        /// Of what.
        what: String,
        /// How many there may be.
        most: usize,
    },
    /// The address can't be written as data.
    #[error("the address can't be handed on: {0}")]
    Encode(String),
    /// It took longer than an ask may take in this process.
    #[error("no answer in time: {0}")]
    TimedOut(String),
    /// The request did not reach the root, or came back.
    #[error(transparent)]
    Request(#[from] ChangeError),
}

/// What a process asks of the directory. Answered by [`NamesGranted`] or a [`NameError`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamesRequest {
    /// Let this actor hold the name. Answered when it lives there, or is between two lives. If it holds it already, and the
    /// asker may take it back, this address is the one that others get from now on.
    Register {
        /// The name.
        name: FullName,
        /// Who. Its process and life are not looked at.
        holder: Holder,
        /// The claim by which it was started, if it was.
        claim: Option<u64>,
    },
    /// Let it hold the name no more.
    Unregister {
        /// The name.
        name: FullName,
        /// Who.
        id: ActorId,
    },
    /// Who holds it?
    LookUp {
        /// The name.
        name: FullName,
    },
    /// Who holds it? If nobody does, the asker is to start who will; if somebody else is about to, the answer waits.
    Claim {
        /// The name.
        name: FullName,
    },
    /// What was claimed will not come.
    Release {
        /// The name.
        name: FullName,
        /// The claim.
        claim: u64,
    },
    /// Tell of each change of the name from now on.
    Watch {
        /// The name.
        name: FullName,
    },
    /// No more.
    Unwatch {
        /// The name.
        name: FullName,
    },
    /// Let this actor be a member. Answered as `Register`.
    Join {
        /// The group.
        group: FullName,
        /// Who.
        holder: Holder,
    },
    /// Let it be a member no more.
    Leave {
        /// The group.
        group: FullName,
        /// Who.
        id: ActorId,
    },
    /// Nobody waits for the answer to an earlier request any more. It is answered at once, unless it was already.
    Abandon {
        /// Its number.
        number: u64,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamesGranted {
    /// It is done.
    Done,
    /// This actor holds the name.
    Held(Holder),
    /// Nobody does: start it, and register it with this claim, or release that.
    Claimed {
        /// The name.
        name: FullName,
        /// The claim.
        claim: u64,
    },
}

/// Who holds a name now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameState {
    /// This actor, which lives.
    Here(Holder),
    /// This actor, which is between two lives.
    Away(Holder),
    /// Nobody.
    Free,
}

/// Where an actor of the sender is in its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// It lives.
    Here,
    /// It is between two lives.
    Away,
    /// It will not live again.
    Gone,
}

/// Worker to root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamesToRoot {
    /// An actor of this process, which was to be attended.
    Presence {
        /// Which.
        id: ActorId,
        /// Where it is.
        presence: Presence,
    },
    /// Tell of the members of this group, now and whenever they change. Answered by `Group` or `Refused`.
    Use {
        /// The group.
        group: FullName,
    },
    /// Tell of them no more.
    Unuse {
        /// The group.
        group: FullName,
    },
}

/// Root to worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamesToWorker {
    /// Say where this actor of yours is, now and whenever that changes.
    Attend {
        /// Which.
        id: ActorId,
    },
    /// No more.
    Ignore {
        /// Which.
        id: ActorId,
    },
    /// A name that this process watches.
    Name {
        /// The name.
        name: FullName,
        /// Rises with each change.
        version: u64,
        /// Who holds it.
        state: NameState,
    },
    /// A group that this process uses.
    Group {
        /// The group.
        group: FullName,
        /// Rises with each change.
        version: u64,
        /// What its members are; none as long as it never had any.
        type_name: Option<String>,
        /// Those that live, in the order of their ids.
        members: Vec<Holder>,
    },
    /// This process may not use the group.
    Refused {
        /// The group.
        group: FullName,
        /// Why.
        why: NameError,
    },
}
