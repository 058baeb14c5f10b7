//! What carries the bytes of a pipe: a socket, or memory with injected faults ([`super::memory`]).

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::sys::poll::{self, Interest};
use crate::sys::room::Room;
use crate::sys::socket::{self, Received, Wait};

/// A duplex stream of bytes along which descriptors travel.
pub trait Transport {
    /// Reads bytes into the first room and, when that is full, the second, and takes at most
    /// `max_descriptors` descriptors. 0 bytes are end-of-file.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there and it may not wait; `ConnectionReset` if the peer left bytes unread;
    /// `InvalidInput` if there is no room at all.
    fn recv(&mut self, rooms: &mut [Room<'_>; 2], max_descriptors: usize, wait: Wait)
    -> io::Result<Received>;

    /// Writes what fits of the parts, one after the other; the descriptors go with the first byte.
    ///
    /// # Errors
    /// `WouldBlock` if nothing fits and it may not wait; `BrokenPipe` if nobody reads.
    fn send(
        &mut self,
        parts: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
        wait: Wait,
    ) -> io::Result<usize>;

    /// Waits until [`recv`](Self::recv) has something to say; false if the time is over.
    fn wait_readable(&self, timeout: Option<Duration>) -> io::Result<bool>;

    /// Waits until [`send`](Self::send) has something to say; false if the time is over.
    fn wait_writable(&self, timeout: Option<Duration>) -> io::Result<bool>;

    /// Ends the outgoing direction: the peer reads what was sent, then end-of-file.
    fn shutdown_write(&self) -> io::Result<()>;
}

/// A connected Unix stream socket.
#[derive(Debug)]
pub struct Socket(Arc<OwnedFd>);

impl Socket {
    /// A socket from a descriptor that is one.
    pub fn new(descriptor: OwnedFd) -> Self {
        Socket(Arc::new(descriptor))
    }

    /// A second descriptor for the same socket, close-on-exec.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Socket::new(self.0.try_clone()?))
    }

    /// The descriptor, without taking it.
    pub fn as_owned(&self) -> &OwnedFd {
        &self.0
    }

    /// A share of the descriptor, which stays open as long as somebody has one.
    pub(super) fn share(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.0)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Transport for Socket {
    #[inline]
    fn recv(
        &mut self,
        rooms: &mut [Room<'_>; 2],
        max_descriptors: usize,
        wait: Wait,
    ) -> io::Result<Received> {
        socket::recv_into(self.0.as_fd(), rooms, max_descriptors, wait)
    }

    #[inline]
    fn send(
        &mut self,
        parts: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
        wait: Wait,
    ) -> io::Result<usize> {
        match (parts, descriptors) {
            ([bytes], []) => socket::send(self.0.as_fd(), bytes, wait),
            _ => socket::send_parts(self.0.as_fd(), parts, descriptors, wait),
        }
    }

    fn wait_readable(&self, timeout: Option<Duration>) -> io::Result<bool> {
        poll::poll_one(self.0.as_fd(), Interest::Readable, timeout)
    }

    fn wait_writable(&self, timeout: Option<Duration>) -> io::Result<bool> {
        poll::poll_one(self.0.as_fd(), Interest::Writable, timeout)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        socket::shutdown_write(self.0.as_fd())
    }
}
