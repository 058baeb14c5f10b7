//! Readiness of owned descriptors under tokio.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a descriptor for reading and writing. It need not be in non-blocking mode, if each call on it says
/// that it must not block (H12).
///
/// # Panics
/// Outside a tokio runtime with I/O.
pub fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    register(descriptor, Interest::READABLE | Interest::WRITABLE)
}

/// Watches a descriptor for reading only: a pidfd, a pipe's reading end.
///
/// # Panics
/// Outside a tokio runtime with I/O.
pub fn watch_readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    register(descriptor, Interest::READABLE)
}

#[allow(unsafe_code)]
fn register(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd keeps its descriptor open and unchanged for as long as it lives, the AsyncFd owns it and
    // lends it only by shared reference, so nobody can close or swap it before the registration ends.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}
