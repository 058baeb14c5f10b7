//! Starts workers and stays with each of them until it is reaped. Root side.
//!
//! Mechanics only: nothing is restarted, retried or judged here. The runtime's supervisor calls [`launch`], hears
//! [`Report`]s and decides.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::id::Signal;
use crate::protocol::control::{ToWorker, Welcome};
use crate::sys::pidfd::Pidfd;

use super::event::Report;
use super::failure::LaunchFailure;

/// What to start, and as whom.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The executable.
    pub program: Program,
    /// Its arguments, without the zeroth, which is the name of the process.
    pub arguments: Vec<OsString>,
    /// Changes to the root's environment, which the worker otherwise inherits: `None` removes.
    pub environment: Vec<(OsString, Option<OsString>)>,
    /// Everything that it needs to know of itself. `build` is filled in by [`launch`].
    pub welcome: Welcome,
    /// How long it may take until it is ready.
    pub start_deadline: Duration,
}

/// Which executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The one that runs here, even if its file was replaced meanwhile (H30).
    Deployer,
    /// The one at this path; no search in `PATH`.
    Path(PathBuf),
}

/// Starts a worker.
///
/// Returns when the kernel executes the program or has said why not; everything later comes as events. Must be
/// called within a tokio [`LocalSet`](tokio::task::LocalSet), on a thread that lives as long as the workers shall:
/// the kernel kills a worker when the *thread* that started it ends (H20).
///
/// Never blocks on a worker. If the event channel is full, the worker's frames wait in its own process and its
/// lines are counted instead of kept; [`Exited`](super::event::WorkerEvent::Exited) is never lost. If the channel is
/// closed, the worker is killed and reaped.
///
/// # Errors
/// Those variants of [`LaunchFailure`] that say "known at once". Then no event comes.
pub fn launch(launch: Launch, events: mpsc::Sender<Report>) -> Result<Worker, LaunchFailure> {
    let _ = (launch, events);
    Err(LaunchFailure::BeforeTakeOver)
}

/// A running worker, as its owner in the root holds it. Dropping it kills the worker: never an orphan (P-2).
#[derive(Debug)]
pub struct Worker {
    pidfd: Arc<Pidfd>,
    outgoing: mpsc::Sender<Outgoing>,
}

#[derive(Debug)]
struct Outgoing {
    _bytes: Vec<u8>,
    _descriptor: Option<OwnedFd>,
}

/// Why a frame was not accepted for a worker. The descriptor that was to go along is closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It is dead or dying, and `Exited` is on its way.
    #[error("the worker is gone")]
    Gone,
    /// It has not read its control pipe for long: its control thread is stopped.
    #[error("the worker does not read its control pipe, and {OUTGOING_FRAMES} frames wait for it")]
    Full,
    /// The frame can't be encoded.
    #[error(transparent)]
    Encode(#[from] crate::codec::EncodeError),
}

/// Frames that may wait for a worker: an introduction or two for each peer, and a stop. A worker whose control
/// thread runs empties them at once.
pub const OUTGOING_FRAMES: usize = 1024;

impl Worker {
    /// Its number with the kernel.
    pub fn pid(&self) -> i32 {
        self.pidfd.pid()
    }

    /// Hands a frame to the worker's writer. Never blocks.
    pub fn send(&self, frame: &ToWorker, descriptor: Option<OwnedFd>) -> Result<(), SendError> {
        let _ = (frame, descriptor, &self.outgoing);
        Err(SendError::Gone)
    }

    /// Sends a signal, to the process itself. One that is dead already is no error.
    pub fn signal(&self, signal: Signal) -> std::io::Result<()> {
        self.pidfd.signal(signal)
    }

    /// Asks the worker to end: its control thread stops it in order (SIGTERM).
    pub fn terminate(&self) -> std::io::Result<()> {
        self.signal(Signal(libc::SIGTERM))
    }

    /// Ends the worker (SIGKILL). Its process group follows when it is reaped.
    pub fn kill(&self) -> std::io::Result<()> {
        self.signal(Signal(libc::SIGKILL))
    }
}
