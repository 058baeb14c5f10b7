//! The worker's end of its control pipe: a small thread of its own, so that stop, introductions and post-mortems
//! work while a handler hogs the arbiter.
//!
//! Not for data pipes, which live on the arbiter. Started by [`Takeover::start`](super::bootstrap::Takeover::start);
//! the runtime gives the callback and holds the [`ControlLane`].

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::protocol::control::{ToRoot, ToWorker};

/// What the control thread tells the rest of the worker. The callback runs on the control thread and must not
/// block.
#[derive(Debug)]
pub enum ControlEvent {
    /// The root says something, with the descriptors it sent along.
    Frame(ToWorker, Vec<OwnedFd>),
    /// The root is gone. The process ends by itself [`ROOT_GONE_GRACE`] from now, whatever the arbiter does (H21).
    RootGone,
    /// SIGTERM: stop in order. The process ends by itself with code 143 [`TERMINATE_GRACE`] from now, or with the
    /// second SIGTERM.
    Terminate,
}

/// How long a worker may take to stop once its root is gone: enough to flush a file, and half of the second
/// after which P-2 promises that no worker is left.
pub const ROOT_GONE_GRACE: Duration = Duration::from_millis(500);

/// How long a worker may take to stop after SIGTERM, if the sender does not lose patience first: below the 10 s
/// after which process managers commonly send SIGKILL.
pub const TERMINATE_GRACE: Duration = Duration::from_secs(8);

/// The handle by which everything in the worker speaks to the root. Cheap to clone; any thread may use it.
#[derive(Clone, Debug)]
pub struct ControlLane {
    _todo: std::sync::Arc<()>,
}

/// Why a frame was not accepted. It comes back, except if it can't be encoded.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// The root is gone; this process is about to end.
    #[error("the root is gone")]
    Gone(Box<ToRoot>),
    /// The root does not read, and the lane's queue is full.
    #[error("the root does not read its control pipe, and the queue to it is full")]
    Full(Box<ToRoot>),
    /// The frame is too large.
    #[error(transparent)]
    Encode(#[from] crate::codec::EncodeError),
}

impl ControlLane {
    /// Hands a frame to the control thread. Never blocks.
    ///
    /// [`ToRoot::Log`] goes to a ring of its own, from which the oldest falls when it is full (the next record
    /// carries the count), and which is written only when nothing else waits.
    pub fn send(&self, frame: ToRoot) -> Result<(), LaneError> {
        Err(LaneError::Gone(Box::new(frame)))
    }

    /// Waits until everything that was sent before is with the kernel; `false` if the time was up or the root is
    /// gone. Not to be called from the control thread's callback.
    pub fn flush(&self, deadline: Duration) -> bool {
        let _ = deadline;
        false
    }
}
