//! Descriptors that a tokio runtime watches.
//!
//! tokio asks its caller to promise that the descriptor stays open; here the types promise it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::io::unix::AsyncFd;

use super::pidfd::Pidfd;

/// Watches an owned descriptor, for reading and writing. Must be called within a tokio runtime.
#[allow(unsafe_code)]
pub fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open and always the same number until it is dropped, and AsyncFd, which owns it now,
    // gives only shared references to it.
    Ok(unsafe { AsyncFd::register(fd) }?)
}

/// Watches a process: readable once it is dead. Must be called within a tokio runtime.
#[allow(unsafe_code)]
pub fn watch_process(pidfd: Arc<Pidfd>) -> io::Result<AsyncFd<Arc<Pidfd>>> {
    // SAFETY: a Pidfd holds one OwnedFd, which it never exchanges, and the Arc keeps it alive.
    Ok(unsafe { AsyncFd::register(pidfd) }?)
}
