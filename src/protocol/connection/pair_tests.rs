//! Two connections on a virtual clock, joined by a byte stream that the test cuts as it likes.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde::Serialize;

use super::{Connection, Delivery, Event, Mode, ProtocolError, Submit, Waiting};
use crate::id::{ActorId, BuildId, Capability, Incarnation, ProcessId, Slot};
use crate::protocol::Limits;
use crate::protocol::frame::{FrameReader, SMALL_BYTES};
use crate::protocol::wire::{Cause, Failure, Hello, Open, Verdict};

pub(super) type Side = Connection<u32>;

pub(super) struct Pair {
    pub(super) left: Side,
    pub(super) right: Side,
    to_right: FrameReader,
    to_left: FrameReader,
    pub(super) now: Instant,
    /// What the right side was told: message and body.
    pub(super) delivered: Vec<(u32, Vec<u8>, Option<u64>)>,
    /// What the left side was told.
    pub(super) outcomes: Vec<Event<'static, u32>>,
    pub(super) opens: Vec<u32>,
}

fn limits() -> Limits {
    Limits {
        max_message_bytes: 1 << 20,
        window_messages: 8,
        window_bytes: 64 << 10,
        reply_bytes: 100_000,
        max_descriptors: 3,
    }
}

fn connection(process: u32) -> Side {
    Connection::new(Hello::new(ProcessId(process), Incarnation::FIRST, BuildId(7), limits()))
}

impl Pair {
    pub(super) fn new() -> Pair {
        let mut pair = Pair {
            left: connection(1),
            right: connection(2),
            to_right: FrameReader::default(),
            to_left: FrameReader::default(),
            now: Instant::now(),
            delivered: Vec::new(),
            outcomes: Vec::new(),
            opens: Vec::new(),
        };
        for (from, to) in [(&mut pair.left, &mut pair.to_right), (&mut pair.right, &mut pair.to_left)] {
            let bytes = from.poll_transmit(pair.now).to_vec();
            from.handle_transmitted(bytes.len());
            feed(to, &bytes);
            assert!(to.take_preamble().expect("preamble"));
        }
        pair.step(usize::MAX);
        pair
    }

    pub(super) fn open(&mut self) -> u32 {
        let channel =
            self.left.open(&Open { target: Capability::unsealed(ActorId::declared(ProcessId(2), Slot(0))) });
        self.step(usize::MAX);
        for open in std::mem::take(&mut self.opens) {
            self.right.grant(open);
        }
        self.step(usize::MAX);
        channel
    }

    pub(super) fn submit(
        &mut self,
        channel: u32,
        mode: Mode,
        body: &[u8],
        tag: u32,
    ) -> Result<Option<u64>, Cause> {
        self.submit_value(channel, mode, body, tag)
    }

    pub(super) fn submit_value(
        &mut self,
        channel: u32,
        mode: Mode,
        value: &(impl Serialize + ?Sized),
        tag: u32,
    ) -> Result<Option<u64>, Cause> {
        let submit = Submit { channel, message: tag, mode, timeout_ms: 0, right: 0 };
        self.left.submit(submit, value, || Waiting { tag, deadline: None })
    }

    /// The key of what was submitted last.
    pub(super) fn left_key(&self) -> Option<u64> {
        self.left.outgoing.iter().map(|(index, _)| self.left.key_of(index)).max_by_key(|key| key >> 32)
    }

    /// Moves at most `bytes` each way, until nothing moves.
    pub(super) fn step(&mut self, bytes: usize) {
        while self.exchange(bytes).expect("no violation") {}
    }

