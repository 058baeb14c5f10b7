//! Both ends of a channel: the right to send to one actor, counted in messages and bytes.
//!
//! What is under way was sent and not yet reported as taken. The rule, the same on both ends:
//!
//! - C-1 at most `window_messages` messages are under way;
//! - C-2 at most `window_bytes` bytes are under way, or else all but the newest message together are at most a
//!   quarter of the window. So a message larger than the window passes, alone.
//!
//! A descriptor counts as so many bytes ([`weight`]), so that what a peer may make this process hold open is bounded
//! like what it may make it remember.
//!
//! A receiver reports when a quarter of either window was taken, so less than a quarter is ever held back, and
//! C-2 can always be met by waiting.

use std::collections::VecDeque;

use bytes::Buf;

use super::rights::More;
use crate::codec::Packed;
use crate::id::Capability;
use crate::protocol::wire::Cause;

/// What a message counts in its window.
pub(super) fn weight(body: &Packed) -> u64 {
    weight_of(body.bytes.remaining(), body.descriptors.len())
}

#[inline]
pub(super) fn weight_of(bytes: usize, descriptors: usize) -> u64 {
    bytes as u64 + descriptors as u64 * DESCRIPTOR_BYTES
}

/// What a descriptor counts. A worker's window of 8 MiB has room for 256 of them, which leaves most of the usual 1024 that a
/// process may have open.
const DESCRIPTOR_BYTES: u64 = 32 << 10;

/// What a receiver granted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl Window {
    /// Whether a message of `bytes` may join what is under way (C-1, C-2).
    #[inline]
    fn admits(self, messages_under_way: u64, bytes_under_way: u64, bytes: u64) -> bool {
        messages_under_way < self.messages
            && (bytes_under_way.saturating_add(bytes) <= self.bytes || bytes_under_way <= self.bytes / 4)
    }
}

/// ```text
///  Opening --Opened--> Open --Refused--> Refused
///   ^  \-------Refused---|------------------^ |
///   |                    '-----unused---> Closing
///   |                                        | Closed
///   '--somebody waits-- Shut <---------------'
///                        '--nobody does--> Free --open--> Opening
/// ```
#[derive(Debug)]
pub(super) enum ChannelState {
    Opening,
    Open(Window),
    Refused(Cause),
    /// `Close` was sent. What is submitted waits.
    Closing,
    /// The receiver has answered; who knows the channel by its target has not yet said what becomes of it.
    Shut,
    /// Its number may be used for another target.
    Free,
}

/// The sending end.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) state: ChannelState,
    /// Whom it leads to, and by which right it was opened.
    pub(super) target: Capability,
    /// Other rights to send on it, and those that are none.
    pub(super) more: Option<Box<More>>,
    /// How many targets the number had before: who remembers it from then must not reach another.
    pub(super) uses: u32,
    /// Whether something was sent on it since it was last looked at.
    pub(super) is_used: bool,
    /// Whether it was opened since then.
    pub(super) is_new: bool,
    /// Keys of outgoing messages that wait for credit, in order. Cancelled ones are skipped.
    pub(super) queue: VecDeque<u64>,
    /// How many holds are in it.
    pub(super) holds: u32,
    /// Whether it is in the connection's list of channels to look at.
    pub(super) is_ready: bool,
    /// Whether a large body is being sent, behind which this channel waits (M-1).
    pub(super) streaming: bool,
    /// Messages and bytes of `do_send` that wait.
    pub(super) outbox_messages: u64,
    pub(super) outbox_bytes: u64,
    sent_messages: u64,
    sent_bytes: u64,
    taken_messages: u64,
    taken_bytes: u64,
    /// A reply came for this message, so it and all before it were taken, whatever was reported.
    answered: u64,
}

impl Channel {
    pub(super) fn opening(target: Capability) -> Channel {
        Channel {
            state: ChannelState::Opening,
            target,
            more: None,
            uses: 0,
            is_used: true,
            is_new: true,
            queue: VecDeque::new(),
            holds: 0,
            is_ready: false,
            streaming: false,
            outbox_messages: 0,
            outbox_bytes: 0,
            sent_messages: 0,
            sent_bytes: 0,
            taken_messages: 0,
            taken_bytes: 0,
            answered: 0,
        }
    }

