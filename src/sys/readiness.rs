//! Readiness of owned descriptors and of processes under tokio.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::pidfd::Pidfd;

/// Watches a descriptor for reading and writing. It need not be in non-blocking mode, if each call on it says
/// that it must not block (H12).
///
/// # Panics
/// Outside a tokio runtime with I/O.
pub fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    register(descriptor, Interest::READABLE | Interest::WRITABLE)
}

/// Watches a descriptor for reading only: a pipe's reading end.
///
/// # Panics
/// Outside a tokio runtime with I/O.
pub fn watch_readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    register(descriptor, Interest::READABLE)
}

/// Watches a process: readable once it is dead.
///
/// # Panics
/// Outside a tokio runtime with I/O.
#[allow(unsafe_code)]
pub fn watch_process(pidfd: Arc<Pidfd>) -> io::Result<AsyncFd<Arc<Pidfd>>> {
    // SAFETY: a Pidfd holds one OwnedFd, which it never exchanges, and the Arc keeps it alive and lends it only by
    // shared reference.
    Ok(unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }?)
}

#[allow(unsafe_code)]
fn register(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd keeps its descriptor open and unchanged for as long as it lives, the AsyncFd owns it and
    // lends it only by shared reference, so nobody can close or swap it before the registration ends.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}
