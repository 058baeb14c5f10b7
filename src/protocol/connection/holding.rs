//! Holds: places in a channel's queue behind which nothing leaves until its owner says so.
//!
//! For what must not overtake something that goes another way, see `process::routing::handover`. What was submitted before
//! a hold is not touched by it, and messages that wait behind it keep their deadlines.

use rustc_hash::FxHashSet;

use super::Connection;

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
    use super::super::Mode;
    use super::super::pair_tests::Pair;

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
}
