//! One buffer for whatever the root's thread reads of its workers' pipes. What is read is taken at once, so that no pipe
//! needs a buffer of its own, and no birth waits for its pages.

use std::cell::RefCell;

/// What one read takes: as much as a pipe holds by default.
pub(super) const READ_BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends a buffer of [`READ_BYTES`] bytes, which hold anything: only those that were read are the reader's. Panics if it is
/// called within itself.
pub(super) fn with<T>(read: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|buffer| {
        buffer.resize(READ_BYTES, 0);
        read(buffer)
    })
}
