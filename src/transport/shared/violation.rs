//! What a peer can do wrong with shared memory and its bell, beside writing wrong frames.

use std::io;

use crate::sys::ring::Broken;

/// The peer is to blame. It travels within an [`io::Error`] of the kind `InvalidData`, as a [`Wire`](crate::transport::wire::Wire) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Its indices are impossible.
    #[error("shared memory: {0}")]
    Ring(#[from] Broken),
    /// What it wrote to the socket is no ring of the bell and no batch.
    #[error("its bell says {0}")]
    Record(u8),
    /// Descriptors that belong to a byte that can't be there, or out of order.
    #[error("its descriptors belong to byte {0}, which is out of order")]
    Position(u64),
    /// Fewer descriptors came than it announced.
    #[error("it announced descriptors that did not come")]
    MissingDescriptors,
    /// Descriptors came that belong to nothing.
    #[error("descriptors came that belong to no byte")]
    UnclaimedDescriptors,
}

impl From<Violation> for io::Error {
    fn from(violation: Violation) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, violation)
    }
}
