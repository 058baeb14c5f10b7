//! What root and worker say to one another on the control pipe.
//!
//! Each direction begins with a [`Preamble`], so that any two versions understand at least why they can't talk.
//! After it come frames:
//!
//! ```text
//!  0        4            5
//!  +--------+------------+------------------------+
//!  | length | descriptors| bincode of the message |
//!  | u32 LE | u8         | length bytes           |
//!  +--------+------------+------------------------+
//! ```
//!
//! The root writes [`Preamble`], [`ToWorker::Welcome`] and what was kept for it ([`ToWorker::State`]) before the worker runs; the worker's first frame is
//! [`ToRoot::Ready`] or [`ToRoot::Refused`], so readiness costs no round trip.

use serde::{Deserialize, Serialize};

use super::busy_poll::BusyPoll;
use super::keeping::{Keep, KeepRefusal, KeptState};
use super::letters::{LettersToRoot, LettersToWorker};
use super::limits::Limits;
use super::names::{NamesToRoot, NamesToWorker};
use super::requests::{Ask, ChangeError, Granted};
use super::rights::{Denial, Edge};
use super::rules::{ActorGroup, ActorRules, DEFAULT_SNAPSHOT_LIMIT, Delivery};
use crate::id::{
    ActorName, BuildId, Capability, Exit, Incarnation, Key, ProcessId, ProcessName, Seal, Slot, TopologyName,
};

/// Identifies Procession on a control or data pipe.
pub const MAGIC: [u8; 8] = *b"prcssion";

/// Raised with each change that an older side can't read.
pub const PROTOCOL_VERSION: u16 = 6;

/// The first twelve bytes of each direction: magic, version (u16 LE), two zero bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preamble {
    /// The protocol that the side speaks.
    pub version: u16,
}

/// Why a preamble is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PreambleError {
    /// Something else wrote to the pipe.
    #[error("the first bytes are not Procession's magic: the other side is no Procession program")]
    Magic,
    /// Two versions of Procession.
    #[error(
        "the other side speaks protocol version {theirs}, this one {PROTOCOL_VERSION}: build both with the same Procession"
    )]
    Version {
        /// What the other side speaks.
        theirs: u16,
    },
}

impl Preamble {
    /// The bytes of a preamble.
    pub const LEN: usize = 12;

    /// What this build writes.
    pub fn ours() -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&PROTOCOL_VERSION.to_le_bytes());
        bytes
    }

    /// Checks what the other side wrote.
    pub fn check(bytes: &[u8; Self::LEN]) -> Result<(), PreambleError> {
        if bytes[..8] != MAGIC {
            return Err(PreambleError::Magic);
        }
        match u16::from_le_bytes([bytes[8], bytes[9]]) {
            PROTOCOL_VERSION => Ok(()),
            theirs => Err(PreambleError::Version { theirs }),
        }
    }
}

/// A control frame is at most this long: a welcome with the arguments of every actor of a process.
pub const MAX_CONTROL_FRAME_BYTES: u32 = 16 << 20;

