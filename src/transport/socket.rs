//! The bytes of a connection over a socket.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use tokio::io::Interest;

use super::duplex::Duplex;
use super::turn;
use super::wire::{Arrivals, Wire};
use crate::sys::poll;
use crate::sys::room::Room;
use crate::sys::socket::{self, MAX_DESCRIPTORS, Wait};

/// One end of a socketpair. Dropping it closes it.
#[derive(Debug)]
pub struct SocketWire {
    socket: Duplex,
    /// What the kernel holds, when it is not to hold less.
    deep_bytes: usize,
    /// The kernel took nothing of the last send, so room is news.
    is_full: Cell<bool>,
    /// The last receive may have left something, so others of this thread come first.
    has_more: Cell<bool>,
}

/// What a shallow socket asks the kernel to hold; it takes twice as much. With 8 KiB small requests pass large bodies in
/// two to three times their idle time, with 16 mostly in three, with 32 in four to nine.
const SHALLOW_BYTES: usize = 8 << 10;

impl SocketWire {
    /// Watches the socket in the runtime of this thread.
    ///
    /// # Errors
    /// When it can't be watched.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub fn new(socket: OwnedFd) -> io::Result<SocketWire> {
        let deep_bytes = socket::send_buffer(socket.as_fd())?;
        let socket = Duplex::new(socket)?;
        Ok(SocketWire { socket, deep_bytes, is_full: Cell::new(false), has_more: Cell::new(false) })
    }

    #[cfg(test)]
    pub(super) fn socket(&self) -> &Duplex {
        &self.socket
    }

    /// Calls the kernel, and remembers whether it had room.
    fn attempt_to_send(&self, call: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>) -> io::Result<usize> {
        let sent = call(self.socket.as_fd());
        let is_full = sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        self.is_full.set(is_full);
        if !is_full {
            self.socket.found_room();
        }
        sent
    }

    /// The kernel said that there is no more for now: what was known of readiness is over. To be told again, this
    /// must be said of what was known before the call, so the call is made within.
    fn attempt_to_read(
        &self,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<(usize, More)>,
    ) -> io::Result<usize> {
        let mut outcome = None;
        let _ = self.socket.reading().try_io(Interest::READABLE, |socket| -> io::Result<()> {
            let result = call(socket.as_fd());
            let exhausted = match &result {
                Ok((_, more)) => *more == More::No,
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            };
            outcome = Some(result);
            if exhausted { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        // Not known to be readable, but whoever peeked may know better.
        let result = outcome.unwrap_or_else(|| call(self.socket.as_fd()));
        result.map(|(bytes, _)| bytes)
    }
}

/// Whether the kernel may have more to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    Maybe,
    No,
}

impl Wire for SocketWire {
    fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.attempt_to_send(|socket| socket::send_with_descriptors(socket, bytes, descriptors, Wait::No))
    }

    fn send_with_tail(&self, bytes: &[u8], tail: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        if tail.is_empty() {
            return self.send(bytes, descriptors);
        }
        let parts = [IoSlice::new(bytes), IoSlice::new(tail)];
        self.attempt_to_send(|socket| socket::send_parts(socket, &parts, descriptors, Wait::No))
    }

    fn recv_into(&self, rooms: &mut [Room<'_>; 2], arrivals: &mut Arrivals) -> io::Result<usize> {
        self.attempt_to_read(|socket| {
            let received = socket::recv_into(socket, rooms, MAX_DESCRIPTORS, Wait::No)?;
            let beside = received.truncated || !received.descriptors.is_empty();
            arrivals.descriptors.extend(received.descriptors);
            arrivals.lost |= received.truncated;
            let more = match received.bytes {
                // End-of-file stays readable.
                0 => More::Maybe,
                // The kernel ends a read where descriptors begin, so a short one proves nothing then.
                _ if beside => More::Maybe,
                _ if rooms.iter().any(|room| room.bytes() > 0) => More::No,
                _ => More::Maybe,
            };
            self.has_more.set(more == More::Maybe && received.bytes > 0);
            Ok((received.bytes, more))
        })
    }

    fn has_news(&self) -> bool {
        if self.is_full.get() {
            let looked = poll::poll_one(self.socket.as_fd(), poll::Interest::Either, Some(Duration::ZERO));
            return looked.unwrap_or(true);
        }
        let mut byte = [0];
        match socket::peek(self.socket.as_fd(), &mut byte, Wait::No) {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    fn set_shallow(&self, shallow: bool) {
        let bytes = if shallow { SHALLOW_BYTES.min(self.deep_bytes) } else { self.deep_bytes };
        // It goes on with what it has if the kernel won't.
        let _ = socket::set_send_buffer(self.socket.as_fd(), bytes);
    }

    fn before_sleep(&self) -> bool {
        // The runtime sleeps in epoll, which knows.
        false
    }

    async fn readable(&self) -> io::Result<()> {
        if self.has_more.take() {
            turn::yield_once().await;
        }
        // The driver alone waits for it, again and again: one place for its waker costs less than a list of those who wait.
        poll_fn(|context| self.socket.reading().poll_read_ready(context)).await?.retain_ready();
        Ok(())
    }

    async fn writable(&self) -> io::Result<()> {
        self.socket.has_room().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn h09_what_was_sent_before_an_end_with_unread_input_is_read_first() {
        let (ours, theirs) = socket::pair().expect("a pair");
        let wire = SocketWire::new(ours).expect("watched");
        socket::send(theirs.as_fd(), b"last words", Wait::No).expect("room");
        assert_eq!(wire.send(b"never read", &[]).expect("room"), 10);
        drop(theirs);
        let (mut room, mut arrivals) = ([0; 64], Arrivals::default());
        assert_eq!(wire.recv(&mut room, &mut arrivals).expect("data first"), 10);
        let reset = wire.recv(&mut room, &mut arrivals).expect_err("then once this");
        assert!(socket::is_peer_gone(&reset), "{reset}");
        assert_eq!(wire.recv(&mut room, &mut arrivals).expect("then the end"), 0);
    }
}
