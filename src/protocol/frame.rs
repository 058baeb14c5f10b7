//! Frames of a data pipe: their bytes, and cutting a byte stream into them.
//!
//! ```text
//!  0        4      5       6      8         12        16            24       28
//!  +--------+------+-------+------+---------+---------+-------------+--------+---------------+
//!  | length | kind | flags | fds  | message | channel | correlation | extra  | body          |
//!  | u32    | u8   | u8    | u16  | u32     | u32     | u64         | u32    | length bytes  |
//!  +--------+------+-------+------+---------+---------+-------------+--------+---------------+
//! ```
//!
//! All numbers are little-endian. `fds` is how many descriptors came with the frame's first byte and belong to it. What a field means depends on the kind; a field that a kind does not use is 0.
//! No frame names an incarnation: a pipe joins one life of a process with one life of another, and ends with
//! either (H43).

mod run;

use super::control::{Preamble, PreambleError};
use crate::sys::buffer::Buffer;

pub use self::run::{Run, first_body};

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The first frame of each direction: who speaks. Body: [`super::wire::Hello`].
    Hello = 1,
    /// Opens `channel` to an actor of the receiver. Body: [`super::wire::Open`].
    Open = 2,
    /// Answers `Open`: the channel may be used. Body: [`super::wire::Opened`].
    Opened = 3,
    /// Answers `Open`, or ends the channel later: it may not be used (any more). Body: [`super::wire::Cause`].
    Refused = 4,
    /// A message that wants a reply: `channel`, `message` (a [`super::wire::MessageId`]), `correlation`,
    /// `extra` = milliseconds until its deadline.
    Call = 5,
    /// A message that wants none: `channel`, `message`.
    Cast = 6,
    /// The reply to `correlation`; with [`FAILED`] the body is a [`super::wire::Failure`].
    Reply = 7,
    /// `correlation` messages and (body) u64 bytes of `channel` were taken since it was opened.
    Credit = 8,
    /// Nobody waits for the reply to `correlation` any more.
    Cancel = 9,
    /// The next bytes of the large body `channel` (a stream number, not a channel).
    Chunk = 10,
    /// The sender stops: what it has not taken by the credits before this frame, it will never take.
    Goodbye = 11,
    /// The opener needs `channel` no more; it sends nothing on it after this.
    Close = 12,
    /// Answers `Close`: everything on `channel` was taken, and nothing more is said about it. Its number is free.
    Closed = 13,
    /// `correlation` is a reference, which must rise: tell me when the actor has ended. With [`LINK`], the sender tells of
    /// its own end, too. Body: [`super::watching::Watch`].
    Monitor = 14,
    /// Nobody wants to hear of the reference `correlation` any more. With [`BACK`] the receiver of this frame gave it.
    Demonitor = 15,
    /// Who the reference `correlation` is about has ended, and had sent nothing more on `channel`, or, if that is
    /// `u32::MAX`, nothing that waits. With [`BACK`] the receiver of this frame gave the reference. Needs no credit.
    /// Body: [`super::watching::EndReason`].
    Down = 16,
    /// Another right to send on `channel`, with the number `correlation`: the next after the last of that channel, from 1.
    /// That of the `Open` is 0. Body: [`crate::id::Capability`].
    Present = 17,
    /// The right `correlation` of `channel` is good for nothing, or for nothing any more. Body: [`super::wire::Cause`].
    Denied = 18,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Kind; 18] = [
        Kind::Hello,
        Kind::Open,
        Kind::Opened,
        Kind::Refused,
        Kind::Call,
        Kind::Cast,
        Kind::Reply,
        Kind::Credit,
        Kind::Cancel,
        Kind::Chunk,
        Kind::Goodbye,
        Kind::Close,
        Kind::Closed,
        Kind::Monitor,
        Kind::Demonitor,
        Kind::Down,
        Kind::Present,
        Kind::Denied,
    ];

    fn of(byte: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(byte).checked_sub(1)?).copied()
    }
}

