//! Frames that are well formed and wrong: each is refused by its name, before it costs anything.

use std::time::Instant;

use libtest_mimic::Trial;
use procession::codec;
use procession::id::{ActorId, BuildId, Capability, Incarnation, ProcessId, Slot};
use procession::protocol::connection::ProtocolError;
use procession::protocol::control::PreambleError;
use procession::protocol::frame::{
    BACK, CHUNKED, FAILED, FrameError, Header, Kind, MAX_FRAME_BYTES, NUMBERED, TRACED,
};
use procession::protocol::traceparent::TRACE_BYTES;
use procession::protocol::watching::{EndReason, Watch};
use procession::protocol::wire::{Cause, Hello, Large, Open, Opened};
use serde::Serialize;

use crate::connection::{LIMITS, Victim, greeting};
use crate::memory::within;
use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("x1_every_lie_is_refused_by_its_name", every_lie),
        trial("x1_a_wrong_greeting_is_refused", greetings),
        trial("h06_lengths_that_lie_cost_nothing", lengths),
        trial("x1_h42_answers_that_nobody_asked_for_are_dropped_and_counted", unasked),
    ]
}

fn frame(header: Header, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&Header { length, ..header }.to_bytes()[..], body].concat()
}

fn of<B: Serialize>(header: Header, body: &B) -> Vec<u8> {
    frame(header, &codec::encode(body, 1 << 20).unwrap())
}

fn bare(kind: Kind) -> Header {
    Header::new(kind)
}

fn on(kind: Kind, channel: u32) -> Header {
    Header { channel, ..Header::new(kind) }
}

fn close(channel: u32) -> Vec<u8> {
    frame(on(Kind::Close, channel), &[])
}

fn open(channel: u32) -> Vec<u8> {
    of(
        on(Kind::Open, channel),
        &Open { target: Capability::unsealed(ActorId::declared(ProcessId(1), Slot(channel))) },
    )
}

fn opened(channel: u32) -> Vec<u8> {
    of(on(Kind::Opened, channel), &Opened { window_messages: 4, window_bytes: 64 << 10 })
}

fn call(channel: u32, correlation: u64) -> Vec<u8> {
    frame(Header { channel, correlation, ..bare(Kind::Call) }, &[1, 2, 3, 4])
}

fn credit(channel: u32, messages: u64, bytes: u64) -> Vec<u8> {
    of(Header { channel, correlation: messages, ..bare(Kind::Credit) }, &bytes)
}

fn announce(kind: Kind, channel: u32, correlation: u64, stream: u32, total: u32) -> Vec<u8> {
    of(Header { channel, correlation, flags: CHUNKED, ..bare(kind) }, &Large { stream, total })
}

fn chunk(stream: u32, bytes: usize) -> Vec<u8> {
    frame(on(Kind::Chunk, stream), &vec![0; bytes])
}

fn named(kind: Kind, correlation: u64, flags: u8, body: &[u8]) -> Vec<u8> {
    frame(Header { correlation, flags, ..bare(kind) }, body)
}

fn numbered(kind: Kind, channel: u32, body: &[u8]) -> Vec<u8> {
    frame(Header { channel, correlation: 1, flags: NUMBERED, ..bare(kind) }, body)
}

fn numbering(attempt: u16, number: u64, previous: u64, quiet: u32) -> Vec<u8> {
    let (series, deaths) = (3_u32, 0_u16);
    [
        &series.to_le_bytes()[..],
        &attempt.to_le_bytes(),
        &deaths.to_le_bytes(),
        &number.to_le_bytes(),
        &previous.to_le_bytes(),
        &quiet.to_le_bytes(),
    ]
    .concat()
}

fn no_sense(kind: Kind) -> ProtocolError {
    ProtocolError::Body { kind, reason: "its numbering makes no sense".to_owned() }
}

fn monitor(reference: u64) -> Vec<u8> {
    let watch =
        Watch { target: Capability::unsealed(ActorId::declared(ProcessId(1), Slot(1))), watcher: None };
    of(Header { correlation: reference, ..bare(Kind::Monitor) }, &watch)
}

fn down(reference: u64, flags: u8, channel: u32) -> Vec<u8> {
    of(Header { correlation: reference, flags, channel, ..bare(Kind::Down) }, &EndReason::Normal)
}

/// What a victim says to these frames after an honest greeting.
fn says(frames: &[Vec<u8>]) -> Result<(), ProtocolError> {
    let mut victim = Victim::new(1, Instant::now());
    victim.speak();
    victim.read(&greeting()).unwrap();
    let said = victim.read(&frames.concat());
    victim.end();
    said
}

