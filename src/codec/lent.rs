//! When bytes that were lent are given back.
//!
//! Dropping them may be the end of whatever their owner keeps them in, so it may run anything: a sending, a lock, a panic.
//! Nothing of that may happen while a connection is locked. Whoever locks one [holds](hold), and what ends meanwhile is given
//! back after it was unlocked.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

thread_local! {
    /// How often this thread holds; and [`WAITS`], if something waits for that to be over.
    static HOLDS: Cell<u32> = const { Cell::new(0) };
    static WAITING: RefCell<Vec<Bytes>> = const { RefCell::new(Vec::new()) };
}

const WAITS: u32 = 1 << 31;

/// Nothing is given back by this thread while it lives.
#[derive(Debug)]
pub(crate) struct Holding(PhantomData<*const ()>);

/// From now on, nothing is given back.
#[inline]
pub(crate) fn hold() -> Holding {
    HOLDS.set(HOLDS.get() + 1);
    Holding(PhantomData)
}

impl Drop for Holding {
    #[inline]
    fn drop(&mut self) {
        let holds = HOLDS.get() - 1;
        HOLDS.set(holds);
        if holds == WAITS {
            give_all_back();
        }
    }
}

/// They are needed no more.
pub(super) fn give_back(bytes: Bytes) {
    if HOLDS.get() == 0 {
        return end(bytes);
    }
    // At the end of a thread they are given back whatever it holds.
    let _ = WAITING.try_with(|waiting| {
        waiting.borrow_mut().push(bytes);
        HOLDS.set(HOLDS.get() | WAITS);
    });
}

/// A panic of their owner was reported, and is nothing to whoever gives them back.
fn end(bytes: Bytes) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(bytes))) {
        // Its end might panic as well.
        std::mem::forget(panic);
    }
}

#[cold]
fn give_all_back() {
    HOLDS.set(0);
    WAITING.take().into_iter().for_each(end);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{SyncSender, sync_channel};

    use super::*;

    struct Owner(SyncSender<u32>, u32);

    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            b"owned"
        }
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            let _ = self.0.send(self.1);
            assert_ne!(self.1, 2, "an owner that panics");
        }
    }

    #[test]
    fn what_ends_while_somebody_holds_is_given_back_afterwards_and_panics_harm_nobody() {
        let (told, given) = sync_channel(9);
        let lend = |number| Bytes::from_owner(Owner(told.clone(), number));
        give_back(lend(0));
        assert_eq!(given.try_iter().collect::<Vec<_>>(), [0], "at once");
        let outer = hold();
        let inner = hold();
        (1..=3).map(lend).for_each(give_back);
        drop(inner);
        assert_eq!(given.try_iter().count(), 0, "not yet");
        drop(outer);
        assert_eq!(given.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
        give_back(lend(2));
        assert_eq!(given.try_iter().collect::<Vec<_>>(), [2], "at once, and harms nobody either");
        give_back(lend(4));
        drop(hold());
        assert_eq!(given.try_iter().collect::<Vec<_>>(), [4]);
    }
}
