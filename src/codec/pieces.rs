//! The bytes of an encoded value, of which the large ones stay where their owner has them.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::{lent, spare};
use crate::sys::buffer::Buffer;

/// Bytes to be sent: what was encoded, and between it what was lent.
///
/// They are read from the front as those of any [`Buf`], one piece after the other; what was lent is given back as soon
/// as it was read.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    encoded: Buffer,
    /// How much of `encoded` was read.
    read: usize,
    lent: VecDeque<Lent>,
    /// How much was not read, of both.
    left: usize,
}

/// Comes before the encoded bytes at this place.
#[derive(Debug)]
struct Lent {
    at: usize,
    bytes: Bytes,
}

impl Pieces {
    /// Puts bytes behind the others.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.encoded.extend_from_slice(bytes);
        self.left += bytes.len();
    }

    /// Likewise, without a copy.
    pub(crate) fn push_lent(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.left += bytes.len();
            self.lent.push_back(Lent { at: self.encoded.len(), bytes });
        }
    }
}

impl From<Buffer> for Pieces {
    fn from(encoded: Buffer) -> Self {
        let left = encoded.len();
        Pieces { encoded, read: 0, lent: VecDeque::new(), left }
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        match self.lent.front() {
            Some(lent) if lent.at == self.read => &lent.bytes,
            Some(lent) => &self.encoded[self.read..lent.at],
            None => &self.encoded[self.read..],
        }
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.left, "no more can be read than there is");
        self.left -= count;
        while count > 0 {
            let step = count.min(self.chunk().len());
            match self.lent.front_mut().filter(|lent| lent.at == self.read) {
                Some(lent) if lent.bytes.len() > step => lent.bytes.advance(step),
                Some(_) => self.lent.pop_front().into_iter().for_each(|lent| lent::give_back(lent.bytes)),
                None => self.read += step,
            }
            count -= step;
        }
    }
}

/// Its buffer is spare.
impl Drop for Pieces {
    fn drop(&mut self) {
        self.lent.drain(..).for_each(|lent| lent::give_back(lent.bytes));
        spare::give(std::mem::take(&mut self.encoded));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces() -> Pieces {
        let mut pieces = Pieces::from(Buffer::from(b"ab".to_vec()));
        pieces.push_lent(Bytes::from_static(b"cde"));
        pieces.push_lent(Bytes::from_static(b"f"));
        pieces.push_lent(Bytes::new());
        pieces.push(b"gh");
        pieces.push_lent(Bytes::from_static(b"ij"));
        pieces
    }

    #[test]
    fn pieces_are_read_in_their_order_whatever_is_read_at_once() {
        for step in 1..=10 {
            let mut pieces = pieces();
            let mut read = Vec::new();
            while pieces.has_remaining() {
                assert_eq!(pieces.remaining(), 10 - read.len());
                assert!(!pieces.chunk().is_empty());
                let step = step.min(pieces.chunk().len());
                read.extend_from_slice(&pieces.chunk()[..step]);
                pieces.advance(step);
            }
            assert_eq!((read.as_slice(), pieces.chunk()), (&b"abcdefghij"[..], &b""[..]));
        }
        for skipped in 0..=10 {
            let mut pieces = pieces();
            pieces.advance(skipped);
            assert_eq!(pieces.copy_to_bytes(10 - skipped), b"abcdefghij"[skipped..]);
        }
    }

    #[test]
    fn what_was_lent_is_given_back_as_soon_as_it_was_read() {
        let owner = Bytes::from(vec![7; 100]);
        let mut pieces = Pieces::default();
        pieces.push_lent(owner.clone());
        pieces.push(b"behind");
        assert_eq!(pieces.chunk().as_ptr(), owner.as_ptr(), "no copy");
        pieces.advance(99);
        assert!(!owner.is_unique());
        pieces.advance(1);
        assert!(owner.is_unique());
        assert_eq!(pieces.chunk(), b"behind");
    }
}
