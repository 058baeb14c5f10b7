//! From the queues and the large bodies into the outgoing bytes, in turn, as credit and the soft limit allow.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Buf;

use super::channel::weight;
use super::large::{CHUNK_BYTES, LargeSend};
use super::outbound::{Rank, encoded};
use super::sending::{call_header, remaining_ms};
use super::watching::First;
use super::{Connection, Event, SOFT_LIMIT_BYTES, Stage};
use crate::codec::Packed;
use crate::protocol::frame::{CHUNKED, Header, Kind};
use crate::protocol::wire::{Cause, Failure, Large};

impl<T> Connection<T> {
    /// Fills the outgoing bytes from the large bodies and the queues, in turn, up to the soft limit.
    pub(super) fn pump(&mut self, now: Instant) {
        while self.out.message_bytes() < SOFT_LIMIT_BYTES {
            // Where nothing waits, they leave from where they lie; where something always does, they have their share.
            let chunked = !self.out.is_empty() && self.large.is_due() && self.pump_large();
            let queued = self.pump_queue(now);
            if !chunked && !queued {
                break;
            }
        }
        self.check();
    }

    /// Puts the next chunk of the next large body behind what waits.
    fn pump_large(&mut self) -> bool {
        let Some(mut large) = self.large.turn.pop_front() else { return false };
        self.out.frame(Rank::Messages, large.chunk_header(), large.chunk());
        let ends = self.out.position();
        self.large.note_behind(&large, ends);
        large.pass_chunk();
        self.chunk_is_out(large, ends);
        true
    }

    /// Another chunk of a large body is out; if it was the last, the body ends at this position.
    pub(super) fn chunk_is_out(&mut self, large: LargeSend, ends: u64) {
        if large.body.has_remaining() {
            self.large.turn.push_back(large);
            return;
        }
        if let Some(channel) = large.channel {
            self.channels[channel as usize].streaming = false;
            self.make_ready(channel);
        }
        let Some(key) = large.key else { return };
        match self.index_of(key).map(|index| &mut self.outgoing[index].stage) {
            Some(stage) => {
                if let Stage::Streaming { sequence } = *stage {
                    // Its header is no longer in the outgoing bytes: nothing of it can be patched.
                    *stage = Stage::Sent { sequence, begins: u64::MAX, ends };
                }
            }
            None => self.out.cancel(key, ends),
        }
    }

    /// Moves one message from the next ready channel.
    fn pump_queue(&mut self, now: Instant) -> bool {
        while let Some(channel) = self.ready.pop_front() {
            self.channels[channel as usize].is_ready = false;
            let (key, index) = match self.first_waiting(channel) {
                Some(First::Message(key, index)) => (key, index),
                Some(First::Notice(key)) if self.pump_notice(channel, key) => {
                    if !self.channels[channel as usize].queue.is_empty() {
                        self.make_ready(channel);
                    }
                    return true;
                }
                _ => continue,
            };
            let Stage::Waiting(body) = &self.outgoing[index].stage else { continue };
            let bytes = weight(body);
            if let Some(cause) = self.too_much(body) {
                // Encoded before the peer had said what it accepts.
                self.channels[channel as usize].queue.pop_front();
                self.make_ready(channel);
                self.fail_unsent(key, index, cause);
                return true;
            }
            if !self.channels[channel as usize].admits(bytes) {
                continue;
            }
            self.channels[channel as usize].queue.pop_front();
            self.send_waiting(key, index, now);
            if !self.channels[channel as usize].queue.is_empty() {
                self.make_ready(channel);
            }
            return true;
        }
        false
    }

    fn too_much(&self, body: &Packed) -> Option<Cause> {
        let (limit, most) = self.send_limits();
        if body.bytes.remaining() > limit {
            return Some(Cause::TooLarge { limit: u32::try_from(limit).unwrap_or(u32::MAX) });
        }
        let count = body.descriptors.len();
        let told = || format!("the message has {count} descriptors, and the receiver takes at most {most}");
        (count > most).then(|| Cause::Encode(told()))
    }

    fn fail_unsent(&mut self, key: u64, index: usize, cause: Cause) {
        let tag = self.forget(index, key).tag;
        let failure = Failure::not_executed(cause);
        self.events.push_back(Event::Failed { tag, failure });
    }

