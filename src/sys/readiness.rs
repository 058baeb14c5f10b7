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

/// Watches a descriptor for reading only.
///
/// # Panics
/// Outside a tokio runtime with I/O.
pub fn watch_readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    register(descriptor, Interest::READABLE)
}

/// Watches a descriptor for writing only.
///
/// # Panics
/// Outside a tokio runtime with I/O.
pub fn watch_writable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    register(descriptor, Interest::WRITABLE)
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

/// As [`watch`], of a descriptor that others hold, too, and for an interest of the caller's; outside a tokio runtime an
/// error and no panic.
///
/// # Errors
/// When this thread is in no tokio runtime, or the descriptor can't be watched.
///
/// # Panics
/// If the runtime was built without its I/O driver.
#[allow(unsafe_code)]
pub fn watch_shared(descriptor: Arc<OwnedFd>, interest: Interest) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(io::Error::other("this must be called within a tokio runtime"));
    }
    // SAFETY: the AsyncFd owns a share of the OwnedFd, which never changes its number and is closed with its last
    // share, so it stays open until the registration ends.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}
