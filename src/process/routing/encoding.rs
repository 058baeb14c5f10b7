//! For which connection a message is being encoded: what a value must know that tells somebody where it went.

use std::cell::{Cell, RefCell};

use super::peer::{Peer, Waiter};
use crate::codec::lent;
use crate::protocol::connection::Connection;

thread_local! {
    /// The number of the connection; 0 is none.
    static FOR: Cell<u64> = const { Cell::new(0) };
    /// What is to be done when its lock was let go.
    static AFTERWARDS: RefCell<Vec<Box<dyn FnOnce()>>> = const { RefCell::new(Vec::new()) };
}

/// For which connection this thread encodes a message now.
pub fn encoding_for() -> Option<u64> {
    Some(FOR.get()).filter(|connection| *connection != 0)
}

/// Has something done as soon as the message that this thread encodes now was given to its connection, or was not: while it
/// is encoded, that connection is locked.
pub fn afterwards(act: impl FnOnce() + 'static) {
    AFTERWARDS.with_borrow_mut(|afterwards| afterwards.push(Box::new(act)));
}

struct Restore(u64);

impl Drop for Restore {
    fn drop(&mut self) {
        FOR.set(self.0);
    }
}

impl Peer {
    /// As [`with`](Self::with), to encode an `M`.
    #[inline]
    pub fn encode<M: ?Sized, R>(&self, act: impl FnOnce(&mut Connection<Waiter>) -> R) -> R {
        // What has nothing to drop owns nothing that could want to know.
        if !std::mem::needs_drop::<M>() {
            return self.with(act);
        }
        let holding = lent::hold();
        let restore = Restore(FOR.replace(self.number));
        let result = self.with(act);
        drop(restore);
        drop(holding);
        if AFTERWARDS.with_borrow(|afterwards| !afterwards.is_empty()) {
            for act in AFTERWARDS.take() {
                act();
            }
        }
        result
    }
}
