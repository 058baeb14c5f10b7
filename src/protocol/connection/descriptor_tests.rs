//! Descriptors through two connections, joined by a byte stream that the tests cut as they like.

use std::io::{PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use serde::Serialize;

use super::pair_tests::take_outcomes;
use super::{Connection, Delivery, Event, Mode, ProtocolError, Submit, Waiting};
use crate::codec::Encoded;
use crate::codec::descriptor::{Carried, Descriptor};
use crate::id::{ActorId, BuildId, Capability, Incarnation, ProcessId, Slot};
use crate::protocol::Limits;
use crate::protocol::frame::{Frame, FrameReader, Header, Kind};
use crate::protocol::wire::{Cause, Failure, Hello, Open, Verdict};

/// Bytes, and pipes to say a word into.
type Letter = (Vec<u8>, Vec<Descriptor>);

struct Line {
    left: Connection<u32>,
    right: Connection<u32>,
    to_right: FrameReader,
    to_left: FrameReader,
    cut: usize,
    now: Instant,
    delivered: Vec<(u32, Encoded<'static>, Option<u64>)>,
    outcomes: Vec<Event<'static, u32>>,
}

fn connection(process: u32, max_descriptors: u16) -> Connection<u32> {
    let limits = Limits {
        max_message_bytes: 1 << 20,
        window_messages: 8,
        window_bytes: 256 << 10,
        reply_bytes: 1 << 20,
        max_descriptors,
    };
    Connection::new(Hello::new(ProcessId(process), Incarnation::FIRST, BuildId(7), limits))
}

impl Line {
    fn new(cut: usize, max_descriptors: u16) -> Line {
        let mut line = Line {
            left: connection(1, 5),
            right: connection(2, max_descriptors),
            to_right: FrameReader::default(),
            to_left: FrameReader::default(),
            cut,
            now: Instant::now(),
            delivered: Vec::new(),
            outcomes: Vec::new(),
        };
        for (from, to) in [(&mut line.left, &mut line.to_right), (&mut line.right, &mut line.to_left)] {
            let bytes = from.poll_transmit(line.now).bytes.to_vec();
            from.handle_transmitted(bytes.len());
            to.room()[..bytes.len()].copy_from_slice(&bytes);
            to.advance(bytes.len());
            assert!(to.take_preamble().expect("preamble"));
        }
        let opened =
            line.left.open(&Open { target: Capability::unsealed(ActorId::declared(ProcessId(2), Slot(0))) });
        assert_eq!(opened, 0);
        line.step();
        line.right.grant(0);
        line.step();
        line
    }

    fn submit<M: Serialize>(&mut self, mode: Mode, tag: u32, message: &M) -> Result<Option<u64>, Cause> {
        let submit = Submit { channel: 0, message: tag, mode, timeout_ms: 0, right: 0 };
        self.left.submit(submit, message, || Waiting { tag, deadline: None })
    }

    /// Moves everything, in pieces.
    fn step(&mut self) {
        while self.exchange().expect("no violation") {}
    }

    fn exchange(&mut self) -> Result<bool, ProtocolError> {
        let there = transmit(&mut self.left, &mut self.right, &mut self.to_right, self.cut, self.now)?;
        while let Some(frame) = self.to_right.next()? {
            if let Some(Event::Deliver(Delivery { message, body, correlation, .. })) =
                self.right.handle_frame(frame, self.now)?
            {
                self.delivered.push((message, body.into_owned(), correlation));
            }
        }
        let back = transmit(&mut self.right, &mut self.left, &mut self.to_left, self.cut, self.now)?;
        take_outcomes(&mut self.left, &mut self.to_left, self.now, &mut self.outcomes)?;
        Ok(there || back)
    }
}

/// As a socket does: descriptors arrive with the first byte that they were sent with.
fn transmit(
    from: &mut Connection<u32>,
    to: &mut Connection<u32>,
    reader: &mut FrameReader,
    most: usize,
    now: Instant,
) -> Result<bool, ProtocolError> {
    let transmit = from.poll_transmit(now);
    if transmit.bytes.is_empty() {
        return Ok(false);
    }
    let bytes = transmit.bytes[..transmit.bytes.len().min(most)].to_vec();
    let duplicate =
        |carried: &Carried| Carried::from(carried.as_fd().try_clone_to_owned().expect("a duplicate"));
    let descriptors: Vec<Carried> = transmit.descriptors.iter().map(duplicate).collect();
    from.handle_transmitted(bytes.len());
    to.handle_descriptors(descriptors, false)?;
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let room = reader.room();
        let length = room.len().min(rest.len());
        room[..length].copy_from_slice(&rest[..length]);
        reader.advance(length);
        rest = &rest[length..];
    }
    Ok(true)
}

/// A message with so many descriptors, and what is heard of them.
fn letter(bytes: usize, descriptors: usize) -> (Letter, Vec<PipeReader>) {
    let (readers, writers): (Vec<_>, Vec<_>) = (0..descriptors)
        .map(|_| std::io::pipe().expect("pipe"))
        .map(|(reading, writing)| (reading, Descriptor(OwnedFd::from(writing))))
        .unzip();
    ((vec![7; bytes], writers), readers)
}

/// Says which it is into each of a letter's descriptors.
fn answer(body: Encoded<'static>, word: &str) {
    let (_, descriptors): Letter = body.decode().expect("a letter");
    for (place, descriptor) in descriptors.into_iter().enumerate() {
        let mut file = std::fs::File::from(descriptor.0);
        write!(file, "{word}.{place}").expect("say");
    }
}

/// What was said, after everybody has closed the other end.
fn heard(readers: Vec<PipeReader>) -> Vec<String> {
    let listen = |mut reader: PipeReader| {
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("listen");
        text
    };
    readers.into_iter().map(listen).collect()
}

#[test]
fn h14_each_message_gets_its_own_descriptors_however_the_stream_is_cut() {
    for cut in [1, 27, 28, 29, 1000, usize::MAX] {
        let mut line = Line::new(cut, 5);
        let mut all = Vec::new();
        // In one frame, in chunks, in one frame behind the chunks; some with none.
        for (tag, (bytes, count)) in
            [(10, 2), (10, 0), (100_000, 3), (10, 1), (40_000, 0), (5, 5)].into_iter().enumerate()
        {
            let (sent, readers) = letter(bytes, count);
            let tag = u32::try_from(tag).expect("few");
            line.submit(Mode::Tell, tag, &sent).expect("submitted");
            all.push((tag, count, readers));
            drop(sent);
            line.step();
            for (_, body, _) in &line.delivered {
                line.right.take(0, super::channel::weight_of(body.bytes.len(), body.descriptors.len()));
            }
            for (message, body, _) in std::mem::take(&mut line.delivered) {
                answer(body, &message.to_string());
            }
        }
        for (tag, count, readers) in all {
            let expected: Vec<String> = (0..count).map(|place| format!("{tag}.{place}")).collect();
            assert_eq!(heard(readers), expected, "cut {cut}");
        }
    }
}

#[test]
fn replies_carry_descriptors() {
    for (bytes, cut) in [(10, 7), (100_000, 9999)] {
        let mut line = Line::new(cut, 5);
        line.submit(Mode::Call, 1, &()).expect("submitted");
        line.step();
        let (_, _, correlation) = line.delivered.remove(0);
        let (sent, readers) = letter(bytes, 4);
        line.right.reply(correlation.expect("a call"), &sent);
        drop(sent);
        line.step();
        let Some(Event::Reply { tag: 1, body }) = line.outcomes.pop() else { panic!("a reply") };
        answer(body, "r");
        assert_eq!(heard(readers), ["r.0", "r.1", "r.2", "r.3"]);
    }
}

#[test]
fn h14_the_receiver_says_how_many() {
    let mut line = Line::new(100, 2);
    let (two, _readers) = letter(1, 2);
    line.submit(Mode::Try, 1, &two).expect("two");
    let (three, _readers) = letter(1, 3);
    let refused = line.submit(Mode::Try, 2, &three);
    assert!(
        matches!(refused, Err(Cause::Encode(reason)) if reason.contains("the 2 that the receiver takes"))
    );

    // Nobody has said so yet.
    let mut early = connection(1, 5);
    let channel =
        early.open(&Open { target: Capability::unsealed(ActorId::declared(ProcessId(2), Slot(0))) });
    let submit = Submit { channel, message: 9, mode: Mode::Call, timeout_ms: 0, right: 0 };
    early.submit(submit, &three, || Waiting { tag: 9, deadline: None }).expect("waits");
    let mut line = Line { left: early, ..Line::new(usize::MAX, 2) };
    line.right = connection(2, 2);
    (line.to_right, line.to_left) = (FrameReader::default(), FrameReader::default());
    transmit(&mut line.left, &mut line.right, &mut line.to_right, usize::MAX, line.now).expect("moved");
    transmit(&mut line.right, &mut line.left, &mut line.to_left, usize::MAX, line.now).expect("moved");
    assert!(line.to_right.take_preamble().expect("whole") && line.to_left.take_preamble().expect("whole"));
    line.step();
    line.right.grant(0);
    line.step();
    let Some(Event::Failed { tag: 9, failure }) = line.outcomes.pop() else { panic!("it fails") };
    assert_eq!(failure.verdict, Verdict::NotExecuted);
    assert!(matches!(failure.cause, Cause::Encode(reason) if reason.contains("at most 2")));
}

#[test]
fn m3_descriptors_count_in_the_window() {
    let mut line = Line::new(usize::MAX, 5);
    let (two, _readers) = letter(0, 2);
    // Eight descriptors fill 256 KiB.
    for tag in 0..4 {
        line.submit(Mode::Try, tag, &two)
            .map(|_| ())
            .unwrap_or_else(|cause| assert_eq!((tag, cause), (3, Cause::Full)));
    }
    line.step();
    assert_eq!(line.delivered.len(), 3, "a few bytes too many for four");
    for (_, body, _) in std::mem::take(&mut line.delivered) {
        line.right.take(0, super::channel::weight_of(body.bytes.len(), body.descriptors.len()));
    }
    line.step();
    line.submit(Mode::Try, 5, &two).expect("room again");
}

fn frame(kind: Kind, descriptors: u16) -> Frame<'static> {
    Frame { header: Header { descriptors, channel: 0, ..Header::new(kind) }, body: &[] }
}

