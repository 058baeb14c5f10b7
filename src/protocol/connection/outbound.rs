//! The bytes that wait to be written: frames are encoded straight into them.

use serde::Serialize;

use crate::codec;
use crate::protocol::frame::{Header, Kind};

/// Frames in the order in which they leave, and how far the kernel has taken them.
///
/// A position is the number of bytes that were ever put before it, so that it can be said of any frame whether
/// the kernel has it whole ([`Outbound::has_left`]).
#[derive(Debug, Default)]
pub(super) struct Outbound {
    buffer: Vec<u8>,
    /// The bytes before this were written.
    head: usize,
    /// The position of `buffer[0]`.
    base: u64,
}

/// Buffers that grew larger than this for once are given back when they are empty.
const KEEP_BYTES: usize = 256 << 10;

impl Outbound {
    pub(super) fn pending(&self) -> &[u8] {
        &self.buffer[self.head..]
    }

    pub(super) fn written(&mut self, bytes: usize) {
        assert!(bytes <= self.buffer.len() - self.head, "more was written than was pending");
        self.head += bytes;
        if self.head == self.buffer.len() {
            self.base += self.head as u64;
            self.head = 0;
            self.buffer.clear();
            if self.buffer.capacity() > KEEP_BYTES {
                self.buffer = Vec::new();
            }
        } else if self.head > KEEP_BYTES {
            self.buffer.drain(..self.head);
            self.base += self.head as u64;
            self.head = 0;
        }
    }

    /// Where the next frame will begin.
    pub(super) fn position(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    /// Whether the kernel has taken everything before this position.
    pub(super) fn has_left(&self, position: u64) -> bool {
        position <= self.base + self.head as u64
    }

    /// Appends bytes that are no frame: the preamble.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends a frame whose body is at hand; its length is filled in.
    pub(super) fn frame(&mut self, header: Header, body: &[u8]) {
        let length = u32::try_from(body.len()).expect("a frame's body is at most MAX_FRAME_BYTES");
        self.buffer.extend_from_slice(&Header { length, ..header }.to_bytes());
        self.buffer.extend_from_slice(body);
    }

    /// Appends a frame whose body is one of our own small structures.
    pub(super) fn frame_of<B: Serialize>(&mut self, header: Header, body: &B) {
        let bytes = codec::encode(body, crate::protocol::frame::MAX_FRAME_BYTES as usize)
            .expect("our own structures encode, and their parts have limits");
        self.frame(header, &bytes);
    }

    /// Encodes a message behind a header and returns how long it is. On failure nothing was appended.
    ///
    /// The frame must then be finished with [`finish`](Self::finish) or taken back with
    /// [`take_back`](Self::take_back).
    pub(super) fn begin<M: Serialize + ?Sized>(
        &mut self,
        value: &M,
        limit_bytes: usize,
    ) -> Result<Begun, codec::EncodeError> {
        let at = self.buffer.len();
        self.buffer.resize(at + Header::LEN, 0);
        if let Err(error) = codec::encode_into(value, &mut self.buffer, limit_bytes) {
            self.buffer.truncate(at);
            return Err(error);
        }
        Ok(Begun { at, length: self.buffer.len() - at - Header::LEN })
    }

    pub(super) fn finish(&mut self, begun: Begun, header: Header) {
        let length = u32::try_from(begun.length).expect("only bodies of frame size are finished");
        let bytes = Header { length, ..header }.to_bytes();
        self.buffer[begun.at..begun.at + Header::LEN].copy_from_slice(&bytes);
    }

    pub(super) fn take_back(&mut self, begun: Begun) -> Vec<u8> {
        let body = self.buffer[begun.at + Header::LEN..].to_vec();
        self.buffer.truncate(begun.at);
        body
    }

    /// Changes the `extra` of a frame that begins at this position, if none of it has left.
    pub(super) fn patch_extra(&mut self, begins: u64, extra: u32) {
        let Some(at) = begins.checked_sub(self.base).and_then(|at| usize::try_from(at).ok()) else {
            return;
        };
        if at >= self.head && at + Header::LEN <= self.buffer.len() {
            let field = at + Header::EXTRA_AT;
            self.buffer[field..field + 4].copy_from_slice(&extra.to_le_bytes());
        }
    }

    pub(super) fn control(&mut self, kind: Kind, correlation: u64, channel: u32) {
        self.frame(Header { correlation, channel, ..Header::new(kind) }, &[]);
    }
}

/// A frame whose header is not yet written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    at: usize,
    pub(super) length: usize,
}