    /// The same number for a target, as if nothing had been sent on it. Its place in the list of those to look at stays.
    pub(super) fn renewed(&self, target: Capability) -> Channel {
        Channel { uses: self.uses, is_ready: self.is_ready, ..Channel::opening(target) }
    }

    #[inline]
    pub(super) fn admits(&self, bytes: u64) -> bool {
        let messages = self.sent_messages - self.taken_messages;
        match &self.state {
            ChannelState::Open(window) => {
                !self.streaming && window.admits(messages, self.sent_bytes - self.taken_bytes, bytes)
            }
            _ => false,
        }
    }

    /// How many messages and bytes of `do_send` may wait: an outbox, and what there is credit for, which waits as well where
    /// a hold or the outgoing bytes keep it. So who finds no room does not depend on what else is under way.
    pub(super) fn outbox(&self, own: Window) -> Window {
        let credit = match &self.state {
            ChannelState::Open(window) => *window,
            // Nobody knows yet how much room there is.
            _ => return own,
        };
        let (messages, bytes) =
            (self.sent_messages - self.taken_messages, self.sent_bytes - self.taken_bytes);
        Window {
            messages: own.messages + credit.messages.saturating_sub(messages),
            bytes: own.bytes + credit.bytes.saturating_sub(bytes),
        }
    }

    /// Whether one more message of `do_send` may wait. It may be larger than what room is left.
    pub(super) fn has_outbox(&self, own: Window) -> bool {
        let most = self.outbox(own);
        self.outbox_messages < most.messages && self.outbox_bytes < most.bytes
    }

    /// Counts a message as sent, and says which it is: the first is 1.
    #[inline]
    pub(super) fn send(&mut self, bytes: u64) -> u64 {
        self.sent_messages += 1;
        self.sent_bytes += bytes;
        self.sent_messages
    }

    /// Takes a credit report; false if it claims what was never sent, or takes back what it had reported.
    pub(super) fn credit(&mut self, messages: u64, bytes: u64) -> bool {
        let sane = (self.taken_messages..=self.sent_messages).contains(&messages)
            && (self.taken_bytes..=self.sent_bytes).contains(&bytes);
        if sane {
            (self.taken_messages, self.taken_bytes) = (messages, bytes);
        }
        sane
    }

    /// How many messages the receiver has taken, as far as we were told.
    pub(super) fn taken(&self) -> u64 {
        self.taken_messages
    }

    /// The message with this number was answered.
    pub(super) fn answer(&mut self, sequence: u64) {
        self.answered = self.answered.max(sequence);
    }

    /// The last message of which we know that it was taken.
    pub(super) fn known_taken(&self) -> u64 {
        self.taken_messages.max(self.answered)
    }

    /// Messages of which we don't know whether they were taken.
    pub(super) fn under_way(&self) -> u64 {
        self.sent_messages - self.known_taken()
    }
}

/// The receiving end.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) window: Window,
    /// Whether it was opened and neither refused nor closed.
    pub(super) answered: bool,
    /// Whether the peer needs it no more, and waits for the last messages to be taken.
    pub(super) is_closing: bool,
    /// Whether its number may be opened again.
    pub(super) is_free: bool,
    /// Whether a large body is on its way.
    pub(super) streaming: bool,
    /// Messages that stand aside, see `budget`.
    pub(super) aside: u64,
    /// Notices of ends in the mailbox: they count in no window, and hold the channel.
    pub(super) notices: u64,
    /// Whether one that stood aside is on its way back.
    pub(super) is_returning: bool,
    /// Whether its credits are withheld.
    pub(super) is_withheld: bool,
    /// How many rights were presented on it.
    pub(super) presented: u32,
    received_messages: u64,
    received_bytes: u64,
    taken_messages: u64,
    taken_bytes: u64,
    reported_messages: u64,
    reported_bytes: u64,
    /// The last message that was begun. Threads that share a mailbox begin in any order, so it may be past what was taken.
    begun: u64,
}

