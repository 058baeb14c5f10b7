//! Copies between memory of ours and memory that another process may change meanwhile.
//!
//! No reference to shared bytes is ever made, and every access to them is atomic: with a peer that keeps to its own half
//! of the ring there is no race at all, with one that scribbles the bytes are arbitrary, and nothing worse.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

const WORD: usize = size_of::<u64>();

/// From how many bytes on the processor's own copying is faster than words.
#[cfg(target_arch = "x86_64")]
const STRING_BYTES: usize = 256;

/// Copies by the processor's own instruction, where it has one. Whether it has.
///
/// # Safety
/// `from` can be read and `to` written for as many bytes, which do not overlap. What of both is shared lies in one live
/// mapping, and nobody in this process holds a reference to it.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[inline]
unsafe fn string(from: *const u8, to: *mut u8, bytes: usize) -> bool {
    if bytes < STRING_BYTES {
        return false;
    }
    // SAFETY: it reads and writes just what the caller vouches for, and changes the three registers named. The direction flag
    // is clear, as the ABI says. The compiler does not look into it, so to the rest of the program it is what the loops below
    // are: relaxed accesses, byte by byte.
    unsafe {
        std::arch::asm!(
            "rep movsb",
            inout("rcx") bytes => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        );
    }
    true
}

#[cfg(not(target_arch = "x86_64"))]
#[allow(unsafe_code)]
#[inline]
unsafe fn string(_: *const u8, _: *mut u8, _: usize) -> bool {
    false
}

/// Copies `bytes` to `to`.
///
/// # Safety
/// As many bytes from `to` on lie in one live mapping, and nobody in this process holds a reference to them.
#[allow(unsafe_code)]
pub(super) unsafe fn store(to: NonNull<u8>, bytes: &[u8]) {
    // SAFETY: the caller vouches for `to`, and a slice of ours is no shared memory.
    if unsafe { string(bytes.as_ptr(), to.as_ptr(), bytes.len()) } {
        return;
    }
    let (lead, rest) = bytes.split_at(lead(to, bytes.len()));
    let mut at = to.as_ptr();
    let (words, tail) = rest.as_chunks::<WORD>();
    // SAFETY: `at` advances by exactly the lengths of the parts of `bytes`, so it stays within the range that the
    // caller vouches for. After `lead` it is aligned for words. Atomics of all sizes may be made of any live, aligned
    // memory that is accessed only atomically in this process, which this file alone does.
    unsafe {
        for byte in lead {
            AtomicU8::from_ptr(at).store(*byte, Ordering::Relaxed);
            at = at.add(1);
        }
        for word in words {
            AtomicU64::from_ptr(at.cast()).store(u64::from_ne_bytes(*word), Ordering::Relaxed);
            at = at.add(WORD);
        }
        for byte in tail {
            AtomicU8::from_ptr(at).store(*byte, Ordering::Relaxed);
            at = at.add(1);
        }
    }
}

/// Fills `into` from `from`.
///
/// # Safety
/// As for [`store`].
#[allow(unsafe_code)]
pub(super) unsafe fn load(from: NonNull<u8>, into: &mut [u8]) {
    // SAFETY: as in `store`.
    if unsafe { string(from.as_ptr(), into.as_mut_ptr(), into.len()) } {
        return;
    }
    let (lead, rest) = into.split_at_mut(lead(from, into.len()));
    let mut at = from.as_ptr();
    let (words, tail) = rest.as_chunks_mut::<WORD>();
    // SAFETY: as in `store`, with the parts of `into`.
    unsafe {
        for byte in lead {
            *byte = AtomicU8::from_ptr(at).load(Ordering::Relaxed);
            at = at.add(1);
        }
        for word in words {
            *word = AtomicU64::from_ptr(at.cast()).load(Ordering::Relaxed).to_ne_bytes();
            at = at.add(WORD);
        }
        for byte in tail {
            *byte = AtomicU8::from_ptr(at).load(Ordering::Relaxed);
            at = at.add(1);
        }
    }
}

/// How many bytes lie before the first whole word.
fn lead(at: NonNull<u8>, length: usize) -> usize {
    at.as_ptr().align_offset(WORD).min(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(unsafe_code)]
    fn every_offset_and_length_arrives_and_nothing_else_is_touched() {
        let pattern: Vec<u8> = (1..=255).cycle().take(1024).collect();
        let lengths = (0..48).chain([255, 256, 257, 600, 1000]);
        for offset in 0..16 {
            for length in lengths.clone() {
                let mut memory = vec![0_u64; 256];
                let start = NonNull::new(memory.as_mut_ptr().cast::<u8>()).expect("memory");
                let mut read = vec![0; length];
                // SAFETY: 2048 bytes of the vector, which outlives the calls and is not used meanwhile.
                unsafe {
                    let at = start.add(offset);
                    store(at, &pattern[..length]);
                    load(at, &mut read);
                }
                let bytes: Vec<u8> = memory.iter().flat_map(|word| word.to_ne_bytes()).collect();
                let mut expected = vec![0; 2048];
                expected[offset..offset + length].copy_from_slice(&pattern[..length]);
                assert_eq!((read.as_slice(), bytes), (&pattern[..length], expected));
            }
        }
    }
}
