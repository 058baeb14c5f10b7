//! What can go wrong with a program and its deployments.

use std::time::Duration;

use crate::address::{JsonError, SendError};
use crate::codec::shape::Mismatch;
use crate::id::{ProcessName, Signal};
use crate::process::failure::LaunchFailure;
use crate::process::programs::Unfit;
use crate::protocol::wire::Failure;
use crate::topology::Diagnostics;

/// The result of most of the API.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with a program and its deployments.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The topology can't be deployed; nothing was started.
    #[error("the topology is not sound:\n{0}")]
    Invalid(Diagnostics),
    /// A process could not start; those that had were stopped again.
    #[error("process {process} did not start: {failure}")]
    Start {
        /// Which.
        process: ProcessName,
        /// Why.
        failure: Box<LaunchFailure>,
    },
    /// A process failed too often, and the topology was stopped.
    #[error(
        "process {process} failed once more after {restarts} restarts within {period:?}, which is all that its group may have"
    )]
    GaveUp {
        /// Which failed last.
        process: ProcessName,
        /// How often its group was restarted.
        restarts: u32,
        /// Within this time.
        period: Duration,
    },
    /// A signal asked this program to stop; everything was stopped in order.
    #[error("stopped by {0}")]
    Interrupted(Signal),
    /// This root has a topology running already.
    #[error("a topology is running already: shut it down first, or deploy from another program")]
    AlreadyDeployed,
    /// A Procession runtime runs in this process already.
    #[error("`Program::run` runs already in this process")]
    AlreadyRunning,
    /// Two actor types have one name.
    #[error("two registered actor types are called {0:?}: give one another, `#[proc_actor(name = \"...\")]`")]
    DuplicateType(&'static str),
    /// The topology has no such actor.
    #[error("the topology has no actor called {0:?}")]
    NoSuchActor(String),
    /// The topology has no such process.
    #[error("the topology has no process called {0:?}")]
    NoSuchProcess(String),
    /// The actor is of another type.
    #[error("actor {actor} is a {found}, not a {wanted}")]
    WrongType {
        /// Which.
        actor: String,
        /// What was asked for.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// This program's own type of the actor has a message of another shape than the program that hosts it (T-3).
    #[error("{}", mismatch.between("this program", &other.display().to_string()))]
    Shapes {
        /// The message and the difference; on the left is this program.
        mismatch: Box<Mismatch>,
        /// The program that hosts the actor.
        other: std::path::PathBuf,
    },
    /// A message was not answered.
    #[error(transparent)]
    Send(#[from] Failure),
    /// A message that was sent as JSON has no result.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// What runs was not changed.
    #[error(transparent)]
    Change(#[from] crate::protocol::requests::ChangeError),
    /// The topology has ended, or is being stopped.
    #[error("the topology is not running any more")]
    Ended,
    /// The operating system said no.
    #[error("could not {doing}: {error}")]
    Io {
        /// What was tried.
        doing: String,
        /// What it said.
        error: std::io::Error,
    },
    /// Whatever else the program wants to end with.
    #[error("{0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps an error of the program's own.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Other(error.into())
    }

    /// Who lives has told its messages, so they differ.
    pub(super) fn shapes(unfit: Unfit) -> Error {
        match unfit {
            Unfit::Differs { mismatch, other } => Error::Shapes { mismatch, other },
            Unfit::Untold => Error::Ended,
        }
    }

    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
        let doing = doing.into();
        move |error| Error::Io { doing, error }
    }
}

impl<M> From<SendError<M>> for Error {
    fn from(error: SendError<M>) -> Error {
        Error::Send(error.into_failure())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::Other(error.into())
    }
}

impl From<Diagnostics> for Error {
    fn from(diagnostics: Diagnostics) -> Error {
        Error::Invalid(diagnostics)
    }
}
