//! The receiving half without I/O: bytes go in as they come, whole messages come out.
//!
//! ```text
//!            want(): two rooms             small messages: read ahead, many a system call
//!   driver  <---------------------------  Reader    large ones: read straight into their own vector, or into
//!           --------------------------->     |      a slice of the caller's (`landing`)
//!            handle_read(), handle_end()     |
//!                                            v  take(): a message, or how it ended
//! ```
//!
//! The order of calls: while [`Reader::is_ready`] is false, read into the rooms of [`Reader::want`], the
//! second when the first is full, and tell it with [`Reader::handle_read`], or tell the end with
//! [`Reader::handle_end`]; when it is true, call [`Reader::take`].
//!
//! After a large message the next one is expected to be as long. Its header then goes to the first room and
//! its body to the second, with one call and without a copy. If it is another one after all, the bytes of
//! the second room are put behind the header, and all goes on as if they had been read ahead.
//!
//! The limit is checked as soon as a header is there, before anything is allocated for its body, and a body's
//! vector grows as its bytes arrive, so that a length that lies costs at most [`TRUSTED_BYTES`] (H6).
//!
//! Descriptors belong to the message that holds the last byte of the read they came with. That is exact: the
//! sender writes a message that has descriptors by itself, the kernel delivers them with its first byte, and
//! ends a read where such a write ends.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use super::error::RecvError;
use super::frame::{self, Header, Parsed, SHORT_HEADER_BYTES};
use super::settings::Settings;
use crate::sys::room::Room;

mod landing;

pub use landing::Landing;

/// How much is read ahead. A message that does not fit is large. 64 KiB holds thousands of small messages,
/// and more gains nothing (it is a quarter of the socket's buffer).
pub const AHEAD_BYTES: usize = 64 << 10;
/// What an announced length is trusted with at once; beyond that, a vector doubles as its bytes arrive.
pub const TRUSTED_BYTES: usize = 1 << 20;

/// A whole message.
#[derive(Debug)]
pub struct Message<'a> {
    /// Its body; owned if it was large.
    pub bytes: Cow<'a, [u8]>,
    /// The descriptors that came with it.
    pub descriptors: Vec<OwnedFd>,
}

/// How the stream of bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// End-of-file.
    Closed,
    /// Connection reset: the peer went away and left bytes unread.
    Reset,
}

/// A message larger than the read-ahead buffer, on its way.
#[derive(Debug)]
struct Large {
    header: Header,
    body: Vec<u8>,
    body_bytes: usize,
}

/// Descriptors that came with a message not yet taken.
#[derive(Debug)]
struct Arrival {
    message: u64,
    descriptors: Vec<OwnedFd>,
    lost: bool,
}

/// The receiving state of one end.
#[derive(Debug)]
pub struct Reader {
    settings: Settings,
    /// Bytes from `start` on are not yet taken.
    ahead: Vec<u8>,
    start: usize,
    large: Option<Large>,
    /// The length of the last message's body if it was large, so that the next one may be as long; 0 if not.
    expected_bytes: usize,
    /// For the body of the next large message. It is empty but between a read and [`Self::handle_read`].
    spare: Vec<u8>,
    arrivals: VecDeque<Arrival>,
    /// The number of messages taken, which is the number of the next one.
    taken: u64,
    ending: Option<Ending>,
}

impl Reader {
    /// A reader that has seen nothing.
    pub fn new(settings: Settings) -> Self {
        Reader {
            settings,
            ahead: Vec::new(),
            start: 0,
            large: None,
            expected_bytes: 0,
            spare: Vec::new(),
            arrivals: VecDeque::new(),
            taken: 0,
            ending: None,
        }
    }

    /// A reader that continues where another stopped, given what that one had [unread](Self::unread).
    pub fn resume(settings: Settings, unread: Vec<u8>) -> Self {
        Reader { ahead: unread, ..Reader::new(settings) }
    }

    /// Whether [`Self::take`] has something to say without further bytes.
    #[inline]
    pub fn is_ready(&self) -> bool {
        if let Some(large) = &self.large {
            return large.body.len() == large.body_bytes || self.ending.is_some();
        }
        match self.next_header() {
            Ok(Some(header)) if self.holds(header) => true,
            Ok(_) => self.ending.is_some(),
            Err(_) => true,
        }
    }

    /// Whether the end was seen. No bytes can come after it.
    pub fn has_ended(&self) -> bool {
        self.ending.is_some()
    }

