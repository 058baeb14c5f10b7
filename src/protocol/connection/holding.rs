//! Holds: places in a channel's queue behind which nothing leaves until its owner says so.
//!
//! For what must not overtake something that goes another way, see `process::routing::handover`. What was submitted before
//! a hold is not touched by it, and messages that wait behind it keep their deadlines.

use rustc_hash::FxHashSet;

use serde::Serialize;

use super::{Connection, Submit, Waiting};
use crate::protocol::wire::Cause;

/// A key of a hold in a channel's queue: neither a message nor a notice has this index.
const HOLD_INDEX: u64 = u32::MAX as u64 - 1;

/// Those that were not released.
#[derive(Debug, Default)]
pub(super) struct Holds {
    open: FxHashSet<u64>,
    last: u64,
}

impl<T> Connection<T> {
    /// From now on, what is submitted on this channel waits until the hold with this key is released.
    pub fn hold(&mut self, channel: u32) -> u64 {
        self.holds.last = (self.holds.last + 1) & u64::from(u32::MAX);
        let key = self.holds.last << 32 | HOLD_INDEX;
        self.holds.open.insert(key);
        let channel = &mut self.channels[channel as usize];
        channel.queue.push_back(key);
        channel.holds += 1;
        self.check();
        key
    }

    /// What waited behind a hold may leave. One that is gone, with its channel or before, is none.
    pub fn release_hold(&mut self, channel: u32, key: u64) {
        if !self.holds.open.remove(&key) {
            return;
        }
        if let Some(place) = self.channels.get_mut(channel as usize)
            && let Some(at) = place.queue.iter().position(|waiting| *waiting == key)
        {
            place.queue.remove(at);
            place.holds -= 1;
            self.make_ready(channel);
        }
        self.check();
    }

    /// As [`submit`](Self::submit), before a hold that still stands: for a question that is no business of those who are held
    /// by it.
    ///
    /// # Errors
    /// As there.
    pub fn submit_ahead<M: Serialize + ?Sized>(
        &mut self,
        hold: Option<u64>,
        submit: Submit,
        value: &M,
        waiting: impl FnOnce() -> Waiting<T>,
    ) -> Result<Option<u64>, Cause> {
        let submitted = self.submit(submit, value, waiting)?;
        let queue = &mut self.channels[submit.channel as usize].queue;
        let at = hold.and_then(|hold| queue.iter().position(|waiting| *waiting == hold));
        if let (Some(at), Some(_)) = (at, submitted.filter(|key| queue.back() == Some(key))) {
            let last = queue.pop_back();
            last.into_iter().for_each(|key| queue.insert(at, key));
            self.make_ready(submit.channel);
        }
        self.check();
        Ok(submitted)
    }

    pub(super) fn is_hold(&self, key: u64) -> bool {
        key & u64::from(u32::MAX) == HOLD_INDEX && self.holds.open.contains(&key)
    }

    /// The queue of a channel is given up: its hold at the front holds nobody.
    pub(super) fn drop_hold(&mut self, channel: u32, key: u64) {
        self.holds.open.remove(&key);
        self.channels[channel as usize].holds -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::pair_tests::Pair;
    use super::super::{Event, Mode, Submit, Waiting};
    use crate::protocol::wire::{Cause, MessageId};

    #[test]
    fn a2_what_is_behind_a_hold_waits_and_what_was_before_it_does_not() {
        let mut pair = Pair::new();
        let channel = pair.open();
        pair.submit(channel, Mode::Outbox, b"before", 1).expect("sent");
        let (first, second) = (pair.left.hold(channel), pair.left.hold(channel));
        for tag in 2..5 {
            pair.submit(channel, [Mode::Call, Mode::Try, Mode::Tell][tag as usize - 2], b"behind", tag)
                .expect("it waits");
        }
        let arrived = |pair: &mut Pair| {
            pair.step(usize::MAX);
            std::mem::take(&mut pair.delivered).len()
        };
        assert_eq!(arrived(&mut pair), 1);
        pair.left.release_hold(channel, first);
        assert_eq!(arrived(&mut pair), 0, "there is another");
        pair.left.release_hold(channel, second);
        pair.left.release_hold(channel, second);
        assert_eq!(arrived(&mut pair), 3);
        pair.submit(channel, Mode::Try, b"after", 5).expect("sent");
        assert_eq!(arrived(&mut pair), 1);
    }

    #[test]
    fn a2_a_question_may_stand_before_a_hold() {
        let mut pair = Pair::new();
        let channel = pair.open();
        let (first, second) = (pair.left.hold(channel), pair.left.hold(channel));
        pair.submit(channel, Mode::Outbox, b"behind both", 1).expect("it waits");
        for (tag, hold) in [(2, Some(second)), (3, Some(first)), (4, Some(u64::MAX)), (5, None)] {
            let submit = Submit { channel, message: tag, mode: Mode::Call, timeout_ms: 0, right: 0 };
            let waiting = || Waiting { tag, deadline: None };
            pair.left.submit_ahead(hold, submit, b"?", waiting).expect("it waits");
        }
        let arrived = |pair: &mut Pair| -> Vec<u32> {
            pair.step(usize::MAX);
            std::mem::take(&mut pair.delivered).into_iter().map(|(message, ..)| message).collect()
        };
        assert_eq!(arrived(&mut pair), [3]);
        pair.left.release_hold(channel, first);
        assert_eq!(arrived(&mut pair), [2]);
        pair.left.release_hold(channel, second);
        assert_eq!(arrived(&mut pair), [1, 4, 5]);
    }

    #[test]
    fn a2_a_question_is_asked_by_no_right_and_outlives_that_of_its_channel() {
        let mut pair = Pair::new();
        let channel = pair.open();
        let hold = pair.left.hold(channel);
        for (message, tag) in [(MessageId::ARRIVED.0, 1), (70, 2)] {
            let submit = Submit { channel, message, mode: Mode::Call, timeout_ms: 0, right: 0 };
            pair.left.submit(submit, &(), || Waiting { tag, deadline: None }).expect("it waits");
        }
        pair.left.handle_denied(channel, 0, &Cause::NoReply);
        assert!(matches!(pair.left.poll_event(), Some(Event::Failed { tag: 2, .. })));
        assert!(pair.left.poll_event().is_none(), "what was sent before it may still be under way");
        pair.left.release_hold(channel, hold);
        pair.step(usize::MAX);
        assert_eq!(pair.delivered.last().map(|(message, ..)| *message), Some(MessageId::ARRIVED.0));
    }
}
