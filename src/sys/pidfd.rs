//! Processes as descriptors: signals that reach nobody else, and the one place that reaps.
//!
//! A pid is reused once its process is reaped; a pidfd never is (H23). [`Pidfd`] may be shared and only signals;
//! [`Child`] is the one owner that waits.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::id::{Exit, Signal};

/// Names one process, dead or alive, for ever.
#[derive(Debug)]
pub struct Pidfd {
    fd: OwnedFd,
    pid: i32,
}

impl Pidfd {
    /// Opens the descriptor of a child that was not reaped yet, so that `pid` still means it.
    #[allow(unsafe_code)]
    pub fn open(pid: i32) -> io::Result<Pidfd> {
        // SAFETY: pidfd_open takes two integers and touches no memory.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = i32::try_from(fd).map_err(io::Error::other)?;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just opened this descriptor (close-on-exec, as it always does for pidfds) for
        // this call alone, so nobody else owns it.
        Ok(Pidfd { fd: unsafe { OwnedFd::from_raw_fd(fd) }, pid })
    }

    /// The pid it had; once it was reaped, only good for messages to people.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a signal. A process that is dead already is no error: it got what it could.
    #[allow(unsafe_code)]
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is ours and open, and a null siginfo tells the kernel to fill in its own.
        let done =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.fd.as_raw_fd(), signal.0, no_info, 0) };
        match done {
            0 => Ok(()),
            _ => match io::Error::last_os_error() {
                gone if gone.raw_os_error() == Some(libc::ESRCH) => Ok(()),
                error => Err(error),
            },
        }
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What a process cost, its own reaped children included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceUse {
    /// Processor time in user mode.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// The most memory that was resident at once.
    pub peak_resident_bytes: u64,
}

/// A child that is dead and reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaped {
    /// How it ended.
    pub exit: Exit,
    /// What it cost.
    pub resources: ResourceUse,
}

/// A child that leads a process group of its own, owned by whoever reaps it.
///
/// Readable (for `poll`, `AsyncFd`) once it is dead. Dropping it kills and reaps it.
#[derive(Debug)]
pub struct Child {
    pidfd: Arc<Pidfd>,
    reaped: bool,
}
