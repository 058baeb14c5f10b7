//! Why a worker never became ready.
//!
//! One enum for what `launch` says at once and for what turns out later (`Death::failure`), because whoever
//! deploys asks one question: why is it not there?

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::codec::shape::Mismatch;
use crate::id::Exit;
use crate::protocol::control::{PROTOCOL_VERSION, Refusal};
use crate::sys::environment::MAX_DEPTH;

use super::event::Violation;

/// An error number of the kernel, shown as its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// The number of an error that came from the kernel; 0 of one that did not.
    pub fn of(error: &std::io::Error) -> Errno {
        Errno(error.raw_os_error().unwrap_or(0))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&std::io::Error::from_raw_os_error(self.0), f)
    }
}

/// Why a worker is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaunchFailure {
    /// The kernel can't execute the program. Known at once.
    #[error("{} can't be executed: {errno}{}", path.display(), hint(*errno))]
    NotExecutable {
        /// The program.
        path: PathBuf,
        /// What the kernel said.
        errno: Errno,
    },
    /// Arguments or environment hold a zero byte, which no program can be given. Known at once.
    #[error("{} can't be started: {what} holds a zero byte", path.display())]
    ZeroByte {
        /// The program.
        path: PathBuf,
        /// Which argument or variable.
        what: String,
    },
    /// This machine has no descriptors, processes or memory left for another worker. Known at once.
    #[error("the root could not {doing}: {errno}; raise its limits or start fewer processes")]
    Resources {
        /// What was tried.
        doing: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// The welcome is larger than a control frame may be. Known at once.
    #[error("the arguments of the process's actors are too large to be sent to it: {0}")]
    Welcome(#[from] crate::codec::EncodeError),
    /// Roots within workers within roots: a program that starts itself for ever (H25). Known at once.
    #[error(
        "this root is nested {depth} workers deep, and at most {MAX_DEPTH} are allowed: a worker program seems to deploy itself"
    )]
    TooDeep {
        /// How deep this root is.
        depth: u32,
    },
    /// This process is itself a worker and has not taken over yet (H25). Known at once.
    #[error(
        "this process is a worker and tries to start workers before `Program::run` made it one: call `Program::run` first in main"
    )]
    BeforeTakeOver,
    /// It wrote something else to the control pipe, or ended without a word.
    #[error("{} is no Procession program, or ended before `Program::run`: {why}{}", path.display(), LastLines(last_stderr))]
    NotProcession {
        /// The program.
        path: PathBuf,
        /// What it did instead.
        why: NotProcession,
        /// The last lines of its stderr.
        last_stderr: Vec<String>,
    },
    /// It speaks another version of the protocol.
    #[error(
        "{} speaks protocol version {theirs}, this root {PROTOCOL_VERSION}: build both with the same Procession", path.display()
    )]
    Version {
        /// The program.
        path: PathBuf,
        /// What it speaks.
        theirs: u16,
    },
    /// It says itself why it can't be what it is meant to be.
    #[error("the worker refused: {0}")]
    Refused(Refusal),
    /// A message that it shares with another program has another shape there (T-3).
    #[error(
        "{} can't be part of the topology: {}; build both from the same source, or give the changed message another name",
        path.display(), mismatch.between(&other.display().to_string(), &path.display().to_string())
    )]
    Shapes {
        /// The program.
        path: PathBuf,
        /// The message and the difference: on the left is the other program.
        mismatch: Box<Mismatch>,
        /// The other program, whose processes run already.
        other: PathBuf,
    },
    /// It said hello and then something that it may not say.
    #[error("{violation}{}", LastLines(last_stderr))]
    Violation {
        /// What.
        violation: Violation,
        /// The last lines of its stderr.
        last_stderr: Vec<String>,
    },
    /// It said hello and ended before it was ready.
    #[error("the worker ended before it was ready: {exit}{}", LastLines(last_stderr))]
    DiedBeforeReady {
        /// How.
        exit: Exit,
        /// The last lines of its stderr.
        last_stderr: Vec<String>,
    },
    /// It was not ready in time, and was killed for it.
    #[error(
        "the worker was not ready after {deadline:?}: is an actor's `spawn` slow or stuck?{}",
        LastLines(last_stderr)
    )]
    StartDeadline {
        /// The time that it had.
        deadline: Duration,
        /// The last lines of its stderr.
        last_stderr: Vec<String>,
    },
}

/// What a program did instead of saying hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotProcession {
    /// It ended without a word.
    Ended(Exit),
    /// It wrote other bytes to the control pipe.
    Garbage,
    /// It closed the control pipe and went on.
    Closed,
    /// It said nothing until its time was up.
    Silent(Duration),
}

impl fmt::Display for NotProcession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotProcession::Ended(exit) => write!(f, "it {}", Was(*exit)),
            NotProcession::Garbage => f.write_str("it wrote other bytes to its control pipe"),
            NotProcession::Closed => f.write_str("it closed its control pipe without a word"),
            NotProcession::Silent(time) => write!(f, "it said nothing for {time:?}"),
        }
    }
}

/// "it exited", "it was killed".
struct Was(Exit);

impl fmt::Display for Was {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Exit::Code(_) => write!(f, "{}", self.0),
            Exit::Signal { .. } => write!(f, "was {}", self.0),
        }
    }
}

/// The last lines, indented below the sentence; nothing if there are none.
struct LastLines<'a>(&'a [String]);

impl fmt::Display for LastLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        f.write_str("; the last lines of its stderr:")?;
        self.0.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// What to do about an error number of exec.
fn hint(errno: Errno) -> &'static str {
    match errno.0 {
        libc::ENOENT => "; is the path right, and is the interpreter that its first line names there?",
        libc::EACCES => "; is it a file with the executable bit, on a file system that allows execution?",
        libc::ENOEXEC => "; it is neither a binary for this machine nor a script that begins with `#!`",
        libc::E2BIG => "; its arguments and environment are too large",
        _ => "",
    }
}
