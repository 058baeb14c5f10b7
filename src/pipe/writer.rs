//! The sending half without I/O: messages go in, bytes come out, in as many pieces as the socket takes.
//!
//! ```text
//!   push()  ->  | sent | ... message | message | message ... |  ->  chunk()  ->  the socket
//!                      ^ a chunk ends before a message with descriptors,
//!                        and such a message is a chunk by itself
//! ```
//!
//! The order of calls: [`Writer::push`] as often as wanted; then, while [`Writer::chunk`] gives bytes, write
//! them and tell with [`Writer::handle_sent`] how many were taken, or with [`Writer::handle_failed`] that
//! none ever will be.
//!
//! The writer owns the bytes and the offset (H11): who gives up waiting leaves them here, and the next one to
//! send continues where they stopped. What fails in the middle of a message poisons the writer.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use super::error::SendError;
use super::frame::{self, Header, Parsed, SHORT_HEADER_BYTES};
use super::settings::Settings;

/// An outgoing buffer larger than this is given back to the allocator when it is empty.
const KEPT_BYTES: usize = 1 << 20;

/// Bytes to be written, and the descriptors that go with the first of them.
#[derive(Debug)]
pub struct Chunk<'a> {
    /// The bytes. None means that there is nothing to write.
    pub bytes: &'a [u8],
    /// The descriptors.
    pub descriptors: &'a [OwnedFd],
}

/// Where the writer was before a push.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

/// A message that has descriptors.
#[derive(Debug)]
struct Attached {
    begin: usize,
    end: usize,
    descriptors: Vec<OwnedFd>,
}

/// The sending state of one end.
#[derive(Debug)]
pub struct Writer {
    settings: Settings,
    /// Whole messages with their headers, the first of which may be sent in part.
    out: Vec<u8>,
    /// How much of `out` was taken.
    sent: usize,
    attached: VecDeque<Attached>,
    poisoned: bool,
    half_closed: bool,
}

impl Writer {
    /// A writer with nothing to write.
    pub fn new(settings: Settings) -> Self {
        Writer {
            settings,
            out: Vec::new(),
            sent: 0,
            attached: VecDeque::new(),
            poisoned: false,
            half_closed: false,
        }
    }

    /// Whether messages can be sent at all.
    pub fn check(&self) -> Result<(), SendError> {
        match (self.poisoned, self.half_closed) {
            (true, _) => Err(SendError::Poisoned),
            (_, true) => Err(SendError::HalfClosed),
            _ => Ok(()),
        }
    }

    /// Whether a message of that size, with that many descriptors, may be sent.
    pub fn check_size(&self, body_bytes: usize, descriptors: usize) -> Result<(), SendError> {
        self.check()?;
        let (limit, most) = (self.settings.message_limit(), self.settings.descriptor_limit());
        if body_bytes > limit {
            return Err(SendError::TooLarge { limit });
        }
        if descriptors > most {
            return Err(SendError::TooManyDescriptors { limit: most });
        }
        Ok(())
    }

    /// Queues a message.
    pub fn push(&mut self, body: &[u8], descriptors: Vec<OwnedFd>) -> Result<Mark, SendError> {
        self.check_size(body.len(), descriptors.len())?;
        let mark = Mark(self.out.len());
        let header = frame::encode(body.len());
        self.out.reserve(header.as_bytes().len() + body.len());
        self.out.extend_from_slice(header.as_bytes());
        self.out.extend_from_slice(body);
        self.attach(mark, descriptors);
        Ok(mark)
    }

    /// Queues a message whose body `encode` appends, and whose descriptors it returns. If that fails, nothing
    /// is queued.
    pub fn push_with(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<Vec<OwnedFd>, SendError>,
    ) -> Result<Mark, SendError> {
        self.check()?;
        let mark = Mark(self.out.len());
        self.out.extend_from_slice(&[0; SHORT_HEADER_BYTES]);
        let body_begin = self.out.len();
        let encoded = encode(&mut self.out).and_then(|descriptors| {
            let body_bytes = self.out.len() - body_begin;
            self.check_size(body_bytes, descriptors.len()).map(|()| (body_bytes, descriptors))
        });
        match encoded {
            Ok((body_bytes, descriptors)) => {
                let header = frame::encode(body_bytes);
                match header.as_bytes() {
                    short if short.len() == SHORT_HEADER_BYTES => {
                        self.out[mark.0..body_begin].copy_from_slice(short);
                    }
                    long => drop(self.out.splice(mark.0..body_begin, long.iter().copied())),
                }
                self.attach(mark, descriptors);
                Ok(mark)
            }
            Err(error) => {
                self.out.truncate(mark.0);
                Err(error)
            }
        }
    }

    /// Whether bytes wait to be written.
    pub fn is_pending(&self) -> bool {
        self.sent < self.out.len()
    }

    /// How many bytes wait to be written.
    pub fn pending_bytes(&self) -> usize {
        self.out.len() - self.sent
    }

    /// The next bytes to write.
    pub fn chunk(&self) -> Chunk<'_> {
        match self.attached.front() {
            Some(next) if next.begin == self.sent => {
                Chunk { bytes: &self.out[next.begin..next.end], descriptors: &next.descriptors }
            }
            Some(next) => Chunk { bytes: &self.out[self.sent..next.begin], descriptors: &[] },
            None => Chunk { bytes: &self.out[self.sent..], descriptors: &[] },
        }
    }

    /// Takes note that so many bytes of the chunk were taken, and its descriptors if it was at least one.
    pub fn handle_sent(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.attached.front().is_some_and(|first| first.begin < self.sent) {
            self.attached.pop_front();
        }
        debug_assert!(self.sent <= self.out.len(), "more was sent than there is");
        if self.sent == self.out.len() {
            self.sent = 0;
            self.out.clear();
            if self.out.capacity() > KEPT_BYTES {
                self.out = Vec::new();
            }
        }
    }

    /// Takes note that writing failed for good. In the middle of a message this poisons the writer.
    pub fn handle_failed(&mut self) {
        if self.is_pending() && !self.is_at_boundary() {
            self.poison();
        }
    }

    /// Takes the message at the mark, and those after it, back. False if its first byte is gone already.
    pub fn take_back(&mut self, mark: Mark) -> bool {
        // After everything was sent the buffer begins anew, and the mark is of an earlier one.
        if self.out.is_empty() || self.sent > mark.0 {
            return false;
        }
        self.out.truncate(mark.0);
        self.attached.retain(|attached| attached.begin < mark.0);
        self.handle_sent(0);
        true
    }

    /// Says that a message went out in part, and that its rest is lost.
    pub fn poison(&mut self) {
        self.poisoned = true;
        self.out = Vec::new();
        self.sent = 0;
        self.attached.clear();
    }

    /// Says that no more messages will be sent.
    pub fn half_close(&mut self) {
        self.half_closed = true;
    }

    fn attach(&mut self, mark: Mark, descriptors: Vec<OwnedFd>) {
        if !descriptors.is_empty() {
            self.attached.push_back(Attached { begin: mark.0, end: self.out.len(), descriptors });
        }
    }

    /// Whether the next byte to be written begins a message. Walks all of them, so it is for failures only.
    fn is_at_boundary(&self) -> bool {
        let mut at = 0;
        while at < self.sent {
            let Parsed::Header(Header { header_bytes, body_bytes }) = frame::parse(&self.out[at..]) else {
                return false;
            };
            at += header_bytes + usize::try_from(body_bytes).unwrap_or(usize::MAX - at - header_bytes);
        }
        at == self.sent
    }
}

#[cfg(test)]
mod tests;
