//! The receiving end: what of one series was begun.

use std::collections::BTreeSet;

use super::numbering::Numbering;

/// What becomes of a message that comes to its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It is handled.
    Handle,
    /// It was handled: it is acknowledged once more.
    Done,
    /// One before it is still to come, or its own handler has not ended: it is refused, and comes again.
    Early,
}

/// What this process has begun of one series. Outlives the lives of the actor, so that a life which ends by a panic loses
/// nothing and begins nothing out of turn.
#[derive(Debug, Default)]
pub struct Taking {
    /// This message was begun, and all before it that its sender keeps.
    begun: u64,
    /// Those that were begun and have no outcome. At most as many as the window that was granted.
    unfinished: BTreeSet<u64>,
}

impl Taking {
    /// A message leaves the mailbox: whether its handler should run. If so, `finish` or `fail` must follow.
    pub fn begin(&mut self, numbering: &Numbering) -> Take {
        let number = numbering.number;
        if numbering.previous > self.begun || self.unfinished.contains(&number) {
            return Take::Early;
        }
        if number <= self.begun && numbering.quiet {
            return Take::Done;
        }
        self.begun = self.begun.max(number);
        self.unfinished.insert(number);
        Take::Handle
    }

    /// Its handler is done.
    pub fn finish(&mut self, number: u64) {
        self.unfinished.remove(&number);
    }

    /// Its handler ended otherwise: it, and so all after it, are begun when it was begun again.
    pub fn fail(&mut self, number: u64) {
        self.unfinished.remove(&number);
        self.begun = self.begun.min(number.saturating_sub(1));
    }
}