/// Flag of a call, cast or reply: the body is a [`super::wire::Large`], and the real one follows in chunks.
pub const CHUNKED: u8 = 1;
/// Flag of a reply: the request failed.
pub const FAILED: u8 = 2;
/// Flag of a monitor: it goes both ways.
pub const LINK: u8 = 4;
/// Flag of a demonitor or down: the reference is one that the receiver gave.
pub const BACK: u8 = 8;
/// Flag of a call: the body ends with a [`super::series::Numbering`].
pub const NUMBERED: u8 = 16;
/// Flag of a call or cast: the body ends, before its numbering, with the number of the right by which it comes, u32.
pub const RIGHT: u8 = 32;
/// Flag of a call or cast: the body ends, before the number of its right, with a [`super::traceparent::TraceParent`].
pub const TRACED: u8 = 64;

/// A frame's fixed part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the body.
    pub length: u32,
    /// What the frame is.
    pub kind: Kind,
    /// [`CHUNKED`], [`FAILED`], [`LINK`], [`BACK`], [`NUMBERED`], [`RIGHT`], [`TRACED`].
    pub flags: u8,
    /// How many descriptors belong to it.
    pub descriptors: u16,
    /// Which message.
    pub message: u32,
    /// Which channel.
    pub channel: u32,
    /// Which request.
    pub correlation: u64,
    /// See [`Kind`].
    pub extra: u32,
}

impl Header {
    /// Bytes of the fixed part.
    pub const LEN: usize = 28;
    /// Where `extra` lies in it.
    pub(super) const EXTRA_AT: usize = 24;

    /// A header with everything but the kind zero.
    #[inline]
    pub fn new(kind: Kind) -> Header {
        Header { length: 0, kind, flags: 0, descriptors: 0, message: 0, channel: 0, correlation: 0, extra: 0 }
    }

    /// The bytes of the fixed part.
    #[inline]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4] = self.kind as u8;
        bytes[5] = self.flags;
        bytes[6..8].copy_from_slice(&self.descriptors.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.message.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.channel.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.correlation.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.extra.to_le_bytes());
        bytes
    }

    /// Reads the fixed part.
    ///
    /// # Errors
    /// A kind that does not exist.
    #[inline]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Header, FrameError> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Ok(Header {
            length: word(0),
            kind: Kind::of(bytes[4]).ok_or(FrameError::Kind(bytes[4]))?,
            flags: bytes[5],
            descriptors: u16::from_le_bytes([bytes[6], bytes[7]]),
            message: word(8),
            channel: word(12),
            correlation: u64::from(word(16)) | u64::from(word(20)) << 32,
            extra: word(24),
        })
    }
}

/// What makes a byte stream no stream of frames. The peer is to blame; the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No such kind.
    #[error("there is no frame kind {0}")]
    Kind(u8),
    /// A body longer than any frame may have.
    #[error("a frame of {length} bytes is over the limit of {limit}")]
    TooLong {
        /// What the header claims.
        length: u32,
        /// What is allowed.
        limit: u32,
    },
}

/// The largest body of one frame: a chunk, or a message that is not worth chunking.
pub const MAX_FRAME_BYTES: u32 = 64 << 10;

/// Bodies up to this are copied and then decoded; larger ones, and those with descriptors, are decoded where they lie.
pub const SMALL_BYTES: usize = 1 << 10;

/// One frame, borrowed from the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The fixed part.
    pub header: Header,
    /// The body.
    pub body: &'a [u8],
}

/// Cuts a byte stream into frames.
///
/// Order of calls: fill [`room`](Self::room), say how much with [`advance`](Self::advance), then take
/// [`next`](Self::next) until it is `None`. Its buffer starts small and grows with the traffic, to
/// [`READ_BYTES`] and one frame; never for a length that a header merely claims beyond [`MAX_FRAME_BYTES`].
#[derive(Debug)]
pub struct FrameReader {
    buffer: Buffer,
    start: usize,
    end: usize,
    /// How much room the next read gets: doubled when a read fills it.
    wanted: usize,
}

