//! Where the outcome of one message meets who waits for it.

use std::sync::{Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use super::actor::ProcMessage;
use super::error::SendError;
use super::group::Owed;
use crate::codec::Encoded;
use crate::process::routing::Outcome;
use crate::protocol::wire::{Cause, Failure};

/// Shared by the future that waits and by whatever will know.
pub(super) struct CallSlot<M: ProcMessage> {
    state: Mutex<State<M>>,
    /// When a request of this process ends. The connection keeps that of others.
    deadline: Mutex<Option<Instant>>,
}

enum State<M: ProcMessage> {
    /// With what a member of a group owes until there is an outcome.
    Waiting(Option<Waker>, Option<Owed>),
    Done(Result<Option<M::Result>, (Failure, Option<M>)>),
    /// Taken by the future, or the future was dropped.
    Over,
}

impl<M: ProcMessage> CallSlot<M> {
    pub(super) fn new() -> CallSlot<M> {
        CallSlot { state: Mutex::new(State::Waiting(None, None)), deadline: Mutex::new(None) }
    }

    pub(super) fn set_deadline(&self, deadline: Instant) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(deadline);
    }

    pub(super) fn is_expired(&self, now: Instant) -> bool {
        let deadline = *self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.is_some_and(|deadline| deadline <= now)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first outcome counts.
    pub(super) fn complete(&self, outcome: Result<Option<M::Result>, (Failure, Option<M>)>) {
        let mut state = self.lock();
        if let State::Waiting(waker, owed) = &mut *state {
            let (waker, owed) = (waker.take(), owed.take());
            *state = State::Done(outcome);
            drop(state);
            drop(owed);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// The outcome; `None` in it is that of a tell. `kept` is what the future has of the message.
    pub(super) fn poll(
        &self,
        waker: &Waker,
        kept: &mut Option<M>,
    ) -> Poll<Result<Option<M::Result>, SendError<M>>> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Over) {
            State::Done(Ok(result)) => Poll::Ready(Ok(result)),
            State::Done(Err((failure, message))) => {
                let message = match failure.verdict {
                    crate::protocol::wire::Verdict::NotExecuted => message.or_else(|| kept.take()),
                    _ => None,
                };
                Poll::Ready(Err(SendError::new(failure, message)))
            }
            State::Waiting(previous, owed) => {
                let waker = match previous {
                    Some(previous) if previous.will_wake(waker) => previous,
                    _ => waker.clone(),
                };
                *state = State::Waiting(Some(waker), owed);
                Poll::Pending
            }
            State::Over => panic!("a request was polled after it had ended"),
        }
    }

    /// Whether nobody waits any more.
    pub(super) fn is_abandoned(&self) -> bool {
        matches!(*self.lock(), State::Over)
    }

    /// The future is dropped. Returns whether there was no outcome yet.
    pub(super) fn abandon(&self) -> bool {
        matches!(std::mem::replace(&mut *self.lock(), State::Over), State::Waiting(..))
    }

    /// What is owed until there is an outcome.
    pub(super) fn set_owed(&self, owed: Owed) {
        if let State::Waiting(_, place) = &mut *self.lock() {
            *place = Some(owed);
        }
    }
}

impl<M: ProcMessage> Outcome for CallSlot<M> {
    fn reply(&self, body: Encoded<'_>) {
        self.complete(match body.decode() {
            Ok(result) => Ok(Some(result)),
            // It ran; what it said can't be read.
            Err(error) => Err((Failure::failed(Cause::Decode(error.to_string())), None)),
        });
    }

    fn sent(&self) {
        self.complete(Ok(None));
    }

    fn fail(&self, failure: Failure) {
        self.complete(Err((failure, None)));
    }
}