fn some(count: usize) -> (Vec<Carried>, Vec<PipeReader>) {
    let ((_, descriptors), readers) = letter(0, count);
    (descriptors.into_iter().map(|descriptor| Carried::from(descriptor.0)).collect(), readers)
}

#[test]
fn x1_descriptors_that_were_announced_and_did_not_come_are_a_violation() {
    let mut line = Line::new(usize::MAX, 5);
    let (one, _readers) = some(1);
    line.right.handle_descriptors(one, false).expect("few");
    let error = line.right.handle_frame(frame(Kind::Cast, 2), line.now).expect_err("one is missing");
    assert_eq!(error, ProtocolError::Descriptors { announced: 2, arrived: 1 });
    let (many, _readers) = some(6);
    let mut line = Line::new(usize::MAX, 5);
    line.right.handle_descriptors(many, false).expect("two frames' worth is not yet reached");
    let error = line.right.handle_frame(frame(Kind::Cast, 6), line.now).expect_err("over the limit");
    assert_eq!(error, ProtocolError::Descriptors { announced: 6, arrived: 6 });
}

#[test]
fn h14_a_frame_whose_descriptors_were_lost_has_fewer_and_the_next_has_its_own() {
    for came in [0, 2] {
        let mut line = Line::new(usize::MAX, 5);
        let (first, readers) = some(came);
        line.right.handle_descriptors(first, true).expect("few");
        line.right.handle_descriptors(some(1).0, false).expect("few");
        let claimed = |event: Option<Event<'_, u32>>| match event {
            Some(Event::Deliver(Delivery { body, .. })) => body.descriptors.len(),
            other => panic!("{other:?}"),
        };
        let lossy = line.right.handle_frame(frame(Kind::Cast, 3), line.now).expect("no violation");
        assert_eq!(claimed(lossy), came);
        let whole = line.right.handle_frame(frame(Kind::Cast, 1), line.now).expect("no violation");
        assert_eq!(claimed(whole), 1);
        assert_eq!(heard(readers), vec![""; came]);
    }
}