    pub(super) fn exchange(&mut self, bytes: usize) -> Result<bool, ProtocolError> {
        let mut moved = transmit(&mut self.left, &mut self.to_right, bytes, self.now);
        loop {
            // As the driver does: casts of one way as one.
            let (event, taken) = match self.to_right.frames().run(usize::MAX, SMALL_BYTES) {
                Some(run) => self.right.handle_run(run),
                None => match self.to_right.next()? {
                    Some(frame) => (self.right.handle_frame(frame, self.now)?, Ok(())),
                    None => break,
                },
            };
            match event {
                Some(Event::Open { channel, .. }) => self.opens.push(channel),
                Some(Event::Casts(run)) => self.delivered.extend(
                    run.deliveries().map(|cast| (cast.message, cast.body.bytes.to_vec(), cast.correlation)),
                ),
                Some(Event::Deliver(Delivery { message, body, correlation, .. })) => {
                    self.delivered.push((message, body.bytes.to_vec(), correlation));
                }
                _ => {}
            }
            taken?;
        }
        moved |= transmit(&mut self.right, &mut self.to_left, bytes, self.now);
        take_outcomes(&mut self.left, &mut self.to_left, self.now, &mut self.outcomes)?;
        Ok(moved)
    }

    /// The pipe ends: what the left side is told of what it sent.
    fn verdicts(&mut self) -> Vec<(u32, Verdict)> {
        self.left.handle_lost(&Cause::NoReply);
        let mut verdicts = Vec::new();
        while let Some(event) = self.left.poll_event() {
            if let Event::Failed { tag, failure } = event {
                verdicts.push((tag, failure.verdict));
            }
        }
        verdicts.sort_by_key(|(tag, _)| *tag);
        verdicts
    }

    fn take_all(&mut self, channel: u32) {
        for (_, body, _) in &self.delivered {
            // The codec writes a slice as its length and its bytes.
            self.right.take(channel, body.len() as u64);
        }
    }
}

pub(super) fn transmit(from: &mut Side, to: &mut FrameReader, most: usize, now: Instant) -> bool {
    let bytes = from.poll_transmit(now);
    let bytes = bytes[..bytes.len().min(most)].to_vec();
    from.handle_transmitted(bytes.len());
    feed(to, &bytes);
    !bytes.is_empty()
}

/// Takes what has arrived at a side that asked, and keeps what became of its messages.
pub(super) fn take_outcomes(
    side: &mut Side,
    arrived: &mut FrameReader,
    now: Instant,
    outcomes: &mut Vec<Event<'static, u32>>,
) -> Result<(), ProtocolError> {
    while let Some(frame) = arrived.next()? {
        match side.handle_frame(frame, now)? {
            Some(Event::Reply { tag, body }) => outcomes.push(Event::Reply { tag, body: body.into_owned() }),
            Some(Event::Failed { tag, failure }) => outcomes.push(Event::Failed { tag, failure }),
            _ => {}
        }
    }
    while let Some(event) = side.poll_event() {
        outcomes.push(event);
    }
    Ok(())
}

fn feed(reader: &mut FrameReader, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let room = reader.room();
        let (now, later) = bytes.split_at(room.len().min(bytes.len()));
        room[..now.len()].copy_from_slice(now);
        reader.advance(now.len());
        bytes = later;
    }
}

#[test]
fn m2_a_call_is_answered_and_a_late_reply_is_dropped_and_counted() {
    let mut pair = Pair::new();
    let channel = pair.open();
    pair.submit(channel, Mode::Call, b"one", 1).expect("sent");
    let second = pair.submit(channel, Mode::Call, b"two", 2).expect("sent").expect("pending");
    pair.step(3);
    let correlations: Vec<u64> = pair.delivered.iter().filter_map(|(_, _, c)| *c).collect();
    assert!(pair.left.cancel(second));
    for correlation in correlations {
        pair.right.reply(correlation, &42_u64);
    }
    pair.step(5);
    assert_eq!(pair.outcomes.len(), 1);
    assert!(
        matches!(&pair.outcomes[0], Event::Reply { tag: 1, body } if *body.bytes == 42_u64.to_le_bytes())
    );
    assert_eq!(pair.left.counters().late_replies, 1);
    assert_eq!((pair.left.outgoing_count(), pair.right.answering_count()), (0, 0));
}

