//! The bytes that wait to be written: frames are encoded straight into them, and leave by rank.

use serde::Serialize;

use super::lane::Lane;
use super::large::CHUNK_BYTES;
use super::transmit::Transmit;
use crate::codec::descriptor::Carried;
use crate::codec::{self, Packed};
use crate::protocol::frame::{Header, Kind, MAX_FRAME_BYTES};

/// Frames in the order in which they leave, and how far the kernel has taken them.
///
/// Between two frames the highest rank goes first: control, then replies, then messages (H4). While little waits,
/// all ranks share the lane of the messages and leave in the order in which they came, in one write.
///
/// - O-1 control frames leave in the order in which they came, so that a goodbye never overtakes the credits that
///   it vouches for: a control frame that shares the lane of the messages is a barrier, which is written before a
///   later one.
/// - O-2 messages, and what must not overtake them, leave in the order in which they came.
///
/// A position is the number of bytes that were ever put before it into the lane of the messages, so that it can be
/// said of any of them whether the kernel has it whole ([`Outbound::has_left`]).
#[derive(Debug, Default)]
pub(super) struct Outbound {
    messages: Lane,
    replies: Lane,
    control: Lane,
    /// The position of the first byte that the lane of the messages holds.
    base: u64,
    /// Where the last control frame in the lane of the messages ends.
    barrier: usize,
    /// Of which lane `offer` gave bytes.
    offered: Rank,
}

/// Which goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rank {
    /// Calls and casts, chunks, and what must not overtake them.
    #[default]
    Messages,
    /// Replies that are not chunked.
    Replies,
    /// Credits, answers to `Open`, goodbyes.
    Control,
}

/// Behind this many bytes of messages a frame of a higher rank does not wait: it is copied in the time of a system
/// call or two, which is what a lane of its own costs.
const LITTLE_BYTES: usize = 16 << 10;

