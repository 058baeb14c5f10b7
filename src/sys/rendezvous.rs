//! Unix sockets that strangers meet at: bind, listen, accept, connect, and who the peer is.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr, sockopt};

/// Who is at the other end, as the kernel saw it when the connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process id.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Where a socket is bound.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A path in the file system.
    Path(&'a Path),
    /// A name of Linux's abstract namespace, without the leading zero byte.
    Abstract(&'a [u8]),
}

/// A listening socket: close-on-exec, and non-blocking, because a connection that was announced may be gone
/// when it is accepted. It is never handed to another process.
pub fn listen(place: Place<'_>, backlog: i32) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    socket::bind(fd.as_raw_fd(), &address(place)?)?;
    socket::listen(&fd, Backlog::new(backlog)?)?;
    Ok(fd)
}

/// Takes one waiting connection: close-on-exec and blocking. `WouldBlock` if there is none.
#[allow(unsafe_code)]
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    loop {
        match socket::accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::ECONNABORTED) => {}
            Err(error) => return Err(error.into()),
            // SAFETY: accept4 has just opened this number for us, so nobody else owns it.
            Ok(raw) => return Ok(unsafe { OwnedFd::from_raw_fd(raw) }),
        }
    }
}

/// Connects: close-on-exec and blocking. Waits while the listener's queue is full.
///
/// # Errors
/// `ConnectionRefused` if nobody listens at a socket file that exists, `NotFound` if there is none.
pub fn connect(place: Place<'_>) -> io::Result<OwnedFd> {
    let fd = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let address = address(place)?;
    loop {
        match socket::connect(fd.as_raw_fd(), &address) {
            // For a Unix socket an interrupted connect has not begun, so that it can be repeated.
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(()) => return Ok(fd),
        }
    }
}

/// Whether somebody listens there. Does not wait; a full queue is a living listener's.
pub fn is_alive(place: Place<'_>) -> io::Result<bool> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    match socket::connect(fd.as_raw_fd(), &address(place)?) {
        Ok(()) | Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EPROTOTYPE) => Ok(true),
        Err(nix::errno::Errno::ECONNREFUSED | nix::errno::Errno::ENOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The peer of a connected Unix socket.
pub fn credentials(socket: BorrowedFd<'_>) -> io::Result<Credentials> {
    let found = socket::getsockopt(&socket, sockopt::PeerCredentials)?;
    Ok(Credentials { pid: found.pid(), uid: found.uid(), gid: found.gid() })
}

/// The user that this process acts as.
pub fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Locks a directory against others who take this lock, until what is returned is dropped.
pub fn lock_directory(directory: &Path) -> io::Result<Flock<File>> {
    let mut file = File::open(directory)?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusive) {
            Ok(locked) => return Ok(locked),
            Err((unlocked, nix::errno::Errno::EINTR)) => file = unlocked,
            Err((_, error)) => return Err(error.into()),
        }
    }
}

fn address(place: Place<'_>) -> io::Result<UnixAddr> {
    Ok(match place {
        Place::Path(path) => UnixAddr::new(path)?,
        Place::Abstract(name) => UnixAddr::new_abstract(name)?,
    })
}
