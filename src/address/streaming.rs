//! More than one answer: a stream of items, pulled by its consumer wherever that is.
//!
//! ```text
//!  Streaming::new(stream) --is the result of a handler--> Here --the asker is of this process--> polled there
//!                                                          |
//!                       encoded for another: the desk has it, and the bytes say where --decoded--> There: pulled
//! ```

mod made;
mod pulling;
mod request;
mod unbound;

pub(super) use made::{Feed, Life};
pub use request::StreamRequest;
pub(super) use unbound::bind_made_by;

use std::any::type_name;
use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix::dev::{MessageResponse, OneshotSender};
use actix::prelude::*;
use futures_util::Stream;
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::time::Sleep;

use self::made::Made;
use self::pulling::Pulling;
use super::actor::Never;
use super::context;
use super::desk;
use super::request::sleep_until;
use super::target::Target;
use crate::codec::descriptor::{self, Sent};
use crate::codec::shape;
use crate::protocol::streams::{Credit, StreamId};
use crate::protocol::wire::{Cause, Failure, Verdict};

/// A stream of items as the result of a handler, and what its asker gets: a [`Stream`] that yields them wherever it is.
///
/// ```
/// # use procession::prelude::*;
/// #[derive(Message, Serialize, Deserialize)]
/// #[rtype(result = "Streaming<u64>")]
/// struct Count(u64);
///
/// #[derive(ProcActor)]
/// #[proc_actor(messages(Count))]
/// struct Counter;
///
/// impl Actor for Counter { type Context = Context<Self>; }
/// impl Handler<Count> for Counter {
///     type Result = Streaming<u64>;
///     fn handle(&mut self, Count(to): Count, _: &mut Context<Self>) -> Streaming<u64> {
///         Streaming::of(futures_util::stream::iter(0..to))
///     }
/// }
///
/// async fn sum(counter: ProcAddr<Counter>) -> Result<u64, StreamError> {
///     let mut numbers = counter.stream(Count(10));
///     let mut sum = 0;
///     while let Some(number) = numbers.next().await {
///         sum += number?;
///     }
///     Ok(sum)
/// }
/// ```
///
/// - **Credit.** A consumer in another process pulls: the stream is polled for what it asked for, and for nothing more.
///   [`credit`](Self::credit) says how many items and bytes may be ahead of it. Within a process each poll is a poll of the stream.
/// - **End.** With the last item, or with the first `Err` of the stream, or with a cause: the death of its process, the end of
///   the actor whose handler, or whose handler's future, made it (a panic of the stream is a panic of that actor, also one of
///   its `Drop`), or that its process stops.
/// - **Cancelling.** Dropping it drops the producer's stream. So does the death of the consumer's process, and that it is not
///   claimed within the `ask_timeout` of the process that made it, because its asker has gone.
/// - **Deadline.** For each next item, from when it is waited for: the topology's `ask_timeout`, or [`timeout`](Self::timeout).
///   A stream as a whole has none, and one whose consumer is busy with something else is not late.
/// - It may be part of a larger result, or be sent on as a field of a message as long as nothing was taken from it. One whose
///   message was not delivered is dropped like one that is not claimed. An at-least-once message (M-6) has none: of its second
///   delivery the stream would be over. In a human-readable format there is none.
///
/// The stream is polled on the main arbiter of its process, as the handlers of its actors run there; one that blocks, blocks
/// them.
#[must_use = "dropping a stream cancels it"]
pub struct Streaming<T, E = Never> {
    state: Mutex<State<T, E>>,
    timeout: Option<Duration>,
    /// Runs while the next item is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    is_over: bool,
}

enum State<T, E> {
    Here(Made<T, E>),
    /// Of another process, or had by the desk of this one.
    There(Box<Pulling<T>>),
    /// Here, and had by the desk: whoever decodes the message has it.
    Sent(Target, StreamId),
}

/// Why a stream has no more items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamError<E = Never> {
    /// The error with which the producer's stream ended.
    Error(E),
    /// The cause and verdict, as for a `send`. `NotExecuted` says that the handler did not run.
    Failed(Box<Failure>),
}

impl<E> StreamError<E> {
    /// The cause, unless it was the producer's own error.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            StreamError::Error(_) => None,
            StreamError::Failed(failure) => Some(&failure.cause),
        }
    }

    /// What became of the message that asked for the stream.
    pub fn verdict(&self) -> Verdict {
        match self {
            StreamError::Error(_) => Verdict::Failed,
            StreamError::Failed(failure) => failure.verdict,
        }
    }
}

impl<E> From<Failure> for StreamError<E> {
    fn from(failure: Failure) -> Self {
        StreamError::Failed(Box::new(failure))
    }
}

impl<E: fmt::Debug> fmt::Display for StreamError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::Error(error) => write!(f, "the stream ended with {error:?}"),
            StreamError::Failed(failure) => failure.fmt(f),
        }
    }
}

impl<E: fmt::Debug> std::error::Error for StreamError<E> {}

impl<T: 'static, E: 'static> Streaming<T, E> {
    /// A stream that ends with its last item or with its first error.
    pub fn new(items: impl Stream<Item = Result<T, E>> + Send + 'static) -> Streaming<T, E> {
        Streaming::in_state(State::Here(Made::new(Box::pin(items))))
    }

    /// A stream that has no error of its own.
    pub fn of(items: impl Stream<Item = T> + Send + 'static) -> Streaming<T, E> {
        Streaming::new(futures_util::StreamExt::map(items, Ok))
    }
}

impl<T, E> Streaming<T, E> {
    fn in_state(state: State<T, E>) -> Streaming<T, E> {
        Streaming { state: Mutex::new(state), timeout: None, timer: None, is_over: false }
    }

