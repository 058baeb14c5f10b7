//! Frames of one rank that wait to be written.

use std::collections::VecDeque;

use super::transmit::Transmit;
use crate::codec::descriptor::Carried;
use crate::protocol::frame::Header;

/// Whole frames, the first of which the kernel may have in part.
#[derive(Debug, Default)]
pub(super) struct Lane {
    buffer: Vec<u8>,
    /// The bytes before this were written.
    head: usize,
    /// Some place where a frame ends, at or after which the search for the one at `head` goes on.
    boundary: usize,
    /// Where frames begin that have descriptors, and these, until they have left.
    attached: VecDeque<(usize, Vec<Carried>)>,
}

/// Buffers that grew larger than this for once are given back when they are empty.
const KEEP_BYTES: usize = 256 << 10;

impl Lane {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head == self.buffer.len()
    }

    /// How many bytes wait.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.buffer.len() - self.head
    }

    /// Where the waiting bytes begin.
    #[inline]
    pub(super) fn head(&self) -> usize {
        self.head
    }

    /// Where they end.
    #[inline]
    pub(super) fn end(&self) -> usize {
        self.buffer.len()
    }

    /// The waiting bytes before this end, but only as far as the next frame that has descriptors: they go with its
    /// first byte.
    pub(super) fn until(&self, end: usize) -> Transmit<'_> {
        let (now, next) = match self.attached.front() {
            None => return Transmit { bytes: &self.buffer[self.head..end], tail: &[], descriptors: &[] },
            Some((at, descriptors)) if *at == self.head => (descriptors.as_slice(), self.attached.get(1)),
            first => (&[][..], first),
        };
        let end = next.map_or(end, |(at, _)| end.min(*at));
        Transmit { bytes: &self.buffer[self.head..end], tail: &[], descriptors: now }
    }

    /// The frame that begins here has these descriptors. Frames are given theirs in order.
    #[inline]
    pub(super) fn attach(&mut self, at: usize, descriptors: Vec<Carried>) {
        if !descriptors.is_empty() {
            self.attached.push_back((at, descriptors));
        }
    }

    /// Closes the descriptors that have not left.
    pub(super) fn drop_descriptors(&mut self) {
        self.attached.clear();
    }

    /// To append whole frames to, and to change those that wait.
    #[inline]
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Appends bytes that are no frame, to an empty lane.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.boundary = self.buffer.len();
    }

    /// Where the first frame ends that has begun to leave; the head, if none has.
    ///
    /// Looks at each frame once, and only when somebody asks: where one lane has everything, nobody does.
    pub(super) fn boundary(&mut self) -> usize {
        while self.boundary < self.head {
            let length = self.buffer[self.boundary..].first_chunk().expect("a lane holds whole frames");
            self.boundary += Header::LEN + u32::from_le_bytes(*length) as usize;
        }
        self.boundary
    }

    /// The first bytes were written. Returns how many bytes before the rest were given up: every index is less by
    /// so many from now on.
    pub(super) fn written(&mut self, bytes: usize) -> usize {
        assert!(bytes <= self.len(), "more was written than was pending");
        if bytes > 0 && self.attached.front().is_some_and(|(at, _)| *at == self.head) {
            self.attached.pop_front();
        }
        self.head += bytes;
        let gone = self.head;
        if self.is_empty() {
            self.buffer.clear();
            if self.buffer.capacity() > KEEP_BYTES {
                self.buffer = Vec::new();
            }
            self.boundary = 0;
        } else if self.head > KEEP_BYTES {
            self.boundary = self.boundary() - gone;
            self.buffer.drain(..gone);
        } else {
            return 0;
        }
        self.head = 0;
        self.attached.iter_mut().for_each(|(at, _)| *at -= gone);
        gone
    }
}
