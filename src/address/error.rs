//! Why a send has no reply, with the message where it is safe to send it again.

use std::fmt;

use crate::protocol::wire::{Cause, Failure, Verdict};

/// A message that was not answered (M-2).
///
/// [`cause`](Self::cause) says why, with the exit status of the process where it died; [`verdict`](Self::verdict)
/// says what became of the message. If it was `NotExecuted`, [`into_message`](Self::into_message) gives it back.
pub struct SendError<M> {
    failure: Box<Failure>,
    message: Option<M>,
}

impl<M> SendError<M> {
    pub(super) fn new(failure: Failure, message: Option<M>) -> SendError<M> {
        SendError { failure: Box::new(failure), message }
    }

    /// Why there is no reply.
    pub fn cause(&self) -> &Cause {
        &self.failure.cause
    }

    /// What became of the message.
    pub fn verdict(&self) -> Verdict {
        self.failure.verdict
    }

    /// The message, if it was not executed and is still here.
    pub fn into_message(self) -> Option<M> {
        self.message
    }

    /// The cause and verdict, without the message.
    pub fn into_failure(self) -> Failure {
        *self.failure
    }
}

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("failure", &self.failure).finish_non_exhaustive()
    }
}

impl<M> std::error::Error for SendError<M> {}
