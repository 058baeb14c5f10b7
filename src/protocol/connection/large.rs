//! Large bodies travel in chunks, so that small messages pass between them (M-4, H5).

use std::collections::VecDeque;

use bytes::Buf;
use rustc_hash::FxHashMap;

use super::error::ProtocolError;
use super::transmit::Transmit;
use crate::codec::bytes::LEAST_BYTES;
use crate::codec::descriptor::Carried;
use crate::codec::pieces::Pieces;
use crate::codec::{Body, Encoded, spare};
use crate::protocol::frame::{Header, Kind};
use crate::sys::buffer::{Buffer, PAGE_BYTES};

/// Bodies up to this size travel in one frame; larger ones in chunks of it. A chunk is on the wire for some
/// 10 microseconds, which is what a small message may have to wait.
pub(super) const CHUNK_BYTES: usize = 32 << 10;

// So that what is not large is in one piece.
const _: () = assert!(CHUNK_BYTES <= LEAST_BYTES);

/// So near behind one another, within their pages, are places between which copies are slow; and a little more.
const NEAR_BYTES: usize = 64;

/// A large body on its way out.
#[derive(Debug)]
pub(super) struct LargeSend {
    pub(super) stream: u32,
    /// What is left of it.
    pub(super) body: Pieces,
    /// The channel that waits behind it; none for a reply.
    pub(super) channel: Option<u32>,
    /// The outgoing message whose end this is, if somebody waits for its reply.
    pub(super) key: Option<u64>,
}

/// Where no small message has left for so many bytes of large ones, these are alone: about a millisecond of them.
const ALONE_BYTES: usize = 512 << 10;

/// A chunk that leaves from where the body lies, without a copy, since nothing waits before it.
#[derive(Debug)]
pub(super) struct UnderWay {
    header: [u8; Header::LEN],
    /// How much of the header and then of the chunk has left.
    sent: usize,
    large: LargeSend,
}

impl UnderWay {
    fn new(large: LargeSend) -> UnderWay {
        let length = u32::try_from(large.chunk().len()).expect("at most CHUNK_BYTES");
        UnderWay { header: Header { length, ..large.chunk_header() }.to_bytes(), sent: 0, large }
    }

    /// What is left of it.
    pub(super) fn offer(&self) -> Transmit<'_> {
        let chunk = self.large.chunk();
        match self.header.get(self.sent..) {
            Some(header) if !header.is_empty() => Transmit { bytes: header, tail: chunk, descriptors: &[] },
            _ => Transmit { bytes: &chunk[self.sent - Header::LEN..], tail: &[], descriptors: &[] },
        }
    }
}

impl LargeSend {
    /// The next one: as much of the next piece as a chunk may have.
    pub(super) fn chunk(&self) -> &[u8] {
        let piece = self.body.chunk();
        &piece[..chunk_bytes(piece)]
    }

    /// The next chunk has left.
    pub(super) fn pass_chunk(&mut self) {
        self.body.advance(self.chunk().len());
    }

    /// But for its length.
    pub(super) fn chunk_header(&self) -> Header {
        Header { channel: self.stream, ..Header::new(Kind::Chunk) }
    }
}

/// How much of a piece the next chunk has: as much as it may. Where it begins at a place from which it is copied slowly
/// behind its header to the beginning of a page, a little less, so that those behind it begin at a better one.
fn chunk_bytes(piece: &[u8]) -> usize {
    let (place, length) = (piece.as_ptr() as usize % PAGE_BYTES, piece.len().min(CHUNK_BYTES));
    let is_good = (Header::LEN..=PAGE_BYTES - NEAR_BYTES).contains(&place);
    match !is_good && length == CHUNK_BYTES {
        true => length - (place + PAGE_BYTES - NEAR_BYTES) % PAGE_BYTES,
        false => length,
    }
}

/// The large bodies on their way out, one chunk of each in turn.
#[derive(Debug, Default)]
pub(super) struct LargeSends {
    pub(super) turn: VecDeque<LargeSend>,
    /// A chunk of another that has begun to leave: everything else waits until it has.
    pub(super) under_way: Option<UnderWay>,
    /// Bytes of replies among them that are still to be put into the outgoing bytes.
    pub(super) reply_bytes: u64,
    next_stream: u32,
    /// So many more bytes of large ones may leave before they count as alone.
    accompanied: usize,
    /// So many bytes of others have left since the last chunk, while one waited.
    gone_before: usize,
    /// Where the chunk ends that was put behind what waited last.
    behind_until: u64,
}

impl LargeSends {
    /// A message that is not large leaves.
    #[inline]
    pub(super) fn note_small(&mut self) {
        self.accompanied = ALONE_BYTES;
    }

    /// So many bytes of others have left, up to this position.
    #[inline]
    pub(super) fn note_others(&mut self, bytes: usize, position: u64) {
        if !self.turn.is_empty() && position >= self.behind_until {
            self.gone_before += bytes;
        }
    }

    /// Whether the next chunk leaves even if others wait: as many bytes of these as a chunk has went before it.
    pub(super) fn is_due(&self) -> bool {
        self.gone_before >= CHUNK_BYTES
    }

    /// The next chunk of this one is put behind what waits, where it ends at this position.
    pub(super) fn note_behind(&mut self, large: &LargeSend, position: u64) {
        self.behind_until = position;
        self.note_chunk(large);
    }

    /// The next chunk of this one leaves.
    fn note_chunk(&mut self, large: &LargeSend) {
        let bytes = large.chunk().len();
        // Of a short one, the next is due sooner.
        self.gone_before = self.gone_before.min(CHUNK_BYTES).saturating_sub(bytes);
        self.accompanied = self.accompanied.saturating_sub(bytes);
        if large.channel.is_none() {
            self.reply_bytes -= bytes as u64;
        }
    }

