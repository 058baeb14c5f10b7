//! Where the outcome of one message meets who waits for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use super::actor::ProcMessage;
use super::error::SendError;
use super::group::Owed;
use crate::codec::Encoded;
use crate::process::routing::{Handed, Outcome};
use crate::protocol::responders::ReplyTicket;
use crate::protocol::wire::{Cause, Failure};

/// Shared by the future that waits and by whatever will know.
pub(super) struct CallSlot<M: ProcMessage> {
    state: Mutex<State<M>>,
    ending: Mutex<Ending>,
}

/// When and how a wait ends that has no outcome.
#[derive(Default)]
struct Ending {
    /// That of a request of this process, or of one that is answered by others. The connection keeps that of any other.
    deadline: Option<Instant>,
    /// By which others answer: who has it must hear of the end.
    ticket: Option<Box<ReplyTicket>>,
}

/// Why there is no result, with the message where it may be sent again. Apart, since most have one.
type Lost<M> = Box<(Failure, Option<M>)>;

enum State<M: ProcMessage> {
    /// With what a member of a group owes until there is an outcome.
    Waiting(Option<Waker>, Option<Owed>),
    Done(Result<Option<M::Result>, Lost<M>>),
    /// Taken by the future, or the future was dropped.
    Over,
}

impl<M: ProcMessage> CallSlot<M> {
    pub(super) fn new() -> CallSlot<M> {
        CallSlot { state: Mutex::new(State::Waiting(None, None)), ending: Mutex::default() }
    }

    fn ending(&self) -> MutexGuard<'_, Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says when it ends. Returns by which ticket others answer, if they do.
    pub(super) fn set_deadline(&self, deadline: Instant) -> Option<ReplyTicket> {
        let mut ending = self.ending();
        ending.deadline = Some(deadline);
        ending.ticket.as_deref().copied()
    }

    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.ending().deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Nobody waits any more: the ticket by which others would answer, once.
    pub(super) fn take_ticket(&self) -> Option<ReplyTicket> {
        self.ending().ticket.take().map(|ticket| *ticket)
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first outcome counts.
    pub(super) fn complete(&self, outcome: Result<Option<M::Result>, (Failure, Option<M>)>) {
        let mut state = self.lock();
        if let State::Waiting(waker, owed) = &mut *state {
            let (waker, owed) = (waker.take(), owed.take());
            *state = State::Done(outcome.map_err(Box::new));
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
            State::Done(Err(lost)) => {
                let (failure, message) = *lost;
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

    fn hand_over(&self, ticket: ReplyTicket) -> Handed {
        let mut ending = self.ending();
        ending.ticket = Some(Box::new(ticket));
        let deadline = ending.deadline;
        drop(ending);
        // Who gives up from now on finds the ticket; who did before is seen here.
        match matches!(*self.lock(), State::Waiting(..)) {
            true => Handed::Waits(deadline),
            false => Handed::Gone,
        }
    }
}
