//! Descriptors that a tokio runtime watches.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor with the runtime of this thread. It stays open at least as long as it is watched.
///
/// # Errors
/// When this thread is in no tokio runtime, or the descriptor can't be watched.
///
/// # Panics
/// If the runtime was built without its I/O driver.
#[allow(unsafe_code)]
pub fn watch(descriptor: Arc<OwnedFd>, interest: Interest) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(io::Error::other("this must be called within a tokio runtime"));
    }
    // SAFETY: the descriptor must stay open, under the same number, until the AsyncFd is dropped. The AsyncFd
    // owns a share of the OwnedFd, which never changes its number and is closed with its last share.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}
