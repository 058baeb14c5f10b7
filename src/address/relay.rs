//! An answer that must come from the process that handled the message, and is given by another: it comes to our desk, and
//! goes on from here.
//!
//! So it is with a message that is delivered at least once: its reply acknowledges it, on the connection on which it came.
//! Until then it is kept by its sender, so the death of this process in between has it handled again, as it should be.

use std::sync::{Arc, Mutex, PoisonError};

use super::actor::ProcMessage;
use super::inbound::Answer;
use crate::codec::Encoded;
use crate::process::handling::Aside;
use crate::process::routing::Outcome;
use crate::protocol::wire::{Cause, Failure};

/// What is answered as soon as another has answered. An orderly stop waits for it.
struct Relay<M: ProcMessage>(Mutex<Option<(Answer<M>, Aside)>>);

/// Who waits for the other's answer.
pub(super) fn relay<M: ProcMessage>(answer: Answer<M>, aside: Aside) -> Arc<dyn Outcome> {
    Arc::new(Relay(Mutex::new(Some((answer, aside)))))
}

impl<M: ProcMessage> Relay<M> {
    fn take(&self) -> Option<Answer<M>> {
        let (answer, aside) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        // Who hears the answer finds it done.
        drop(aside);
        Some(answer)
    }
}

impl<M: ProcMessage> Outcome for Relay<M> {
    fn reply(&self, body: Encoded<'_>) {
        let Some(answer) = self.take() else { return };
        match body.decode() {
            Ok(result) => answer.reply(result),
            Err(error) => answer.fail(Failure::failed(Cause::Decode(error.to_string()))),
        }
    }

    fn sent(&self) {}

    fn fail(&self, failure: Failure) {
        if let Some(answer) = self.take() {
            // The handler ran: what became of who was to answer is no doubt about that.
            answer.fail(Failure::failed(failure.cause));
        }
    }
}
