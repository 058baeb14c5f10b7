//! Room for replies: each request reserves it, by not beginning while there is none (M-3, H4).
//!
//! While the replies held for a peer are over the budget, nothing that it asked begins here. A message that comes to
//! its turn then stands *aside*, and those behind it on its channel with it (M-1), casts too; other peers' messages to
//! the same actor pass. None of those aside was taken, so the windows that were granted bound them. So a peer that
//! asks faster than it reads costs at most the budget, its windows, and one reply for each handler that had begun.
//!
//! ```text
//!  in the mailbox --begin--> begun
//!        ^  \------begin-------> aside, in line
//!        |                         |
//!        +--Resume, one a channel--+
//! ```

use std::time::Instant;

use super::answering::Begin;
use super::{Connection, Event};

impl<T> Connection<T> {
    /// Whether the peer has so many replies to read that nothing more that it asks may begin.
    pub(super) fn is_over_budget(&self) -> bool {
        let held = self.out.reply_bytes() as u64 + self.large.reply_bytes;
        held > u64::from(self.ours.limits.reply_bytes) && self.lost.is_none() && !self.we_left
    }

    /// Whether a message that comes out of the mailbox for the first time stands aside.
    pub(super) fn stands_aside(&mut self, channel: u32, is_call: bool) -> bool {
        let over = is_call && self.is_over_budget();
        let Some(served) = self.served.get_mut(channel as usize) else { return false };
        let behind = served.aside > 0 || served.is_returning;
        if !over && !behind {
            return false;
        }
        served.aside += 1;
        if !behind {
            self.stalled.push(channel);
        }
        true
    }

    /// As [`begin`](Self::begin), for a message that stood aside and was put into the mailbox anew. If it must stand
    /// aside again, it is the first in line. Also returns whether the next in line should come back now.
    pub fn begin_again(
        &mut self,
        channel: u32,
        bytes: u64,
        correlation: Option<u64>,
        deadline: Option<Instant>,
        now: Instant,
    ) -> (Begin, bool) {
        let over = correlation.is_some() && self.is_over_budget();
        if let Some(served) = self.served.get_mut(channel as usize).filter(|_| over) {
            served.is_returning = false;
            served.aside += 1;
            self.stalled.push(channel);
            return (Begin::Aside, false);
        }
        let begin = self.begin_now(channel, bytes, correlation, deadline, now);
        (begin, self.came_back(channel))
    }

    /// A message that stood aside has left the mailbox for good. Returns whether the next in line should come back.
    pub fn came_back(&mut self, channel: u32) -> bool {
        let Some(served) = self.served.get_mut(channel as usize) else { return false };
        served.is_returning = served.aside > 0;
        served.aside -= u64::from(served.is_returning);
        served.is_returning
    }

    /// Once there is room again: the first in each line comes back, and credits that were withheld are reported.
    ///
    /// They are withheld so that requests which are answered without being begun count, too: a peer that reads nothing
    /// gets no leave to send more.
    pub(super) fn settle(&mut self) {
        if (self.stalled.is_empty() && self.withheld.is_empty()) || self.is_over_budget() {
            return;
        }
        for channel in std::mem::take(&mut self.stalled) {
            if self.came_back(channel) {
                self.events.push_back(Event::Resume { channel });
            }
        }
        for channel in std::mem::take(&mut self.withheld) {
            self.served[channel as usize].is_withheld = false;
            if !self.we_left && self.served[channel as usize].has_unreported() {
                self.report(channel);
            }
        }
    }