    /// The first message of a queue that was not cancelled, or a notice before it.
    pub(super) fn first_waiting(&mut self, channel: u32) -> Option<First> {
        loop {
            let key = *self.channels[channel as usize].queue.front()?;
            match self.index_of(key) {
                Some(index) => return Some(First::Message(key, index)),
                None if self.is_notice(key) => return Some(First::Notice(key)),
                None if self.is_hold(key) => return Some(First::Hold(key)),
                None => self.channels[channel as usize].queue.pop_front(),
            };
        }
    }

    fn send_waiting(&mut self, key: u64, index: usize, now: Instant) {
        let outgoing = &mut self.outgoing[index];
        let (channel, kind, message) = (outgoing.channel, outgoing.kind, outgoing.message);
        let flags = outgoing.flags;
        let Stage::Waiting(body) = std::mem::replace(&mut outgoing.stage, Stage::Streaming { sequence: 0 })
        else {
            unreachable!("only waiting messages are in a queue");
        };
        let bytes = weight(&body);
        if outgoing.in_outbox {
            self.channels[channel as usize].leave_outbox(bytes);
        }
        let sequence = self.channels[channel as usize].send(bytes);
        let deadline = outgoing.deadline;
        let header = match kind {
            Kind::Call => Header { flags, ..call_header(message, channel, key, remaining_ms(deadline, now)) },
            _ => Header { message, channel, flags, ..Header::new(Kind::Cast) },
        };
        let begins = self.out.position();
        let is_call = kind == Kind::Call;
        let stage = if body.bytes.remaining() > CHUNK_BYTES {
            self.start_large(header, body, Some(channel), is_call.then_some(key));
            Stage::Streaming { sequence }
        } else {
            self.large.note_small();
            self.out.frame_with(Rank::Messages, header, body.bytes.chunk(), body.descriptors);
            Stage::Sent { sequence, begins, ends: self.out.position() }
        };
        if is_call {
            self.outgoing[index].stage = stage;
            return;
        }
        let done = self.outgoing.remove(index);
        if done.wants_sent {
            self.events.push_back(Event::Sent { tag: done.tag });
        }
    }

    /// Announces a large body; its chunks follow in turn.
    pub(super) fn start_large(
        &mut self,
        header: Header,
        body: Packed,
        channel: Option<u32>,
        key: Option<u64>,
    ) {
        let stream = self.large.stream();
        let Packed { bytes: body, descriptors } = body;
        let total = u32::try_from(body.remaining()).expect("a message is at most max_message_bytes, a u32");
        let header = Header { flags: header.flags | CHUNKED, ..header };
        self.out.frame_with(Rank::Messages, header, &encoded(&Large { stream, total }), descriptors);
        match channel {
            Some(channel) => self.channels[channel as usize].streaming = true,
            None => self.large.reply_bytes += u64::from(total),
        }
        self.large.turn.push_back(LargeSend { stream, body, channel, key });
    }