fn every_lie() {
    use ProtocolError as P;
    let limit = LIMITS.max_message_bytes;
    let many = |count: u64| (0..count).map(|number| call(0, number)).collect::<Vec<_>>();
    let lies: Vec<(&str, Vec<Vec<u8>>, ProtocolError)> = vec![
        ("a second hello", vec![greeting()[12..].to_vec()], P::Unexpected(Kind::Hello)),
        ("a channel too far", vec![open(1)], P::Channel(1)),
        ("a channel again", vec![open(0), open(0)], P::Channel(0)),
        ("an answer to no opening", vec![opened(3)], P::Channel(3)),
        ("a second answer", vec![opened(0), opened(0)], P::Channel(0)),
        ("a refusal of no channel", vec![of(on(Kind::Refused, 9), &Cause::NoReply)], P::Channel(9)),
        ("a message on no channel", vec![call(0, 1)], P::Channel(0)),
        ("a close of no channel", vec![close(0)], P::Channel(0)),
        ("a close twice", vec![open(0), call(0, 1), close(0), close(0)], P::Channel(0)),
        ("a message after its close", vec![open(0), close(0), call(0, 1)], P::Window(0)),
        ("a close that nobody asked for is answered", vec![frame(bare(Kind::Closed), &[])], P::Channel(0)),
        ("a message on a refused channel", vec![open(0), open(1), open(2), call(2, 1)], P::Window(2)),
        ("a correlation twice", vec![open(0), announce(Kind::Call, 0, 5, 1, 10), chunk(1, 10)], P::Cut),
        ("a credit on no channel", vec![credit(7, 0, 0)], P::Channel(7)),
        ("a credit for nothing", vec![credit(0, 1, 0)], P::Credit(0)),
        ("a credit for bytes", vec![credit(0, 0, 1)], P::Credit(0)),
        ("a chunk of nothing", vec![chunk(4, 10)], P::Stream { stream: 4 }),
        (
            "an empty chunk",
            vec![open(0), announce(Kind::Cast, 0, 0, 1, 9), chunk(1, 0)],
            P::Stream { stream: 1 },
        ),
        (
            "a chunk too long",
            vec![open(0), announce(Kind::Cast, 0, 0, 1, 9), chunk(1, 10)],
            P::Stream { stream: 1 },
        ),
        (
            "a chunk after the end",
            vec![open(0), announce(Kind::Cast, 0, 0, 1, 9), chunk(1, 9), chunk(1, 1)],
            P::Stream { stream: 1 },
        ),
        (
            "a stream twice",
            vec![open(0), open(1), announce(Kind::Cast, 0, 0, 1, 9), announce(Kind::Cast, 1, 0, 1, 9)],
            P::Stream { stream: 1 },
        ),
        (
            "a message behind an unfinished one",
            vec![open(0), announce(Kind::Cast, 0, 0, 1, 9), call(0, 1)],
            P::Window(0),
        ),
        ("an empty large body", vec![open(0), announce(Kind::Cast, 0, 0, 1, 0)], P::Stream { stream: 1 }),
        (
            "a message over the limit",
            vec![open(0), announce(Kind::Call, 0, 1, 1, limit + 1)],
            P::TooLarge { bytes: limit + 1, limit },
        ),
        (
            "a reply over the limit",
            vec![announce(Kind::Reply, 0, 1 << 32, 1, u32::MAX)],
            P::TooLarge { bytes: u32::MAX, limit },
        ),
        ("more than the window", [vec![open(0)], many(5)].concat(), P::Window(0)),
        (
            "a reply to what did not leave",
            vec![frame(Header { correlation: 1 << 32, ..bare(Kind::Reply) }, &[])],
            P::Correlation(1 << 32),
        ),
        (
            "a frame too long",
            vec![Header { length: MAX_FRAME_BYTES + 1, ..bare(Kind::Cast) }.to_bytes().to_vec()],
            P::Frame(FrameError::TooLong { length: MAX_FRAME_BYTES + 1, limit: MAX_FRAME_BYTES }),
        ),
        (
            "a message without the numbering that it announces",
            vec![open(0), numbered(Kind::Call, 0, &[1; 27])],
            no_sense(Kind::Call),
        ),
        (
            "a message that is before itself",
            vec![open(0), numbered(Kind::Call, 0, &numbering(1, 7, 7, 0))],
            no_sense(Kind::Call),
        ),
        (
            "a message without a number",
            vec![open(0), numbered(Kind::Call, 0, &numbering(1, 0, 0, 0))],
            no_sense(Kind::Call),
        ),
        (
            "a delivery before the first",
            vec![open(0), numbered(Kind::Call, 0, &numbering(0, 7, 6, 0))],
            no_sense(Kind::Call),
        ),
        (
            "a reply wanted in a way that there is not",
            vec![open(0), numbered(Kind::Call, 0, &numbering(1, 7, 6, 2))],
            no_sense(Kind::Call),
        ),
        (
            "a cast with a number",
            vec![open(0), numbered(Kind::Cast, 0, &numbering(1, 7, 6, 1))],
            no_sense(Kind::Cast),
        ),
        (
            "a message without the trace that it announces",
            vec![open(0), frame(Header { flags: TRACED, ..bare(Kind::Cast) }, &[1; TRACE_BYTES - 1])],
            P::Body { kind: Kind::Cast, reason: "it is too short for a trace".to_owned() },
        ),
        (
            "a trace where the numbering is to be",
            vec![open(0), frame(Header { flags: TRACED | NUMBERED, ..bare(Kind::Call) }, &[0; TRACE_BYTES])],
            no_sense(Kind::Call),
        ),
        ("no kind", vec![vec![0; 28]], P::Frame(FrameError::Kind(0))),
        ("a reference twice", vec![monitor(1), monitor(1)], P::Reference(1)),
        ("a reference that does not rise", vec![monitor(9), monitor(3)], P::Reference(3)),
        ("a reference of nobody", vec![monitor(0)], P::Reference(0)),
        ("a taking back of what was never given", vec![named(Kind::Demonitor, 4, 0, &[])], P::Reference(4)),
        ("an unlinking of what was never given", vec![named(Kind::Demonitor, 4, BACK, &[])], P::Reference(4)),
        ("an end of what was never watched", vec![down(77, BACK, u32::MAX)], P::Reference(77)),
        ("an end that nobody asked to be told", vec![down(1, 0, u32::MAX)], P::Reference(1)),
        ("an end on no channel", vec![down(1, BACK, 5)], P::Channel(5)),
        ("an end on a refused channel", vec![open(0), open(1), open(2), down(1, BACK, 2)], P::Channel(2)),
        (
            "an end inside a large body",
            vec![open(0), announce(Kind::Cast, 0, 0, 1, 9), down(1, BACK, 0)],
            P::Channel(0),
        ),
        (
            "descriptors that did not come",
            vec![open(0), frame(Header { descriptors: 3, ..bare(Kind::Cast) }, &[])],
            P::Descriptors { announced: 3, arrived: 0 },
        ),
    ];
    for (what, frames, expected) in lies {
        let said = within(1 << 20, what, || says(&frames));
        match (what, said) {
            // Told apart below: the first of the two is whole, and answered at once.
            ("a correlation twice", Ok(())) => {}
            ("more than the window", said) => assert!(said.is_ok(), "each is handled at once: {said:?}"),
            (_, said) => assert_eq!(said, Err(expected), "{what}"),
        }
    }
}

