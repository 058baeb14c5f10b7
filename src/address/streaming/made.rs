//! A stream where it was made: what yields its items, and what may end it before its time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::task::AtomicWaker;
use serde::Serialize;

use super::{StreamError, unbound};
use crate::address::context;
use crate::codec::{self, EncodeError};
use crate::id::{ProcessId, Slot};
use crate::process::handling::{self, LifeNumber};
use crate::process::routing::Ends;
use crate::protocol::streams::{End, Filling, Leftover, Put};
use crate::protocol::watching::EndReason;
use crate::protocol::wire::{Cause, Failure};

type Items<T, E> = Pin<Box<dyn Stream<Item = Result<T, E>> + Send>>;

/// Why a stream is over before its own end, once it is; whoever polls it is woken. And where it comes from.
#[derive(Default)]
pub(in crate::address) struct Life {
    over: Mutex<Option<Failure>>,
    waker: AtomicWaker,
    bound: Mutex<Option<Bound>>,
    asker: OnceLock<ProcessId>,
}

impl Life {
    /// It speaks for that actor, and ends with it; who asked the actor is accountable for it, if that is another process.
    pub(super) fn bind(self: &Arc<Life>, slot: Slot, number: LifeNumber, asker: Option<ProcessId>) {
        if let Some(asker) = asker {
            let _ = self.asker.set(asker);
        }
        *self.lock_bound() = self.bound_to(slot, number);
    }

    fn bound_to(self: &Arc<Life>, slot: Slot, number: LifeNumber) -> Option<Bound> {
        let exported = context::current()?.registry().at(slot)?;
        let ends = exported.actor.life()?;
        let observed = Arc::downgrade(self);
        let key = ends.observe(move |reason| {
            if let Some(observed) = observed.upgrade() {
                observed.end(failure_of(reason));
            }
        });
        exported.actor.attend();
        Some(Bound { slot, number, ends, key })
    }

    fn lock_bound(&self) -> MutexGuard<'_, Option<Bound>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which other process asked for it, if one did.
    pub(in crate::address) fn asker(&self) -> Option<ProcessId> {
        self.asker.get().copied()
    }

    /// Something of it panicked: to the actor that it speaks for, that is as if its handler had.
    fn panicked(&self) -> Failure {
        let text = handling::last_panic();
        let bound = self.lock_bound().as_ref().map(|bound| (bound.slot, bound.number));
        if let Some((slot, number)) = bound {
            handling::panicked_aside(slot, number, text.clone());
        }
        Failure::failed(Cause::Panicked(text))
    }

    /// The first reason counts.
    pub(in crate::address) fn end(&self, failure: Failure) {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.waker.wake();
    }

    fn over(&self) -> Option<Failure> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The actor whose handler made it, observed until the stream is dropped.
struct Bound {
    slot: Slot,
    number: LifeNumber,
    ends: Arc<Ends>,
    key: u64,
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.ends.forget(self.key);
    }
}

/// See the [module](self).
pub(super) struct Made<T, E> {
    /// None when it is over.
    items: Option<Items<T, E>>,
    life: Arc<Life>,
    /// What the last batch had no room for, and how it ends after that.
    left: Option<Leftover>,
    last: Option<End>,
}

impl<T, E> Made<T, E> {
    pub(super) fn new(items: Items<T, E>) -> Made<T, E> {
        let life = Arc::<Life>::default();
        match handling::slot() {
            Some(slot) => life.bind(slot, handling::life(), handling::sender()),
            None => unbound::note(&life),
        }
        Made { items: Some(items), life, left: None, last: None }
    }

    /// One without items.
    pub(super) fn over() -> Made<T, E> {
        Made { items: None, life: Arc::default(), left: None, last: None }
    }

    pub(super) fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// The next item. After an error or the end there is none.
    pub(super) fn poll_item(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, StreamError<E>>>> {
        let Some(items) = &mut self.items else { return Poll::Ready(None) };
        // Before it is asked, so that no end between the two is missed.
        self.life.waker.register(context.waker());
        let polled = match self.life.over() {
            Some(failure) => Poll::Ready(Some(Err(failure.into()))),
            None => match catch_unwind(AssertUnwindSafe(|| items.as_mut().poll_next(context))) {
                Ok(polled) => polled.map(|item| item.map(|item| item.map_err(StreamError::Error))),
                Err(_) => Poll::Ready(Some(Err(self.life.panicked().into()))),
            },
        };
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.end();
        }
        polled
    }
}

impl<T, E> Made<T, E> {
    /// What yields its items is dropped. That it panics then harms neither who drops it nor other streams.
    fn end(&mut self) {
        let Some(items) = self.items.take() else { return };
        if catch_unwind(AssertUnwindSafe(|| drop(items))).is_err() {
            let failure = self.life.panicked();
            tracing::error!(target: "procession", cause = %failure.cause, "a stream panicked when it was dropped");
        }
        let bound = self.life.lock_bound().take();
        drop(bound);
    }
}

impl<T, E> Drop for Made<T, E> {
    fn drop(&mut self) {
        self.end();
    }
}

fn failure_of(reason: &EndReason) -> Failure {
    Failure::failed(match reason {
        EndReason::Panicked(text) => Cause::Panicked(text.clone()),
        _ => Cause::ActorStopped,
    })
}

/// A stream whose items other processes pull: without its types.
pub(in crate::address) trait Feed: Send {
    /// Ready when something is in the batch, and nothing more is there at once or has room.
    fn poll_fill(&mut self, context: &mut Context<'_>, filling: &mut Filling) -> Poll<()>;
}

impl<T: Serialize + Send, E: Serialize + Send> Feed for Made<T, E> {
    fn poll_fill(&mut self, context: &mut Context<'_>, filling: &mut Filling) -> Poll<()> {
        if let Some(left) = self.left.take() {
            filling.put_back(left);
        }
        if self.items.is_none() && filling.is_empty() {
            let end = self.last.take().unwrap_or(End::Failed(Failure::failed(Cause::NoStream)));
            self.last = filling.end(end);
        }
        while filling.has_room() && self.last.is_none() {
            let end = match self.poll_item(context) {
                Poll::Pending if filling.is_empty() => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(None) => End::Done,
                Poll::Ready(Some(Err(error))) => end_of(error, filling.most_item_bytes()),
                Poll::Ready(Some(Ok(item))) => match filling.put(&item) {
                    Ok(Put::Taken) => continue,
                    Ok(Put::Left(left)) => {
                        self.left = Some(left);
                        break;
                    }
                    Err(error) => {
                        self.end();
                        End::Failed(Failure::failed(cause_of(error)))
                    }
                },
            };
            self.last = filling.end(end);
        }
        Poll::Ready(())
    }
}

/// An error of a stream is short: it is no place for data.
const MOST_ERROR_BYTES: usize = 32 << 10;

fn end_of<E: Serialize>(error: StreamError<E>, most_bytes: usize) -> End {
    match error {
        StreamError::Error(error) => match codec::encode(&error, most_bytes.min(MOST_ERROR_BYTES)) {
            Ok(bytes) => End::Error(bytes.into()),
            Err(error) => End::Failed(Failure::failed(cause_of(error))),
        },
        StreamError::Failed(failure) => End::Failed(*failure),
    }
}

fn cause_of(error: EncodeError) -> Cause {
    match error {
        EncodeError::TooLarge { limit } => {
            Cause::TooLarge { limit: u32::try_from(limit).unwrap_or(u32::MAX) }
        }
        EncodeError::Value(reason) => Cause::Encode(reason),
    }
}
