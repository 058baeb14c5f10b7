//! Answers to the peer: channels granted or refused, messages taken, replies.

use std::time::Instant;

use serde::Serialize;

use super::Connection;
use super::outbound::{NotBegun, Rank};
use crate::protocol::frame::{FAILED, Header, Kind};
use crate::protocol::wire::{Cause, Failure, Opened};

/// Whether a request should still be handled, asked just before its handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Yes.
    Proceed,
    /// No: its sender has cancelled it. It has been answered.
    Cancelled,
    /// No: its deadline has passed. It has been answered.
    Expired,
    /// Not yet: there is no room for its reply, or one before it on its channel waits for room. It stands aside until
    /// [`Event::Resume`](super::Event::Resume); it was not taken.
    Aside,
    /// No: this side has said goodbye, and what was not taken before that is never taken. To be answered.
    Left,
}

impl<T> Connection<T> {
    /// Lets the peer use a channel that it asked for.
    pub fn grant(&mut self, channel: u32) {
        let Some(served) = self.served.get_mut(channel as usize) else { return };
        served.answered = !served.is_closing && !served.is_free;
        let opened = Opened {
            window_messages: self.ours.limits.window_messages,
            window_bytes: self.ours.limits.window_bytes,
        };
        self.out.frame_of(Rank::Control, Header { channel, ..Header::new(Kind::Opened) }, &opened);
    }

    /// Denies the peer a channel, or ends one that was granted. What is under way on it must still be answered.
    pub fn refuse(&mut self, channel: u32, cause: &Cause) {
        self.out.frame_of(Rank::Control, Header { channel, ..Header::new(Kind::Refused) }, cause);
    }

    /// A message left its mailbox, whether it is then handled or dropped: its sender gets its credit back, when
    /// enough has gathered.
    pub fn take(&mut self, channel: u32, bytes: u64) {
        self.take_several(channel, 1, bytes);
    }

    /// How many casts of a channel, and how many bytes of them, may begin before any of them is said to have left the
    /// mailbox, which is owed by [`take_several`](Self::take_several): at most a quarter of its window, and the one that passes it.
    /// None if the next might not begin.
    pub fn casts_at_once(&self, channel: u32) -> (u64, u64) {
        let Some(served) = self.served.get(channel as usize).filter(|_| !self.we_left) else { return (0, 0) };
        match served.aside > 0 || served.is_returning {
            true => (0, 0),
            false => (served.window.messages / 4, served.window.bytes / 4),
        }
    }

    /// As [`take`](Self::take), for several messages that have so many bytes together.
    pub fn take_several(&mut self, channel: u32, messages: u64, bytes: u64) {
        // After the goodbye the credits before it stand: what they leave out was not handled (M-2).
        if self.we_left {
            return;
        }
        let Some(served) = self.served.get_mut(channel as usize) else { return };
        served.take(messages, bytes);
        if served.is_report_due() && !self.withhold(channel) {
            self.report(channel);
        }
        if self.served[channel as usize].is_closing {
            self.finish_closing(channel);
        }
    }

    pub(super) fn report(&mut self, channel: u32) {
        let taken = self.served[channel as usize].report();
        self.send_credit(channel, taken);
    }

    pub(super) fn send_credit(&mut self, channel: u32, (messages, bytes): (u64, u64)) {
        let header = Header { channel, correlation: messages, ..Header::new(Kind::Credit) };
        self.out.frame(Rank::Control, header, &bytes.to_le_bytes());
    }

