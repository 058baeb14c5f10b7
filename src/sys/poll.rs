//! Waiting until descriptors can be read or written. Interruptions by signals do not show.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Bytes, a connection, the end of a process, or end-of-file.
    Readable,
    /// Room for bytes.
    Writable,
    /// One of the two.
    Either,
}

/// Waits until at least one of the descriptors is ready, and says for each whether it is.
///
/// End-of-file and errors count as ready: the next call on that descriptor tells them. `None` waits for ever;
/// zero only looks.
///
/// # Errors
/// `InvalidInput` if one of the numbers is no open descriptor; what else poll(2) says.
pub fn poll(descriptors: &[(BorrowedFd<'_>, Interest)], timeout: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut entries: Vec<_> = descriptors.iter().map(|&(fd, interest)| entry(fd, interest)).collect();
    poll_until_ready(&mut entries, timeout)?;
    entries.iter().map(is_ready).collect()
}

/// As [`poll`] for one descriptor, without allocating.
pub fn poll_one(fd: BorrowedFd<'_>, interest: Interest, timeout: Option<Duration>) -> io::Result<bool> {
    let mut entries = [entry(fd, interest)];
    poll_until_ready(&mut entries, timeout)?;
    is_ready(&entries[0])
}

fn entry(fd: BorrowedFd<'_>, interest: Interest) -> PollFd<'_> {
    let flags = match interest {
        Interest::Readable => PollFlags::POLLIN,
        Interest::Writable => PollFlags::POLLOUT,
        Interest::Either => PollFlags::POLLIN | PollFlags::POLLOUT,
    };
    PollFd::new(fd, flags)
}

fn is_ready(entry: &PollFd<'_>) -> io::Result<bool> {
    let flags = entry.revents().unwrap_or(PollFlags::empty());
    if flags.contains(PollFlags::POLLNVAL) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "one of the descriptors is not open"));
    }
    Ok(!flags.is_empty())
}

fn poll_until_ready(entries: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    // A deadline that can't be represented is further away than any process lives.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = deadline
            .map(|deadline| TimeSpec::from_duration(deadline.saturating_duration_since(Instant::now())));
        match ppoll(entries, left, None) {
            Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::socket;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_ready_is_told_apart() {
        let (left, right) = socket::pair().expect("pair");
        let interests = [(left.as_fd(), Interest::Readable), (right.as_fd(), Interest::Readable)];
        assert_eq!(poll(&interests, Some(Duration::ZERO)).expect("poll"), [false, false]);
        socket::send(left.as_fd(), b"x", socket::Wait::Yes).expect("send");
        assert_eq!(poll(&interests, None).expect("poll"), [false, true]);
        assert!(poll_one(left.as_fd(), Interest::Writable, None).expect("poll"));
        let full = |socket| while socket::send(socket, &[0; 4096], socket::Wait::No).is_ok() {};
        full(left.as_fd());
        assert!(!poll_one(left.as_fd(), Interest::Either, Some(Duration::ZERO)).expect("poll"));
        socket::send(right.as_fd(), b"x", socket::Wait::Yes).expect("send");
        assert!(poll_one(left.as_fd(), Interest::Either, Some(Duration::ZERO)).expect("poll"));
    }

    #[test]
    fn end_of_file_is_ready() {
        let (left, right) = socket::pair().expect("pair");
        drop(right);
        assert!(poll_one(left.as_fd(), Interest::Readable, None).expect("poll"));
    }
}
