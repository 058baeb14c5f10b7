//! What other processes have sent to one life of an actor: as bytes, next to its mailbox.
//!
//! actix's mailbox costs an allocation and a wake for each message. So the connections' drivers put what arrives here,
//! and into the mailbox only one [`Arrived`] for all that arrived since the last; the actor then decodes and handles one
//! message after the other, each just before its handler runs. What an actor pauses for (`ctx.wait`, a stop) it pauses
//! for between two of them, as between two messages of its mailbox.
//!
//! ```text
//!  Quiet --push: Arrived into the mailbox--> Announced --all handled--> Quiet
//!                                                |  ^
//!                              the actor pauses, or has had its turn: Arrived again
//!            the mailbox ends with Arrived in it: Closed, and each message says that the actor stopped
//! ```

mod batch;

use std::any::Any;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::dev::ToEnvelope;
use actix::prelude::*;

use self::batch::{Batch, Body, Parcel};
use super::actor::ProcActor;
use super::attend::Attend;
use crate::codec::Encoded;
use crate::process::routing::{Casts, Ticket};
use crate::protocol::frame::first_body;

/// The messages that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// None while the inbox is empty.
    waiting: Option<Box<Batch>>,
    /// Whether the mailbox holds an [`Arrived`], or its handler runs.
    announced: bool,
    closed: bool,
}

/// So many messages are handled before other actors of the thread have their turn (M-4).
const TURN_MESSAGES: usize = 256;

/// Tells an actor that its inbox has messages. Not for users: the derive implements its handler.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Arrived(Option<Arc<Inbox>>);

impl Inbox {
    /// Takes messages that are still encoded, each small.
    pub(super) fn push_small<'a>(
        self: &Arc<Inbox>,
        entry: usize,
        run: &mut dyn Iterator<Item = (Encoded<'a>, Ticket)>,
    ) -> Option<Arrived> {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            // Each says that the actor stopped.
            run.for_each(drop);
            return None;
        }
        let batch = state.batch();
        for (body, ticket) in run {
            batch.push_small(entry, &body, ticket);
        }
        self.announce(&mut state)
    }

    /// Takes a run of casts that are still encoded, each small. They come back where the actor has stopped: dropping them, with
    /// nothing locked, says so.
    pub(super) fn push_casts(
        self: &Arc<Inbox>,
        entry: usize,
        frames: &[u8],
        casts: Casts,
    ) -> Result<Option<Arrived>, Casts> {
        let mut state = self.lock();
        if state.closed {
            return Err(casts);
        }
        state.batch().push_casts(entry, frames, casts);
        Ok(self.announce(&mut state))
    }

    /// Takes a message that was decoded.
    pub(super) fn push_whole(
        self: &Arc<Inbox>,
        entry: usize,
        inbound: Box<dyn Any + Send>,
    ) -> Option<Arrived> {
        let mut state = self.lock();
        if state.closed {
            // Dropping the message, without the lock, says that the actor stopped.
            drop(state);
            drop(inbound);
            return None;
        }
        state.batch().parcels.push_back(Parcel { entry, body: Body::Whole(inbound) });
        self.announce(&mut state)
    }

    /// What must go into the mailbox, unless it is there.
    fn announce(self: &Arc<Inbox>, state: &mut State) -> Option<Arrived> {
        let is_there = state.announced || state.is_empty();
        state.announced |= !is_there;
        (!is_there).then(|| Arrived(Some(Arc::clone(self))))
    }

    fn take(&self) -> Box<Batch> {
        self.lock().waiting.take().unwrap_or_else(Batch::empty)
    }

    /// What of a batch was not handled comes before what arrived since. False if nothing is left.
    fn put_back(&self, mut batch: Box<Batch>) -> bool {
        let mut state = self.lock();
        if batch.parcels.is_empty() {
            batch.recycle();
        } else {
            batch.forget_done();
            if let Some(mut newer) = state.waiting.take() {
                batch.append(&mut newer);
                newer.recycle();
            }
            state.waiting = Some(batch);
        }
        state.announced = !state.is_empty();
        state.announced
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        // Tickets answer, so they are dropped without the lock.
        drop(state);
        drop(waiting);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// To put messages into.
    fn batch(&mut self) -> &mut Batch {
        self.waiting.get_or_insert_with(Batch::empty)
    }

    fn is_empty(&self) -> bool {
        self.waiting.as_ref().is_none_or(|batch| batch.parcels.is_empty())
    }
}

impl Drop for Arrived {
    /// The mailbox is gone, or the actor is, by a panic of a handler.
    fn drop(&mut self) {
        if let Some(inbox) = self.0.take() {
            inbox.close();
        }
    }
}

