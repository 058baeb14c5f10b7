//! What the bytes of a connection move over. The driver knows no more of a pipe than this.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::sys::room::Room;

/// One end of a duplex byte stream that carries descriptors, used from one thread.
///
/// Nothing here blocks: what can't be done now is [`io::ErrorKind::WouldBlock`], and [`readable`](Wire::readable) or
/// [`writable`](Wire::writable) resolve when it is worth trying again. A peer that is gone is end-of-file for the
/// reader, after all that it had sent, and `BrokenPipe` or `ConnectionReset` for the writer (H9).
pub trait Wire {
    /// Takes what fits of `bytes`, which are not empty. The descriptors go with the first of them, all or, on an
    /// error, none.
    ///
    /// # Errors
    /// `WouldBlock`; the peer is gone, or, as `InvalidData`, to blame; what the system says.
    fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize>;

    /// As [`send`](Wire::send), with more bytes behind the first. Who can't gather takes of the first alone.
    ///
    /// # Errors
    /// As there.
    fn send_with_tail(&self, bytes: &[u8], tail: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let _ = tail;
        self.send(bytes, descriptors)
    }

    /// Reads what is there, into the first room and, when that is full, the second, which have some; 0 is end-of-file. Descriptors that came with the bytes, or before, are appended in the
    /// order in which they were sent, and never later than the bytes they were sent with.
    ///
    /// # Errors
    /// `WouldBlock`; the peer is gone, or, as `InvalidData`, to blame; what the system says.
    fn recv_into(&self, rooms: &mut [Room<'_>; 2], arrivals: &mut Arrivals) -> io::Result<usize>;

    /// As [`recv_into`](Wire::recv_into), into one place.
    ///
    /// # Errors
    /// As there.
    fn recv(&self, room: &mut [u8], arrivals: &mut Arrivals) -> io::Result<usize> {
        self.recv_into(&mut [Room::Fill(room), Room::none()], arrivals)
    }

    /// Whether [`recv`](Wire::recv) would find something now, end-of-file and errors included, or `send`, after it had
    /// said `WouldBlock`, would take something. Called many times before a thread sleeps, so it must cost little.
    fn has_news(&self) -> bool;

    /// Whether what comes is sent by somebody else than who reads it.
    fn has_peer(&self) -> bool {
        true
    }

    /// False if [`recv`](Wire::recv) would find nothing now, as far as that is known without asking the kernel.
    fn may_have_news(&self) -> bool {
        true
    }

    /// Holds less of what was sent and not read, or as much as it did at first: so that what comes later passes sooner.
    /// A hint, and for throughput no gift.
    fn set_shallow(&self, _shallow: bool) {}

    /// The thread is about to sleep: from now on news must wake it, until the next `recv`. True if there is news
    /// already; then it must not sleep.
    fn before_sleep(&self) -> bool;

    /// Resolves when `recv` may find something. Cancel safe.
    fn readable(&self) -> impl Future<Output = io::Result<()>>;

    /// Resolves when `send` may take something, after it had said `WouldBlock`. Cancel safe.
    fn writable(&self) -> impl Future<Output = io::Result<()>>;
}

/// What one read brought beside the bytes.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// The descriptors.
    pub descriptors: Vec<OwnedFd>,
    /// Whether more were sent together with the last of these than this process had room for (H14).
    pub lost: bool,
}

impl Arrivals {
    /// Whether nothing was sent beside the bytes.
    pub fn is_empty(&self) -> bool {
        self.descriptors.is_empty() && !self.lost
    }

    /// Adds what came later.
    pub fn append(&mut self, later: Arrivals) {
        self.descriptors.extend(later.descriptors);
        self.lost |= later.lost;
    }
}
