//! What a message of a series says of itself.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, ProcessId};

/// Which series: the receiver and its user know a sender by it.
///
/// A sender that was restarted begins another. Series of one sender to one actor follow one another: a later one has the
/// greater number, and begins when everything of the earlier one was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesId {
    /// The sending process.
    pub process: ProcessId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Which of its series.
    pub series: u32,
}

impl fmt::Display for SeriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}:{}", self.process, self.incarnation, self.series)
    }
}

/// The last 28 bytes of a numbered call's body:
///
/// ```text
///  0        4         6        8        16         24      28
///  +--------+---------+--------+--------+----------+-------+
///  | series | attempt | deaths | number | previous | quiet |   little-endian
///  | u32    | u16     | u16    | u64    | u64      | u32   |
///  +--------+---------+--------+--------+----------+-------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbering {
    /// Which series of the sending life.
    pub series: u32,
    /// Which delivery this is: 1, and one more for each before it that may have reached a handler.
    pub attempt: u16,
    /// How many deaths of the actor this message is held to be the cause of (H47).
    pub deaths: u16,
    /// Whether only the acknowledgement is wanted, not the reply.
    pub quiet: bool,
    /// Which message of the series: the first is 1.
    pub number: u64,
    /// The message before it that the sender still keeps; 0 if it keeps none.
    pub previous: u64,
}

impl Numbering {
    /// Its bytes.
    pub const LEN: usize = 28;

    /// As it travels.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0..4].copy_from_slice(&self.series.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.attempt.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.deaths.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.previous.to_le_bytes());
        bytes[24..28].copy_from_slice(&u32::from(self.quiet).to_le_bytes());
        bytes
    }

    /// Takes it off the end of a body: where the message ends, and what it says. None if there is no sane one.
    pub fn split(body: &[u8]) -> Option<(usize, Numbering)> {
        let (message, tail) = body.split_last_chunk::<{ Self::LEN }>()?;
        let short = |at: usize| u16::from_le_bytes([tail[at], tail[at + 1]]);
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|index| tail[at + index]));
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| tail[at + index]));
        let numbering = Numbering {
            series: word(0),
            attempt: short(4),
            deaths: short(6),
            quiet: word(24) == 1,
            number: long(8),
            previous: long(16),
        };
        let sane = word(24) <= 1 && numbering.attempt > 0 && numbering.previous < numbering.number;
        sane.then_some((message.len(), numbering))
    }
}