impl Outbound {
    /// Whether nothing waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.replies.is_empty() && self.control.is_empty()
    }

    /// How many bytes wait in the lane of the messages.
    #[inline]
    pub(super) fn message_bytes(&self) -> usize {
        self.messages.len()
    }

    /// How many bytes of replies wait, but for those few that share the lane of the messages.
    pub(super) fn reply_bytes(&self) -> usize {
        self.replies.len()
    }

    /// How many bytes of control frames wait for a peer that does not read.
    pub(super) fn control_bytes(&self) -> usize {
        self.control.len()
    }

    /// The bytes to write next. The next call of [`written`](Self::written) is about these.
    pub(super) fn offer(&mut self) -> Transmit<'_> {
        let end;
        (self.offered, end) = self.next();
        self.lane(self.offered).until(end)
    }

    fn next(&mut self) -> (Rank, usize) {
        if self.control.is_empty() && self.replies.is_empty() {
            return (Rank::Messages, self.messages.end());
        }
        // A frame that has begun to leave is finished first.
        let begun = self.messages.boundary().max(self.barrier);
        if self.messages.head() < begun {
            return (Rank::Messages, begun);
        }
        if self.control.is_empty() {
            return (Rank::Replies, self.replies.end());
        }
        let begun = self.replies.boundary();
        if self.replies.head() < begun {
            return (Rank::Replies, begun);
        }
        (Rank::Control, self.control.end())
    }

    /// The kernel has taken so many of the bytes that were offered.
    pub(super) fn written(&mut self, bytes: usize) {
        let gone = self.lane_mut(self.offered).written(bytes);
        if self.offered == Rank::Messages {
            self.base += gone as u64;
            self.barrier = self.barrier.saturating_sub(gone);
        }
    }

    #[inline]
    fn lane(&self, rank: Rank) -> &Lane {
        match rank {
            Rank::Messages => &self.messages,
            Rank::Replies => &self.replies,
            Rank::Control => &self.control,
        }
    }

    #[inline]
    fn lane_mut(&mut self, rank: Rank) -> &mut Lane {
        match rank {
            Rank::Messages => &mut self.messages,
            Rank::Replies => &mut self.replies,
            Rank::Control => &mut self.control,
        }
    }

    /// The lane that a frame of this rank goes to now.
    #[inline]
    fn lane_for(&self, rank: Rank) -> Rank {
        let little = self.messages.len() <= LITTLE_BYTES && self.replies.is_empty();
        match rank {
            // What came before it in a lane of its own leaves before it (O-1).
            Rank::Control if little && self.control.is_empty() => Rank::Messages,
            Rank::Replies if little => Rank::Messages,
            rank => rank,
        }
    }

    /// Where the next frame of the messages will begin.
    #[inline]
    pub(super) fn position(&self) -> u64 {
        self.base + self.messages.end() as u64
    }

    /// Where what has not left begins.
    pub(super) fn left_position(&self) -> u64 {
        self.base + self.messages.head() as u64
    }

    /// Whether the kernel has taken every message before this position.
    pub(super) fn has_left(&self, position: u64) -> bool {
        position <= self.left_position()
    }

    /// Appends bytes that are no frame: the preamble, before everything else.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.messages.raw(bytes);
    }

    /// Appends a frame whose body is at hand; its length is filled in.
    pub(super) fn frame(&mut self, rank: Rank, header: Header, body: &[u8]) {
        self.frame_with(rank, header, body, Vec::new());
    }

    /// Appends a frame that has descriptors; their number is filled in too.
    pub(super) fn frame_with(&mut self, rank: Rank, header: Header, body: &[u8], descriptors: Vec<Carried>) {
        let length = u32::try_from(body.len()).expect("a frame's body is at most MAX_FRAME_BYTES");
        let header = Header { length, descriptors: count_of(&descriptors), ..header };
        let to = self.lane_for(rank);
        let lane = self.lane_mut(to);
        lane.attach(lane.end(), descriptors);
        lane.buffer().extend_from_slice(&header.to_bytes());
        lane.buffer().extend_from_slice(body);
        if rank == Rank::Control && to == Rank::Messages {
            self.barrier = self.messages.end();
        }
    }

    /// Appends a frame whose body is one of our own small structures.
    pub(super) fn frame_of<B: Serialize>(&mut self, rank: Rank, header: Header, body: &B) {
        self.frame(rank, header, &encoded(body));
    }

    /// Appends a frame without a body.
    pub(super) fn bare(&mut self, rank: Rank, header: Header) {
        self.frame(rank, header, &[]);
    }

    /// Says that nobody waits for the reply to the call `key`, which ends at this position: once the kernel has the
    /// call, the cancel overtakes other messages, and before that it is behind the call (O-2).
    pub(super) fn cancel(&mut self, key: u64, ends: u64) {
        let rank = if self.has_left(ends) { Rank::Control } else { Rank::Messages };
        self.bare(rank, Header { correlation: key, ..Header::new(Kind::Cancel) });
    }

    /// Encodes a message or reply behind a header, or apart if it is too large for a frame. On failure nothing was appended.
    ///
    /// `limits` are bytes and descriptors. What has [`Begun`] must then be finished with [`finish`](Self::finish) or taken back
    /// with [`take_back`](Self::take_back).
    #[inline(always)]
    pub(super) fn begin<M: Serialize + ?Sized>(
        &mut self,
        rank: Rank,
        value: &M,
        (limit_bytes, most): (usize, usize),
    ) -> Result<Begun, Box<NotBegun>> {
        let lane = self.lane_for(rank);
        let buffer = self.lane_mut(lane).buffer();
        let at = buffer.len();
        buffer.extend_from_slice(&[0; Header::LEN]);
        match codec::encode_or_apart(value, buffer, (limit_bytes, CHUNK_BYTES), most) {
            Ok((None, descriptors)) => {
                let length = buffer.len() - at - Header::LEN;
                Ok(Begun { lane, at, length, descriptors })
            }
            Ok((Some(apart), descriptors)) => {
                buffer.truncate(at);
                Err(Box::new(NotBegun::Apart(Packed { bytes: apart, descriptors })))
            }
            Err(error) => {
                buffer.truncate(at);
                Err(Box::new(NotBegun::Failed(error)))
            }
        }
    }

    /// Puts more behind what was encoded last.
    #[inline]
    pub(super) fn append(&mut self, begun: &mut Begun, bytes: &[u8]) {
        self.lane_mut(begun.lane).buffer().extend_from_slice(bytes);
        begun.length += bytes.len();
    }

    #[inline(always)]
    pub(super) fn finish(&mut self, begun: Begun, header: Header) {
        let length = u32::try_from(begun.length).expect("only bodies of frame size are finished");
        let bytes = Header { length, descriptors: count_of(&begun.descriptors), ..header }.to_bytes();
        let lane = self.lane_mut(begun.lane);
        lane.buffer()[begun.at..begun.at + Header::LEN].copy_from_slice(&bytes);
        lane.attach(begun.at, begun.descriptors);
    }

    /// What was encoded, without so many bytes that were put behind it.
    pub(super) fn take_back(&mut self, begun: Begun, appended: usize) -> Packed {
        let buffer = self.lane_mut(begun.lane).buffer();
        let body = buffer[begun.at + Header::LEN..buffer.len() - appended].to_vec();
        buffer.truncate(begun.at);
        Packed::new(body, begun.descriptors)
    }

    /// Closes the descriptors that have not left: the connection is over.
    pub(super) fn drop_descriptors(&mut self) {
        for lane in [&mut self.messages, &mut self.replies, &mut self.control] {
            lane.drop_descriptors();
        }
    }

    /// Changes the `extra` of a message that begins at this position, if none of it has left.
    pub(super) fn patch_extra(&mut self, begins: u64, extra: u32) {
        let Some(at) = begins.checked_sub(self.base).and_then(|at| usize::try_from(at).ok()) else {
            return;
        };
        // A frame that is not here any more has a position past every buffer.
        let ends = at.checked_add(Header::LEN);
        if at >= self.messages.head() && ends.is_some_and(|ends| ends <= self.messages.end()) {
            let field = at + Header::EXTRA_AT;
            self.messages.buffer()[field..field + 4].copy_from_slice(&extra.to_le_bytes());
        }
    }
}