/// Root to worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Who you are. The first frame. Carries the memory of the worker's status page.
    Welcome(Box<Welcome>),
    /// What was kept of an actor of an earlier life: as many follow the welcome as it says, before anything else.
    State(KeptState),
    /// One end of a new data pipe; carries its socket, and after it the memory that both sides share, if any.
    Introduce {
        /// Who has the other end.
        peer: Peer,
        /// What the pipe is made of.
        medium: Medium,
    },
    /// What [`ToRoot::Introduce`] showed is no right to send there.
    Denied {
        /// What it showed.
        target: Capability,
        /// Why not.
        why: Denial,
    },
    /// No life of this process can be introduced, now or ever.
    Unreachable {
        /// Who was asked for.
        process: ProcessId,
        /// Why not.
        why: Unreachable,
    },
    /// A process that this one was introduced to is dead, and this is how it ended.
    Down {
        /// Who.
        process: ProcessId,
        /// Which life.
        incarnation: Incarnation,
        /// How.
        exit: Exit,
        /// How far it had come, where that is known.
        cursor: Option<Cursor>,
    },
    /// What [`ToRoot::Keep`] asked for is done, or refused.
    Kept {
        /// The actor.
        slot: Slot,
        /// The request's number.
        number: u64,
        /// Why it is not kept, if it is not.
        refused: Option<KeepRefusal>,
    },
    /// What came of [`ToRoot::Ask`].
    Answer {
        /// The request's number.
        number: u64,
        /// What is granted, or why nothing was changed.
        answer: Result<Granted, ChangeError>,
    },
    /// Who else may send only some messages to actors of this process, before they are introduced.
    Edges(Vec<Edge>),
    /// About dead letters.
    Letters(LettersToWorker),
    /// Close intake, drain, end with code 0 before the time is up.
    Stop {
        /// The time.
        grace_ms: u64,
    },
    /// Are you alive, and do you make progress? Each is answered by whoever can: `Alive`, `Progress`.
    Probe {
        /// Which question this is.
        number: u64,
    },
    /// About names and groups.
    Names(NamesToWorker),
}

/// Worker to root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToRoot {
    /// All actors of this process have started. The first frame, but for `Shapes`.
    Ready(Ready),
    /// This worker can't be what it is asked to be. The first and last frame.
    Refused(Refusal),
    /// This process wants to send to an actor of another.
    Introduce {
        /// Whom, and what proves that it may.
        target: Capability,
        /// Its life with which this process had a connection that broke, if any: then the same pair needs
        /// another pipe.
        broken: Option<Incarnation>,
    },
    /// A peer broke the protocol (H59).
    Blame {
        /// Who.
        process: ProcessId,
        /// Which life.
        incarnation: Incarnation,
        /// How.
        reason: String,
    },
    /// This address of an actor of this process, and whatever was made from it, is good for nothing any more.
    Revoke {
        /// Which.
        seal: Seal,
        /// It was for this life alone: the next need not know.
        is_of_this_life: bool,
    },
    /// Keep this state of an actor for its next life. Answered by [`ToWorker::Kept`].
    Keep(Keep),
    /// Change what runs, or tell of it. Answered by [`ToWorker::Answer`].
    Ask(Ask),
    /// About dead letters.
    Letters(LettersToRoot),
    /// One `tracing` event.
    Log(LogRecord),
    /// A panic, which ended an actor or is about to end the process.
    Panic(PanicReport),
    /// The program has done its work and asks to be stopped, to end with this code.
    Finish {
        /// The code.
        code: i32,
    },
    /// The control thread answers a probe.
    Alive {
        /// Which.
        number: u64,
    },
    /// The thread of the actors answers a probe.
    Progress {
        /// Which.
        number: u64,
    },
    /// The messages of a program that the root does not know: the first frame then, before `Ready` (T-3).
    Shapes {
        /// Which executable.
        build: BuildId,
        /// A [`Protocol`](crate::codec::shape::Protocol), as JSON text.
        protocol: String,
    },
    /// About names and groups.
    Names(NamesToRoot),
}

