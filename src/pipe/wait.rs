//! Waiting for many ends, processes and other descriptors at once.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::end::End;
use crate::sys::poll::{self, Interest};

/// Something that can be waited for.
///
/// Implemented for the ends of pipes, for [`Listener`](super::Listener), for the descriptors of the standard
/// library, and, through [`Sentinel`], for whatever else has one.
pub trait Waitable {
    /// The descriptor that becomes readable.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Whether there is something to take that the kernel does not know of any more.
    fn is_ready(&self) -> bool {
        false
    }
}

/// Anything that has a descriptor, as something to wait for: a pidfd, which becomes readable when its process
/// ends, a timerfd, another library's socket.
#[derive(Clone, Copy, Debug)]
pub struct Sentinel<F>(pub F);

impl<F: AsFd> Waitable for Sentinel<F> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<Out, In> Waitable for End<Out, In> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    fn is_ready(&self) -> bool {
        self.connection.reader.is_ready()
    }
}

macro_rules! waitable {
    ($($type:ty),* $(,)?) => {
        $(impl Waitable for $type {
            fn descriptor(&self) -> BorrowedFd<'_> {
                self.as_fd()
            }
        })*
    };
}

waitable!(
    BorrowedFd<'_>,
    OwnedFd,
    std::fs::File,
    std::io::PipeReader,
    std::net::TcpListener,
    std::net::TcpStream,
    std::net::UdpSocket,
    std::os::unix::net::UnixDatagram,
    std::os::unix::net::UnixListener,
    std::os::unix::net::UnixStream,
    std::process::ChildStderr,
    std::process::ChildStdout,
);

/// Waits until at least one of them is ready, and gives the places, in ascending order, of all that are. None
/// are if the time is over. A timeout of `None` waits for ever, zero only looks; with nothing to wait for it
/// sleeps.
///
/// An end is ready when its next receive has something to begin with: a message, a part of one, end-of-file
/// or an error. Whoever must not wait for the rest of a message receives with [`End::try_recv`]. A descriptor
/// is ready when reading from it would not block, end-of-file included. Interruptions by signals do not show,
/// and do not prolong the wait.
///
/// # Errors
/// `InvalidInput` when a descriptor is not open; what else poll(2) says.
///
/// ```
/// use procession::pipe::{self, wait};
///
/// let (mut first_in, mut first) = pipe::simplex::<u8>()?;
/// let (second_in, second) = pipe::simplex::<u8>()?;
/// first_in.send(1)?;
/// assert_eq!(wait(&[&first, &second], None)?, [0]);
/// drop(second_in);
/// assert_eq!(wait(&[&first, &second], None)?, [0, 1]);
/// assert_eq!(first.recv()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn wait(sources: &[&dyn Waitable], timeout: Option<Duration>) -> io::Result<Vec<usize>> {
    let buffered: Vec<bool> = sources.iter().map(|source| source.is_ready()).collect();
    let timeout = if buffered.contains(&true) { Some(Duration::ZERO) } else { timeout };
    let interests: Vec<_> = sources.iter().map(|source| (source.descriptor(), Interest::Readable)).collect();
    let readable = poll::poll(&interests, timeout)?;
    let ready = buffered.iter().zip(&readable).map(|(buffered, readable)| *buffered || *readable);
    Ok(ready.enumerate().filter(|(_, ready)| *ready).map(|(place, _)| place).collect())
}
