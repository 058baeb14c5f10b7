//! A socket that is watched for bytes all the time, and for room only while there is none.
//!
//! Who watches a socket for room is told of each message that the peer reads: a process that sleeps until its answer
//! comes would be woken when its question was read, for nothing. So room is a registration of its own, from a write
//! that found none until there is some.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::unix::AsyncFd;

use crate::sys::readiness;

/// One end of a socketpair. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Duplex {
    socket: AsyncFd<OwnedFd>,
    /// While room is waited for: another descriptor of the socket, since epoll knows each but once.
    room: RefCell<Option<AsyncFd<OwnedFd>>>,
}

/// Who can't watch for room, for want of a descriptor or of the kernel's memory, looks again after this.
const UNWATCHED: Duration = Duration::from_millis(1);

impl Duplex {
    /// Watches the socket in the runtime of this thread.
    ///
    /// # Errors
    /// When it can't be watched.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Duplex> {
        Ok(Duplex { socket: readiness::watch_readable(socket)?, room: RefCell::default() })
    }

    /// For reading.
    pub(super) fn reading(&self) -> &AsyncFd<OwnedFd> {
        &self.socket
    }

    /// Resolves when there may be room, to be called when a write found none. For one task. Cancel safe.
    pub(super) async fn has_room(&self) {
        if poll_fn(|context| self.poll_room(context)).await.is_err() {
            tokio::time::sleep(UNWATCHED).await;
        }
    }

    /// A write found some, so nobody waits any more.
    pub(super) fn found_room(&self) {
        if self.room.borrow().is_some() {
            *self.room.borrow_mut() = None;
        }
    }

    fn poll_room(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = self.room.borrow_mut();
        let watched = match room.take() {
            Some(watched) => room.insert(watched),
            // That there has come room since the write is told as well.
            None => room.insert(readiness::watch_writable(self.as_fd().try_clone_to_owned()?)?),
        };
        let told = ready!(watched.poll_write_ready(context)).map(drop);
        *room = None;
        Poll::Ready(told)
    }
}

impl AsFd for Duplex {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::sys::socket::{self, Wait};
    use crate::transport::socket::SocketWire;
    use crate::transport::wire::Wire;

    /// What epolls of this process want to be told of a descriptor, by the bits of `EPOLLIN` and so on.
    fn watched_for(descriptor: BorrowedFd<'_>) -> Vec<u32> {
        let mut masks = Vec::new();
        for entry in std::fs::read_dir("/proc/self/fdinfo").expect("proc").flatten() {
            // Another thread may have closed it.
            for line in std::fs::read_to_string(entry.path()).unwrap_or_default().lines() {
                let words: Vec<&str> = line.split_whitespace().collect();
                if let ["tfd:", number, "events:", mask, ..] = words[..]
                    && number.parse() == Ok(descriptor.as_raw_fd())
                {
                    masks.push(u32::from_str_radix(mask, 16).expect("hexadecimal"));
                }
            }
        }
        masks
    }

    fn wants(descriptor: BorrowedFd<'_>) -> (bool, bool) {
        let masks = watched_for(descriptor);
        // Tokio has several descriptors of its epoll.
        let mask = masks[0];
        assert!(masks.iter().all(|other| *other == mask), "{masks:?}");
        let wants = |events: libc::c_int| mask & events.unsigned_abs() != 0;
        (wants(libc::EPOLLIN), wants(libc::EPOLLOUT))
    }

    /// One look, after the runtime has asked the kernel.
    async fn look<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = tokio::task::yield_now() => None,
        }
    }

    #[tokio::test]
    async fn room_is_watched_for_only_while_there_is_none_and_told_even_if_it_came_before() {
        let (ours, theirs) = socket::pair().expect("a pair");
        let duplex = Duplex::new(ours).expect("watched");
        let fill = || while socket::send(duplex.as_fd(), &[0; 4096], Wait::No).is_ok() {};
        let drain = || while socket::recv(theirs.as_fd(), &mut [0; 4096], Wait::No).is_ok() {};
        for _ in 0..3 {
            assert_eq!(wants(duplex.as_fd()), (true, false));
            assert!(duplex.room.borrow().is_none());
            fill();
            let mut waiting = Box::pin(duplex.has_room());
            assert!(look(&mut waiting).await.is_none(), "it is full");
            assert_eq!(wants(duplex.as_fd()), (true, false), "still");
            let second = duplex.room.borrow().as_ref().map(|room| wants(room.get_ref().as_fd()));
            assert_eq!(second, Some((false, true)));
            drain();
            waiting.await;
            fill();
            drain();
            duplex.has_room().await;
        }
        fill();
        drop(theirs);
        duplex.has_room().await;
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_goes_on_with_the_next() {
        let (ours, theirs) = socket::pair().expect("a pair");
        let duplex = Duplex::new(ours).expect("watched");
        while socket::send(duplex.as_fd(), &[0; 4096], Wait::No).is_ok() {}
        for _ in 0..3 {
            assert!(look(&mut Box::pin(duplex.has_room())).await.is_none(), "it is full");
        }
        while socket::recv(theirs.as_fd(), &mut [0; 4096], Wait::No).is_ok() {}
        duplex.has_room().await;
    }

    #[tokio::test]
    async fn who_finds_room_before_it_is_told_watches_no_more() {
        let (ours, theirs) = socket::pair().expect("a pair");
        let wire = SocketWire::new(ours).expect("watched");
        while wire.send(&[0; 4096], &[]).is_ok() {}
        assert!(look(&mut Box::pin(wire.writable())).await.is_none(), "it is full");
        assert!(wire.socket().room.borrow().is_some());
        while socket::recv(theirs.as_fd(), &mut [0; 4096], Wait::No).is_ok() {}
        assert!(wire.send(&[0; 4096], &[]).is_ok());
        assert!(wire.socket().room.borrow().is_none());
    }
}
