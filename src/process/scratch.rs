//! One buffer for whatever the root's thread reads of its workers' pipes. What is read is taken at once, so that no pipe
//! needs a buffer of its own, and no birth waits for its pages.

use std::cell::RefCell;

/// What one read takes: as much as a pipe holds by default.
pub(super) const READ_BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Has [`READ_BYTES`] bytes written, which may be anything before, and taken. Not to be called within itself.
pub(super) fn with<T>(read: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|buffer| {
        buffer.resize(READ_BYTES, 0);
        read(buffer)
    })
}
