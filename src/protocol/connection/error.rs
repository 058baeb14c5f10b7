//! How a peer can break the protocol.

use crate::id::{Incarnation, ProcessId};
use crate::protocol::control::PreambleError;
use crate::protocol::frame::{FrameError, Kind};

/// The peer broke the protocol: the connection ends, and the peer is to blame (H59).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// What it does with the pipe below the frames.
    #[error("{0}")]
    Pipe(String),
    /// Its bytes are no frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Its first bytes are wrong.
    #[error(transparent)]
    Preamble(#[from] PreambleError),
    /// It is somebody else than the root introduced.
    #[error("it says it is process {process} #{incarnation}, which is not whom the root introduced")]
    Identity {
        /// Who it says it is.
        process: ProcessId,
        /// Which life.
        incarnation: Incarnation,
    },
    /// A frame at a time when there may be none of its kind.
    #[error("a frame of kind {0:?} is not expected now")]
    Unexpected(Kind),
    /// A body that is not what its kind says.
    #[error("the body of a frame of kind {kind:?}: {reason}")]
    Body {
        /// The kind.
        kind: Kind,
        /// What is wrong.
        reason: String,
    },
    /// A channel that is not open, or one too many.
    #[error("channel {0} is not open")]
    Channel(u32),
    /// More than was granted.
    #[error("more was sent on channel {0} than its window allows")]
    Window(u32),
    /// A report about messages that were never sent.
    #[error("a credit on channel {0} for messages that were never sent")]
    Credit(u32),
    /// A correlation that is in use.
    #[error("correlation {0:#x} is in use")]
    Correlation(u64),
    /// A reference to watch an actor that was used before or never given, or one too many.
    #[error("reference {0} was used before, was never given, or is one too many")]
    Reference(u64),
    /// A right that was not presented, out of turn, or one too many.
    #[error("right {1} of channel {0} was not presented, or out of turn, or is one too many")]
    Right(u32, u64),
    /// A chunk of no large body, or too many of one.
    #[error("chunk of stream {stream} that was not announced so")]
    Stream {
        /// The stream.
        stream: u32,
    },
    /// An announced body over the limit.
    #[error("a message of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// What was announced.
        bytes: u32,
        /// The limit.
        limit: u32,
    },
    /// It sends and does not read: what we must answer piles up.
    #[error("it goes on sending and does not read our answers")]
    Unread,
    /// A frame whose descriptors did not come with it, or more of them than it may have, or some that belong to none.
    #[error("a frame announces {announced} descriptors, and {arrived} had come")]
    Descriptors {
        /// By the frame.
        announced: u16,
        /// What was there.
        arrived: usize,
    },
    /// End-of-file within a frame or a large body (H10).
    #[error("the stream ends inside a frame")]
    Cut,
}