#[test]
fn m3_without_credit_a_try_is_refused_a_tell_waits_and_the_outbox_is_bounded() {
    let mut pair = Pair::new();
    let channel = pair.open();
    for tag in 0..8 {
        assert_eq!(pair.submit(channel, Mode::Try, b"x", tag), Ok(None));
    }
    assert_eq!(pair.submit(channel, Mode::Try, b"x", 8), Err(Cause::Full));
    assert!(matches!(pair.submit(channel, Mode::Tell, b"x", 9), Ok(Some(_))));
    for tag in 10..18 {
        assert!(matches!(pair.submit(channel, Mode::Outbox, b"x", tag), Ok(Some(_))));
    }
    assert_eq!(pair.submit(channel, Mode::Outbox, b"x", 18), Err(Cause::Full));
    pair.step(usize::MAX);
    assert_eq!(pair.delivered.len(), 8);
    pair.take_all(channel);
    pair.step(usize::MAX);
    assert_eq!(pair.outcomes, [Event::Sent { tag: 9 }]);
    let order: Vec<u32> = pair.delivered.iter().map(|(message, ..)| *message).collect();
    assert_eq!(order, [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16]);
}

#[test]
fn m4_small_messages_of_another_channel_pass_between_the_chunks_of_a_large_one() {
    let mut pair = Pair::new();
    let (large, small) = (pair.open(), pair.open());
    pair.submit(large, Mode::Call, &vec![7; 900_000], 1).expect("queued");
    pair.submit(large, Mode::Call, b"behind", 2).expect("queued");
    pair.exchange(200_000).expect("no violation");
    pair.submit(small, Mode::Call, b"small", 3).expect("sent");
    pair.step(usize::MAX);
    let order: Vec<u32> = pair.delivered.iter().map(|(message, ..)| *message).collect();
    assert_eq!(order, [3, 1], "message 2 waits: the large one alone fills the window");
    assert_eq!(pair.delivered[1].1.len(), 900_008);
    pair.right.take(large, 900_008);
    pair.step(usize::MAX);
    assert_eq!(pair.delivered.last().map(|(message, ..)| *message), Some(2), "M-1 within a channel");
}

#[test]
fn m7_a_cancelled_request_is_not_handled() {
    let mut pair = Pair::new();
    let channel = pair.open();
    let key = pair.submit(channel, Mode::Call, b"x", 1).expect("sent").expect("pending");
    pair.step(usize::MAX);
    pair.left.cancel(key);
    pair.step(usize::MAX);
    let correlation = pair.delivered[0].2.expect("call");
    assert_eq!(pair.right.begin(channel, 9, Some(correlation), None, pair.now), super::Begin::Cancelled);
    assert_eq!(pair.right.counters().cancelled, 1);
}

#[test]
fn m2_deadlines_travel_and_end_the_call_on_both_sides() {
    let mut pair = Pair::new();
    let channel = pair.open();
    let deadline = pair.now + Duration::from_millis(50);
    let submit = Submit { channel, message: 1, mode: Mode::Call, timeout_ms: 50, right: 0 };
    pair.left.submit(submit, &(), || Waiting { tag: 1, deadline: Some(deadline) }).expect("sent");
    let sooner = pair.now + Duration::from_millis(20);
    pair.left.set_deadline(pair.left.key_of(0), sooner, pair.now);
    pair.step(usize::MAX);
    assert_eq!(pair.left.poll_timeout(), Some(sooner));
    let correlation = pair.delivered[0].2.expect("call");
    pair.left.handle_timeout(sooner);
    pair.step(usize::MAX);
    assert_eq!(pair.outcomes, [Event::Failed { tag: 1, failure: Failure::unknown(Cause::TimedOut) }]);
    assert_eq!(
        pair.right.begin(channel, 0, Some(correlation), Some(sooner), sooner),
        super::Begin::Cancelled
    );
    assert_eq!(pair.left.poll_timeout(), None);
}

#[test]
fn m2_what_was_encoded_before_the_peer_named_a_smaller_limit_fails_and_the_next_passes() {
    let mut pair = Pair::new();
    pair.left.theirs = None;
    pair.left.ours.limits.max_message_bytes = 4 << 20;
    let channel =
        pair.left.open(&Open { target: Capability::unsealed(ActorId::declared(ProcessId(2), Slot(0))) });
    pair.submit(channel, Mode::Call, &vec![1; 2 << 20], 1).expect("queued");
    pair.submit(channel, Mode::Tell, b"small", 2).expect("queued");
    pair.left.theirs = Some(limits());
    pair.step(usize::MAX);
    pair.right.grant(channel);
    pair.step(usize::MAX);
    let failure = Failure::not_executed(Cause::TooLarge { limit: 1 << 20 });
    assert_eq!(pair.outcomes, [Event::Failed { tag: 1, failure }, Event::Sent { tag: 2 }]);
    assert_eq!(pair.delivered.len(), 1);
}

