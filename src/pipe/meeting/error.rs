//! What can go wrong when strangers meet.

use std::io;

use super::address::Address;
use crate::pipe::error::{RecvError, SendError};

/// Why nobody can listen at an address.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there. Choose another address, or end that program.
    #[error("somebody is listening at {address}")]
    InUse {
        /// The address.
        address: Address,
    },
    /// There is a file at this path that is no socket. It is not touched.
    #[error("the file at {address} is no socket")]
    NotASocket {
        /// The address.
        address: Address,
    },
    /// The operating system refused: a missing directory, no permission, a path of more than 107 bytes.
    #[error("can't listen at {address}: {source}")]
    Io {
        /// The address.
        address: Address,
        /// Why.
        source: io::Error,
    },
}

/// Why a connection was not accepted. The listener goes on: each of these but `Io` is the fault of one peer.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Nobody connected in time.
    #[error("nobody has connected")]
    Empty,
    /// The peer's user may not connect.
    #[error("a process {pid} of the user {uid} connected, who may not")]
    Refused {
        /// The peer's process.
        pid: i32,
        /// Its user.
        uid: u32,
    },
    /// The peer does not know the key, or went away while it was asked.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The operating system refused: no free descriptors.
    #[error("a connection can't be accepted: {0}")]
    Io(#[source] io::Error),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is nothing at this address.
    #[error("nothing is at {address}")]
    NotFound {
        /// The address.
        address: Address,
    },
    /// There is a socket file, and nobody listens: the listener has died.
    #[error("nobody is listening at {address}")]
    Refused {
        /// The address.
        address: Address,
    },
    /// The listener's user is not the one that was asked for.
    #[error("a process {pid} of the user {uid} is listening, who was not expected")]
    Stranger {
        /// The listener's process.
        pid: i32,
        /// Its user.
        uid: u32,
    },
    /// The listener does not know the key, does not accept ours, or went away.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The operating system refused.
    #[error("can't connect to {address}: {source}")]
    Io {
        /// The address.
        address: Address,
        /// Why.
        source: io::Error,
    },
}

/// Why two strangers do not trust one another.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The peer's answer to our challenge is wrong: it has another key.
    #[error("the peer's digest is wrong; it has another key")]
    WrongDigest,
    /// The peer says that our answer is wrong: it has another key.
    #[error("the peer rejected our digest; it has another key")]
    Rejected,
    /// The peer wants, or answers with, a digest that is unknown or was forbidden.
    #[error("the peer uses the digest {name:?}, which is unknown here or not permitted")]
    Digest {
        /// Its name.
        name: String,
    },
    /// The peer says something else than the protocol: perhaps it expects no key.
    #[error("the peer does not speak the protocol of challenges; perhaps it expects no key")]
    Protocol,
    /// The peer sent our own challenge back, to have us answer it.
    #[error("the peer sent our own challenge back to us")]
    Reflected,
    /// The peer did not answer in time.
    #[error("the peer did not answer the challenge in time")]
    Timeout,
    /// The peer went away, or broke the frame.
    #[error("no answer to the challenge: {0}")]
    Recv(#[source] RecvError),
    /// The peer went away.
    #[error("the challenge can't be sent: {0}")]
    Send(#[source] SendError),
    /// No random bytes could be had.
    #[error("no random bytes for a challenge: {0}")]
    Random(String),
}