fn greetings() {
    let said = |bytes: &[u8]| Victim::new(1, Instant::now()).read(bytes);
    assert_eq!(said(b"GET / HTTP/1.1\r\n\r\n"), Err(PreambleError::Magic.into()));
    let mut other = greeting();
    other[8] = 77;
    assert_eq!(said(&other), Err(PreambleError::Version { theirs: 77 }.into()));
    let early = [&greeting()[..12], &call(0, 1)].concat();
    assert_eq!(said(&early), Err(ProtocolError::Unexpected(Kind::Call)));
    let mut hello = Hello::new(ProcessId(2), Incarnation::FIRST, BuildId(1), LIMITS);
    hello.version = 9;
    let newer = [&greeting()[..12], &of(bare(Kind::Hello), &hello)].concat();
    assert_eq!(said(&newer), Err(PreambleError::Version { theirs: 9 }.into()));
    let short = [&greeting()[..12], &frame(bare(Kind::Hello), &[1, 2])].concat();
    assert!(matches!(said(&short), Err(ProtocolError::Body { kind: Kind::Hello, .. })));
}

/// Claims without the bytes that they claim.
fn lengths() {
    let mut claims = vec![open(0), open(1)];
    // Every stream that a peer may have, each of which claims the most.
    for channel in 0..2 {
        claims.push(announce(Kind::Cast, channel, 0, channel, LIMITS.max_message_bytes));
    }
    for stream in 2..20_000 {
        claims.push(announce(Kind::Reply, 0, 9 << 32, stream, LIMITS.max_message_bytes));
    }
    claims.push(Header { length: MAX_FRAME_BYTES, ..bare(Kind::Cast) }.to_bytes().to_vec());
    let bytes = claims.concat();
    // The table of streams grows with what is announced; nothing does with what is claimed.
    within(bytes.len() * 8 + (1 << 20), "claims", || {
        let mut victim = Victim::new(1, Instant::now());
        victim.speak();
        victim.read(&greeting()).unwrap();
        assert_eq!(victim.read(&bytes), Ok(()));
        victim.end();
    });
    let text = codec::encode(&u64::MAX, 8).unwrap();
    let refused = frame(on(Kind::Refused, 0), &[&14_u32.to_le_bytes()[..], &text].concat());
    within(1 << 20, "a text that lies", || {
        assert!(matches!(says(&[refused]), Err(ProtocolError::Body { kind: Kind::Refused, .. })));
    });
}

fn unasked() {
    let mut victim = Victim::new(1, Instant::now());
    victim.speak();
    victim.read(&greeting()).unwrap();
    for correlation in [0, 3, 77 << 32, u64::MAX] {
        for flags in [0, FAILED] {
            let header = Header { correlation, flags, ..bare(Kind::Reply) };
            victim.read(&frame(header, &[0; 8])).unwrap();
        }
        victim.read(&frame(Header { correlation, ..bare(Kind::Cancel) }, &[])).unwrap();
    }
    assert_eq!(victim.connection.counters().late_replies, 8);
    assert!(victim.outcomes.is_empty());
    victim.end();
}
