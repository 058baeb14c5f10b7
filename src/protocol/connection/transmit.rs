//! What is to be written next.

use std::ops::Deref;

use crate::codec::descriptor::Carried;

/// Bytes to be written next, and the descriptors that go with the first of them.
///
/// Once [`handle_transmitted`](super::Connection::handle_transmitted) says that any of the bytes were written, the
/// descriptors are gone too.
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'a> {
    /// The bytes; empty if there is nothing to write.
    pub bytes: &'a [u8],
    /// More bytes, which come behind those: for who can gather.
    pub tail: &'a [u8],
    /// The descriptors, mostly none.
    pub descriptors: &'a [Carried],
}

impl Deref for Transmit<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}