#[test]
fn x1_descriptors_that_belong_to_no_frame_are_bounded_and_closed() {
    let mut line = Line::new(usize::MAX, 5);
    let (many, readers) = some(11);
    assert!(line.right.handle_descriptors(many, false).is_err());
    assert_eq!(heard(readers), [""; 11]);
    let (needless, readers) = some(2);
    line.right.handle_descriptors(needless, false).expect("few");
    line.right.handle_frame(frame(Kind::Cancel, 2), line.now).expect("closed and forgotten");
    assert_eq!(heard(readers), [""; 2]);
}

#[test]
fn what_is_cancelled_or_lost_on_the_way_is_closed() {
    let mut line = Line::new(usize::MAX, 5);
    let mut heard_of = Vec::new();
    let mut keys = Vec::new();
    // Some fit into the window and wait for the kernel, the others wait for credit.
    for tag in 0..8 {
        let (sent, readers) = letter(50_000, 2);
        keys.push(line.submit(Mode::Call, tag, &sent).expect("submitted").expect("a call"));
        heard_of.push(readers);
    }
    assert!(line.left.cancel(keys[7]));
    assert_eq!(heard(heard_of.pop().expect("the last")), [""; 2]);
    transmit(&mut line.left, &mut line.right, &mut line.to_right, 1000, line.now).expect("moved");
    line.left.handle_lost(&Cause::NoReply);
    line.right.handle_lost(&Cause::NoReply);
    for readers in heard_of {
        assert_eq!(heard(readers), [""; 2]);
    }
    while let Some(event) = line.left.poll_event() {
        let Event::Failed { failure: Failure { verdict, .. }, .. } = event else { panic!("{event:?}") };
        assert_eq!(verdict, Verdict::NotExecuted, "none was whole with the kernel");
    }
}
