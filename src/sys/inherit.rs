//! One descriptor that a child process inherits, and its adoption in the child.
//!
//! Everything else that a program opens is close-on-exec (H8), so the one descriptor is passed by taking that
//! flag off in the child alone, between fork and exec. In the parent the flag never goes, so no other child
//! that is started at the same moment gets a copy.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

/// What tells one open socket or file from all others of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The device it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// The identity of an open descriptor.
pub fn identity(fd: BorrowedFd<'_>) -> io::Result<Identity> {
    let stat = nix::sys::stat::fstat(fd)?;
    Ok(Identity { device: stat.st_dev, inode: stat.st_ino })
}

/// Starts the command with this one descriptor, under the number it has here, and blocking (H12).
///
/// Standard input, output and error are the command's own business. A program that can't be executed is an
/// error of this call (H27).
#[allow(unsafe_code)]
pub fn spawn_with(command: &mut Command, descriptor: &OwnedFd) -> io::Result<Child> {
    make_blocking(descriptor)?;
    let raw = descriptor.as_raw_fd();
    // SAFETY: the closure runs in the forked child of a program that may have threads, so it may only make
    // async-signal-safe calls (H24): it makes two fcntl calls on a number that it captured by value, and
    // turns errno into an io::Error, which allocates nothing. The number is open there, because `descriptor`
    // is borrowed until the child was forked.
    unsafe {
        command.pre_exec(move || {
            let fd = BorrowedFd::borrow_raw(raw);
            let flags = FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD)?);
            fcntl(fd, FcntlArg::F_SETFD(flags.difference(FdFlag::FD_CLOEXEC)))?;
            Ok(())
        });
    }
    command.spawn()
}

/// Takes `O_NONBLOCK` off: a foreign program would fail on it, and may then have lost half a message.
pub fn make_blocking(fd: &OwnedFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    if flags.contains(OFlag::O_NONBLOCK) {
        fcntl(fd, FcntlArg::F_SETFL(flags.difference(OFlag::O_NONBLOCK)))?;
    }
    Ok(())
}

/// Adopts a descriptor that the parent process left open at this number, and makes it close-on-exec.
///
/// # Errors
/// - `NotFound`: nothing with this identity is open at that number; the variable that named it is out of date,
///   or the number was closed or used again.
/// - `AlreadyExists`: it was adopted before.
#[allow(unsafe_code)]
pub fn adopt(raw: RawFd, expected: Identity) -> io::Result<OwnedFd> {
    let mut adopted = ADOPTED.lock().unwrap_or_else(PoisonError::into_inner);
    if adopted.contains(&raw) {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the descriptor was taken before"));
    }
    if raw < 0 {
        return Err(io::Error::new(io::ErrorKind::NotFound, "a negative number is no descriptor"));
    }
    let flags = {
        // SAFETY: the number is used for fstat and fcntl only, which answer EBADF if nothing is open there,
        // and the borrow ends with this block.
        let fd = unsafe { BorrowedFd::borrow_raw(raw) };
        if identity(fd).ok() != Some(expected) {
            return Err(not_inherited());
        }
        FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD)?)
    };
    if flags.contains(FdFlag::FD_CLOEXEC) {
        // It did not come through exec, so somebody in this process opened it.
        return Err(not_inherited());
    }
    adopted.insert(raw);
    // SAFETY: what is open at this number came through exec, since it is not close-on-exec and has the
    // identity that the parent wrote down; nothing in this process opened it, so nothing owns it yet, and
    // ADOPTED gives it away only once.
    let descriptor = unsafe { OwnedFd::from_raw_fd(raw) };
    fcntl(&descriptor, FcntlArg::F_SETFD(flags.union(FdFlag::FD_CLOEXEC)))?;
    Ok(descriptor)
}

fn not_inherited() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the descriptor was not inherited from the parent process")
}

/// The numbers that were given away. They stay here when they are closed: a number is inherited once.
static ADOPTED: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::socket;
    use std::os::fd::AsFd;

    #[test]
    fn what_was_not_inherited_is_not_adopted() {
        let (left, right) = socket::pair().expect("pair");
        let identity_of_left = identity(left.as_fd()).expect("identity");
        assert_ne!(identity_of_left, identity(right.as_fd()).expect("identity"));
        for (raw, expected) in [
            (left.as_raw_fd(), identity_of_left),
            (right.as_raw_fd(), identity_of_left),
            (-1, identity_of_left),
        ] {
            let error = adopt(raw, expected).expect_err("opened here");
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn h12_a_descriptor_is_made_blocking_before_it_is_handed_over() {
        let (left, _right) = socket::pair().expect("pair");
        fcntl(&left, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("set");
        make_blocking(&left).expect("make blocking");
        let flags = OFlag::from_bits_retain(fcntl(&left, FcntlArg::F_GETFL).expect("flags"));
        assert!(!flags.contains(OFlag::O_NONBLOCK));
    }
}
