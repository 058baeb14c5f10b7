//! A stream that was asked for.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix::prelude::*;
use futures_util::Stream;
use serde::de::DeserializeOwned;

use super::{StreamError, Streaming};
use crate::address::actor::ProcMessage;
use crate::address::request::Request;

/// What `stream` gives: asks, and then yields the items. See [`Streaming`].
///
/// The message is on its way when `stream` returns, in order with what else is sent (M-1). To get it back where it was not
/// executed, [`send`](crate::address::ProcAddr::send) it instead, which gives the [`Streaming`] itself.
#[must_use = "dropping a stream cancels it"]
pub struct StreamRequest<M: ProcMessage, T, E> {
    stage: Stage<M, T, E>,
    credit: Option<(u32, u32)>,
    timeout: Option<Duration>,
}

enum Stage<M: ProcMessage, T, E> {
    Asking(Request<M>),
    Flowing(Streaming<T, E>),
    Over,
}

impl<M: ProcMessage, T, E> StreamRequest<M, T, E> {
    pub(in crate::address) fn new(request: Request<M>) -> StreamRequest<M, T, E> {
        StreamRequest { stage: Stage::Asking(request), credit: None, timeout: None }
    }

    /// As [`Streaming::credit`]. To be said before the first item is waited for.
    pub fn credit(mut self, items: u32, bytes: u32) -> Self {
        self.credit = Some((items, bytes));
        self
    }

    /// The deadline of the ask, and then that of each next item, instead of the topology's `ask_timeout`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self.stage = match self.stage {
            Stage::Asking(request) => Stage::Asking(request.timeout(timeout)),
            other => other,
        };
        self
    }
}

impl<M, T, E> StreamRequest<M, T, E>
where
    M: ProcMessage + Message<Result = Streaming<T, E>>,
    T: DeserializeOwned,
    E: DeserializeOwned,
{
    /// The next item; after an error, and after the last one, none. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<T, StreamError<E>>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl<M: ProcMessage, T, E> Unpin for StreamRequest<M, T, E> {}

impl<M, T, E> Stream for StreamRequest<M, T, E>
where
    M: ProcMessage + Message<Result = Streaming<T, E>>,
    T: DeserializeOwned,
    E: DeserializeOwned,
{
    type Item = Result<T, StreamError<E>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match &mut self.stage {
                Stage::Asking(request) => match ready!(Pin::new(request).poll(context)) {
                    Ok(mut stream) => {
                        if let Some((items, bytes)) = self.credit {
                            stream = stream.credit(items, bytes);
                        }
                        if let Some(timeout) = self.timeout {
                            stream = stream.timeout(timeout);
                        }
                        self.stage = Stage::Flowing(stream);
                    }
                    Err(error) => {
                        self.stage = Stage::Over;
                        return Poll::Ready(Some(Err(error.into_failure().into())));
                    }
                },
                Stage::Flowing(stream) => return Pin::new(stream).poll_next(context),
                Stage::Over => return Poll::Ready(None),
            }
        }
    }
}

impl<M: ProcMessage, T, E> fmt::Debug for StreamRequest<M, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamRequest<{}>", std::any::type_name::<M>())
    }
}
