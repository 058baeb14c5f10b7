//! A stream where it was made: what yields its items, and what may end it before its time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::task::AtomicWaker;
use serde::Serialize;

use super::StreamError;
use crate::address::context;
use crate::codec::{self, EncodeError};
use crate::id::Slot;
use crate::process::handling::{self, LifeNumber};
use crate::process::routing::Ends;
use crate::protocol::streams::{End, Filling, Leftover, Put};
use crate::protocol::watching::EndReason;
use crate::protocol::wire::{Cause, Failure};

type Items<T, E> = Pin<Box<dyn Stream<Item = Result<T, E>> + Send>>;

/// Why a stream is over before its own end, once it is; whoever polls it is woken.
#[derive(Default)]
pub(in crate::address) struct Life {
    over: Mutex<Option<Failure>>,
    waker: AtomicWaker,
}

impl Life {
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
    bound: Option<Bound>,
    /// What the last batch had no room for.
    left: Option<Leftover>,
}

impl<T, E> Made<T, E> {
    pub(super) fn new(items: Items<T, E>) -> Made<T, E> {
        let life = Arc::<Life>::default();
        let bound = bind(&life);
        Made { items: Some(items), life, bound, left: None }
    }

    /// One without items.
    pub(super) fn over() -> Made<T, E> {
        Made { items: None, life: Arc::default(), bound: None, left: None }
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
                Err(_) => Poll::Ready(Some(Err(self.panicked().into()))),
            },
        };
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            let gone = self.items.take();
            self.bound = None;
            // What its drop does is its own affair.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(gone)));
        }
        polled
    }

    /// To the actor that made it, that is as if its handler had panicked.
    fn panicked(&self) -> Failure {
        let text = handling::last_panic();
        if let Some(bound) = &self.bound {
            handling::panicked_aside(bound.slot, bound.number, text.clone());
        }
        Failure::failed(Cause::Panicked(text))
    }
}

/// Ends a stream with the actor whose handler runs now, if one does.
fn bind(life: &Arc<Life>) -> Option<Bound> {
    let slot = handling::slot()?;
    let exported = context::current()?.registry().at(slot)?;
    let ends = exported.actor.life()?;
    let observed = Arc::clone(life);
    let key = ends.observe(move |reason| observed.end(failure_of(reason)));
    exported.actor.attend();
    Some(Bound { slot, number: handling::life(), ends, key })
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
            filling.end(End::Failed(Failure::failed(Cause::NoStream)));
        }
        while filling.has_room() {
            match self.poll_item(context) {
                Poll::Pending if filling.is_empty() => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(None) => filling.end(End::Done),
                Poll::Ready(Some(Err(error))) => filling.end(end_of(error)),
                Poll::Ready(Some(Ok(item))) => match filling.put(&item) {
                    Ok(Put::Taken) => {}
                    Ok(Put::Left(left)) => {
                        self.left = Some(left);
                        break;
                    }
                    Err(error) => {
                        self.items = None;
                        filling.end(End::Failed(Failure::failed(cause_of(error))));
                    }
                },
            }
        }
        Poll::Ready(())
    }
}

/// An error of a stream is short: it is no place for data.
const MOST_ERROR_BYTES: usize = 32 << 10;

fn end_of<E: Serialize>(error: StreamError<E>) -> End {
    match error {
        StreamError::Error(error) => match codec::encode(&error, MOST_ERROR_BYTES) {
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
