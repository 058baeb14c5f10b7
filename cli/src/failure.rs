//! Why the command did not do what it was asked, and with which exit code that ends.

use std::process::ExitCode;

use procession::address::JsonError;

use crate::build::BuildError;
use crate::code;
use crate::console::Stream;
use crate::findings;
use crate::source::SourceError;

/// Everything that ends the command early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The topology file can't be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It is not sound, which was said in full.
    #[error("{0}")]
    NotSound(String),
    /// A process was named that there is not.
    #[error("the topology has no process called `{name}`; it has: {known}")]
    NoSuchProcess { name: String, known: String },
    /// An actor was named that there is not.
    #[error("the topology has no actor called `{name}`; it has: {known}")]
    NoSuchActor { name: String, known: String },
    /// What was to be sent is no JSON.
    #[error("{0}")]
    NotJson(String),
    /// A message was not answered.
    #[error(transparent)]
    Call(JsonError),
    /// All processes are spared.
    #[error("no process of the topology may be hit: all are spared")]
    NobodyToHit,
    /// A build command failed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The runtime says why.
    #[error(transparent)]
    Runtime(#[from] procession::Error),
}

impl Failure {
    pub(crate) fn code(&self) -> ExitCode {
        use procession::Error;
        ExitCode::from(match self {
            Failure::Source(_) | Failure::NotSound(_) | Failure::Runtime(Error::Invalid(_)) => {
                code::NOT_SOUND
            }
            Failure::NoSuchProcess { .. }
            | Failure::NoSuchActor { .. }
            | Failure::NotJson(_)
            | Failure::NobodyToHit => code::USAGE,
            Failure::Call(_) => code::NOT_ANSWERED,
            Failure::Build(_) | Failure::Runtime(Error::Start { .. }) => code::NOT_STARTED,
            Failure::Runtime(Error::GaveUp { .. }) => code::GAVE_UP,
            Failure::Runtime(Error::Interrupted(signal)) => code::of_process(code::SIGNAL_BASE + signal.0),
            Failure::Runtime(_) => code::BROKEN,
        })
    }

    /// Whether the events of the topology have told it already.
    pub(crate) fn is_told(&self) -> bool {
        use procession::Error;
        matches!(self, Failure::Runtime(Error::Start { .. } | Error::GaveUp { .. } | Error::Interrupted(_)))
    }

    /// The mend, where the message does not hold it.
    pub(crate) fn help(&self) -> Option<&str> {
        match self {
            Failure::Source(error) => error.help(),
            Failure::Build(error) => error.help(),
            Failure::NotSound(_)
            | Failure::NoSuchProcess { .. }
            | Failure::NoSuchActor { .. }
            | Failure::NotJson(_)
            | Failure::Call(_)
            | Failure::NobodyToHit
            | Failure::Runtime(_) => None,
        }
    }

    /// Tells people.
    pub(crate) fn show(&self) {
        if !self.is_told() {
            findings::show_error(Stream::Stderr, &self.to_string(), self.help());
        }
    }
}