    /// Withholds a report that is due; false if it may be made.
    pub(super) fn withhold(&mut self, channel: u32) -> bool {
        if !self.is_over_budget() {
            return false;
        }
        if !std::mem::replace(&mut self.served[channel as usize].is_withheld, true) {
            self.withheld.push(channel);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::pair_tests::Pair;
    use super::super::{Begin, Event, Mode};
    use crate::protocol::wire::Cause;

    /// A pair in which the left has asked on two channels and reads nothing: calls 1, 2, 3, 5 and cast 4 on the first,
    /// call 6 and cast 7 on the second.
    fn asked() -> (Pair, [u32; 2]) {
        let mut pair = Pair::new();
        let channels = [pair.open(), pair.open()];
        for (channel, mode, tag) in [
            (0, Mode::Call, 1),
            (0, Mode::Call, 2),
            (0, Mode::Call, 3),
            (0, Mode::Try, 4),
            (0, Mode::Call, 5),
            (1, Mode::Try, 7),
            (1, Mode::Call, 6),
        ] {
            pair.submit(channels[channel], mode, b"x", tag).expect("sent");
        }
        pair.step(usize::MAX);
        (pair, channels)
    }

    fn correlation(pair: &Pair, tag: u32) -> Option<u64> {
        pair.delivered.iter().find(|(message, ..)| *message == tag).expect("delivered").2
    }

    fn begin(pair: &mut Pair, channel: u32, tag: u32) -> Begin {
        let correlation = correlation(pair, tag);
        pair.right.begin(channel, 9, correlation, None, pair.now)
    }

    fn begin_again(pair: &mut Pair, channel: u32, tag: u32) -> (Begin, bool) {
        let correlation = correlation(pair, tag);
        pair.right.begin_again(channel, 9, correlation, None, pair.now)
    }

    /// Handles a call whose result is larger than the kernel and the shared lane would hide.
    fn answer(pair: &mut Pair, tag: u32) {
        let correlation = correlation(pair, tag).expect("a call");
        pair.right.reply(correlation, vec![0_u8; 60_000].as_slice());
    }

    fn resumed(pair: &mut Pair) -> Vec<u32> {
        let mut channels = Vec::new();
        while let Some(event) = pair.right.poll_event() {
            let Event::Resume { channel } = event else { panic!("{event:?}") };
            channels.push(channel);
        }
        channels
    }

    #[test]
    fn h04_requests_wait_for_the_replies_before_them_to_be_read() {
        let (mut pair, [first, second]) = asked();
        for tag in [1, 2] {
            assert_eq!(begin(&mut pair, first, tag), Begin::Proceed);
            answer(&mut pair, tag);
        }
        // 120 000 bytes are held, and 100 000 are the budget.
        assert_eq!(begin(&mut pair, first, 3), Begin::Aside);
        assert_eq!(
            begin(&mut pair, first, 4),
            Begin::Aside,
            "a cast does not pass what was sent before it (M-1)"
        );
        assert_eq!(begin(&mut pair, second, 7), Begin::Proceed, "a cast has no reply");
        assert_eq!(begin(&mut pair, second, 6), Begin::Aside);
        assert!(resumed(&mut pair).is_empty());
        pair.step(usize::MAX);
        assert_eq!(resumed(&mut pair), [first, second], "one of each line");
        // What is still in the mailbox does not pass those aside either.
        assert_eq!(begin(&mut pair, first, 5), Begin::Aside);
        assert_eq!(begin_again(&mut pair, first, 3), (Begin::Proceed, true));
        assert_eq!(begin_again(&mut pair, first, 4), (Begin::Proceed, true));
        assert_eq!(begin_again(&mut pair, first, 5), (Begin::Proceed, false));
        assert_eq!(begin_again(&mut pair, second, 6), (Begin::Proceed, false));
        for tag in [3, 5, 6] {
            answer(&mut pair, tag);
        }
        pair.step(usize::MAX);
        let replies = pair.outcomes.iter().filter(|outcome| matches!(outcome, Event::Reply { .. })).count();
        assert_eq!((replies, pair.left.outgoing_count(), pair.right.answering_count()), (5, 0, 0));
    }

    #[test]
    fn h04_one_that_comes_back_too_early_is_the_first_in_line_again() {
        let (mut pair, [first, _]) = asked();
        for tag in [1, 2] {
            begin(&mut pair, first, tag);
            answer(&mut pair, tag);
        }
        assert_eq!(begin(&mut pair, first, 3), Begin::Aside);
        assert_eq!(begin(&mut pair, first, 4), Begin::Aside);
        pair.step(usize::MAX);
        assert_eq!(resumed(&mut pair), [first]);
        // Another handler answers much meanwhile.
        begin(&mut pair, 1, 6);
        answer(&mut pair, 6);
        pair.right.large.reply_bytes += 100_000;
        assert_eq!(begin_again(&mut pair, first, 3), (Begin::Aside, false));
        pair.right.large.reply_bytes -= 100_000;
        pair.step(usize::MAX);
        assert_eq!(resumed(&mut pair), [first]);
        assert_eq!(begin_again(&mut pair, first, 3), (Begin::Proceed, true));
    }

    #[test]
    fn m2_whoever_stands_aside_at_the_goodbye_or_the_end_is_called_back() {
        for leaves in [true, false] {
            let (mut pair, [first, _]) = asked();
            for tag in [1, 2] {
                begin(&mut pair, first, tag);
                answer(&mut pair, tag);
            }
            assert_eq!(begin(&mut pair, first, 3), Begin::Aside);
            assert_eq!(begin(&mut pair, first, 4), Begin::Aside);
            match leaves {
                true => pair.right.leave(),
                false => drop(pair.right.handle_lost(&Cause::NoReply)),
            }
            assert_eq!(resumed(&mut pair), [first]);
            let begin = if leaves { Begin::Left } else { Begin::Proceed };
            assert_eq!(begin_again(&mut pair, first, 3), (begin, true));
            assert_eq!(begin_again(&mut pair, first, 4), (begin, false));
        }
    }

    #[test]
    fn x1_a_peer_that_reads_nothing_gets_no_leave_to_send_more() {
        let (mut pair, [first, _]) = asked();
        for tag in [1, 2] {
            begin(&mut pair, first, tag);
            answer(&mut pair, tag);
        }
        let before = pair.right.out.control_bytes() + pair.right.out.message_bytes();
        for _ in 0..3 {
            pair.right.take(first, 9);
        }
        assert_eq!(pair.right.out.control_bytes() + pair.right.out.message_bytes(), before);
        pair.step(usize::MAX);
        assert_eq!(pair.left.channels[first as usize].taken(), 5);
    }
}
