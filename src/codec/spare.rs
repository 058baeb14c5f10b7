//! Large buffers that are used again.
//!
//! The first write to a new page costs a microsecond, and allocators give large buffers back to the kernel as soon as they
//! are free, so a body of a mebibyte in a new buffer costs more pages than copies. What has held a large body waits here
//! for the next one, in this process: a few, within [`SPARE_BYTES`].

use std::sync::{Mutex, PoisonError};

use crate::sys::buffer::Buffer;

/// What waits in all, by capacity. `procession check` counts it for each process.
pub const SPARE_BYTES: usize = 4 << 20;

/// Smaller ones stay with the allocator, which is faster.
const LEAST_BYTES: usize = 32 << 10;

static SPARE: Mutex<Spare> = Mutex::new(Spare { buffers: Vec::new(), bytes: 0 });

struct Spare {
    buffers: Vec<Buffer>,
    bytes: usize,
}

/// An empty buffer with room for so many bytes, the smallest that waits. Nothing is allocated: if none waits that is large
/// enough, it has no room at all.
pub(crate) fn take(bytes: usize) -> Buffer {
    take_within(bytes, usize::MAX)
}

/// The same, for bytes of which there will be no more, and which may be kept: with room for twice as many at most.
pub(crate) fn take_for(bytes: usize) -> Buffer {
    take_within(bytes, bytes.saturating_mul(2))
}

fn take_within(least: usize, most: usize) -> Buffer {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner).take(least, most)
}

/// The buffer is needed no more.
pub(crate) fn give(buffer: Buffer) {
    if buffer.capacity() >= LEAST_BYTES {
        let surplus = SPARE.lock().unwrap_or_else(PoisonError::into_inner).give(buffer);
        drop(surplus);
    }
}

impl Spare {
    fn take(&mut self, least: usize, most: usize) -> Buffer {
        let fits = |buffer: &Buffer| (least..=most).contains(&buffer.capacity());
        let fitting = self.buffers.iter().enumerate().filter(|(_, buffer)| fits(buffer));
        let Some((at, _)) = fitting.min_by_key(|(_, buffer)| buffer.capacity()) else { return Buffer::new() };
        let buffer = self.buffers.swap_remove(at);
        self.bytes -= buffer.allocated();
        buffer
    }

    /// Returns what there is no room for: the smallest, since these cost least to make anew.
    fn give(&mut self, mut buffer: Buffer) -> Vec<Buffer> {
        buffer.clear();
        self.bytes += buffer.allocated();
        self.buffers.push(buffer);
        let mut surplus = Vec::new();
        while self.bytes > SPARE_BYTES {
            let smallest = self.buffers.iter().enumerate().min_by_key(|(_, buffer)| buffer.capacity());
            // One that is larger than all that may wait goes itself, and takes no other with it.
            let huge = self.buffers.iter().position(|buffer| buffer.allocated() > SPARE_BYTES);
            let Some(at) = huge.or(smallest.map(|(at, _)| at)) else { break };
            let gone = self.buffers.swap_remove(at);
            self.bytes -= gone.allocated();
            surplus.push(gone);
        }
        surplus
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spare() -> Spare {
        Spare { buffers: Vec::new(), bytes: 0 }
    }

    #[test]
    fn what_was_given_is_taken_again_the_smallest_that_fits() {
        let mut spare = spare();
        for bytes in [100_000, 1_000_000, 300_000] {
            assert!(spare.give(Buffer::with_capacity(bytes)).is_empty());
        }
        assert_eq!(spare.take(400_000, 800_000).capacity(), 0, "too large, and one that is too small");
        let fitting = spare.take(200_000, 1 << 30);
        assert!((300_000..1_000_000).contains(&fitting.capacity()));
        assert_eq!(spare.take(2_000_000, 1 << 30).capacity(), 0, "nothing is allocated");
        assert_eq!(spare.bytes, spare.buffers.iter().map(Buffer::allocated).sum::<usize>());
    }

    #[test]
    fn m3_no_more_waits_than_may() {
        let mut spare = spare();
        for round in 0..100_usize {
            let mut used = Buffer::with_capacity(50_000 + round * 40_000);
            used.extend_from_slice(&[7]);
            spare.give(used);
            assert!(spare.bytes <= SPARE_BYTES);
            assert_eq!(spare.bytes, spare.buffers.iter().map(Buffer::allocated).sum::<usize>());
        }
        assert!(!spare.buffers.is_empty());
        let waiting = spare.buffers.len();
        let gone = spare.give(Buffer::with_capacity(SPARE_BYTES + 1));
        assert_eq!((gone.len(), spare.buffers.len()), (1, waiting), "one that is too large goes alone");
        assert!(spare.take(1, 1 << 30).is_empty());
    }
}
