//! Messages of a peer that came to their turn and may not begin yet: the peer has too many replies to read.
//!
//! The connection decides who stands aside and when the next comes back (`protocol::connection`); here are the
//! messages themselves, which it does not know.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;

use super::registry::Exported;

/// Puts a message into the mailbox again. Dropped, it answers that the actor stopped.
pub type Return = Box<dyn FnOnce(&Exported) + Send>;

/// A line for each channel that has one.
#[derive(Default)]
pub(super) struct Aside {
    lines: Mutex<FxHashMap<u32, Line>>,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Return>,
    /// How many were called back before they were here: whoever has to stand aside learns it a moment before it does.
    called: usize,
}

impl Aside {
    /// Puts a message into line, first or last. Returns who was called back already.
    pub(super) fn put(&self, channel: u32, is_first: bool, message: Return) -> Option<Return> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(channel).or_default();
        if is_first {
            line.waiting.push_front(message);
        } else {
            line.waiting.push_back(message);
        }
        if line.called == 0 {
            return None;
        }
        line.called -= 1;
        Self::pop(&mut lines, channel)
    }

    /// Calls the first in line back.
    pub(super) fn call(&self, channel: u32) -> Option<Return> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(channel).or_default();
        if line.waiting.is_empty() {
            line.called += 1;
            return None;
        }
        Self::pop(&mut lines, channel)
    }

    fn pop(lines: &mut FxHashMap<u32, Line>, channel: u32) -> Option<Return> {
        let line = lines.get_mut(&channel)?;
        let first = line.waiting.pop_front();
        if line.waiting.is_empty() && line.called == 0 {
            lines.remove(&channel);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Return {
        Box::new(|_| ())
    }

    #[test]
    fn who_is_called_before_it_is_there_comes_back_at_once() {
        let aside = Aside::default();
        assert!(aside.call(3).is_none());
        assert!(aside.put(3, false, nothing()).is_some());
        assert!(aside.put(3, false, nothing()).is_none());
        assert!(aside.put(3, true, nothing()).is_none());
        assert!(aside.call(3).is_some() && aside.call(3).is_some());
        assert!(
            aside.lines.lock().expect("lines").is_empty(),
            "nothing is kept for a channel without a line"
        );
    }
}
