//! The futures that wait for a reply, or for room.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use super::actor::ProcMessage;
use super::context;
use super::desk;
use super::error::SendError;
use super::group::{Owed, Routed};
use super::slot::CallSlot;
use crate::process::clock;
use crate::process::routing::{Gate, Peer, Series};
use crate::protocol::wire::{Cause, Failure};

/// A message that was sent, or waits for room.
pub(super) enum Pending<M: ProcMessage> {
    /// A tell that had room at once: there is nothing to wait for.
    Done,
    /// There is, and it can be given up.
    Waits(Waits<M>),
}

pub(super) struct Waits<M: ProcMessage> {
    slot: Arc<CallSlot<M>>,
    /// What went as bytes is kept, so that it can be given back.
    message: Option<M>,
    route: Route,
    done: bool,
    /// Of a message to a group: what is needed to try another member.
    routed: Option<Box<Routed>>,
}

/// Where it went, to cancel it there.
pub(super) enum Route {
    Nowhere,
    Remote {
        peer: Arc<Peer>,
        key: Option<u64>,
        /// The connection's driver keeps the time; made where that does not hear of a blocked arbiter.
        timer: Option<Pin<Box<Sleep>>>,
    },
    Kept {
        series: Arc<Series>,
        /// As long as it waits for room.
        ticket: Option<u64>,
        deadline: Instant,
        timer: Option<Pin<Box<Sleep>>>,
    },
    Local {
        gate: Arc<Gate>,
        ticket: Option<u64>,
        deadline: Instant,
        /// Made when first waited for.
        timer: Option<Pin<Box<Sleep>>>,
    },
}

impl<M: ProcMessage> Pending<M> {
    pub(super) fn new(slot: Arc<CallSlot<M>>, message: Option<M>, route: Route) -> Pending<M> {
        Pending::Waits(Waits { slot, message, route, done: false, routed: None })
    }

    #[cold]
    pub(super) fn failed(cause: impl Into<Box<Cause>>, message: Option<M>) -> Pending<M> {
        let slot = CallSlot::new();
        slot.complete(Err((Failure::not_executed(*cause.into()), message)));
        Pending::new(Arc::new(slot), None, Route::Nowhere)
    }

    /// A member of a group owes the outcome.
    pub(super) fn owed(self, owed: Owed) -> Pending<M> {
        if let Pending::Waits(Waits { slot, .. }) = &self {
            slot.set_owed(owed);
        }
        self
    }

    /// Of a group, to one member, or, as long as those are not known, to none.
    pub(super) fn routed(mut self, routed: Box<Routed>) -> Pending<M> {
        if let Pending::Waits(waits) = &mut self {
            waits.routed = Some(routed);
        }
        self
    }

    /// A message to a group whose members are not known yet.
    pub(super) fn unsent(message: M) -> Pending<M> {
        Pending::new(Arc::new(CallSlot::new()), Some(message), Route::Nowhere)
    }

    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        if let Pending::Waits(waits) = self {
            waits.set_timeout(timeout);
        }
    }

    #[inline]
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<M::Result>, SendError<M>>> {
        match self {
            Pending::Done => poll_turn(context).map(|()| Ok(None)),
            Pending::Waits(_) => self.poll_waits(context),
        }
    }

    fn poll_waits(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<M::Result>, SendError<M>>> {
        loop {
            let Pending::Waits(waits) = self else { return self.poll(context) };
            if let Some(routed) = waits.routed.as_mut().filter(|routed| routed.is_waiting()) {
                ready!(routed.poll_known(context));
                if let (Some(routed), Some(message)) = (waits.routed.take(), waits.message.take()) {
                    self.become_of(routed.begin(message));
                    continue;
                }
            }
            let outcome = ready!(waits.poll_one(context));
            let Some(routed) = waits.routed.take() else { return Poll::Ready(outcome) };
            match routed.again(outcome, waits.message.take()) {
                Ok(next) => self.become_of(next),
                Err(outcome) => return Poll::Ready(outcome),
            }
        }
    }

    /// The same message, elsewhere; where it was it has an outcome, or it was nowhere.
    fn become_of(&mut self, next: Pending<M>) {
        if let Pending::Waits(waits) = self {
            waits.done = true;
        }
        *self = next;
    }
}

