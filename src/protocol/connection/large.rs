//! Large bodies travel in chunks, so that small messages pass between them (M-4, H5).

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::error::ProtocolError;
use crate::codec::Encoded;
use crate::codec::descriptor::Carried;
use crate::protocol::frame::Header;

/// Bodies up to this size travel in one frame; larger ones in chunks of it. A chunk is on the wire for some
/// 10 microseconds, which is what a small message may have to wait.
pub(super) const CHUNK_BYTES: usize = 32 << 10;

/// The next chunk is put into the outgoing bytes when fewer than this many wait there: enough that the kernel gets
/// as much as it takes, little enough that a small message which comes now leaves soon (M-4).
pub(super) const LARGE_AHEAD_BYTES: usize = CHUNK_BYTES;

/// A large body on its way out.
#[derive(Debug)]
pub(super) struct LargeSend {
    pub(super) stream: u32,
    pub(super) body: Vec<u8>,
    pub(super) offset: usize,
    /// The channel that waits behind it; none for a reply.
    pub(super) channel: Option<u32>,
    /// The outgoing message whose end this is, if somebody waits for its reply.
    pub(super) key: Option<u64>,
}

/// Where no small message has left for so many bytes of large ones, these are alone: some ten milliseconds.
const ALONE_BYTES: usize = 16 << 20;

/// The large bodies on their way out, one chunk of each in turn.
#[derive(Debug, Default)]
pub(super) struct LargeSends {
    pub(super) turn: VecDeque<LargeSend>,
    /// Bytes of replies among them that are still to be put into the outgoing bytes.
    pub(super) reply_bytes: u64,
    next_stream: u32,
    /// So many more bytes of large ones may leave before they count as alone.
    accompanied: usize,
}

impl LargeSends {
    /// A message that is not large leaves.
    #[inline]
    pub(super) fn note_small(&mut self) {
        self.accompanied = ALONE_BYTES;
    }

    /// So many bytes of a large one leave.
    pub(super) fn note_chunk(&mut self, bytes: usize) {
        self.accompanied = self.accompanied.saturating_sub(bytes);
    }

    /// Whether small messages leave beside large ones.
    pub(super) fn are_accompanied(&self) -> bool {
        !self.turn.is_empty() && self.accompanied > 0
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
    body: Option<Vec<u8>>,
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
        let assembly = Assembly { header, left: total, body: wanted.then(Vec::new), descriptors };
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
        let assembly = self.0.get_mut(&stream).ok_or(ProtocolError::Stream { stream })?;
        if bytes.is_empty() || bytes.len() > assembly.left {
            return Err(ProtocolError::Stream { stream });
        }
        assembly.left -= bytes.len();
        if let Some(body) = &mut assembly.body {
            body.extend_from_slice(bytes);
        }
        if assembly.left > 0 {
            return Ok(None);
        }
        let whole = self.0.remove(&stream);
        Ok(whole.and_then(|whole| {
            let body = Encoded { bytes: whole.body?.into(), descriptors: whole.descriptors };
            Some((whole.header, body))
        }))
    }
}