    fn state(&mut self) -> &mut State<T, E> {
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: DeserializeOwned, E: DeserializeOwned> Streaming<T, E> {
    /// How much may be ahead of the consumer, pulled and not taken: at least one item is, and at most so many; of bytes the
    /// same, but for an item that alone has more. By default 4096 items and 48 KiB.
    pub fn credit(mut self, items: u32, bytes: u32) -> Streaming<T, E> {
        if let State::There(pulling) = self.state() {
            pulling.set_credit(Credit { items, bytes });
        }
        self
    }

    /// How long the next item may take, from when it is first waited for, instead of the topology's `ask_timeout`. The stream
    /// ends with [`Cause::TimedOut`] then. While nobody waits for an item, the stream may be without one as long as it likes.
    pub fn timeout(mut self, timeout: Duration) -> Streaming<T, E> {
        self.timeout = Some(timeout);
        self.timer = None;
        self
    }

    /// The next item; after an error, and after the last one, none. Cancel safe: dropping what this gives loses nothing.
    pub async fn next(&mut self) -> Option<Result<T, StreamError<E>>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, StreamError<E>>>> {
        let timeout = self.timeout.or_else(|| context::current().map(|router| router.ask_timeout()));
        let Some(timeout) = timeout else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + timeout)));
        std::task::ready!(timer.as_mut().poll(context));
        // What yields its items is dropped, wherever it is.
        *self.state() = State::Here(Made::over());
        Poll::Ready(Some(Err(Failure::failed(Cause::TimedOut).into())))
    }
}

impl<T, E> Unpin for Streaming<T, E> {}

impl<T: DeserializeOwned, E: DeserializeOwned> Stream for Streaming<T, E> {
    type Item = Result<T, StreamError<E>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let polled = match self.state() {
            State::Here(made) => {
                // Without it a stream that is always ready would let nobody else have their turn.
                std::task::ready!(tokio::task::coop::poll_proceed(context)).made_progress();
                made.poll_item(context)
            }
            State::There(pulling) => pulling.poll_item(context),
            State::Sent(target, stream) => {
                // The message that had it came back, perhaps. If not, who has it now is not this one.
                let pulling = Pulling::claim(target.clone(), *stream);
                *self.state() = State::There(Box::new(pulling));
                return self.poll_next(context);
            }
        };
        let polled = if polled.is_pending() { self.poll_late(context) } else { polled };
        if polled.is_ready() {
            self.timer = None;
        }
        self.is_over = matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }
}

impl<A, M, T: 'static, E: 'static> MessageResponse<A, M> for Streaming<T, E>
where
    A: Actor,
    M: Message<Result = Streaming<T, E>>,
{
    fn handle(self, _: &mut A::Context, asker: Option<OneshotSender<Streaming<T, E>>>) {
        if let Some(asker) = asker {
            // Who has gone wants no items.
            let _ = asker.send(self);
        }
    }
}

impl<T, E> Serialize for Streaming<T, E>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    E: Serialize + DeserializeOwned + Send + 'static,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Err(S::Error::custom("a stream can't be written to a file"));
        }
        // A dead letter keeps the bytes of its message; the stream ends with the message itself.
        match descriptor::is_sent() {
            Some(Sent::Once) => {}
            Some(Sent::Again) => {
                return Err(S::Error::custom(
                    "a stream can't go with a message that is delivered at least once",
                ));
            }
            None => {
                return Err(S::Error::custom(
                    "a stream goes with a message that is sent, and with nothing else",
                ));
            }
        }
        let mut state: MutexGuard<'_, _> = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (target, stream) = match &mut *state {
            State::Sent(target, stream) => (target.clone(), *stream),
            State::There(pulling) => {
                let place = pulling.place().map(|(target, on)| (target.clone(), on));
                let begun = "items were taken from this stream: it can't be sent on any more";
                let place = place.ok_or_else(|| S::Error::custom(begun))?;
                pulling.is_sent_on();
                place
            }
            State::Here(made) => {
                let made = std::mem::replace(made, Made::over());
                let life = std::sync::Arc::clone(made.life());
                let (target, stream) = desk::offer(Box::new(made), life).map_err(S::Error::custom)?;
                *state = State::Sent(target.clone(), stream);
                (target, stream)
            }
        };
        (target, stream).serialize(serializer)
    }
}

/// What is seen of a stream when types are looked at: by these names its parts are described.
#[derive(Deserialize)]
#[serde(rename = "Streaming", bound = "T: DeserializeOwned, E: DeserializeOwned")]
#[allow(dead_code)] // They are looked at, never read.
struct Seen<T, E> {
    place: (Target, StreamId),
    item: T,
    error: E,
}

impl<'de, T: DeserializeOwned, E: DeserializeOwned> Deserialize<'de> for Streaming<T, E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if shape::is_looking() {
            // What it yields is part of its shape, though it comes later.
            match type_name::<E>() == type_name::<Never>() {
                true => drop(Seen::<T, ()>::deserialize(deserializer)?),
                false => drop(Seen::<T, E>::deserialize(deserializer)?),
            }
            return Ok(Streaming::in_state(State::Here(Made::over())));
        }
        if deserializer.is_human_readable() {
            return Err(D::Error::custom("a stream can't be read from a file"));
        }
        let (target, stream) = <(Target, StreamId)>::deserialize(deserializer)?;
        Ok(Streaming::in_state(State::There(Box::new(Pulling::claim(target, stream)))))
    }
}

impl<T, E> fmt::Debug for Streaming<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streaming<{}>", type_name::<T>())
    }
}