/// The bytes of one of our own small structures.
pub(super) fn encoded<B: Serialize>(body: &B) -> Vec<u8> {
    codec::encode(body, MAX_FRAME_BYTES as usize)
        .expect("our own structures encode, and their parts have limits")
}

#[inline]
fn count_of(descriptors: &[Carried]) -> u16 {
    u16::try_from(descriptors.len()).expect("a message has at most max_descriptors, a u16")
}

/// A frame whose header is not yet written.
#[derive(Debug)]
pub(super) struct Begun {
    lane: Rank,
    at: usize,
    pub(super) length: usize,
    pub(super) descriptors: Vec<Carried>,
}

/// Why there is no frame.
#[derive(Debug)]
pub(super) enum NotBegun {
    /// It is too large for one, and encoded.
    Apart(Packed),
    /// It can't be encoded.
    Failed(codec::EncodeError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out() -> Outbound {
        let mut out = Outbound::default();
        out.raw(b"preamble");
        out
    }

    /// Takes everything in pieces, and says which frames left in which order, by kind and body length.
    fn drain(out: &mut Outbound, pieces: usize) -> Vec<(u8, u32)> {
        let mut bytes = Vec::new();
        while !out.is_empty() {
            let offered = out.offer();
            let piece = &offered[..offered.len().min(pieces)];
            bytes.extend_from_slice(piece);
            let length = piece.len();
            out.written(length);
        }
        let mut rest = bytes.strip_prefix(b"preamble").unwrap_or(&bytes);
        let mut frames = Vec::new();
        while let Some((header, body)) = rest.split_first_chunk::<{ Header::LEN }>() {
            let header = Header::from_bytes(header).expect("a whole frame");
            frames.push((header.kind as u8, header.length));
            rest = &body[header.length as usize..];
        }
        assert!(rest.is_empty(), "whole frames");
        frames
    }

    fn put(out: &mut Outbound, rank: Rank, kind: Kind, length: usize) {
        out.frame(rank, Header::new(kind), &vec![0; length]);
    }

    const CAST: u8 = Kind::Cast as u8;
    const REPLY: u8 = Kind::Reply as u8;
    const CREDIT: u8 = Kind::Credit as u8;
    const GOODBYE: u8 = Kind::Goodbye as u8;

    #[test]
    fn h04_control_leaves_before_replies_and_replies_before_messages() {
        for pieces in [1, 7, 40_000, usize::MAX] {
            let mut out = out();
            for _ in 0..3 {
                put(&mut out, Rank::Messages, Kind::Cast, 10_000);
            }
            put(&mut out, Rank::Replies, Kind::Reply, 1);
            put(&mut out, Rank::Control, Kind::Credit, 8);
            put(&mut out, Rank::Replies, Kind::Reply, 2);
            put(&mut out, Rank::Control, Kind::Goodbye, 0);
            let order = drain(&mut out, pieces);
            // The preamble goes first, alone; then the ranks.
            let casts = (CAST, 10_000);
            assert_eq!(order, [(CREDIT, 8), (GOODBYE, 0), (REPLY, 1), (REPLY, 2), casts, casts, casts]);
        }
    }

    #[test]
    fn h11_a_frame_that_has_begun_to_leave_is_finished_first() {
        let mut out = out();
        put(&mut out, Rank::Messages, Kind::Cast, 20_000);
        put(&mut out, Rank::Messages, Kind::Cast, 20_000);
        out.offer();
        out.written(8 + Header::LEN + 20_000 + 1);
        put(&mut out, Rank::Control, Kind::Credit, 8);
        assert_eq!(out.offer().len(), Header::LEN + 20_000 - 1);
        out.written(Header::LEN + 20_000 - 1);
        assert_eq!(drain(&mut out, 5), [(CREDIT, 8)]);
    }

    #[test]
    fn m2_no_goodbye_overtakes_the_credits_before_it() {
        let mut out = out();
        // Little waits, so the credit shares the lane of the messages; then much does.
        put(&mut out, Rank::Messages, Kind::Cast, 10);
        put(&mut out, Rank::Control, Kind::Credit, 8);
        put(&mut out, Rank::Messages, Kind::Cast, 60_000);
        put(&mut out, Rank::Control, Kind::Goodbye, 0);
        assert_eq!(drain(&mut out, 1000), [(CAST, 10), (CREDIT, 8), (GOODBYE, 0), (CAST, 60_000)]);
    }

    #[test]
    fn m7_a_cancel_overtakes_messages_but_never_its_call() {
        let mut out = out();
        put(&mut out, Rank::Messages, Kind::Call, 20_000);
        let ends = out.position();
        put(&mut out, Rank::Messages, Kind::Cast, 20_000);
        out.cancel(1, ends);
        assert_eq!(drain(&mut out, 999).last(), Some(&(Kind::Cancel as u8, 0)));

        put(&mut out, Rank::Messages, Kind::Call, 20_000);
        let ends = out.position();
        put(&mut out, Rank::Messages, Kind::Cast, 20_000);
        put(&mut out, Rank::Messages, Kind::Cast, 20_000);
        out.offer();
        out.written(Header::LEN + 20_000);
        assert!(out.has_left(ends));
        out.cancel(2, ends);
        assert_eq!(drain(&mut out, 999).first(), Some(&(Kind::Cancel as u8, 0)));
    }

    #[test]
    fn m2_a_frame_that_is_not_here_any_more_is_not_changed() {
        let mut out = out();
        put(&mut out, Rank::Messages, Kind::Call, 10);
        let bytes = out.offer().to_vec();
        for begins in [u64::MAX, u64::MAX - 24, bytes.len() as u64 - 20] {
            out.patch_extra(begins, u32::MAX);
            assert_eq!(out.offer().bytes, bytes);
        }
        out.patch_extra(8, u32::MAX);
        assert_eq!(out.offer()[8 + Header::EXTRA_AT..][..4], [255; 4]);
    }

    #[test]
    fn positions_count_messages_alone_and_survive_what_was_written() {
        let mut out = out();
        let mut ends = Vec::new();
        for _ in 0..40 {
            put(&mut out, Rank::Messages, Kind::Cast, 30_000);
            put(&mut out, Rank::Control, Kind::Credit, 8);
            put(&mut out, Rank::Replies, Kind::Reply, 500);
            ends.push(out.position());
        }
        let mut left = 0;
        while !out.is_empty() {
            let length = out.offer().len().min(10_000);
            out.written(length);
            let now = ends.iter().filter(|end| out.has_left(**end)).count();
            assert!(now >= left);
            left = now;
        }
        assert_eq!(left, ends.len());
    }
}