/// What a context polls for as long as its actor lives.
type Kept = Pin<Box<dyn Future<Output = ()>>>;

/// Whether an actor waits for something and must not be given messages.
pub(super) type IsPaused<A> = fn(&<A as Actor>::Context) -> bool;

/// What an inbox needs of an actor's context. Not for users: the derive asks for it.
#[derive(Debug)]
pub struct Serving<A: Actor> {
    pub(super) announce: fn(&Addr<A>, Arrived),
    is_paused: IsPaused<A>,
    address: fn(&A::Context) -> Addr<A>,
    /// Asks the actor to tell of its end.
    pub(super) attend: fn(&Addr<A>, Attend),
    /// Has the actor's context poll this until the actor ends.
    pub(super) keep: fn(&mut A::Context, Kept),
}

/// Finds out whether an actor's context can serve an inbox. One that can't may be several at once, as the threads of a
/// `SyncArbiter` are; it takes its messages one by one.
///
/// The compiler takes the first of the two traits that fits: `(&Probe::<A>::NEW).serving()`.
#[derive(Debug)]
pub struct Probe<A>(PhantomData<fn() -> A>);

impl<A> Probe<A> {
    /// There is nothing in it.
    pub const NEW: Probe<A> = Probe(PhantomData);
}

/// The context is asynchronous.
pub trait Serves<A: Actor> {
    /// How it serves.
    fn serving(&self) -> Option<Serving<A>>;
}

impl<A: ProcActor> Serves<A> for Probe<A>
where
    A::Context: AsyncContext<A> + ToEnvelope<A, Arrived> + ToEnvelope<A, Attend>,
{
    fn serving(&self) -> Option<Serving<A>> {
        Some(Serving {
            announce: |addr, arrived| addr.do_send(arrived),
            is_paused: |context| context.waiting(),
            address: |context| context.address(),
            attend: |addr, attend| addr.do_send(attend),
            keep: |context, future| {
                context.spawn(actix::fut::wrap_future::<_, A>(future));
            },
        })
    }
}

/// It is not.
pub trait ServesNot<A: Actor> {
    /// It does not.
    fn serving(&self) -> Option<Serving<A>>;
}

impl<A: Actor> ServesNot<A> for &Probe<A> {
    fn serving(&self) -> Option<Serving<A>> {
        None
    }
}

/// Handles what has arrived: what the derive's handler calls.
pub fn handle_arrived<A: ProcActor>(actor: &mut A, mut arrived: Arrived, context: &mut A::Context) {
    let (Some(inbox), Some(serving)) = (arrived.0.clone(), A::serving()) else { return };
    let table = A::messages();
    let mut batch = inbox.take();
    let mut left = TURN_MESSAGES;
    let mut paused = false;
    while !paused
        && left > 0
        && let Some(Parcel { entry, body }) = batch.parcels.front_mut()
    {
        let entry = &table[*entry];
        if let Body::Casts { at, end, casts } = body {
            let mut frames = &batch.bytes[*at..*end];
            let before = casts.left();
            if let Some(begun) = casts.begin(left) {
                (entry.handle_casts)(actor, begun, &mut frames, context, serving.is_paused);
            } else if let Some((body, behind)) = first_body(frames) {
                frames = behind;
                (entry.handle_small)(actor, body, casts.alone(body.len()), context);
            }
            paused = (serving.is_paused)(context);
            let handled = before - casts.left();
            left -= handled;
            *at = *end - frames.len();
            batch.done = *at;
            if casts.left() == 0 || handled == 0 {
                batch.parcels.pop_front();
            }
            continue;
        }
        match batch.parcels.pop_front().map(|parcel| parcel.body) {
            Some(Body::Small { at, length, ticket }) => {
                batch.done = at + length;
                (entry.handle_small)(actor, &batch.bytes[at..at + length], ticket, context);
            }
            Some(Body::Whole(inbound)) => (entry.handle_whole)(actor, inbound, context),
            Some(Body::Casts { .. }) | None => {}
        }
        left -= 1;
        paused = (serving.is_paused)(context);
    }
    // From here on nothing of a user runs, so nothing panics: the inbox stays open.
    arrived.0 = None;
    if !inbox.put_back(batch) {
        return;
    }
    let again = Arrived(Some(inbox));
    let addr = (serving.address)(context);
    if paused {
        return (serving.announce)(&addr, again);
    }
    // Not at once: actix handles all that is in a mailbox before it lets others have their turn.
    actix::spawn(async move {
        tokio::task::yield_now().await;
        (serving.announce)(&addr, again);
    });
}