/// So many tells that have room are charged to the budget of their task as one. To ask for each costs as much as all the rest
/// of its end.
const TELLS_AS_ONE: u32 = 4;

thread_local! {
    static TELLS: Cell<u32> = const { Cell::new(0) };
}

/// A loop of tells that never wait would keep the driver from writing them, so they have a turn, as whatever never waits has
/// in tokio. Whether it is over is for tokio alone to say, since its `select!` and its timeouts know of it.
#[inline]
fn poll_turn(context: &mut Context<'_>) -> Poll<()> {
    let tells = TELLS.get().wrapping_add(1);
    TELLS.set(tells);
    if tells.is_multiple_of(TELLS_AS_ONE) {
        ready!(tokio::task::coop::poll_proceed(context)).made_progress();
    }
    Poll::Ready(())
}

impl<M: ProcMessage> Waits<M> {
    fn set_timeout(&mut self, timeout: Duration) {
        let now = Instant::now();
        if let Some(routed) = &mut self.routed {
            routed.set_deadline(now + timeout);
        }
        match &mut self.route {
            Route::Nowhere | Route::Remote { key: None, .. } => {}
            Route::Remote { peer, key: Some(key), timer } => {
                *timer = None;
                if peer.with(|connection| connection.set_deadline(*key, now + timeout, now)) {
                    // The driver sleeps until the deadline that it knew.
                    peer.rouse();
                } else if let Some(ticket) = self.slot.set_deadline(now + timeout) {
                    // Others answer it, and the desk keeps its time.
                    desk::extend(ticket, now + timeout);
                }
            }
            Route::Kept { deadline, timer, .. } => {
                *deadline = now + timeout;
                *timer = None;
            }
            Route::Local { deadline, timer, .. } => {
                *deadline = now + timeout;
                if let Some(ticket) = self.slot.set_deadline(*deadline) {
                    desk::extend(ticket, *deadline);
                }
                *timer = None;
            }
        }
    }

    fn poll_one(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<M::Result>, SendError<M>>> {
        let slot = &self.slot;
        if let Poll::Ready(outcome) = slot.poll(context.waker(), &mut self.message) {
            self.done = true;
            return Poll::Ready(outcome);
        }
        slot.complete(Err((ready!(self.route.poll_deadline(context)), None)));
        if let Some(ticket) = slot.take_ticket() {
            desk::give_up(ticket);
        }
        self.done = true;
        slot.poll(context.waker(), &mut self.message)
    }
}

impl Route {
    /// Ready with the failure when the time is up and there was no outcome before.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<Failure> {
        match self {
            Route::Remote { peer, key: Some(key), timer } if !is_arbiter() => {
                if timer.is_none() {
                    let deadline = peer.with(|connection| connection.deadline_of(*key));
                    *timer = deadline.map(|deadline| Box::pin(sleep_until(deadline)));
                }
                let Some(timer) = timer else { return Poll::Pending };
                ready!(timer.as_mut().poll(context));
                // Where it has an outcome, who has it is about to tell.
                match peer.with(|connection| connection.expire(*key, Instant::now())) {
                    Some(failure) => Poll::Ready(failure),
                    None => Poll::Pending,
                }
            }
            Route::Nowhere | Route::Remote { .. } => Poll::Pending,
            Route::Kept { series, ticket, deadline, timer } => {
                let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(*deadline)));
                ready!(timer.as_mut().poll(context));
                let waited = ticket.is_some_and(|ticket| series.cancel(ticket));
                Poll::Ready(match waited {
                    true => Failure::not_executed(Cause::TimedOut),
                    // It is kept, and will be delivered.
                    false => Failure::unknown(Cause::TimedOut),
                })
            }
            Route::Local { gate, ticket, deadline, timer } => {
                let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(*deadline)));
                ready!(timer.as_mut().poll(context));
                let waited = ticket.is_some_and(|ticket| gate.cancel(ticket));
                Poll::Ready(match waited {
                    true => Failure::not_executed(Cause::TimedOut),
                    false => Failure::unknown(Cause::TimedOut),
                })
            }
        }
    }
}