    /// Whether small messages leave beside large ones.
    pub(super) fn are_accompanied(&self) -> bool {
        !self.is_empty() && self.accompanied > 0
    }

    /// Whether none is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.turn.is_empty() && self.under_way.is_none()
    }

    /// Nothing waits to be written: the next chunk leaves from where it lies.
    pub(super) fn begin_chunk(&mut self) {
        if self.under_way.is_none() {
            self.under_way = self.turn.pop_front().map(UnderWay::new);
        }
    }

    /// Others wait to be written: a chunk of which nothing has left yet does so after them.
    pub(super) fn put_back(&mut self) {
        if let Some(UnderWay { large, .. }) = self.under_way.take_if(|chunk| chunk.sent == 0) {
            self.turn.push_front(large);
        }
    }

    /// So many bytes of the chunk under way were written. Returns its body when the chunk has left.
    pub(super) fn written(&mut self, bytes: usize) -> Option<LargeSend> {
        let mut under_way = self.under_way.take()?;
        if under_way.sent == 0 && bytes > 0 {
            self.note_chunk(&under_way.large);
        }
        under_way.sent += bytes;
        let length = Header::LEN + under_way.large.chunk().len();
        assert!(under_way.sent <= length, "more was written than was pending");
        if under_way.sent < length {
            self.under_way = Some(under_way);
            return None;
        }
        let UnderWay { mut large, .. } = under_way;
        large.pass_chunk();
        Some(large)
    }

    pub(super) fn stream(&mut self) -> u32 {
        self.next_stream = self.next_stream.wrapping_add(1);
        self.next_stream
    }
}

/// Large bodies on their way in.
#[derive(Debug, Default)]
pub(super) struct Assemblies(FxHashMap<u32, Assembly>);

#[derive(Debug)]
struct Assembly {
    header: Header,
    /// Bytes still to come.
    left: usize,
    /// What came so far; nothing if nobody waits for it.
    body: Option<Buffer>,
    descriptors: Vec<Carried>,
}

/// Large bodies on their way in at the same time: a request each for every message under way, and their replies.
const MAX_STREAMS: usize = 1 << 16;

impl Assemblies {
    /// A body begins. Nothing is allocated for what is only announced (H6), nor for what is not `wanted`.
    pub(super) fn begin(
        &mut self,
        header: Header,
        stream: u32,
        total: usize,
        wanted: bool,
        descriptors: Vec<Carried>,
    ) -> Result<(), ProtocolError> {
        let descriptors = if wanted { descriptors } else { Vec::new() };
        let assembly =
            Assembly { header, left: total, body: wanted.then(|| spare::take_for(total)), descriptors };
        let previous = self.0.insert(stream, assembly);
        match previous.is_none() && self.0.len() <= MAX_STREAMS {
            true => Ok(()),
            false => Err(ProtocolError::Stream { stream }),
        }
    }

    /// The next bytes of a body; the header and all bytes when it is whole.
    pub(super) fn chunk(
        &mut self,
        stream: u32,
        bytes: &[u8],
    ) -> Result<Option<(Header, Encoded<'static>)>, ProtocolError> {
        if bytes.is_empty() {
            return Err(ProtocolError::Stream { stream });
        }
        if let Some(body) = self.place(stream, bytes.len())? {
            body.extend_from_slice(bytes);
        }
        Ok(self.arrived(stream, bytes.len()))
    }

    /// Where the next bytes of a body go, `length` of them. None if nobody waits for it.
    pub(super) fn place(&mut self, stream: u32, length: usize) -> Result<Option<&mut Buffer>, ProtocolError> {
        match self.0.get_mut(&stream) {
            Some(assembly) if length <= assembly.left => Ok(assembly.body_for(length)),
            _ => Err(ProtocolError::Stream { stream }),
        }
    }

    /// So many bytes more of a body are in their place. At most as many as were left.
    pub(super) fn arrived(&mut self, stream: u32, length: usize) -> Option<(Header, Encoded<'static>)> {
        let assembly = self.0.get_mut(&stream)?;
        assembly.left -= length;
        if assembly.left > 0 {
            return None;
        }
        let whole = self.0.remove(&stream)?;
        let body = Encoded { bytes: Body::Owned(whole.body?), descriptors: whole.descriptors };
        Some((whole.header, body))
    }
}

impl Assembly {
    /// With room for so many bytes more, and never for more than was announced (H6).
    fn body_for(&mut self, length: usize) -> Option<&mut Buffer> {
        let body = self.body.as_mut()?;
        if body.capacity() - body.len() < length {
            body.reserve_exact(length.max(body.len()).min(self.left));
        }
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_as_large_as_they_may_be_but_for_the_first_from_a_slow_place() {
        let memory = vec![0; 4 * CHUNK_BYTES];
        for skipped in 0..2 * PAGE_BYTES {
            let mut left = &memory[skipped..];
            let mut sizes = Vec::new();
            while !left.is_empty() {
                let bytes = chunk_bytes(left);
                assert!((1..=CHUNK_BYTES).contains(&bytes));
                sizes.push(bytes);
                left = &left[bytes..];
                let place = left.as_ptr() as usize % PAGE_BYTES;
                assert!(left.len() < CHUNK_BYTES || (Header::LEN..=PAGE_BYTES - NEAR_BYTES).contains(&place));
            }
            assert!(
                sizes[1..sizes.len() - 1].iter().all(|bytes| *bytes == CHUNK_BYTES),
                "{skipped}: {sizes:?}"
            );
            assert!(sizes[0] > CHUNK_BYTES - PAGE_BYTES);
        }
    }
}
