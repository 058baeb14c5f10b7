//! Going to sleep and being woken, without a lost wake and without a system call while both sides are awake.
//!
//! ```text
//!  the one that goes to sleep            the one that has news
//!  1. raises the flag                    a. publishes the news
//!  2. fence                              b. fence
//!  3. looks for news: if any, stays      c. takes the flag: if it was raised, rings the bell
//!  4. waits for the bell
//! ```
//!
//! No wake is lost. The fences are sequentially consistent, so one of them comes first in the order that all threads
//! agree on. If 2 does, then c sees the flag of 1, and rings. If b does, then 3 sees the news of a, and stays. Both may
//! be true; then a bell rings that nobody waits for, which wakes the next sleep once, in vain.
//!
//! This file is compiled twice: with real atomics, and by its tests with those of a model checker that tries every
//! order of events.

use super::atomic::{AtomicU32, Ordering, fence};

const LOWERED: u32 = 0;
const RAISED: u32 = 1;

/// Whether one side sleeps. The other side's process may write anything into it: what it can spoil is its own wakes.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct Flag(pub(super) AtomicU32);

impl Flag {
    /// This side goes to sleep, unless `has_news`, which is asked once more.
    pub(super) fn raise(&self, has_news: impl FnOnce() -> bool) -> Raised {
        // Swaps, though stores would do: of a store the checker does not know that it comes after a swap that has read
        // what this thread wrote before it.
        self.0.swap(RAISED, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        match has_news() {
            true => {
                self.lower();
                Raised::News
            }
            false => Raised::Sleep,
        }
    }

    /// This side is awake, whoever woke it.
    pub(super) fn lower(&self) {
        self.0.swap(LOWERED, Ordering::Relaxed);
    }

    /// The other side, after it has published: whether it must ring. `worth` is asked only of one who sleeps.
    pub(super) fn take(&self, worth: impl FnOnce() -> bool) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) != LOWERED
            && worth()
            && self.0.swap(LOWERED, Ordering::Relaxed) != LOWERED
    }
}

/// What came of going to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    /// There is news: stay awake.
    News,
    /// There is none, and the bell will tell.
    Sleep,
}