/// Whether this thread drives the connections: while a handler blocks it, nothing here is polled either.
fn is_arbiter() -> bool {
    context::current().is_none_or(|router| router.is_arbiter())
}

/// On whatever thread: one without a runtime of its own waits with a clock that no handler blocks.
pub(super) fn sleep_until(deadline: Instant) -> Sleep {
    let clock = match tokio::runtime::Handle::try_current() {
        Ok(_) => None,
        Err(_) => clock::handle().cloned().or_else(|| context::current()?.arbiter()),
    };
    let _entered = clock.as_ref().map(tokio::runtime::Handle::enter);
    tokio::time::sleep_until(deadline.into())
}

impl<M: ProcMessage> Drop for Waits<M> {
    fn drop(&mut self) {
        if self.done || !self.slot.abandon() {
            return;
        }
        if let Some(ticket) = self.slot.take_ticket() {
            // Others answer it: who was asked has nothing to cancel.
            return desk::give_up(ticket);
        }
        match &self.route {
            Route::Remote { peer, key: Some(key), .. } => {
                peer.with(|connection| connection.cancel(*key));
            }
            Route::Kept { series, ticket: Some(ticket), .. } => {
                series.cancel(*ticket);
            }
            Route::Local { gate, ticket: Some(ticket), .. } => {
                gate.cancel(*ticket);
            }
            _ => {}
        }
    }
}

/// A `send` that waits for its reply.
///
/// The message is on its way (or in line for room) as soon as `send` returns, before this is polled, so messages
/// arrive in the order of the calls (M-1). It ends by itself at its deadline: the topology's `ask_timeout`, or the
/// one given here (M-2).
///
/// Cancel safe: dropping it cancels the request, and a request that was not yet handled is not handled (M-7).
#[must_use = "dropping a request cancels it; await it, or use `do_send`"]
pub struct Request<M: ProcMessage>(pub(super) Pending<M>);

impl<M: ProcMessage> Request<M> {
    /// Ends the request after this time from now, instead of the topology's `ask_timeout`.
    pub fn timeout(mut self, timeout: Duration) -> Request<M> {
        self.0.set_timeout(timeout);
        self
    }
}

// The message in it is moved, never pinned.
impl<M: ProcMessage> Unpin for Request<M> {}
impl<M: ProcMessage> Unpin for Tell<M> {}

impl<M: ProcMessage> Future for Request<M> {
    type Output = Result<M::Result, SendError<M>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(self.0.poll(context)) {
            Ok(Some(result)) => Ok(result),
            // Only a tell ends without a result.
            Ok(None) => Err(SendError::new(Failure::failed(Cause::NoReply), None)),
            Err(error) => Err(error),
        })
    }
}

/// A `tell` that waits for room.
///
/// Resolves when the message was handed to the connection, or to the mailbox of an actor in this process. Cancel
/// safe: dropped while it waits, the message is not sent.
#[must_use = "dropping a tell that waits for room cancels it; await it, or use `do_send`"]
pub struct Tell<M: ProcMessage>(Option<Box<Pending<M>>>);

impl<M: ProcMessage> Tell<M> {
    /// Apart, so that one that had room, as most have, is next to nothing.
    #[inline]
    pub(super) fn of(pending: Pending<M>) -> Tell<M> {
        match pending {
            Pending::Done => Tell(None),
            waits @ Pending::Waits(_) => Tell(Some(Box::new(waits))),
        }
    }

    /// Gives up waiting for room after this time from now, instead of the topology's `ask_timeout`.
    pub fn timeout(mut self, timeout: Duration) -> Tell<M> {
        if let Some(pending) = &mut self.0 {
            pending.set_timeout(timeout);
        }
        self
    }
}

impl<M: ProcMessage> Future for Tell<M> {
    type Output = Result<(), SendError<M>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            None => poll_turn(context).map(Ok),
            Some(pending) => pending.poll(context).map_ok(|_| ()),
        }
    }
}

impl<M: ProcMessage> fmt::Debug for Request<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request<{}>", std::any::type_name::<M>())
    }
}

impl<M: ProcMessage> fmt::Debug for Tell<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tell<{}>", std::any::type_name::<M>())
    }
}