/// Everything that a worker needs to know of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// What it is part of.
    pub topology: TopologyName,
    /// Its number.
    pub process: ProcessId,
    /// Its name.
    pub name: ProcessName,
    /// Its life.
    pub incarnation: Incarnation,
    /// How its last life ended.
    pub last_exit: Option<Exit>,
    /// The executable of the root; `None` if the worker is meant to be another program.
    pub build: Option<BuildId>,
    /// What it grants and accepts.
    pub limits: Limits,
    /// How long an ask waits that names no timeout of its own.
    pub ask_timeout_ms: u64,
    /// Whether its thread of actors polls before it sleeps.
    pub busy_poll: BusyPoll,
    /// Serialise also what stays in the process (a test mode).
    pub serialise_always: bool,
    /// How many bytes of state the root keeps for each actor.
    pub snapshot_limit: u64,
    /// How many states follow.
    pub states: u32,
    /// The executables whose messages the root knows: any other tells them, [`ToRoot::Shapes`].
    pub known_builds: Vec<BuildId>,
    /// What its actors are together.
    pub group: ActorGroup,
    /// The actors to start, in order.
    pub actors: Vec<ActorStart>,
    /// The actors that it may reach by name: its wiring.
    pub names: Vec<KnownActor>,
    /// What the addresses of its actors are sealed with.
    pub key: Key,
    /// Which run of the root this is.
    pub run: u64,
    /// Who may send only some messages to its actors.
    pub edges: Vec<Edge>,
    /// What earlier lives revoked.
    pub revoked: Vec<Seal>,
}

impl Welcome {
    /// The welcome of the first life of a process without actors, with the defaults.
    pub fn new(topology: TopologyName, process: ProcessId, name: ProcessName) -> Welcome {
        Welcome {
            topology,
            process,
            name,
            incarnation: Incarnation::FIRST,
            last_exit: None,
            build: None,
            limits: Limits::default(),
            ask_timeout_ms: DEFAULT_ASK_TIMEOUT_MS,
            busy_poll: BusyPoll::default(),
            serialise_always: false,
            snapshot_limit: DEFAULT_SNAPSHOT_LIMIT,
            states: 0,
            known_builds: Vec::new(),
            group: ActorGroup::default(),
            actors: Vec::new(),
            names: Vec::new(),
            key: Key::new([0; Key::BYTES]),
            run: 0,
            edges: Vec::new(),
            revoked: Vec::new(),
        }
    }
}

/// As long as the topology's own default.
const DEFAULT_ASK_TIMEOUT_MS: u64 = 30_000;

/// An actor to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActorStart {
    /// Its name.
    pub name: ActorName,
    /// Its type, as `Program::actor` registered it.
    pub type_name: String,
    /// Its place.
    pub slot: Slot,
    /// Its arguments, as JSON text, since bincode can't carry a value whose type only the worker knows.
    pub args_json: String,
    /// How it is treated.
    pub rules: ActorRules,
}

impl ActorStart {
    /// An actor that needs no arguments, with the default rules.
    pub fn new(name: ActorName, type_name: impl Into<String>, slot: Slot) -> ActorStart {
        let (type_name, args_json) = (type_name.into(), "null".to_owned());
        ActorStart { name, type_name, slot, args_json, rules: ActorRules::default() }
    }
}

/// An actor that may be addressed by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownActor {
    /// Its name.
    pub name: ActorName,
    /// Its address.
    pub id: Capability,
    /// Its type.
    pub type_name: String,
    /// The name of its process.
    pub process: ProcessName,
    /// How messages are delivered to it, where the sender does not ask for more.
    pub delivery: Delivery,
}

/// Who is at the other end of a data pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its number.
    pub process: ProcessId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Its name.
    pub name: ProcessName,
}

/// What a data pipe is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Medium {
    /// A socket.
    Socket,
    /// Two rings in shared memory, and a socket beside them.
    Shared {
        /// Whether the receiver of this writes into the first ring; the other side writes into the second.
        first: bool,
    },
}

/// Why nobody can be introduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Unreachable {
    /// The topology has no such process.
    #[error("the topology has no such process")]
    NoSuchProcess,
    /// The asker's wiring does not lead there, and nobody gave it such an address.
    #[error("this process was given no address there")]
    NotAllowed,
    /// It ended and will not be started again.
    #[error("the process ended ({0}) and will not be started again")]
    Ended(Exit),
    /// The topology is being stopped.
    #[error("the topology is stopping")]
    Stopping,
}

