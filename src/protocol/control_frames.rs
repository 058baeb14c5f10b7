//! How control messages become bytes on the control pipe and come back, without I/O.
//!
//! For the launcher in the root and the control thread in the worker, which own the sockets. Not for data
//! pipes, whose frames know credits and priorities. The layout is drawn in [`super::control`].
//!
//! Descriptors travel beside the bytes. The kernel hands them over with the first byte of the frame that they
//! were sent with, never later, and never joins two sendings that both carry some; so a queue suffices, and
//! each frame's header says how many of the queue are its own. [`Decoder`] is generic over what a descriptor
//! is, so that its tests need none; whatever it drops is closed by its type.

use std::collections::VecDeque;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::control::{MAX_CONTROL_FRAME_BYTES, Preamble, PreambleError};
use crate::codec::{self, DecodeError, EncodeError};

/// Why the bytes of a control pipe are no messages. The pipe is of no use after it; the sender is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// It does not begin as Procession does, or not in our version.
    #[error(transparent)]
    Preamble(#[from] PreambleError),
    /// A frame claims more than a frame may have.
    #[error("the other side announced a control frame of {announced} bytes; at most {limit} are allowed")]
    TooLong {
        /// What its header says.
        announced: u32,
        /// What is allowed.
        limit: u32,
    },
    /// A frame came whole, and is no message.
    #[error("the other side sent a control frame that can't be read: {0}")]
    Message(#[from] DecodeError),
    /// A frame claims descriptors that did not come.
    #[error("the other side announced {announced} descriptors with a control frame, and {arrived} came")]
    MissingDescriptors {
        /// What its header says.
        announced: u8,
        /// What there was.
        arrived: usize,
    },
    /// Descriptors came that no frame claims.
    #[error("the other side sent {count} descriptors that no control frame announced")]
    UnclaimedDescriptors {
        /// How many.
        count: usize,
    },
    /// The kernel dropped descriptors on the way, because this process may have no more of them.
    #[error("descriptors were lost on the way: this process has no free ones; raise its limit of open files")]
    LostDescriptors,
    /// The pipe ended within a frame (H10).
    #[error("the control pipe ended {got} bytes into a frame: the other side died while it wrote")]
    Torn {
        /// How much of the frame had come, its header counted.
        got: usize,
    },
}

/// Appends one frame to `out`, with the count of the descriptors that will go with its first byte.
///
/// # Errors
/// If the message is over [`MAX_CONTROL_FRAME_BYTES`]; `out` is then as it was.
pub fn encode_into<T: Serialize>(message: &T, descriptors: u8, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, descriptors]);
    let encoded = codec::encode_into(message, out, MAX_CONTROL_FRAME_BYTES as usize);
    if let Err(error) = encoded {
        out.truncate(start);
        return Err(error);
    }
    let length = u32::try_from(out.len() - start - HEADER_BYTES).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Turns one direction of a control pipe into messages.
///
/// Call [`handle_bytes`](Self::handle_bytes) with what one read brought, then [`poll_message`](Self::poll_message)
/// until it gives `None`, and [`handle_end`](Self::handle_end) at end-of-file. After an error every further call
/// gives the same error.
#[derive(Debug)]
pub struct Decoder<T, D> {
    state: State,
    bytes: Vec<u8>,
    /// How much of `bytes` was taken already.
    taken: usize,
    descriptors: VecDeque<D>,
    message: PhantomData<fn() -> T>,
}

/// ```text
///  Greeting --preamble--> Frames --handle_end--> (no further calls)
///      |                    |
///      +------error---------+---> Failed
/// ```
#[derive(Debug)]
enum State {
    Greeting,
    Frames,
    Failed(ControlError),
}

const HEADER_BYTES: usize = 5;

/// Space that was taken is given back when it is over this: rarer would hold memory, oftener would copy a lot.
const COMPACT_BYTES: usize = 64 << 10;

impl<T: DeserializeOwned, D> Decoder<T, D> {
    /// At the start of a direction.
    pub fn new() -> Self {
        Decoder {
            state: State::Greeting,
            bytes: Vec::new(),
            taken: 0,
            descriptors: VecDeque::new(),
            message: PhantomData,
        }
    }

