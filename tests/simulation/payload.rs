//! What messages and replies hold, so that a wrong or damaged one is recognised.

use bytes::Bytes;
use procession::protocol::traceparent::TraceParent;
use serde::Serialize;

/// A message and its reply: who it is, and as many bytes as it is meant to have.
#[derive(Serialize)]
pub(crate) struct Payload {
    mark: u32,
    filler: Bytes,
}

impl Payload {
    pub(crate) fn message(id: u32, bytes: usize) -> Payload {
        Payload { mark: id, filler: Bytes::from(vec![id.to_le_bytes()[0]; bytes]) }
    }

    pub(crate) fn reply(id: u32, bytes: usize) -> Payload {
        Payload::message(!id, bytes)
    }
}

/// The message's number, if these bytes are whole and undamaged.
pub(crate) fn message(body: &[u8]) -> u32 {
    let mark = u32::from_le_bytes(*body.first_chunk().expect("a mark"));
    let (length, filler) = body[4..].split_first_chunk().expect("a length");
    assert_eq!(u64::from_le_bytes(*length), filler.len() as u64, "the body of {mark} has another length");
    let expected = mark.to_le_bytes()[0];
    assert!(filler.iter().all(|byte| *byte == expected), "the body of {mark} is damaged");
    mark
}

/// The number of the message that this answers.
pub(crate) fn reply(body: &[u8]) -> u32 {
    !message(body)
}

/// The trace of a message: every third has one.
pub(crate) fn trace(id: u32) -> Option<TraceParent> {
    let own = u64::from(id) + 1;
    TraceParent::new(u128::from(own) << 64 | 7, own, 1).filter(|_| id.is_multiple_of(3))
}