#[test]
fn x1_a_message_without_credit_is_a_violation() {
    let mut pair = Pair::new();
    let channel =
        pair.left.open(&Open { target: Capability::unsealed(ActorId::declared(ProcessId(2), Slot(0))) });
    pair.step(usize::MAX);
    // Not granted: a hostile peer sends all the same.
    pair.left.channels[channel as usize].state =
        super::channel::ChannelState::Open(super::channel::Window { messages: 1, bytes: 1 });
    pair.submit(channel, Mode::Try, b"", 1).expect("sent");
    assert_eq!(pair.exchange(usize::MAX), Err(ProtocolError::Window(channel)));
}

#[test]
fn x1_of_casts_that_come_as_one_those_within_the_window_are_taken_and_the_next_is_a_violation() {
    let mut pair = Pair::new();
    let channel = pair.open();
    let (window, bytes) = pair.left.window_of(channel).expect("granted");
    let wide = super::channel::Window { messages: 100, bytes };
    pair.left.channels[channel as usize].state = super::channel::ChannelState::Open(wide);
    for tag in 0..window + 1 {
        pair.submit(channel, Mode::Try, b"x", 1).expect("sent");
        if tag + 2 == window {
            pair.step(usize::MAX);
            assert_eq!(pair.delivered.len() as u64, window - 1);
        }
    }
    assert_eq!(pair.exchange(usize::MAX), Err(ProtocolError::Window(channel)));
    assert_eq!(pair.delivered.len() as u64, window, "the one that was admitted came before it");
}

#[test]
fn x1_a_peer_that_sends_and_never_reads_is_ended_before_it_costs_much() {
    let mut pair = Pair::new();
    let mut unread = 0_u64;
    let refused = loop {
        let target = Capability::unsealed(ActorId::declared(ProcessId(2), Slot(0)));
        let channel = pair.left.open(&Open { target });
        transmit(&mut pair.left, &mut pair.to_right, usize::MAX, pair.now);
        let frame = pair.to_right.next().expect("frames").expect("one");
        match pair.right.handle_frame(frame, pair.now) {
            Ok(_) => pair.right.grant(channel),
            Err(error) => break error,
        }
        unread += 1;
    };
    assert_eq!(refused, ProtocolError::Unread);
    assert!(unread < 600_000, "{unread}");
}

#[test]
fn m2_nothing_is_begun_after_the_goodbye_that_says_it_never_will_be() {
    let mut pair = Pair::new();
    let channel = pair.open();
    pair.submit(channel, Mode::Call, b"x", 1).expect("sent");
    pair.step(usize::MAX);
    pair.right.leave();
    let correlation = pair.delivered[0].2;
    assert_eq!(pair.right.begin(channel, 9, correlation, None, pair.now), super::Begin::Left);
    pair.step(usize::MAX);
    pair.left.handle_lost(&Cause::NoReply);
    let failure = Failure::not_executed(Cause::NoReply);
    assert_eq!(pair.left.poll_event(), Some(Event::Failed { tag: 1, failure }));
}

#[test]
fn m5_an_answered_call_is_no_lost_message() {
    let mut pair = Pair::new();
    let channel = pair.open();
    pair.submit(channel, Mode::Call, b"x", 1).expect("sent");
    pair.submit(channel, Mode::Call, b"x", 2).expect("sent");
    pair.submit(channel, Mode::Try, b"x", 3).expect("sent");
    pair.step(usize::MAX);
    pair.right.reply(pair.delivered[0].2.expect("call"), &());
    pair.step(usize::MAX);
    assert_eq!(
        pair.left.handle_lost(&Cause::NoReply),
        1,
        "the cast; the first call was answered, the second fails"
    );
}