impl Served {
    pub(super) fn new(window: Window) -> Served {
        Served {
            window,
            answered: false,
            is_closing: false,
            is_free: false,
            streaming: false,
            aside: 0,
            notices: 0,
            is_returning: false,
            is_withheld: false,
            presented: 0,
            received_messages: 0,
            received_bytes: 0,
            taken_messages: 0,
            taken_bytes: 0,
            reported_messages: 0,
            reported_bytes: 0,
            begun: 0,
        }
    }

    /// How many messages have come.
    pub(super) fn received(&self) -> u64 {
        self.received_messages
    }

    /// A request is begun: it and all before it count as taken when this side leaves.
    pub(super) fn begin(&mut self, sequence: u64) {
        self.begun = self.begun.max(sequence);
    }

    /// The last report: nothing past it was begun, and nothing will be.
    pub(super) fn report_finally(&mut self) -> Option<(u64, u64)> {
        let (reported, (taken, bytes)) = (self.reported_messages, self.report());
        let messages = taken.max(self.begun);
        (messages > reported).then_some((messages, bytes))
    }

    /// Counts an arrival; false if it breaks C-1 or C-2.
    pub(super) fn receive(&mut self, bytes: u64) -> bool {
        let messages = self.received_messages - self.reported_messages;
        let under_way = self.received_bytes - self.reported_bytes;
        let admitted = self.answered && !self.streaming && self.window.admits(messages, under_way, bytes);
        self.received_messages += 1;
        self.received_bytes += bytes;
        admitted
    }

    /// Counts the arrival of several messages of so many bytes together, if there is room for all of them at once, so that
    /// each of them keeps C-1 and C-2. Else nothing is counted.
    #[inline]
    pub(super) fn receive_several(&mut self, messages: u64, bytes: u64) -> bool {
        let messages_then = self.received_messages - self.reported_messages + messages;
        let bytes_then = self.received_bytes - self.reported_bytes + bytes;
        let admitted = self.answered
            && !self.streaming
            && messages_then <= self.window.messages
            && bytes_then <= self.window.bytes;
        if admitted {
            self.received_messages += messages;
            self.received_bytes += bytes;
        }
        admitted
    }

    pub(super) fn take(&mut self, messages: u64, bytes: u64) {
        self.taken_messages += messages;
        self.taken_bytes += bytes;
        debug_assert!(self.taken_messages <= self.received_messages, "C-1: taken before it was received");
    }

    /// Whether everything that arrived was taken.
    pub(super) fn is_taken(&self) -> bool {
        self.taken_messages == self.received_messages && self.notices == 0
    }

    pub(super) fn has_unreported(&self) -> bool {
        self.taken_messages > self.reported_messages
    }

    /// Whether a quarter of a window was taken since the last report.
    pub(super) fn is_report_due(&self) -> bool {
        self.taken_messages - self.reported_messages >= (self.window.messages / 4).max(1)
            || self.taken_bytes - self.reported_bytes >= (self.window.bytes / 4).max(1)
    }

    /// What to report: all that was taken so far.
    pub(super) fn report(&mut self) -> (u64, u64) {
        (self.reported_messages, self.reported_bytes) = (self.taken_messages, self.taken_bytes);
        (self.taken_messages, self.taken_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ActorId, ProcessId};

    #[test]
    fn c1_and_c2_hold_and_an_oversized_message_passes_alone() {
        let window = Window { messages: 4, bytes: 100 };
        assert!(window.admits(0, 0, 1_000_000));
        assert!(window.admits(3, 40, 60));
        assert!(!window.admits(4, 40, 1));
        assert!(!window.admits(1, 40, 61));
        assert!(window.admits(1, 25, 1_000_000));
    }

    #[test]
    fn x1_a_credit_for_what_was_never_sent_is_refused() {
        let target = ActorId::declared(ProcessId(1), crate::id::Slot(0));
        let mut channel = Channel::opening(Capability::unsealed(target));
        channel.send(10);
        assert!(!channel.credit(2, 10));
        assert!(!channel.credit(1, 11));
        assert!(channel.credit(1, 10));
        assert!(!channel.credit(0, 0));
    }
}