    /// Whether the other side has said that it is Procession.
    pub fn is_greeted(&self) -> bool {
        matches!(self.state, State::Frames)
    }

    /// Takes what one read brought. `truncated` says that the kernel dropped descriptors (`MSG_CTRUNC`).
    pub fn handle_bytes(&mut self, bytes: &[u8], descriptors: impl IntoIterator<Item = D>, truncated: bool) {
        if matches!(self.state, State::Failed(_)) {
            return;
        }
        if self.taken >= COMPACT_BYTES || self.taken == self.bytes.len() {
            self.bytes.drain(..self.taken);
            self.bytes.shrink_to(self.bytes.len().max(COMPACT_BYTES));
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
        self.descriptors.extend(descriptors);
        if truncated {
            self.fail(ControlError::LostDescriptors);
        }
    }

    /// The next message that is whole, with its descriptors.
    ///
    /// # Errors
    /// What the sender did wrong.
    pub fn poll_message(&mut self) -> Result<Option<(T, Vec<D>)>, ControlError> {
        let stepped = self.step();
        if let Err(error) = &stepped {
            self.fail(error.clone());
        }
        stepped
    }

    /// Checks that the pipe did not end within a frame. Whole messages must have been polled before.
    ///
    /// A direction that ends before its preamble is [`ControlError::Torn`] only if some bytes came.
    pub fn handle_end(&mut self) -> Result<(), ControlError> {
        match (&self.state, self.bytes.len() - self.taken) {
            (State::Failed(error), _) => Err(error.clone()),
            (_, 0) => Ok(()),
            (_, got) => {
                let error = ControlError::Torn { got };
                self.fail(error.clone());
                Err(error)
            }
        }
    }

    fn step(&mut self) -> Result<Option<(T, Vec<D>)>, ControlError> {
        match &self.state {
            State::Failed(error) => return Err(error.clone()),
            State::Frames => {}
            State::Greeting => {
                if !self.greet()? {
                    return Ok(None);
                }
            }
        }
        let rest = &self.bytes[self.taken..];
        let Some((header, rest)) = rest.split_first_chunk::<HEADER_BYTES>() else {
            return self.check_unclaimed(rest.is_empty());
        };
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        if length > MAX_CONTROL_FRAME_BYTES {
            return Err(ControlError::TooLong { announced: length, limit: MAX_CONTROL_FRAME_BYTES });
        }
        let announced = header[4];
        if self.descriptors.len() < usize::from(announced) {
            // They come with the frame's first byte, so they are not merely late.
            return Err(ControlError::MissingDescriptors { announced, arrived: self.descriptors.len() });
        }
        let Some(body) = rest.get(..length as usize) else {
            return Ok(None);
        };
        let message = codec::decode(body)?;
        self.taken += HEADER_BYTES + body.len();
        let descriptors = self.descriptors.drain(..usize::from(announced)).collect();
        Ok(Some((message, descriptors)))
    }

    /// Takes the preamble, if it is whole. Wrong magic is refused at its first wrong byte, since a program that
    /// is not ours may never send twelve.
    fn greet(&mut self) -> Result<bool, ControlError> {
        let ours = Preamble::ours();
        let magic = self.bytes.len().min(super::control::MAGIC.len());
        if self.bytes[..magic] != ours[..magic] {
            return Err(PreambleError::Magic.into());
        }
        let Some(preamble) = self.bytes.first_chunk::<{ Preamble::LEN }>() else {
            return Ok(false);
        };
        Preamble::check(preamble)?;
        self.taken = Preamble::LEN;
        self.state = State::Frames;
        Ok(true)
    }

    /// Between two frames nothing may be queued: it would be taken for a later frame's.
    fn check_unclaimed(&self, between: bool) -> Result<Option<(T, Vec<D>)>, ControlError> {
        match self.descriptors.len() {
            count if between && count > 0 => Err(ControlError::UnclaimedDescriptors { count }),
            _ => Ok(None),
        }
    }

    fn fail(&mut self, error: ControlError) {
        self.state = State::Failed(error);
        self.bytes = Vec::new();
        self.taken = 0;
        self.descriptors.clear();
    }
}

impl<T: DeserializeOwned, D> Default for Decoder<T, D> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
