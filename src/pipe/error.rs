//! What can go wrong at an end of a pipe: one enum for each operation.

use std::fmt;
use std::io;

use crate::codec;

/// Why a message did not go out.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nobody reads the other end any more, and nothing of this message was written. Messages that it sent
    /// before can still be received.
    #[error("the peer has closed its end of the pipe")]
    PeerGone,
    /// The message is larger than this end may send. Send it in parts, or raise the limit on both sides.
    #[error("the message is larger than the limit of {limit} bytes; raise it in the settings of both ends")]
    TooLarge {
        /// This end's limit.
        limit: usize,
    },
    /// The message has more descriptors than this end may send.
    #[error("the message has more than {limit} descriptors")]
    TooManyDescriptors {
        /// This end's limit.
        limit: usize,
    },
    /// Its `Serialize` implementation failed: the sender's fault. Nothing was sent.
    #[error("the message can't be encoded: {reason}")]
    Encode {
        /// What the serializer said.
        reason: String,
    },
    /// An earlier write failed in the middle of a message, so that nothing sent now would be understood.
    /// Close the pipe.
    #[error("an earlier message was written in part only; the pipe can't be sent through any more")]
    Poisoned,
    /// This end was closed for sending by `half_close`: wrong use.
    #[error("this end was closed for sending")]
    HalfClosed,
    /// The operating system refused the write.
    #[error("the pipe can't be written to: {0}")]
    Io(#[source] io::Error),
}

/// Why [`try_send`](crate::pipe::End::try_send) did not take the message.
#[derive(Debug, thiserror::Error)]
pub enum TrySendError {
    /// The pipe is full. Nothing of the message was written: try again when the peer has read.
    #[error("the pipe is full")]
    Full,
    /// It will not be taken later either.
    #[error(transparent)]
    Failed(#[from] SendError),
}

/// A message that was not sent, given back with the reason.
///
/// Converts into the reason, so that `?` works in a function that returns [`SendError`].
pub struct Unsent<M, E = SendError> {
    /// The message.
    pub message: M,
    /// Why it was not sent.
    pub error: E,
}

impl<M, E: fmt::Debug> fmt::Debug for Unsent<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsent").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<M, E: fmt::Display> fmt::Display for Unsent<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<M, E: std::error::Error + 'static> std::error::Error for Unsent<M, E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl<M> From<Unsent<M>> for SendError {
    fn from(unsent: Unsent<M>) -> Self {
        unsent.error
    }
}

impl<M> From<Unsent<M, TrySendError>> for TrySendError {
    fn from(unsent: Unsent<M, TrySendError>) -> Self {
        unsent.error
    }
}

/// Why no message was received.
#[derive(Debug, thiserror::Error)]
pub enum RecvError {
    /// End-of-file where a message would begin: the peer closed its end, or half of it. The orderly end.
    #[error("the peer has closed the pipe")]
    Closed,
    /// The peer went away while messages for it were unread. Everything it had sent was received first.
    #[error("the peer is gone, and had not read everything that was sent to it")]
    PeerGone,
    /// End-of-file inside a message: the peer died while it wrote, or is no pipe end. The part is lost.
    #[error("the pipe ended inside a message, after {received} of its bytes, headers included")]
    Truncated {
        /// Bytes of the message that had come.
        received: usize,
    },
    /// The peer announced a message larger than this end permits: its fault, or a limit set too low. Nothing
    /// was allocated for it, and nothing can be received after it.
    #[error("the peer announced a message of {length} bytes, more than the limit of {limit}")]
    TooLarge {
        /// What was announced.
        length: u64,
        /// This end's limit.
        limit: usize,
    },
    /// The peer announced a negative length: its fault. Nothing can be received after it.
    #[error("the peer announced a message of {length} bytes; it does not speak the protocol of pipes")]
    BadLength {
        /// What was announced.
        length: i32,
    },
    /// The message is no value of the expected type: the two sides disagree. It is consumed, and the next one
    /// can be received.
    #[error("the message can't be decoded: {0}")]
    Decode(#[source] DecodeError),
    /// More descriptors came with the message than this end takes, or than this process has room for. Those
    /// that did arrive are closed, the message is consumed, and the next one can be received.
    #[error(
        "descriptors of the message were lost; at most {limit} are taken, and the process may be out of them"
    )]
    DescriptorsLost {
        /// This end's limit.
        limit: usize,
    },
    /// The operating system refused the read.
    #[error("the pipe can't be read from: {0}")]
    Io(#[source] io::Error),
}

impl RecvError {
    /// Whether the peer is gone for good and everything whole that it sent was received.
    pub fn is_end(&self) -> bool {
        matches!(self, RecvError::Closed | RecvError::PeerGone)
    }
}

/// Why a message's bytes are no value of the expected type.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// In bincode.
    #[error(transparent)]
    Bincode(#[from] codec::DecodeError),
    /// In JSON.
    #[error("the bytes are no {type_name}: {reason}")]
    Json {
        /// The Rust type that was asked for.
        type_name: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

/// Why [`try_recv`](crate::pipe::End::try_recv) or [`recv_timeout`](crate::pipe::End::recv_timeout) has
/// nothing.
#[derive(Debug, thiserror::Error)]
pub enum TryRecvError {
    /// No whole message has come, or not in time.
    #[error("no message has come")]
    Empty,
    /// None will come, or this one was bad.
    #[error(transparent)]
    Failed(#[from] RecvError),
}

/// Why [`recv_bytes_into`](crate::pipe::End::recv_bytes_into) did not fill the buffer.
#[derive(Debug, thiserror::Error)]
pub enum RecvIntoError {
    /// The buffer is shorter than the message, which is given back whole.
    #[error("the buffer of {room} bytes is too short for a message of {} bytes", message.len())]
    BufferTooShort {
        /// The message.
        message: Vec<u8>,
        /// The length of the buffer.
        room: usize,
    },
    /// As in `recv_bytes`.
    #[error(transparent)]
    Failed(#[from] RecvError),
}