/// The first read's room: an idle connection should cost little.
const FIRST_READ_BYTES: usize = 8 << 10;

/// One read takes at most this much: large enough to make system calls cheap, small enough that a turn is short.
pub const READ_BYTES: usize = 128 << 10;

/// To read less of a body than this apart costs more than to copy it.
const WORTH_BYTES: usize = 4 << 10;

/// Behind a body that is read where it belongs mostly begins the next one, which then is copied so far.
const BESIDE_BYTES: usize = 2 << 10;

impl Default for FrameReader {
    fn default() -> Self {
        FrameReader { buffer: Buffer::new(), start: 0, end: 0, wanted: FIRST_READ_BYTES }
    }
}

impl FrameReader {
    /// Where the next bytes go: never empty.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.buffer.len() < self.end + self.wanted {
            self.buffer.resize(self.end + self.wanted);
        }
        &mut self.buffer[self.end..]
    }

    /// Says that `bytes` of the room were filled.
    pub fn advance(&mut self, bytes: usize) {
        assert!(bytes <= self.buffer.len() - self.end, "more bytes than there was room for");
        if bytes == self.buffer.len() - self.end {
            self.wanted = (self.wanted * 2).min(READ_BYTES);
        }
        self.end += bytes;
    }

    /// If what is held begins with a frame of which much is still to come, and nothing beside the bytes: its header, and
    /// those bytes of its body that are held.
    pub fn unfinished(&self) -> Option<(Header, &[u8])> {
        let held = &self.buffer[self.start..self.end];
        let (header, body) = held.split_first_chunk::<{ Header::LEN }>()?;
        let header = Header::from_bytes(header).ok()?;
        let length = header.length as usize;
        let is_worth = header.length <= MAX_FRAME_BYTES && length >= body.len() + WORTH_BYTES;
        (is_worth && header.descriptors == 0).then_some((header, body))
    }

    /// The frame that is held in part is read elsewhere.
    pub fn hand_over(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Where the next bytes go; little if a body is expected that is read elsewhere.
    pub fn room_before(&mut self, body_next: bool) -> &mut [u8] {
        if body_next { self.room_beside() } else { self.room() }
    }

    /// A little room for what comes behind a body that is read elsewhere.
    pub fn room_beside(&mut self) -> &mut [u8] {
        let room = self.room();
        let length = room.len().min(BESIDE_BYTES);
        &mut room[..length]
    }

    /// Takes the preamble, which comes before the first frame; false while it is not whole.
    ///
    /// # Errors
    /// The other side is something else, or of another version.
    pub fn take_preamble(&mut self) -> Result<bool, PreambleError> {
        let held = &self.buffer[self.start..self.end];
        let Some(preamble) = held.first_chunk::<{ Preamble::LEN }>() else { return Ok(false) };
        Preamble::check(preamble)?;
        self.start += Preamble::LEN;
        Ok(true)
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// The bytes are no frame.
    #[allow(clippy::should_implement_trait)] // it lends from itself, which Iterator can't say
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        self.frames().next().transpose()
    }

    /// All whole frames, so that several can be held at once.
    pub fn frames(&mut self) -> Frames<'_> {
        Frames { held: &self.buffer[..self.end], start: &mut self.start }
    }

    /// Whether bytes of an unfinished frame are held: an end-of-file now is a cut, not an end (H10).
    pub fn is_mid_frame(&self) -> bool {
        self.start < self.end
    }
}

/// See [`FrameReader::frames`]. What was not taken of it comes again.
#[derive(Debug)]
pub struct Frames<'a> {
    held: &'a [u8],
    start: &'a mut usize,
}

