//! Messages that wait together, and the buffers of those that were handled.
//!
//! An actor has a batch only while messages wait for it: it comes from a few that the thread keeps, which are in its caches, and
//! goes back when its last message was handled. Of a hundred thousand actors, those that are quiet keep nothing.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::codec::Encoded;
use crate::process::routing::{Casts, Ticket};

/// Messages, oldest first.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) parcels: VecDeque<Parcel>,
    /// The small bodies, one after the other.
    pub(super) bytes: Vec<u8>,
    /// So many of the bytes were handled.
    pub(super) done: usize,
}

/// One message.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Its line in the handler table.
    pub(super) entry: usize,
    pub(super) body: Body,
}

/// What it says.
pub(super) enum Body {
    /// Encoded, in the bytes of its batch.
    Small { at: usize, length: usize, ticket: Ticket },
    /// Several casts, as whole frames in the bytes of its batch.
    Casts { at: usize, end: usize, casts: Casts },
    /// Decoded: an inbound message of the line's type.
    Whole(Box<dyn Any + Send>),
}

/// What each thread keeps of batches that were handled, and what all keep together: by what they have allocated.
const SPARE_BYTES: usize = 128 << 10;

/// One whose messages took more than this is not kept.
const KEEP_BYTES: usize = 64 << 10;

/// The batches that wait to be filled, the latest last.
struct Spare {
    #[allow(clippy::vec_box)] // They come and go as they are.
    batches: Vec<Box<Batch>>,
    bytes: usize,
}

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare::new()) };
}

/// Of threads that have more than they may keep, for those that have none: one fills what another empties.
static SHARED: Mutex<Spare> = Mutex::new(Spare::new());

impl Batch {
    /// One without messages.
    pub(super) fn empty() -> Box<Batch> {
        let spare = SPARE.try_with(|spare| spare.borrow_mut().take()).ok().flatten();
        spare.or_else(|| shared().take()).unwrap_or_default()
    }

    /// All of it was handled.
    pub(super) fn recycle(mut self: Box<Batch>) {
        self.parcels.clear();
        self.bytes.clear();
        self.done = 0;
        if self.bytes.capacity() > KEEP_BYTES {
            return;
        }
        // At the end of a thread none is needed.
        let surplus = SPARE.try_with(|spare| spare.borrow_mut().give(self)).ok().flatten();
        drop(surplus.and_then(|surplus| shared().give(surplus)));
    }

    fn allocated(&self) -> usize {
        size_of::<Batch>() + self.parcels.capacity() * size_of::<Parcel>() + self.bytes.capacity()
    }

    pub(super) fn push_small(&mut self, entry: usize, body: &Encoded<'_>, ticket: Ticket) {
        let (at, length) = (self.bytes.len(), body.bytes.len());
        self.bytes.extend_from_slice(&body.bytes);
        self.parcels.push_back(Parcel { entry, body: Body::Small { at, length, ticket } });
    }

    pub(super) fn push_casts(&mut self, entry: usize, frames: &[u8], mut casts: Casts) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(frames);
        let end = self.bytes.len();
        if let Some(Parcel { entry: before, body: Body::Casts { end: last, casts: waiting, .. } }) =
            self.parcels.back_mut()
            && (*before, *last) == (entry, at)
        {
            match waiting.absorb(casts) {
                Ok(()) => {
                    *last = end;
                    return;
                }
                Err(others) => casts = others,
            }
        }
        self.parcels.push_back(Parcel { entry, body: Body::Casts { at, end, casts } });
    }

    /// Gives back the bytes of what was handled, once they are more than those that wait: an actor that never catches up
    /// never empties its batch (M-3), and so each byte is moved once at most for one that was handled.
    pub(super) fn forget_done(&mut self) {
        if self.done <= self.bytes.len() / 2 {
            return;
        }
        let done = std::mem::take(&mut self.done);
        self.bytes.drain(..done);
        for parcel in &mut self.parcels {
            parcel.body.places(|place| *place -= done);
        }
    }

    pub(super) fn append(&mut self, newer: &mut Batch) {
        let shift = self.bytes.len();
        self.bytes.extend_from_slice(&newer.bytes);
        self.parcels.extend(newer.parcels.drain(..).map(|mut parcel| {
            parcel.body.places(|place| *place += shift);
            parcel
        }));
    }
}

fn shared() -> MutexGuard<'static, Spare> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Spare {
    const fn new() -> Spare {
        Spare { batches: Vec::new(), bytes: 0 }
    }

    fn take(&mut self) -> Option<Box<Batch>> {
        let batch = self.batches.pop()?;
        self.bytes -= batch.allocated();
        Some(batch)
    }

    /// Keeps it, or returns it if there is no room for it.
    fn give(&mut self, batch: Box<Batch>) -> Option<Box<Batch>> {
        let bytes = self.bytes + batch.allocated();
        if bytes > SPARE_BYTES {
            return Some(batch);
        }
        self.bytes = bytes;
        self.batches.push(batch);
        None
    }
}

impl Body {
    /// Changes each place in the bytes of the batch.
    fn places(&mut self, change: impl Fn(&mut usize)) {
        match self {
            Body::Small { at, .. } => change(at),
            Body::Casts { at, end, .. } => [at, end].into_iter().for_each(change),
            Body::Whole(_) => {}
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Body::Small { length, .. } => write!(f, "Small({length})"),
            Body::Casts { casts, .. } => write!(f, "Casts({})", casts.left()),
            Body::Whole(_) => write!(f, "Whole"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m3_a_thread_keeps_the_batches_that_were_handled_last_and_no_more_than_it_may() {
        let mut spare = Spare::new();
        let mut refused = 0;
        for length in 0..300 {
            let bytes = Vec::with_capacity(length * 100);
            refused += usize::from(spare.give(Box::new(Batch { bytes, ..Batch::default() })).is_some());
            let kept: usize = spare.batches.iter().map(|batch| batch.allocated()).sum();
            assert_eq!(spare.bytes, kept);
            assert!(kept <= SPARE_BYTES);
        }
        let kept = spare.batches.len();
        assert!(kept > 20 && kept + refused == 300, "{kept} and {refused}");
        assert!(spare.take().is_some_and(|batch| batch.bytes.capacity() == (kept - 1) * 100), "the latest");
        while spare.take().is_some() {}
        assert_eq!(spare.bytes, 0);
    }
}
