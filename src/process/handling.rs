//! What this thread is busy with, for the report of a panic.
//!
//! The dispatch of messages enters before each handler and leaves by dropping the guard: a few stores into a
//! thread-local, no allocation. Read by the panic hook alone.

use std::cell::Cell;
use std::marker::PhantomData;

use crate::protocol::control::Handling;

/// What is kept of a panic's message: it travels in the answer to whoever waits, which is one small frame.
const MAX_PANIC_BYTES: usize = 1 << 10;

thread_local! {
    static LAST_PANIC: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
    static PANICS: Cell<u64> = const { Cell::new(0) };
    static CURRENT: Cell<Option<(&'static str, &'static str)>> = const { Cell::new(None) };
}

/// Says that this thread handles `message` for `actor` until the guard is dropped, or leaked by a panic that
/// unwinds through it (which drops it, after the hook has read it).
#[inline]
pub fn enter(actor: &'static str, message: &'static str) -> Guard {
    Guard { before: CURRENT.replace(Some((actor, message))), thread: PhantomData }
}

/// Puts back what was being handled before. Stays on its thread.
#[derive(Debug)]
#[must_use = "handling ends when the guard is dropped"]
pub struct Guard {
    before: Option<(&'static str, &'static str)>,
    thread: PhantomData<*const ()>,
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        // A thread that is being torn down has nothing to put back.
        let _ = CURRENT.try_with(|current| current.set(self.before));
    }
}

/// What this thread is busy with.
pub fn current() -> Option<Handling> {
    let (actor, message) = CURRENT.try_with(Cell::get).ok().flatten()?;
    Some(Handling { actor: actor.to_owned(), message: message.to_owned() })
}

/// Keeps the message of a panic for the answer to whoever waits for the handler that panicked.
pub fn remember_panic(message: &str) {
    let _ = PANICS.try_with(|panics| panics.set(panics.get() + 1));
    let _ = LAST_PANIC.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            super::text::cut(message.to_owned(), MAX_PANIC_BYTES).clone_into(&mut last);
        }
    });
}

/// How often this thread has panicked.
pub fn panics() -> u64 {
    PANICS.try_with(Cell::get).unwrap_or_default()
}

/// The message of the last panic of this thread; empty if nobody kept it.
pub fn last_panic() -> String {
    LAST_PANIC
        .try_with(|last| last.try_borrow().map(|last| last.clone()).unwrap_or_default())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_nest_and_put_back() {
        assert_eq!(current(), None);
        let outer = enter("counter", "Add");
        {
            let _inner = enter("doubler", "Twice");
            assert_eq!(current().map(|h| h.message), Some("Twice".to_owned()));
        }
        assert_eq!(current().map(|h| h.actor), Some("counter".to_owned()));
        drop(outer);
        assert_eq!(current(), None);
    }
}