#[test]
fn m2_a_goodbye_does_not_deny_what_a_pool_has_begun_out_of_turn() {
    let mut pair = Pair::new();
    let channel = pair.open();
    for tag in 1..=3 {
        pair.submit(channel, Mode::Call, b"x", tag).expect("sent");
    }
    pair.step(usize::MAX);
    // One thread of the pool has the first message in its hands, another begins the second.
    let begun = pair.right.begin(channel, 9, pair.delivered[1].2, None, pair.now);
    assert_eq!(begun, super::Begin::Proceed);
    pair.right.leave();
    pair.step(usize::MAX);
    assert_eq!(pair.verdicts(), [(1, Verdict::Unknown), (2, Verdict::Unknown), (3, Verdict::NotExecuted)]);
}

#[test]
fn m5_requests_that_never_left_are_no_lost_casts() {
    let mut pair = Pair::new();
    let (channel, large) = (pair.open(), pair.open());
    pair.submit(channel, Mode::Try, b"x", 1).expect("sent");
    pair.step(usize::MAX);
    pair.submit(channel, Mode::Call, b"x", 2).expect("sent");
    pair.submit(large, Mode::Call, &vec![1; 900_000], 3).expect("queued");
    assert!(!pair.left.poll_transmit(pair.now).is_empty());
    assert_eq!(pair.left.handle_lost(&Cause::NoReply), 1, "the try alone");
}

#[test]
fn h42_a_large_reply_that_comes_too_late_is_counted() {
    let mut pair = Pair::new();
    let channel = pair.open();
    let key = pair.submit(channel, Mode::Call, b"x", 1).expect("sent").expect("pending");
    pair.step(usize::MAX);
    pair.right.reply(pair.delivered[0].2.expect("call"), &vec![1_u8; 200_000]);
    pair.exchange(50_000).expect("no violation");
    assert!(pair.left.cancel(key), "it was announced and is not whole");
    pair.step(usize::MAX);
    assert_eq!((pair.outcomes.len(), pair.left.counters().late_replies), (0, 1));
}

#[test]
fn m2_a_goodbye_proves_what_was_not_taken() {
    let mut pair = Pair::new();
    let channel = pair.open();
    for tag in 1..=3 {
        pair.submit(channel, Mode::Call, b"x", tag).expect("sent");
    }
    pair.step(usize::MAX);
    pair.right.take(channel, 9);
    pair.right.leave();
    pair.step(usize::MAX);
    assert_eq!(
        pair.verdicts(),
        [(1, Verdict::Unknown), (2, Verdict::NotExecuted), (3, Verdict::NotExecuted)]
    );
}

proptest! {
    // Unoptimised, the codec writes some 20 MB/s, so the cases are few.
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// M-1, M-3, N-1: whatever is sent in whatever pieces, every message has one outcome, and each channel's arrive
    /// in order, within the window.
    #[test]
    fn every_message_arrives_once_and_in_order(
        sizes in proptest::collection::vec((0_usize..3, 0_usize..120_000), 1..40),
        pieces in proptest::collection::vec(1_usize..60_000, 1..20),
    ) {
        let mut pair = Pair::new();
        let channels = [pair.open(), pair.open(), pair.open()];
        let mut pieces = pieces.iter().cycle();
        let mut taken = 0;
        for (tag, (channel, size)) in (0_u32..).zip(&sizes) {
            pair.submit(channels[*channel], Mode::Tell, &vec![1; *size], tag).expect("queued");
            pair.exchange(*pieces.next().expect("cycle")).expect("no violation");
        }
        while pair.delivered.len() < sizes.len() {
            pair.step(*pieces.next().expect("cycle"));
            prop_assert!(pair.delivered.len() > taken, "stuck after {taken} of {}", sizes.len());
            for (message, body, _) in &pair.delivered[taken..] {
                let channel = channels[sizes[*message as usize].0];
                pair.right.take(channel, body.len() as u64);
            }
            taken = pair.delivered.len();
        }
        for channel in 0..3 {
            let order: Vec<u32> = pair.delivered.iter().map(|(message, ..)| *message)
                .filter(|message| sizes[*message as usize].0 == channel).collect();
            prop_assert!(order.is_sorted());
        }
        prop_assert_eq!(pair.left.outgoing_count(), 0);
    }
}
