//! A large message on its way straight into a slice of the caller's, without I/O.
//!
//! ```text
//!   begin_landing()  ->  while want_landing() gives rooms: handle_landed()  ->  end_landing()
//!
//!   Expecting  --header-->  Coming  --last byte-->  whole
//!       |                     |
//!       +-- another length, a slice too short, end-of-file, an error -->  given back
//! ```
//!
//! Until it ends, the header is in the read-ahead buffer and what came of the body in the slice. Whatever goes
//! another way than hoped is mended by one step: the slice's bytes are put behind the header, and all goes on
//! as if they had been read ahead. So nothing is lost, whoever gives up and when.

use std::os::fd::OwnedFd;

use super::{Reader, is_large, small};
use crate::pipe::error::RecvError;
use crate::pipe::frame::SHORT_HEADER_BYTES;
use crate::sys::room::Room;

/// How far a message has come into a slice.
#[derive(Debug)]
pub struct Landing {
    state: State,
    /// How much of the slice has bytes.
    filled: usize,
}

#[derive(Debug)]
enum State {
    /// The header is not there as a whole, and nothing of the body.
    Expecting {
        /// How much of the header is there.
        header_bytes: usize,
        /// How much of the slice may be filled with what follows the header.
        most: usize,
    },
    /// A body of that length, which is not more than the slice has.
    Coming { body_bytes: usize },
    /// It goes another way.
    GivenBack,
}

impl Reader {
    /// Begins to receive into that slice, if the header of a large message is there that fits it, or a large
    /// message is expected. To be called only while nothing is ready. The same slice must be given until
    /// [the end](Self::end_landing), and nothing else be done with the reader until then.
    pub fn begin_landing(&mut self, target: &mut [u8]) -> Option<Landing> {
        if self.large.is_some() {
            return None;
        }
        match self.next_header().ok()? {
            Some(header) if is_large(header) && small(header) <= target.len() => {
                let body = self.start + header.header_bytes;
                let filled = self.ahead.len() - body;
                target[..filled].copy_from_slice(&self.ahead[body..]);
                self.ahead.truncate(body);
                Some(Landing { state: State::Coming { body_bytes: small(header) }, filled })
            }
            None if self.unread_bytes() < SHORT_HEADER_BYTES => {
                let most = self.expected_bytes.min(target.len());
                self.make_room();
                let header_bytes = self.ahead.len();
                (most > 0).then_some(Landing { state: State::Expecting { header_bytes, most }, filled: 0 })
            }
            _ => None,
        }
    }

    /// Where the next bytes go; `None` if it is over, whole or not.
    pub fn want_landing<'a>(&'a mut self, landing: &Landing, target: &'a mut [u8]) -> Option<[Room<'a>; 2]> {
        match landing.state {
            State::Expecting { header_bytes, most } => {
                let missing = SHORT_HEADER_BYTES - header_bytes;
                Some([Room::Append(&mut self.ahead, missing), Room::Fill(&mut target[..most])])
            }
            State::Coming { body_bytes } if landing.filled < body_bytes => {
                Some([Room::Fill(&mut target[landing.filled..body_bytes]), Room::none()])
            }
            State::Coming { .. } | State::GivenBack => None,
        }
    }

    /// Takes note of so many bytes that were read as [`Self::want_landing`] said, and of the descriptors that
    /// came with them, as [`Self::handle_read`] does.
    pub fn handle_landed(
        &mut self,
        landing: &mut Landing,
        target: &[u8],
        bytes: usize,
        descriptors: Vec<OwnedFd>,
        lost: bool,
    ) {
        match landing.state {
            State::Expecting { header_bytes, most } => {
                let came = header_bytes + bytes;
                landing.filled = came.saturating_sub(SHORT_HEADER_BYTES);
                landing.state = State::Expecting { header_bytes: came.min(SHORT_HEADER_BYTES), most };
                self.handle_header(landing, target);
            }
            State::Coming { .. } => landing.filled += bytes,
            State::GivenBack => debug_assert!(false, "nothing is read into a slice that was given back"),
        }
        if descriptors.is_empty() && !lost {
            return;
        }
        let later = match landing.state {
            State::GivenBack => self.last_message(),
            State::Expecting { .. } | State::Coming { .. } => 0,
        };
        self.handle_descriptors(self.taken + later, descriptors, lost);
    }

    /// Finds out what has begun to come.
    fn handle_header(&mut self, landing: &mut Landing, target: &[u8]) {
        match self.next_header() {
            Ok(Some(header)) if (landing.filled..=target.len()).contains(&small(header)) => {
                landing.state = State::Coming { body_bytes: small(header) };
            }
            Ok(None) if self.ahead.len() < SHORT_HEADER_BYTES => {}
            _ => self.give_back(landing, target),
        }
    }

    /// The length of the message that is whole in the slice, which is taken then; `None` if it is not.
    ///
    /// # Errors
    /// [`RecvError::DescriptorsLost`]; the message is taken.
    pub fn end_landing(&mut self, mut landing: Landing, target: &[u8]) -> Result<Option<usize>, RecvError> {
        let State::Coming { body_bytes } = landing.state else {
            return Ok(None);
        };
        if landing.filled < body_bytes {
            self.give_back(&mut landing, target);
            return Ok(None);
        }
        let header = self.next_header()?;
        self.expected_bytes = if header.is_some_and(is_large) { body_bytes } else { 0 };
        self.ahead.clear();
        self.start = 0;
        self.take_descriptors()?;
        Ok(Some(body_bytes))
    }

    fn give_back(&mut self, landing: &mut Landing, target: &[u8]) {
        self.ahead.extend_from_slice(&target[..landing.filled]);
        *landing = Landing { state: State::GivenBack, filled: 0 };
    }
}