    /// Ends every message that waits on a channel.
    pub(super) fn fail_queue(&mut self, channel: u32, cause: &Cause) {
        let mut notices = VecDeque::new();
        while let Some(first) = self.first_waiting(channel) {
            self.channels[channel as usize].queue.pop_front();
            let (key, index) = match first {
                First::Message(key, index) => (key, index),
                First::Notice(key) => {
                    notices.push_back(key);
                    continue;
                }
                First::Hold(key) => {
                    self.drop_hold(channel, key);
                    continue;
                }
            };
            let outgoing = self.forget(index, key);
            let failure = Failure::not_executed(cause.clone());
            self.events.push_back(Event::Failed { tag: outgoing.tag, failure });
        }
        self.keep_notices(channel, notices);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mode;
    use super::super::pair_tests::Pair;
    use super::*;

    #[test]
    fn m4_large_bodies_are_alone_until_a_small_message_leaves_and_once_none_does() {
        let mut pair = Pair::new();
        let (large, small) = (pair.open(), pair.open());
        pair.submit(large, Mode::Call, &vec![7; 100_000], 1).expect("queued");
        pair.left.poll_transmit(pair.now);
        assert!(!pair.left.wants_shallow(), "nothing waits behind it");
        pair.submit(small, Mode::Call, b"small", 2).expect("sent");
        assert!(pair.left.wants_shallow());
        pair.step(usize::MAX);
        assert!(!pair.left.wants_shallow(), "nothing large is left");
        let mut bodies = 0;
        loop {
            pair.right.take_several(large, 1, 100_008);
            pair.step(usize::MAX);
            pair.submit(large, Mode::Tell, &vec![7; 100_000], 3).expect("queued");
            pair.left.poll_transmit(pair.now);
            if !pair.left.wants_shallow() {
                break;
            }
            bodies += 1;
            pair.step(usize::MAX);
        }
        assert!(
            (3..7).contains(&bodies),
            "{bodies}: there was one small message half a megabyte of them ago"
        );
    }

    #[test]
    fn m4_bodies_that_leave_from_where_they_lie_arrive_whole_whatever_the_kernel_takes() {
        for taken in [1, 27, 28, 29, 1000, CHUNK_BYTES + Header::LEN, usize::MAX] {
            let mut pair = Pair::new();
            let (large, small) = (pair.open(), pair.open());
            let body: Vec<u8> = (0..=250).cycle().take(3 * CHUNK_BYTES + 5).collect();
            let key = pair.submit(large, Mode::Call, &body, 1).expect("queued").expect("a call");
            // The announcement; what follows lies alone.
            let first = pair.left.poll_transmit(pair.now).len();
            pair.exchange(first).expect("no violation");
            let offered = pair.left.poll_transmit(pair.now);
            assert_eq!((offered.bytes.len(), offered.tail.len()), (Header::LEN, CHUNK_BYTES), "no copy");
            assert!(pair.left.has_pending());
            pair.exchange(taken.min(1000)).expect("no violation");
            pair.submit(small, Mode::Call, b"small", 2).expect("sent");
            pair.left.cancel(key);
            pair.step(taken);
            let messages: Vec<u32> = pair.delivered.iter().map(|(message, ..)| *message).collect();
            assert_eq!(messages, [2, 1], "{taken}: the small one was not behind the whole body");
            assert!(pair.delivered[1].1.ends_with(&body));
            assert!(pair.right.is_cancelled(key), "told behind its last chunk");
            assert!(pair.left.large.is_empty());
        }
    }

    #[derive(serde::Serialize)]
    struct Frame(u64, #[serde(with = "crate::codec::bytes")] bytes::Bytes, u64);

    #[test]
    fn m4_large_bytes_leave_from_where_their_owner_has_them() {
        for taken in [1, 31, 1000, CHUNK_BYTES + Header::LEN, usize::MAX] {
            let mut pair = Pair::new();
            let (large, small) = (pair.open(), pair.open());
            let owner = bytes::Bytes::from((0..=250).cycle().take(3 * CHUNK_BYTES + 5).collect::<Vec<u8>>());
            let key = pair.submit_value(large, Mode::Call, &Frame(1, owner.clone(), 2), 1).expect("queued");
            assert!(!owner.is_unique(), "no copy was made");
            // The announcement, and what is before them.
            while pair.left.poll_transmit(pair.now).tail.len() < 1000 {
                pair.exchange(usize::MAX).expect("no violation");
            }
            let offered = pair.left.poll_transmit(pair.now).tail.as_ptr();
            assert!(owner.as_ptr_range().contains(&offered), "no copy is made");
            pair.submit(small, Mode::Call, b"small", 2).expect("sent");
            pair.left.cancel(key.expect("a call"));
            pair.step(taken);
            assert!(owner.is_unique(), "given back");
            let messages: Vec<u32> = pair.delivered.iter().map(|(message, ..)| *message).collect();
            assert_eq!(messages, [2, 1]);
            let length = (owner.len() as u64).to_le_bytes();
            let whole = [&1_u64.to_le_bytes()[..], &length, &owner, &2_u64.to_le_bytes()].concat();
            assert!(pair.delivered[1].1 == whole, "{taken}: as if it had been encoded");
            assert!(pair.left.large.is_empty());
        }
    }

    #[test]
    fn m7_large_bytes_are_given_back_when_their_message_is_withdrawn_or_the_pipe_ends() {
        let owner = bytes::Bytes::from(vec![7; 2 * CHUNK_BYTES]);
        let mut pair = Pair::new();
        let channel = pair.open();
        let window = usize::try_from(pair.left.window_of(channel).expect("granted").1).expect("few");
        let mut last = None;
        for _ in 0..=window / owner.len() {
            last = pair.submit_value(channel, Mode::Call, &Frame(1, owner.clone(), 2), 1).expect("queued");
        }
        assert!(pair.left.withdraw(last.expect("a call")), "there was no room");
        pair.exchange(1000).expect("no violation");
        assert!(!owner.is_unique());
        pair.left.handle_lost(&Cause::NoReply);
        assert!(owner.is_unique());
    }

    #[test]
    fn m4_a_chunk_at_most_is_between_a_small_message_and_the_kernel() {
        for taken in [1, 1000, CHUNK_BYTES, 3 * CHUNK_BYTES] {
            let mut pair = Pair::new();
            let (large, small) = (pair.open(), pair.open());
            pair.submit(large, Mode::Call, &vec![7; 900_000], 1).expect("queued");
            let mut left = taken;
            while left > 0 {
                let offered = pair.left.poll_transmit(pair.now).len().min(left);
                pair.left.handle_transmitted(offered);
                left -= offered;
            }
            pair.left.poll_transmit(pair.now);
            pair.submit(small, Mode::Call, b"small", 2).expect("sent");
            let after = pair.left.out.position();
            let mut ahead = 0;
            while !pair.left.out.has_left(after) {
                assert!(!pair.left.poll_transmit(pair.now).is_empty());
                pair.left.handle_transmitted(1);
                ahead += 1;
            }
            let most = CHUNK_BYTES + Header::LEN + 200;
            assert!(ahead > 0 && ahead <= most, "{ahead} bytes ahead of it when {taken} had left");
        }
    }

    #[test]
    fn m4_a_large_body_has_its_share_beside_small_messages_that_never_end() {
        let pieces: Vec<_> = (0..27).map(|number| Frame(number, vec![7; 34_000].into(), number)).collect();
        has_its_share(&pieces);
        has_its_share(&vec![7_u8; 900_000]);
    }

    fn has_its_share(body: &impl serde::Serialize) {
        let mut pair = Pair::new();
        let (large, small) = (pair.open(), pair.open());
        pair.submit_value(large, Mode::Tell, body, 1).expect("queued");
        let mut small_bytes = 0;
        while !pair.delivered.iter().any(|(message, ..)| *message == 1) {
            // More than the kernel takes, so that something always waits.
            while pair.left.out.message_bytes() < 3000 {
                pair.submit(small, Mode::Tell, &[1; 1000], 2).expect("a tell waits for credit");
                small_bytes += 1000;
                assert!(small_bytes < 1_500_000, "they go before it for ever");
            }
            pair.exchange(2000).expect("no violation");
            assert!(pair.left.out.message_bytes() < 5000 + CHUNK_BYTES + Header::LEN, "one chunk at a time");
            for (_, body, _) in pair.delivered.extract_if(.., |(message, ..)| *message == 2) {
                pair.right.take(small, body.len() as u64);
            }
        }
        assert!(small_bytes > 500_000, "{small_bytes}: they went on meanwhile");
    }

    #[test]
    fn m4_a_chunk_of_which_nothing_has_left_goes_after_a_small_message() {
        let mut pair = Pair::new();
        let (large, small) = (pair.open(), pair.open());
        pair.submit(large, Mode::Call, &vec![7; 900_000], 1).expect("queued");
        let announcement = pair.left.poll_transmit(pair.now).len();
        pair.exchange(announcement).expect("no violation");
        assert_eq!(
            pair.left.poll_transmit(pair.now).tail.len(),
            CHUNK_BYTES,
            "offered, and the kernel is full"
        );
        pair.submit(small, Mode::Call, b"small", 2).expect("sent");
        let offered = pair.left.poll_transmit(pair.now);
        assert!(offered.tail.is_empty() && offered.len() < 100, "the small one alone");
        pair.step(1000);
        let messages: Vec<u32> = pair.delivered.iter().map(|(message, ..)| *message).collect();
        assert_eq!(messages, [2, 1]);
        assert!(pair.left.large.is_empty());
    }
}
