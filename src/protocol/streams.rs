//! Streams: what the two ends of one say to one another, what each may, and when it is over.
//!
//! ```text
//!  consumer                                    producer
//!    ask, any message  ------------------------> its handler answers with a stream
//!    <------------- reply: where the stream is --- Offered: it has a number and a key, and so long to be claimed
//!    Claim ------------------------------------> Claimed: it lives as long as the consumer's process
//!    Pull {items, bytes} ----------------------> its stream is polled, for at most so much
//!    Pull {items, bytes} ----------------------> the next in line
//!    <--------------------------------- Batch ---
//!    <--------------------------- Batch, end ---- Over: the stream is dropped
//!    Cancel -----------------------------------> Over, at any time
//!    Passed -----------------------------------> Offered, to whom it was sent on to: it has so long to be claimed again
//! ```
//!
//! Nothing is polled that was not pulled, so a pull is the credit of a stream, in items and in bytes. Pulls are asks: each
//! ends with a batch or with a cause, as any ask does, and so the stream does.
//!
//! - T-1 a consumer has at most [`Credit::items`] items and two batches that it has not handed on, or was not sent yet.
//! - T-2 a batch has at most the items that its pull asks for, and at most its bytes unless it has one item alone; and never
//!   more than one message may have.
//! - T-3 after an end nothing is pulled.

mod consuming;
mod filling;
mod intake;
mod shelf;

#[cfg(test)]
mod tests;

pub use consuming::{Consuming, Next};
pub use filling::{Filling, Leftover, Put};
pub use intake::{Intake, Lie};
pub use shelf::{
    Consumer, LEAST_BYTES, MOST_OF_ONE, MOST_PULLED_BYTES, MOST_PULLS, MOST_STREAMS, Shelf, Wrong,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::wire::Failure;
use crate::codec::descriptor::Descriptor;

/// Which stream of its process. The key is a keyed hash of the number, so that it can't be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StreamId {
    /// Its number.
    pub number: u64,
    /// What who pulls must know.
    pub key: u128,
    /// How often it was sent on before it came to who has this.
    pub hand: u32,
}

/// How much of a stream may be under way to its consumer, or wait there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Items, at least 1.
    pub items: u32,
    /// Bytes of encoded items. A larger item comes alone.
    pub bytes: u32,
}

/// More of either would be no bound: one pull of so much is a batch of seconds.
const MOST_ITEMS: u32 = 1 << 20;
const MOST_BYTES: u32 = 16 << 20;

impl Default for Credit {
    /// Two batches, each of which is one frame: one is on its way while the other is consumed.
    fn default() -> Self {
        Credit { items: 4096, bytes: 48 << 10 }
    }
}

impl Credit {
    /// Within what is sensible.
    pub fn bounded(self) -> Credit {
        Credit { items: self.items.clamp(1, MOST_ITEMS), bytes: self.bytes.clamp(1, MOST_BYTES) }
    }

    /// How many batches it is split into.
    fn batches(self) -> u32 {
        if self.items < 2 { 1 } else { 2 }
    }

    /// What one pull asks for.
    fn pull(self) -> (u32, u32) {
        let batches = self.batches();
        (self.items / batches, (self.bytes / batches).max(1))
    }
}

/// The consumer has the stream. From here on it lives as long as the process that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim(pub StreamId);

/// The consumer wants no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel(pub StreamId);

/// The consumer has sent it on, before it took anything: it is whose who claims it next, and nobody's for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed(pub StreamId);

/// The next items, please.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// Of which stream.
    pub stream: StreamId,
    /// At most so many.
    pub items: u32,
    /// At most so many bytes, unless one item alone has more.
    pub bytes: u32,
}

/// The next items.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Batch {
    /// How many, as a u64, and the items, encoded one after the other.
    pub items: Bytes,
    /// Those of its only item.
    pub descriptors: Vec<Descriptor>,
    /// What comes after them, if nothing more does.
    pub end: Option<End>,
}

/// How a stream ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// With its last item.
    Done,
    /// With an error of its own, encoded.
    Error(Bytes),
    /// With a cause.
    Failed(Failure),
}

/// What a batch has around its items: their length and number, the length of the list of its descriptors, whether it has an
/// end, and which, and a short reason. An end of another kind than `Done` comes alone, so an error is in the place of items.
pub const AROUND_BYTES: usize = 64;

/// What each descriptor adds to that.
const DESCRIPTOR_BYTES: usize = 4;

impl Batch {
    /// Nothing, and the end.
    pub fn ended(end: End) -> Batch {
        Batch { end: Some(end), ..Batch::default() }
    }
}