    /// How many bytes came that were not taken.
    pub fn unread_bytes(&self) -> usize {
        let large = self.large.as_ref().map_or(0, |large| large.header.header_bytes + large.body.len());
        large + self.ahead.len() - self.start
    }

    /// Whether descriptors came that were not taken.
    pub fn has_descriptors(&self) -> bool {
        !self.arrivals.is_empty()
    }

    /// What came and was not taken, as it was on the wire.
    pub fn unread(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.unread_bytes());
        if let Some(large) = &self.large {
            bytes.extend_from_slice(frame::encode(large.body_bytes).as_bytes());
            bytes.extend_from_slice(&large.body);
        }
        bytes.extend_from_slice(&self.ahead[self.start..]);
        bytes
    }

    /// Where the next bytes go. To be called only while nothing is ready.
    pub fn want(&mut self) -> [Room<'_>; 2] {
        self.begin_large();
        if self.large.is_none() {
            self.make_room();
        }
        if let Some(large) = &mut self.large {
            let missing = large.body_bytes - large.body.len();
            if large.body.len() == large.body.capacity() {
                large.body.reserve(missing.min(TRUSTED_BYTES.max(large.body.len())));
            }
            return [Room::Append(&mut large.body, missing), Room::none()];
        }
        if self.expected_bytes > 0 && self.ahead.len() < SHORT_HEADER_BYTES {
            let body_bytes = self.expected_bytes.min(TRUSTED_BYTES);
            self.spare.reserve_exact(body_bytes);
            let header_bytes = SHORT_HEADER_BYTES - self.ahead.len();
            return [Room::Append(&mut self.ahead, header_bytes), Room::Append(&mut self.spare, body_bytes)];
        }
        [Room::Append(&mut self.ahead, AHEAD_BYTES), Room::none()]
    }

    /// Takes note of bytes that were read as [`Self::want`] said, and of the descriptors that came with them.
    ///
    /// `lost` says that the kernel had to drop some. More than the settings permit are closed at once.
    pub fn handle_read(&mut self, descriptors: Vec<OwnedFd>, lost: bool) {
        if !self.spare.is_empty() {
            self.settle();
        }
        if descriptors.is_empty() && !lost {
            return;
        }
        let message = self.taken + self.last_message();
        self.handle_descriptors(message, descriptors, lost);
    }

    /// Takes note that nothing more comes.
    pub fn handle_end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }

    /// The next message, or why there is none. To be called only when [ready](Self::is_ready).
    ///
    /// Whole messages come before any error. After [`RecvError::TooLarge`], [`RecvError::BadLength`] and the
    /// endings, the same error comes again.
    ///
    /// # Panics
    /// If it is not ready.
    pub fn take(&mut self) -> Result<Message<'_>, RecvError> {
        if let Some(large) = self.large.take_if(|large| large.body.len() == large.body_bytes) {
            self.expected_bytes = large.body_bytes;
            let descriptors = self.take_descriptors()?;
            let mut body = large.body;
            if body.capacity() / 2 > body.len() {
                // The one before was much longer, and this one may be kept for long.
                body.shrink_to_fit();
            }
            return Ok(Message { bytes: Cow::Owned(body), descriptors });
        }
        if self.large.is_none()
            && let Some(header) = self.next_header()?
            && self.holds(header)
        {
            let begin = self.start + header.header_bytes;
            self.start = begin + small(header);
            self.expected_bytes = if is_large(header) { small(header) } else { 0 };
            let descriptors = self.take_descriptors()?;
            return Ok(Message { bytes: Cow::Borrowed(&self.ahead[begin..self.start]), descriptors });
        }
        let received = self.unread_bytes();
        match self.ending {
            Some(_) if received > 0 => Err(RecvError::Truncated { received }),
            Some(Ending::Closed) => Err(RecvError::Closed),
            Some(Ending::Reset) => Err(RecvError::PeerGone),
            None => panic!("a message was taken before one was there"),
        }
    }

    /// Gives back the vector of a large message, to be filled again.
    pub fn recycle(&mut self, mut vector: Vec<u8>) {
        if vector.capacity() <= TRUSTED_BYTES && vector.capacity() > self.spare.capacity() {
            vector.clear();
            self.spare = vector;
        }
    }

    /// The header at `start`, if it is there and permitted.
    #[inline]
    fn next_header(&self) -> Result<Option<Header>, RecvError> {
        match frame::parse(&self.ahead[self.start..]) {
            Parsed::Incomplete => Ok(None),
            Parsed::Negative(length) => Err(RecvError::BadLength { length }),
            Parsed::Header(header) => {
                let limit = self.settings.message_limit();
                match header.body_bytes > limit as u64 {
                    true => Err(RecvError::TooLarge { length: header.body_bytes, limit }),
                    false => Ok(Some(header)),
                }
            }
        }
    }

    /// Whether the read-ahead buffer holds all of the message with that header.
    #[inline]
    fn holds(&self, header: Header) -> bool {
        self.ahead.len() - self.start - header.header_bytes >= small(header)
    }

    /// Moves a message that does not fit the read-ahead buffer into a vector of its own.
    fn begin_large(&mut self) {
        if self.large.is_some() {
            return;
        }
        let Ok(Some(header)) = self.next_header() else { return };
        let body_bytes = small(header);
        if !is_large(header) || self.holds(header) {
            return;
        }
        let mut body = std::mem::take(&mut self.spare);
        let here = &self.ahead[self.start + header.header_bytes..];
        body.reserve_exact(body_bytes.min(TRUSTED_BYTES.max(here.len())));
        body.extend_from_slice(here);
        self.ahead.clear();
        self.start = 0;
        self.large = Some(Large { header, body, body_bytes });
    }

    /// Decides what the bytes in the spare vector are: the beginning of the large message that was expected,
    /// or anything, which is then as if it had been read ahead.
    fn settle(&mut self) {
        let header = self.next_header().ok().flatten();
        if let Some(header) = header.filter(|header| is_large(*header))
            && self.ahead.len() == header.header_bytes
            && self.spare.len() <= small(header)
        {
            let body = std::mem::take(&mut self.spare);
            self.ahead.clear();
            self.large = Some(Large { header, body, body_bytes: small(header) });
            return;
        }
        self.ahead.extend_from_slice(&self.spare);
        self.spare.clear();
    }

    /// Sees to it that the read-ahead buffer has room for the rest of a small message.
    fn make_room(&mut self) {
        if self.start > 0 {
            // What is left is a part of one small message.
            self.ahead.drain(..self.start);
            self.start = 0;
        }
        // More came than fits when another message was expected.
        self.ahead.shrink_to(AHEAD_BYTES);
        if self.ahead.capacity() < AHEAD_BYTES {
            self.ahead.reserve_exact(AHEAD_BYTES - self.ahead.len());
        }
    }

    /// Keeps the descriptors of a message until it is taken.
    fn handle_descriptors(&mut self, message: u64, descriptors: Vec<OwnedFd>, lost: bool) {
        let limit = self.settings.descriptor_limit();
        if self.arrivals.back().is_none_or(|arrival| arrival.message != message) {
            self.arrivals.push_back(Arrival { message, descriptors: Vec::new(), lost: false });
        }
        let Some(arrival) = self.arrivals.back_mut() else { return };
        arrival.descriptors.extend(descriptors);
        arrival.lost |= lost || arrival.descriptors.len() > limit;
        arrival.descriptors.truncate(limit);
    }

    /// How many messages after the next one the last byte that came belongs to.
    fn last_message(&self) -> u64 {
        let (mut at, mut count) = (self.start, 0);
        if self.large.is_some() {
            return count;
        }
        while let Parsed::Header(header) = frame::parse(&self.ahead[at..]) {
            let Ok(body_bytes) = usize::try_from(header.body_bytes) else { break };
            let next = at.saturating_add(header.header_bytes).saturating_add(body_bytes);
            if next >= self.ahead.len() {
                break;
            }
            (at, count) = (next, count + 1);
        }
        count
    }

    /// Counts a message as taken, and gives its descriptors.
    #[inline]
    fn take_descriptors(&mut self) -> Result<Vec<OwnedFd>, RecvError> {
        let message = self.taken;
        self.taken += 1;
        if self.arrivals.front().is_none_or(|arrival| arrival.message != message) {
            return Ok(Vec::new());
        }
        match self.arrivals.pop_front() {
            Some(Arrival { lost: true, .. }) => {
                Err(RecvError::DescriptorsLost { limit: self.settings.descriptor_limit() })
            }
            arrival => Ok(arrival.map_or_else(Vec::new, |arrival| arrival.descriptors)),
        }
    }
}

/// The body's length, of a header that was checked against a limit that is a `usize`.
#[inline]
fn small(header: Header) -> usize {
    usize::try_from(header.body_bytes).unwrap_or(usize::MAX)
}

/// Whether a message does not fit the read-ahead buffer.
#[inline]
fn is_large(header: Header) -> bool {
    small(header) > AHEAD_BYTES - header.header_bytes
}

#[cfg(test)]
mod tests;
