//! Why a send has no reply, with the message where it is safe to send it again.

use std::fmt;

use crate::protocol::wire::{Cause, Failure, Verdict};

/// A message that was not answered (M-2).
///
/// [`cause`](Self::cause) says why, with the exit status of the process where it died; [`verdict`](Self::verdict)
/// says what became of the message. If it was `NotExecuted`, [`into_message`](Self::into_message) gives it back.
pub struct SendError<M>(Box<Unsent<M>>);

/// Apart, so that a result that may be an error is hardly larger than what it is if it is none.
struct Unsent<M> {
    failure: Failure,
    message: Option<M>,
}

impl<M> SendError<M> {
    pub(super) fn new(failure: Failure, message: Option<M>) -> SendError<M> {
        SendError(Box::new(Unsent { failure, message }))
    }

    /// Why there is no reply.
    pub fn cause(&self) -> &Cause {
        &self.0.failure.cause
    }

    /// What became of the message.
    pub fn verdict(&self) -> Verdict {
        self.0.failure.verdict
    }

    /// The message, if it was not executed and is still here.
    pub fn into_message(self) -> Option<M> {
        self.0.message
    }

    /// The cause and verdict, without the message.
    pub fn into_failure(self) -> Failure {
        self.0.failure
    }
}

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.failure.fmt(f)
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("failure", &self.0.failure).finish_non_exhaustive()
    }
}

impl<M> std::error::Error for SendError<M> {}