/// A worker is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// What it took itself for: must be what the root meant.
    pub process: ProcessId,
    /// Likewise.
    pub incarnation: Incarnation,
    /// Its executable.
    pub build: BuildId,
    /// The limits that it took over.
    pub limits: Limits,
}

/// Why a worker can't be what it is asked to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The preamble or the welcome can't be read.
    #[error("handshake: {0}")]
    Handshake(String),
    /// It was meant to be the root's own executable, and is another.
    #[error(
        "the executable was replaced: the root runs build {root}, the worker {worker}; start the root again"
    )]
    Build {
        /// The root's.
        root: BuildId,
        /// The worker's.
        worker: BuildId,
    },
    /// The program hosts no such actor type.
    #[error(
        "actor {actor}: the program registers no actor type {type_name:?}; it registers {known:?}: add `.actor::<...>()` to its `Program`"
    )]
    UnknownActor {
        /// The actor that asks for it.
        actor: ActorName,
        /// The type.
        type_name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The arguments are not the ones that the actor takes.
    #[error("actor {actor}: args{path}: {reason}")]
    Args {
        /// The actor.
        actor: ActorName,
        /// The path of the wrong field, with a leading dot, or nothing.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The actor's own `Spawn::spawn` said no.
    #[error("actor {actor} could not start: {reason}")]
    Spawn {
        /// The actor.
        actor: ActorName,
        /// What it said.
        reason: String,
    },
}

/// One `tracing` event of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogRecord {
    /// When, in microseconds of Unix time.
    pub time_us: u64,
    /// How grave.
    pub level: LogLevel,
    /// From where.
    pub target: String,
    /// The spans around it, outermost first, `name{field=value}`.
    pub spans: Vec<String>,
    /// The message.
    pub message: String,
    /// The other fields, in order.
    pub fields: Vec<(String, String)>,
    /// Events lost just before this one, because the lane was full.
    pub dropped: u64,
}

/// The levels of `tracing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogLevel {
    /// `TRACE`
    Trace,
    /// `DEBUG`
    Debug,
    /// `INFO`
    Info,
    /// `WARN`
    Warn,
    /// `ERROR`
    Error,
}

/// A panic in a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicReport {
    /// What it said.
    pub message: String,
    /// File, line and column.
    pub place: String,
    /// The thread's name.
    pub thread: String,
    /// The actor and message type that were being handled, if any.
    pub handling: Option<Handling>,
    /// The backtrace, if `RUST_BACKTRACE` asked for one.
    pub backtrace: Option<String>,
}

/// A message that is, or was, being handled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handling {
    /// The actor: its name, or its type if it has none.
    pub actor: String,
    /// The message type.
    pub message: String,
    /// Which process sent it; none if it came from the same process.
    pub sender: Option<ProcessId>,
    /// Whether its handler has returned, and what it began waits for something.
    pub waits: bool,
    /// What the sender is called; the root fills it in.
    pub sender_name: Option<ProcessName>,
}

/// How far a process had come with its messages, as it said itself while it lived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Messages that were handled, whatever came of it.
    pub handled: u64,
    /// Messages whose handlers had begun and were not done, asynchronous ones included.
    pub running: u64,
    /// Messages that were taken in, and whose handlers had not begun.
    pub unread: u64,
    /// Which were being handled, as far as they are known one by one: those of threads first.
    pub in_progress: Vec<InProgress>,
}

/// More than these are not told one by one: a report is to be read, and a frame to be small.
pub const MAX_IN_PROGRESS: usize = 16;

/// One message that was being handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InProgress {
    /// The place of the actor.
    pub slot: Slot,
    /// The message's identity on the wire.
    pub message: u32,
    /// Who sent it.
    pub sender: ProcessId,
    /// Its number, if its sender numbers its messages to this actor; else 0.
    pub number: u64,
    /// Whether its handler had returned, and what it began waited for something. Then it is not what a thread was
    /// about when the process died.
    pub waits: bool,
}
