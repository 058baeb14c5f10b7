//! Wakes a thread that polls descriptors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use super::socket::{self, Wait};

/// One side wakes, from any thread, the other polls. Many wakes are one.
#[derive(Debug)]
pub struct Wake {
    reader: OwnedFd,
    writer: OwnedFd,
    /// Whether a byte is on its way, so that a busy waker makes no system call.
    awake: AtomicBool,
}

impl Wake {
    /// Nobody is woken yet.
    pub fn new() -> io::Result<Wake> {
        let (reader, writer) = socket::pair()?;
        Ok(Wake { reader, writer, awake: AtomicBool::new(false) })
    }

    /// Makes the descriptor readable. Never blocks.
    pub fn wake(&self) {
        if !self.awake.swap(true, Ordering::AcqRel) {
            // The pipe is empty but for this byte, so it can't be full; and its reader lives as long as we.
            let _ = socket::send(self.writer.as_fd(), &[0], Wait::No);
        }
    }

    /// Takes the wake. To be called before looking for what there is to do: a waker that finds the flag still set
    /// has put its work where that look finds it.
    pub fn clear(&self) {
        // The other order would swallow the byte of a wake in between and leave the flag set, for ever.
        let _ = socket::recv(self.reader.as_fd(), &mut [0; 16], Wait::No);
        self.awake.store(false, Ordering::Release);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
