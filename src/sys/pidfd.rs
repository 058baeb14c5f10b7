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

impl Pidfd {
    /// Whether it is dead, reaped or not.
    pub fn is_dead(&self) -> bool {
        poll_readable(self.as_fd(), 0)
    }

    /// Blocks until it is dead, reaped or not, or that time is over. Whether it is dead.
    pub fn wait_until_dead(&self, deadline: Duration) -> bool {
        poll_readable(self.as_fd(), u16::try_from(deadline.as_millis()).unwrap_or(u16::MAX))
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Pidfd {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
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

impl Reaped {
    /// The end of a child whose exit status somebody else took. It counts as no success, so that nobody is told
    /// that all went well.
    pub fn unknown() -> Reaped {
        Reaped { exit: Exit::Code(UNKNOWN_CODE), resources: ResourceUse::default() }
    }
}

/// No exit code that a program can end with, which are 0 to 255.
pub const UNKNOWN_CODE: i32 = -1;

/// A child that leads a process group of its own, owned by whoever reaps it.
///
/// Readable (for `poll`, `AsyncFd`) once it is dead. Dropping it kills and reaps it.
#[derive(Debug)]
pub struct Child {
    pidfd: Arc<Pidfd>,
    reaped: bool,
}

impl Child {
    /// Becomes the owner of a child that this process has just forked and nobody else waits for.
    pub(super) fn adopt(pid: i32) -> io::Result<Child> {
        Ok(Child { pidfd: Arc::new(Pidfd::open(pid)?), reaped: false })
    }

    /// Becomes the owner of a child that the kernel has made with this descriptor.
    pub(super) fn own(pid: i32, fd: OwnedFd) -> Child {
        Child { pidfd: Arc::new(Pidfd { fd, pid }), reaped: false }
    }

    /// The sharable half, for signals and for readiness.
    pub fn pidfd(&self) -> &Arc<Pidfd> {
        &self.pidfd
    }

    /// Reaps the child if it is dead, and `None` if it lives. To be called no more after it gave the end.
    ///
    /// What is left of its process group is killed first: while the dead leader is not reaped, its pid, and so
    /// the group's number, can't belong to anybody else (H22, H23).
    ///
    /// # Errors
    /// `ECHILD` if somebody else reaped it, or if SIGCHLD is ignored in this process, so that the kernel did.
    pub fn try_reap(&mut self) -> io::Result<Option<Reaped>> {
        if wait(&self.pidfd, libc::WNOHANG | libc::WNOWAIT)?.is_none() {
            return Ok(None);
        }
        kill_group(self.pidfd.pid);
        let reaped = wait(&self.pidfd, libc::WNOHANG)?;
        self.reaped = reaped.is_some();
        Ok(reaped)
    }
}

/// Takes the exit status of a child that this process did not start but has adopted, and for which nobody else waits.
/// False if it lives.
///
/// # Errors
/// `ECHILD` if it is no child of this process, or not any more.
pub fn reap_adopted(orphan: &Pidfd) -> io::Result<bool> {
    Ok(wait(orphan, libc::WNOHANG)?.is_some())
}

/// Whether some child of this process is dead and not reaped yet. Takes nothing.
#[allow(unsafe_code)]
pub fn has_dead_children() -> bool {
    // SAFETY: plain data for which all zeroes are valid; the kernel fills it in.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is exclusively ours and outlives the call, which takes integers beside it.
    let done = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, how) };
    // SAFETY: waitid succeeded, so the field holds what it wrote, or still the zero if nothing has ended.
    done == 0 && unsafe { info.si_pid() } != 0
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.reaped || self.pidfd.signal(Signal(libc::SIGKILL)).is_err() {
            return;
        }
        // A killed process is dead in microseconds, unless it waits for a device.
        if poll_readable(self.pidfd.as_fd(), REAP_DEADLINE_MS) {
            // An error means that somebody else reaped it: there is nothing left to do.
            let _ = self.try_reap();
        }
    }
}

/// How long dropping a child waits for the kernel to end it: far more than a kill takes on a loaded machine, and
/// little enough for a process that hangs in a device not to hang us.
const REAP_DEADLINE_MS: u16 = 1000;

fn poll_readable(fd: BorrowedFd<'_>, timeout_ms: u16) -> bool {
    use nix::poll::{PollFd, PollFlags, poll};
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, timeout_ms) {
            Err(nix::errno::Errno::EINTR) => {}
            ready => return ready == Ok(1),
        }
    }
}

/// Asks for the end of one child; `None` with `WNOHANG` if it lives.
#[allow(unsafe_code)]
fn wait(pidfd: &Pidfd, how: i32) -> io::Result<Option<Reaped>> {
    // SAFETY: both are plain data for which all zeroes are valid; the kernel fills them in.
    let (mut info, mut usage): (libc::siginfo_t, libc::rusage) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    loop {
        // SAFETY: the descriptor is ours and open; `info` and `usage` are exclusively ours, of the types that the
        // kernel writes, and outlive the call. libc's own waitid leaves the usage out, hence the system call.
        let done = unsafe {
            libc::syscall(
                libc::SYS_waitid,
                libc::P_PIDFD,
                pidfd.fd.as_raw_fd(),
                &raw mut info,
                libc::WEXITED | how,
                &raw mut usage,
            )
        };
        if done == 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: waitid succeeded, so these fields hold what it wrote, or still the zeroes if nothing has ended.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    let exit = match info.si_code {
        libc::CLD_EXITED => Exit::Code(status),
        code => Exit::Signal { signal: Signal(status), core_dumped: code == libc::CLD_DUMPED },
    };
    Ok(Some(Reaped { exit, resources: resources(&usage) }))
}

fn resources(usage: &libc::rusage) -> ResourceUse {
    let time = |value: libc::timeval| {
        Duration::from_secs(value.tv_sec.unsigned_abs()) + Duration::from_micros(value.tv_usec.unsigned_abs())
    };
    ResourceUse {
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        // The kernel counts in KiB.
        peak_resident_bytes: usage.ru_maxrss.unsigned_abs() << 10,
    }
}

#[allow(unsafe_code)]
fn kill_group(leader: i32) {
    if leader <= 1 {
        return; // -1 would mean everybody; no child has such a number.
    }
    // SAFETY: kill takes two integers and touches no memory. An error means that the group is empty, or holds
    // only processes of other users, which we may not kill.
    unsafe { libc::kill(-leader, libc::SIGKILL) };
}
