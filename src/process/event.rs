//! What the root hears of one life of a worker.
//!
//! Made by the launcher's task, read by the runtime's supervisor. Only facts stand here; what to do about them
//! is decided there.

use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::id::{Exit, Incarnation, ProcessId};
use crate::protocol::control::{Cursor, Handling, PanicReport, ToRoot};
use crate::protocol::control_frames::ControlError;
use crate::sys::pidfd::ResourceUse;

use super::cgroup::OutOfMemory;
use super::failure::LaunchFailure;
use super::orphans::Orphans;

/// An event, and whose it is.
pub type Report = (ProcessId, Incarnation, WorkerEvent);

/// What happened to a worker.
///
/// ```text
///            +---> Line --------+
/// launch ----+---> Frame -------+---> Exited (once, last)
///            +---> Violation ---+
/// ```
///
/// The first `Frame` is `Ready` with the right identity, or `Refused`. After a `Violation` no `Frame` comes and
/// the worker has been sent SIGKILL. `Died` comes after every frame that the worker had written, `Exited` after every line, and once
/// what it had started is gone, too.
#[derive(Debug)]
pub enum WorkerEvent {
    /// It said something, with the descriptors it sent along.
    Frame(ToRoot, Vec<OwnedFd>),
    /// It, or something that it started, wrote a line to stdout or stderr.
    Line(Line),
    /// It said something that no worker may say; it is being killed for it (H59).
    Violation(Violation),
    /// It is dead and reaped, and said nothing more: how it ended, and how far it had come. What it has left is looked for when
    /// the last is let go.
    Died(Exit, Cursor, Telling),
    /// Nothing is left of it.
    Exited(Box<Death>),
}

/// Held while the peers of a dead worker are told.
#[derive(Debug)]
pub struct Telling(#[expect(dead_code, reason = "its end is what is heard")] oneshot::Sender<()>);

impl Telling {
    /// And what resolves when it is let go.
    pub(super) fn new() -> (Telling, impl Future<Output = ()>) {
        let (telling, told) = oneshot::channel();
        (Telling(telling), async { drop(told.await) })
    }
}

/// Where a raw line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

impl Stream {
    /// `stdout` or `stderr`.
    pub fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// One line that a worker wrote to stdout or stderr, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// To which.
    pub stream: Stream,
    /// The line; bytes that are no UTF-8 are replaced, and a line over the limit is split, with a mark.
    pub text: String,
    /// Lines of this stream that were lost just before this one, because the root did not keep up.
    pub dropped: u64,
}

/// What a worker did wrong on its control pipe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Its bytes are no messages.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// It said something else before it was ready.
    #[error("the worker's first frame is neither Ready nor Refused, but {0}")]
    FirstFrame(&'static str),
    /// It is of a program that the root does not know, and did not tell its messages first, or told nonsense.
    #[error("the worker did not tell the shapes of its messages: {0}")]
    Shapes(String),
    /// It said a second time that it is ready, or refused after it was.
    #[error("the worker sent {0} after its first frame")]
    SecondStart(&'static str),
    /// It closed its control pipe and lives on, so that nothing can reach it.
    #[error("the worker closed its control pipe and lives on")]
    Closed,
    /// It takes itself for somebody else.
    #[error(
        "the worker takes itself for process {process}, incarnation {incarnation}, which it was not started as"
    )]
    Identity {
        /// Whom it takes itself for.
        process: ProcessId,
        /// Which life.
        incarnation: Incarnation,
    },
}

/// Why the root killed a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Killed {
    /// It broke the protocol of a pipe.
    Violation,
    /// It was not ready in time.
    StartDeadline,
    /// Its messages have another shape than those of another program.
    Shapes,
    /// It made no progress, and its policy says so.
    Hung,
    /// It was asked to end and did not in time, or nobody wants it any more.
    Asked,
    /// To see what becomes of it: [`chaos`](crate::chaos).
    Chaos,
}

impl std::fmt::Display for Killed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Killed::Violation => "by the root, for breaking the protocol",
            Killed::StartDeadline => "by the root, for not being ready in time",
            Killed::Shapes => "by the root, for messages of another shape",
            Killed::Hung => "by the root, for making no progress",
            Killed::Asked => "by the root",
            Killed::Chaos => "by chaos, on purpose",
        })
    }
}

/// The end of a worker: proof that it is gone, and what is known of why.
#[derive(Clone, Debug)]
pub struct Death {
    /// Its number with the kernel, which is free again.
    pub pid: i32,
    /// How it ended, as the kernel tells it.
    pub exit: Exit,
    /// Why it never became ready; `None` if it had been.
    pub failure: Option<LaunchFailure>,
    /// The panic that ended it, where one did.
    pub panic: Option<PanicReport>,
    /// What it was handling when it died: first what threads were about, then what asynchronous handlers had begun.
    pub handling: Vec<Handling>,
    /// How far it had come with its messages.
    pub cursor: Cursor,
    /// From the start to the exit.
    pub uptime: Duration,
    /// What it cost, its own reaped children included.
    pub resources: ResourceUse,
    /// The last lines of its stderr, at most [`LAST_LINES`](super::stdio::LAST_LINES).
    pub last_stderr: Vec<String>,
    /// Why the root killed it, if it did.
    pub killed: Option<Killed>,
    /// Whether the kernel killed it for want of memory, where that can be known.
    pub out_of_memory: Option<OutOfMemory>,
    /// What it had left behind.
    pub orphans: Orphans,
    /// How often the process was started again before this life.
    pub restarts: u32,
    /// How many more failures its group forgave within the period when it died, if it has a supervisor.
    pub budget_left: Option<u32>,
    /// Lines of stdout and stderr that were not delivered, because the root did not keep up.
    pub lost_lines: u64,
    /// Frames that were accepted for it and never written.
    pub unsent_frames: usize,
    /// Whether it died within a frame (H10): what it wanted to say last is lost.
    pub torn: bool,
    /// Whether its pipes came to their end; `false` if somebody outside its process group still held them when
    /// the time for that was over (H29).
    pub drained: bool,
}