impl Frames<'_> {
    /// How many bytes are held that were not taken, those of a part of a frame among them.
    pub fn bytes(&self) -> usize {
        self.held.len() - *self.start
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (header, rest) = self.held[*self.start..].split_first_chunk::<{ Header::LEN }>()?;
        let header = match Header::from_bytes(header) {
            Ok(header) if header.length > MAX_FRAME_BYTES => {
                return Some(Err(FrameError::TooLong { length: header.length, limit: MAX_FRAME_BYTES }));
            }
            Ok(header) => header,
            Err(error) => return Some(Err(error)),
        };
        let body = rest.get(..header.length as usize)?;
        *self.start += Header::LEN + body.len();
        Some(Ok(Frame { header, body }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: Kind, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).expect("short");
        let mut bytes =
            Header { length, channel: 7, correlation: 1 << 40 | 3, ..Header::new(kind) }.to_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    proptest! {
        #[test]
        fn any_split_of_the_stream_gives_the_same_frames(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..20),
            cuts in proptest::collection::vec(1_usize..200, 1..50),
        ) {
            let stream: Vec<u8> = bodies.iter().flat_map(|body| frame(Kind::Cast, body)).collect();
            let mut reader = FrameReader::default();
            let (mut seen, mut rest, mut cuts) = (Vec::new(), &stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (now, later) = rest.split_at((*cuts.next().expect("cycle")).min(rest.len()));
                reader.room()[..now.len()].copy_from_slice(now);
                reader.advance(now.len());
                rest = later;
                while let Some(frame) = reader.next().expect("frames") {
                    prop_assert_eq!((frame.header.channel, frame.header.correlation), (7, 1 << 40 | 3));
                    seen.push(frame.body.to_vec());
                }
            }
            prop_assert_eq!(seen, bodies);
            prop_assert!(!reader.is_mid_frame());
        }
    }

    #[test]
    fn h06_a_length_over_the_limit_is_refused_before_anything_is_read() {
        let mut bytes = Header { length: u32::MAX, ..Header::new(Kind::Cast) }.to_bytes().to_vec();
        bytes.extend_from_slice(&[0; 8]);
        let mut reader = FrameReader::default();
        reader.room()[..bytes.len()].copy_from_slice(&bytes);
        reader.advance(bytes.len());
        assert!(matches!(reader.next(), Err(FrameError::TooLong { length: u32::MAX, .. })));
    }

    #[test]
    fn a_frame_is_read_elsewhere_only_if_much_of_it_is_to_come() {
        let bytes = frame(Kind::Chunk, &vec![7; 20_000]);
        for held in [
            0,
            5,
            Header::LEN - 1,
            Header::LEN,
            1000,
            bytes.len() - WORTH_BYTES - 1,
            bytes.len() - 1,
            bytes.len(),
        ] {
            let mut reader = FrameReader::default();
            for piece in bytes[..held].chunks(1000) {
                reader.room()[..piece.len()].copy_from_slice(piece);
                reader.advance(piece.len());
            }
            let unfinished = reader.unfinished().map(|(header, body)| (header.length, body.len()));
            let much = held >= Header::LEN && bytes.len() - held >= WORTH_BYTES;
            assert_eq!(unfinished, much.then(|| (20_000, held - Header::LEN)), "{held} are held");
        }
        let mut reader = FrameReader::default();
        let too_long = Header { length: MAX_FRAME_BYTES + 1, ..Header::new(Kind::Chunk) }.to_bytes();
        let with_more = Header { length: 20_000, descriptors: 1, ..Header::new(Kind::Chunk) }.to_bytes();
        for header in [too_long, with_more] {
            reader.room()[..Header::LEN].copy_from_slice(&header);
            reader.advance(Header::LEN);
            assert!(reader.unfinished().is_none(), "judged as a frame");
            reader.hand_over();
            assert!(!reader.is_mid_frame());
        }
    }

    #[test]
    fn every_kind_has_its_number() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(kind as u8), Some(kind));
        }
        assert_eq!((Kind::of(0), Kind::of(19)), (None, None));
    }
}
