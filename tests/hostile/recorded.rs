//! One honest conversation, both directions of it as bytes, to be damaged.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use procession::id::{ActorId, Capability, ProcessId, Slot};
use procession::protocol::connection::{Mode, Submit, Waiting};
use procession::protocol::control::Preamble;
use procession::protocol::frame::Header;
use procession::protocol::watching::{EndReason, Watch};
use procession::protocol::wire::Open;

use crate::connection::{Ended, Victim};

pub(crate) struct Recorded {
    pub(crate) now: Instant,
    /// What the victim reads.
    pub(crate) stream: Vec<u8>,
    /// How its messages end by that.
    pub(crate) outcomes: BTreeMap<u32, Ended>,
    pub(crate) delivered: Vec<usize>,
}

/// What the victim of [`Victim::speak`] is answered, by a peer that also sends, gives up, and says goodbye.
pub(crate) fn conversation() -> Recorded {
    let now = Instant::now();
    let (mut victim, mut peer) = (Victim::new(1, now), Victim::new(2, now));
    victim.speak();
    let mut stream = Vec::new();
    for slot in 0..3 {
        let target = Capability::unsealed(ActorId::declared(ProcessId(1), Slot(slot)));
        peer.connection.open(&Open { target });
    }
    let mut read = 0;
    for round in 0_u32..40 {
        let tag = 100 + round;
        let bytes = match round {
            4 | 5 => 20,
            6 => 40_000,
            7 => 30,
            _ => 0,
        };
        if bytes > 0 {
            let mode = if round == 5 { Mode::Try } else { Mode::Call };
            let submit = Submit { channel: round % 2, message: tag, mode, timeout_ms: 0, right: 0 };
            let sent = peer
                .connection
                .submit(submit, &Bytes::from(vec![5; bytes]), || Waiting { tag, deadline: None });
            if let (Ok(Some(key)), 7) = (sent, round) {
                peer.connection.cancel(key);
            }
        }
        if round == 20 {
            // It watches, takes one back, and ends the link that the victim made.
            let target = Capability::unsealed(ActorId::declared(ProcessId(1), Slot(0)));
            let watcher = Some(ActorId::declared(ProcessId(2), Slot(1)));
            let one = peer.connection.watch(&Watch { target, watcher }, false).unwrap();
            let two = peer.connection.watch(&Watch { target, watcher: None }, true).unwrap();
            peer.connection.unwatch(one, false);
            peer.connection.notify(two, false, Some(0), &EndReason::Panicked("at work".to_owned()));
        }
        if round == 30 {
            peer.connection.leave();
        }
        let new = victim.written[read..].to_vec();
        read += new.len();
        peer.read(&new).unwrap();
        peer.write();
        let new = peer.written[stream.len()..].to_vec();
        stream.extend_from_slice(&new);
        victim.read(&new).unwrap();
        victim.write();
    }
    victim.end();
    let kinds: std::collections::BTreeSet<u8> =
        frames(&stream).iter().map(|(begin, _)| stream[begin + 4]).collect();
    assert!(kinds.len() >= 13, "of the sixteen kinds only {kinds:?} are spoken");
    Recorded { now, stream, outcomes: victim.outcomes, delivered: victim.delivered }
}

/// Where the frames of a stream begin and end, behind its preamble.
pub(crate) fn frames(stream: &[u8]) -> Vec<(usize, usize)> {
    let (mut found, mut at) = (Vec::new(), Preamble::LEN);
    while at < stream.len() {
        let header = Header::from_bytes(stream[at..].first_chunk().unwrap()).unwrap();
        let end = at + Header::LEN + header.length as usize;
        found.push((at, end));
        at = end;
    }
    found
}

/// Every byte but those within large bodies, of which there are a few.
pub(crate) fn places(stream: &[u8]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..Preamble::LEN).collect();
    for (begin, end) in frames(stream) {
        let is_edge = |at: usize| at - begin < Header::LEN + 48 || end - at <= 16;
        places.extend((begin..end).filter(|at| is_edge(*at) || at % 3989 == 0));
    }
    places
}

/// The victim says what it said, and reads this instead.
pub(crate) fn replay(now: Instant, stream: &[u8]) -> (Victim, bool) {
    let mut victim = Victim::new(1, now);
    victim.speak();
    let is_honest = victim.read(stream).is_ok();
    victim.end();
    (victim, is_honest)
}
