//! Buffers that begin where the processor copies fast.
//!
//! The kernel and the C library copy with `rep movsb`. Some processors do that ten times slower if the destination begins
//! less than 32 bytes further into its page than the source into its own: AMD's Zen 3 copies 2 instead of 30 GB/s then. The
//! kernel keeps what is on its way through a socket at the beginnings of pages, with some bytes of ours before a body, and
//! allocators put large blocks 16 bytes behind the beginning of one. So a large buffer begins in the middle of a page here,
//! and a small one at the beginning of a cache line, as what the kernel holds of small messages does.

use std::ops::{Deref, DerefMut};

/// Bytes in one piece, as a `Vec<u8>`.
#[derive(Default)]
pub struct Buffer {
    /// The bytes, behind what was skipped.
    whole: Vec<u8>,
    /// How much was skipped to begin at a good place.
    skipped: usize,
}

/// Where a copy is slow is told by places within pages.
pub const PAGE_BYTES: usize = 4 << 10;
const LINE_BYTES: usize = 64;

/// Buffers of so many bytes begin in the middle of a page.
const LARGE_BYTES: usize = 16 << 10;

impl Buffer {
    /// None, without room for any: nothing is allocated.
    pub const fn new() -> Buffer {
        Buffer { whole: Vec::new(), skipped: 0 }
    }

    /// None, with room for so many.
    pub fn with_capacity(bytes: usize) -> Buffer {
        let mut buffer = Buffer::new();
        buffer.grow(bytes);
        buffer
    }

    /// How many bytes there is room for, in all.
    pub fn capacity(&self) -> usize {
        self.whole.capacity() - self.skipped
    }

    /// Makes room for so many more bytes, and no others.
    pub fn reserve_exact(&mut self, more: usize) {
        if self.capacity() - self.len() < more {
            self.grow(self.len() + more);
        }
    }

    /// Has room for so many bytes in all. What is held stays where it is if the allocator can have it so.
    fn grow(&mut self, capacity: usize) {
        let (step, place) = match capacity {
            0 => return,
            1..LARGE_BYTES => (LINE_BYTES, 0),
            LARGE_BYTES.. => (PAGE_BYTES, PAGE_BYTES / 2),
        };
        self.whole.reserve_exact((capacity + step).saturating_sub(self.whole.len()));
        let skipped = (place + step - self.whole.as_ptr() as usize % step) % step;
        let held = self.skipped..self.whole.len();
        self.whole.resize(held.end.max(skipped + held.len()), 0);
        self.whole.copy_within(held.clone(), skipped);
        self.whole.truncate(skipped + held.len());
        self.skipped = skipped;
    }

    /// How many bytes are allocated.
    pub fn allocated(&self) -> usize {
        self.whole.capacity()
    }

    /// Puts bytes behind the others.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        if self.capacity() - self.len() < bytes.len() {
            self.grow((self.len() + bytes.len()).max(2 * self.capacity()));
        }
        self.whole.extend_from_slice(bytes);
    }

    /// So many bytes: zeros behind the others, or without the last.
    pub fn resize(&mut self, bytes: usize) {
        self.reserve_exact(bytes.saturating_sub(self.len()));
        self.whole.resize(self.skipped + bytes, 0);
    }

    /// Without the bytes behind so many.
    pub fn truncate(&mut self, bytes: usize) {
        self.whole.truncate(self.skipped.saturating_add(bytes));
    }

    /// None, with as much room.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// A vector at whose end the bytes end: to append to it, within its capacity.
    pub fn as_tail(&mut self) -> &mut Vec<u8> {
        &mut self.whole
    }
}

/// Where they are, without a copy.
impl From<Vec<u8>> for Buffer {
    fn from(whole: Vec<u8>) -> Self {
        Buffer { whole, skipped: 0 }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.whole[self.skipped..]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.whole[self.skipped..]
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Buffer) -> bool {
        **self == **other
    }
}

impl Eq for Buffer {}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&**self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(buffer: &Buffer) -> usize {
        buffer.as_ptr() as usize % PAGE_BYTES
    }

    #[test]
    fn large_buffers_begin_in_the_middle_of_a_page_and_small_ones_with_a_line_however_they_grew() {
        let mut buffer = Buffer::new();
        let mut same = Vec::new();
        while buffer.len() < 3_000_000 {
            let more = vec![u8::try_from(buffer.len() % 256).expect("a byte"); 1 + buffer.len() / 3];
            match buffer.len() % 2 {
                0 => buffer.extend_from_slice(&more),
                _ => {
                    buffer.reserve_exact(more.len());
                    assert!(buffer.as_tail().capacity() - buffer.as_tail().len() >= more.len());
                    buffer.as_tail().extend_from_slice(&more);
                }
            }
            same.extend_from_slice(&more);
            assert_eq!(place(&buffer) % LINE_BYTES, 0);
            if buffer.capacity() > LARGE_BYTES + PAGE_BYTES {
                assert_eq!(place(&buffer), PAGE_BYTES / 2);
            }
        }
        assert_eq!(*buffer, *same);
        let capacity = buffer.capacity();
        buffer.truncate(5);
        buffer.resize(7);
        assert_eq!(*buffer, [&same[..5], &[0, 0]].concat());
        buffer.clear();
        assert_eq!((buffer.len(), buffer.capacity()), (0, capacity));
    }

    #[test]
    fn no_more_room_is_made_than_was_asked_for() {
        for bytes in [0, 1, 100, LARGE_BYTES, 1_000_000] {
            let mut buffer = Buffer::with_capacity(bytes);
            assert!((bytes..=bytes + PAGE_BYTES).contains(&buffer.capacity()));
            buffer.resize(bytes);
            buffer.reserve_exact(0);
            assert!(buffer.capacity() <= bytes + PAGE_BYTES);
        }
    }

    #[test]
    fn a_vector_stays_where_it_is() {
        let vector = vec![7; 100_000];
        let begin = vector.as_ptr();
        let mut buffer = Buffer::from(vector);
        assert_eq!((buffer.as_ptr(), buffer.len()), (begin, 100_000));
        buffer.truncate(usize::MAX);
        assert_eq!(buffer.len(), 100_000);
    }
}
