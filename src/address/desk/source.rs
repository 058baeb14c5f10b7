//! A stream that others pull.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

use crate::address::streaming::{Feed, Life};
use crate::id::{Incarnation, ProcessId};
use crate::protocol::streams::{Batch, Filling, Pull};
use crate::protocol::wire::Failure;

/// Its items are asked for by whoever knows its key.
pub(super) struct Source {
    pub(super) key: u128,
    life: Arc<Life>,
    /// One pull at a time, in the order in which they came.
    feed: tokio::sync::Mutex<Box<dyn Feed>>,
    owner: Mutex<Owner>,
}

/// Whose it is.
pub(super) enum Owner {
    /// Nobody's yet, and over when this runs out.
    Offered(Option<AbortHandle>),
    /// This life of a process.
    Claimed(ProcessId, Incarnation),
    /// Somebody's in this process.
    Ours,
}

impl Source {
    pub(super) fn new(key: u128, feed: Box<dyn Feed>, life: Arc<Life>) -> Source {
        let owner = Mutex::new(Owner::Offered(None));
        Source { key, life, feed: tokio::sync::Mutex::new(feed), owner }
    }

    pub(super) fn set_owner(&self, owner: Owner) {
        let mut current = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, owner);
        if let Owner::Offered(Some(runs_out)) = before {
            runs_out.abort();
        }
    }

    pub(super) fn is_offered(&self) -> bool {
        matches!(*self.owner.lock().unwrap_or_else(PoisonError::into_inner), Owner::Offered(_))
    }

    pub(super) fn is_of(&self, process: ProcessId, life: Incarnation) -> bool {
        let owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*owner, Owner::Claimed(claimed, of) if (claimed, of) == (process, life))
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
        let owner = self.owner.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Owner::Offered(Some(runs_out)) = owner {
            runs_out.abort();
        }
    }
}
