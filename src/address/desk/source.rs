//! A stream that others pull.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

use crate::address::streaming::{Feed, Life};
use crate::protocol::streams::{Batch, Filling, Pull};
use crate::protocol::wire::Failure;

/// What yields the items that others ask for.
pub(super) struct Source {
    life: Arc<Life>,
    /// One pull at a time, in the order in which they came.
    feed: tokio::sync::Mutex<Box<dyn Feed>>,
    /// Ends it if nobody claims it.
    runs_out: Mutex<Option<AbortHandle>>,
}

impl Source {
    pub(super) fn new(feed: Box<dyn Feed>, life: Arc<Life>) -> Source {
        Source { life, feed: tokio::sync::Mutex::new(feed), runs_out: Mutex::default() }
    }

    pub(super) fn runs_out(&self, runs_out: AbortHandle) {
        *self.runs_out.lock().unwrap_or_else(PoisonError::into_inner) = Some(runs_out);
    }

    /// Somebody has it.
    pub(super) fn is_claimed(&self) {
        let runs_out = self.runs_out.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runs_out) = runs_out {
            runs_out.abort();
        }
    }

    /// Ends it; a pull that waits is answered so.
    pub(super) fn end(&self, failure: Failure) {
        self.life.end(failure);
    }

    /// The next batch.
    pub(super) async fn fill(&self, pull: &Pull, limits: (usize, usize)) -> Batch {
        let mut feed = self.feed.lock().await;
        let mut filling = Filling::new(pull, limits);
        poll_fn(|context| feed.poll_fill(context, &mut filling)).await;
        filling.into_batch()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.is_claimed();
    }
}
