//! Sending to every member, and what came of it at each.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::address::error::SendError;
use crate::protocol::names::Holder;

/// What came of a message at each member that was known when it was sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct Gathered<R, M> {
    /// Which membership that was.
    pub version: u64,
    /// Each member, in the order of their ids, with its reply or why there is none.
    pub members: Vec<(Holder, Result<R, SendError<M>>)>,
}

impl<R, M> Gathered<R, M> {
    /// The replies that came.
    pub fn replies(&self) -> impl Iterator<Item = (&Holder, &R)> {
        self.members.iter().filter_map(|(holder, outcome)| Some((holder, outcome.as_ref().ok()?)))
    }

    /// Those that did not reply, and why.
    pub fn errors(&self) -> impl Iterator<Item = (&Holder, &SendError<M>)> {
        self.members.iter().filter_map(|(holder, outcome)| Some((holder, outcome.as_ref().err()?)))
    }

    /// Whether every member has replied.
    pub fn is_complete(&self) -> bool {
        self.members.iter().all(|(_, outcome)| outcome.is_ok())
    }
}

/// Waits for all of them; each ends by itself.
pub(super) struct All<F: Future> {
    pending: Vec<(Holder, Result<F::Output, F>)>,
}

impl<F: Future + Unpin> All<F> {
    pub(super) fn new(sent: impl IntoIterator<Item = (Holder, F)>) -> All<F> {
        All { pending: sent.into_iter().map(|(holder, sent)| (holder, Err(sent))).collect() }
    }
}

impl<F: Future + Unpin> Unpin for All<F> {}

impl<F: Future + Unpin> Future for All<F> {
    type Output = Vec<(Holder, F::Output)>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut left = false;
        for (_, outcome) in &mut self.pending {
            if let Err(sent) = outcome {
                match Pin::new(sent).poll(context) {
                    Poll::Ready(done) => *outcome = Ok(done),
                    Poll::Pending => left = true,
                }
            }
        }
        if left {
            return Poll::Pending;
        }
        let done = std::mem::take(&mut self.pending).into_iter();
        Poll::Ready(done.filter_map(|(holder, outcome)| Some((holder, outcome.ok()?))).collect())
    }
}