    /// A message leaves its mailbox to be handled: gives its sender the credit back, and says whether it should still
    /// be handled.
    pub fn begin(
        &mut self,
        channel: u32,
        bytes: u64,
        correlation: Option<u64>,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Begin {
        if !self.we_left && self.stands_aside(channel, correlation.is_some()) {
            return Begin::Aside;
        }
        self.begin_now(channel, bytes, correlation, deadline, now)
    }

    pub(super) fn begin_now(
        &mut self,
        channel: u32,
        bytes: u64,
        correlation: Option<u64>,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Begin {
        if self.we_left {
            return Begin::Left;
        }
        self.take(channel, bytes);
        match correlation {
            Some(correlation) => self.begin_call(channel, correlation, deadline, now),
            None => Begin::Proceed,
        }
    }

    fn begin_call(
        &mut self,
        channel: u32,
        correlation: u64,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Begin {
        let asked = self.answering.get(&correlation).filter(|asked| !asked.cancelled);
        let begin = match (asked, deadline) {
            (None, _) => Begin::Cancelled,
            (_, Some(deadline)) if deadline <= now => Begin::Expired,
            (Some(asked), _) => {
                self.served[channel as usize].begin(asked.sequence);
                return Begin::Proceed;
            }
        };
        let cause = match begin {
            Begin::Cancelled => {
                self.counters.cancelled += 1;
                Cause::Cancelled
            }
            _ => {
                self.counters.expired += 1;
                Cause::TimedOut
            }
        };
        self.reply_failure(correlation, &Failure::not_executed(cause));
        begin
    }

    /// How many bytes and descriptors a reply may have.
    pub fn reply_limits(&self) -> (usize, usize) {
        self.send_limits()
    }

    /// Answers a request. A reply that can't be encoded, or is too large, becomes a failure.
    pub fn reply<R: Serialize + ?Sized>(&mut self, correlation: u64, value: &R) {
        // Nobody reads what is said on a connection that has ended.
        if self.answering.remove(&correlation).is_none() || self.lost.is_some() {
            return;
        }
        let limits = self.send_limits();
        let header = Header { correlation, ..Header::new(Kind::Reply) };
        match self.out.begin(Rank::Replies, value, limits) {
            Ok(begun) => {
                self.large.note_small();
                self.out.finish(begun, header);
            }
            Err(why) => match *why {
                NotBegun::Apart(body) => self.start_large(header, body, None, None),
                NotBegun::Failed(error) => {
                    let failure = Failure::failed(self.cause_of(error));
                    self.send_failure(correlation, &failure);
                }
            },
        }
        self.check();
    }

    /// A request is answered by another process, directly: nothing is owed here any more.
    pub fn hand_over(&mut self, correlation: u64) {
        self.answering.remove(&correlation);
        self.check();
    }

    /// Whether the peer has cancelled a request that is not answered.
    pub fn is_cancelled(&self, correlation: u64) -> bool {
        self.answering.get(&correlation).is_none_or(|asked| asked.cancelled)
    }

    /// Answers a request with the reason why it has no reply.
    pub fn reply_failure(&mut self, correlation: u64, failure: &Failure) {
        if self.answering.remove(&correlation).is_some() {
            self.send_failure(correlation, failure);
        }
    }

    fn send_failure(&mut self, correlation: u64, failure: &Failure) {
        let header = Header { correlation, flags: FAILED, ..Header::new(Kind::Reply) };
        self.large.note_small();
        self.out.frame_of(Rank::Replies, header, failure);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mode;
    use super::super::pair_tests::Pair;
    use crate::protocol::wire::Cause;

    /// What `b"x"` counts.
    const WEIGHT: u64 = 9;

    #[test]
    fn m3_casts_that_are_handled_together_are_in_the_window_until_they_were() {
        let mut pair = Pair::new();
        let channel = pair.open();
        let (window, _) = pair.left.window_of(channel).expect("granted");
        for _ in 0..window {
            pair.submit(channel, Mode::Try, b"x", 1).expect("room");
        }
        pair.step(usize::MAX);
        let (_, bytes) = pair.left.window_of(channel).expect("granted");
        let (at_once, bytes_at_once) = pair.right.casts_at_once(channel);
        assert_eq!((at_once, bytes_at_once), (window / 4, bytes / 4));
        assert_eq!(
            pair.submit(channel, Mode::Try, b"x", 1),
            Err(Cause::Full),
            "nothing has left the mailbox"
        );
        pair.right.take_several(channel, at_once, at_once * WEIGHT);
        pair.step(usize::MAX);
        for _ in 0..at_once {
            pair.submit(channel, Mode::Try, b"x", 1).expect("as many as have left it");
        }
        assert_eq!(pair.submit(channel, Mode::Try, b"x", 1), Err(Cause::Full));
    }

    #[test]
    fn m2_none_are_taken_together_after_the_goodbye() {
        let mut pair = Pair::new();
        let channel = pair.open();
        pair.submit(channel, Mode::Try, b"x", 1).expect("room");
        pair.step(usize::MAX);
        assert!(pair.right.casts_at_once(channel).0 > 0);
        pair.right.leave();
        assert_eq!(pair.right.casts_at_once(channel), (0, 0));
        assert_eq!(pair.right.casts_at_once(channel + 1), (0, 0), "nor on a channel that there is not");
    }
}
