//! What a process may ask of the root while the topology runs, and the answers: processes and actors that come and go.
//!
//! Every request is answered, some only when the processes that it is about are ready or gone. It goes over the control
//! lane, in the root through its own router.

use serde::{Deserialize, Serialize};

use super::control::{ActorStart, KnownActor};
use super::names::{NameError, NamesGranted, NamesRequest};
use crate::id::{ActorId, ActorName, Incarnation, ProcessName, Slot};

/// Requests of one process that may wait for their answers: more than anybody starts at once, and few enough that their
/// frames are not a flood.
pub const MAX_REQUESTS: usize = 64;

/// A process is declared in less; what its actors are born from counts with it.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;

/// Worker to root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Names the answer.
    pub number: u64,
    /// What is wanted.
    pub request: Request,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Start a process, or its replicas. Answered when all are ready.
    Start {
        /// The declared process, as JSON.
        process: String,
        /// Whether it is stopped when this life of the asking process is over.
        linked: bool,
    },
    /// Stop a process that was started at run time, and forget it. Answered when it is gone.
    Stop {
        /// Its name, or the one before the numbers of its replicas.
        process: String,
    },
    /// What runs.
    Processes,
    /// Reserve name and place of an actor that the asking process is going to start. Its slot is not looked at.
    AddActor {
        /// How the next lives of the process start it.
        start: Box<ActorStart>,
    },
    /// Such an actor has ended, or did not come up.
    RemoveActor {
        /// Its place.
        slot: Slot,
    },
    /// About names and groups.
    Names(NamesRequest),
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Granted {
    /// These processes are ready.
    Started {
        /// In start order.
        processes: Vec<ProcessName>,
        /// Their actors, which the asking process may now reach by name.
        actors: Vec<KnownActor>,
    },
    /// It is done.
    Done,
    /// What runs, in start order.
    Processes(Vec<ProcessInfo>),
    /// The place of an actor.
    Place(ActorId),
    /// What the directory says.
    Names(Result<NamesGranted, NameError>),
}

/// A process that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// What it is called.
    pub name: ProcessName,
    /// Its life; none while there is none.
    pub incarnation: Option<Incarnation>,
    /// Its number with the kernel, while it lives.
    pub pid: Option<i32>,
    /// Whether it is ready.
    pub ready: bool,
    /// Its actors.
    pub actors: Vec<ActorName>,
    /// Who started it; none if the topology declares it.
    pub started_by: Option<ProcessName>,
}

/// Why the topology was not changed as asked. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The caller's mistake: the process is not sound. All findings, as for a topology.
    #[error("the process is not sound:\n{0}")]
    Invalid(String),
    /// There is one of that name already. Who started it, in whatever life, and the root are given its addresses.
    #[error("there is a process called {process} already")]
    AlreadyThere {
        /// The name.
        process: ProcessName,
        /// Its actors, for whom may know them.
        actors: Vec<KnownActor>,
    },
    /// There is an actor of that name already; in the same process, with its address.
    #[error("there is an actor called {name} already")]
    ActorAlreadyThere {
        /// The name.
        name: ActorName,
        /// The actor, for whom may know it.
        actor: Option<Box<KnownActor>>,
    },
    /// It did not come up; it is not tried again, and nothing of it is left.
    #[error("{name} did not start: {reason}")]
    NotStarted {
        /// The process or actor.
        name: String,
        /// Why.
        reason: String,
    },
    /// There is nothing of that name.
    #[error("nothing that can be stopped is called {0:?}")]
    Unknown(String),
    /// It was declared by the topology, or started by another process: only the root may stop it.
    #[error("{0} was not started by this process: only the root may stop it")]
    NotYours(String),
    /// Its group, or the topology, is on its way up or down; ask again later.
    #[error("{0}")]
    NotNow(String),
    /// The topology is stopping, or this process is.
    #[error("the topology is not running any more")]
    Stopping,
    /// The caller's mistake: the request is too large for the control lane.
    #[error("the request has more than {MAX_REQUEST_BYTES} bytes: give large data to the actors in messages")]
    TooLarge,
    /// The caller's mistake: the arguments, or a path, have no form as data.
    #[error("the request can't be written as data: {0}")]
    Encode(String),
    /// So many requests of this process wait already.
    #[error("{MAX_REQUESTS} requests of this process wait for their answers already")]
    Busy,
    /// The caller's mistake: no Procession runtime runs here, or nothing is deployed.
    #[error("no topology runs here")]
    NoRuntime,
    /// The caller's mistake: actors of a root are started by hand, as in any program.
    #[error("a root supervises no actors of its own: start it with `Actor::start`, or in a process")]
    InRoot,
    /// The program registers no such type.
    #[error("the program registers no actor type {0:?}: add `.actor::<...>()` to its `Program`")]
    UnknownType(String),
}
