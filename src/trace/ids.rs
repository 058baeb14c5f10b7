//! Random ids of traces and spans.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

thread_local! {
    static STATE: (RandomState, Cell<u64>) = (RandomState::new(), Cell::new(0));
}

/// Differs from every other, in whichever thread and process, as far as 64 bits can: a hash of a counter under keys of the
/// operating system's random source.
pub(super) fn random() -> u64 {
    let next = |(keys, count): &(RandomState, Cell<u64>)| {
        count.set(count.get().wrapping_add(1));
        keys.hash_one(count.get()).max(1)
    };
    // A thread that is being torn down takes keys of its own.
    STATE.try_with(next).unwrap_or_else(|_| RandomState::new().hash_one(1).max(1))
}

pub(super) fn random_trace() -> u128 {
    u128::from(random()) << 64 | u128::from(random())
}
