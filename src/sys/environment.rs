//! The marks in a worker's environment by which it knows that it is one.
//!
//! An environment is inherited by everything that a worker starts, so a mark proves nothing by itself: it names
//! the descriptor and the root, and counts only while that descriptor is a socket that that root made.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells a process that it was started as a worker: `<descriptor>:<pid of the root>`.
pub const WORKER: &str = "PROCESSION_WORKER";

/// How many workers deep this process is; absent means 0.
pub const DEPTH: &str = "PROCESSION_DEPTH";

/// In which lives of workers a process is, its own last: inherited by everything that a worker starts, so that it is
/// found when the worker is dead.
pub const LIFE: &str = "PROCESSION_LIFE";

/// A worker may itself be the root of other workers, and so on this deep. Real nesting is one or two; a program
/// that starts itself by mistake is stopped here, with a few processes (H25).
pub const MAX_DEPTH: u32 = 8;

/// The mark of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Where its control pipe is.
    pub descriptor: RawFd,
    /// Who started it.
    pub root: i32,
}

/// `PROCESSION_WORKER` holds something that Procession does not write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable PROCESSION_WORKER is not what Procession writes: {0:?}; unset it")]
pub struct BadMark(pub String);

impl Mark {
    /// The value of the variable.
    pub fn to_value(self) -> String {
        format!("{}:{}", self.descriptor, self.root)
    }

    /// Reads the value of the variable.
    pub fn from_value(value: &str) -> Result<Mark, BadMark> {
        let parsed = value.split_once(':').and_then(|(descriptor, root)| {
            let descriptor = descriptor.parse().ok().filter(|fd| *fd > 2)?;
            let root = root.parse().ok().filter(|pid| *pid > 0)?;
            Some(Mark { descriptor, root })
        });
        parsed.ok_or_else(|| BadMark(value.to_owned()))
    }

    /// The mark in this process's environment, if there is one and it is this process's own: an inherited one
    /// names a descriptor that is not open here, or is something else.
    ///
    /// `None` also once it was [claimed](Self::claim): whoever asks wants to know of a worker yet to be.
    pub fn present() -> Result<Option<Mark>, BadMark> {
        if CLAIMED.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let Some(value) = std::env::var_os(WORKER) else { return Ok(None) };
        let mark = Mark::from_value(&value.to_string_lossy())?;
        Ok(Some(mark).filter(|mark| maker(mark.descriptor) == Some(mark.root)))
    }

    /// Becomes the owner of the control pipe, and makes it close-on-exec, which it could not be until now.
    ///
    /// # Errors
    /// The second call in a process, and descriptors that are no socket made by the root.
    #[allow(unsafe_code)]
    pub fn claim(self) -> io::Result<OwnedFd> {
        if maker(self.descriptor) != Some(self.root) || CLAIMED.swap(true, Ordering::SeqCst) {
            return Err(io::Error::other("the control pipe is taken already, or none"));
        }
        // SAFETY: the descriptor is open, and was opened by the root for this process, which knows it only by the
        // mark; the flag above lets one caller in this process take it, so nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(self.descriptor) };
        let flags = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC);
        nix::fcntl::fcntl(&fd, flags)?;
        Ok(fd)
    }
}

/// Whether this process has become a worker.
static CLAIMED: AtomicBool = AtomicBool::new(false);

/// Takes the mark out of the environment, so that what this process starts does not inherit it. With other
/// threads about, it stays, since they may be reading; what inherits it then sees that it is stale.
#[allow(unsafe_code)]
pub fn remove_mark() {
    if std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1) {
        // SAFETY: this thread is the only one of the process, so nobody reads or writes the environment meanwhile.
        unsafe { std::env::remove_var(WORKER) };
    }
}

/// How many workers deep this process is. An unreadable number counts as too deep.
pub fn depth() -> u32 {
    match std::env::var_os(DEPTH) {
        None => 0,
        Some(value) => value.to_str().and_then(|text| text.parse().ok()).unwrap_or(MAX_DEPTH),
    }
}

/// Who made the socketpair that this descriptor is an end of, if it is one.
#[allow(unsafe_code)]
fn maker(descriptor: RawFd) -> Option<i32> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).ok()?;
    // SAFETY: the kernel checks the number itself and writes at most `length` bytes to `credentials`; both are ours.
    let done = unsafe {
        libc::getsockopt(
            descriptor,
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    (done == 0).then_some(credentials.pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn h25_marks_come_back_and_others_are_refused() {
        let mark = Mark { descriptor: 3, root: 41 };
        assert_eq!(Mark::from_value(&mark.to_value()), Ok(mark));
        for bad in ["", "3", "3:", ":7", "x:7", "2:7", "3:0", "3:7:9"] {
            assert!(Mark::from_value(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn h25_the_maker_of_a_socketpair_is_known_and_a_file_has_none() {
        let (left, _right) = crate::sys::socket::pair().expect("pair");
        assert_eq!(maker(left.as_raw_fd()), i32::try_from(std::process::id()).ok());
        let file = std::fs::File::open("/dev/null").expect("null");
        assert_eq!(maker(file.as_raw_fd()), None);
        assert_eq!(maker(-1), None);
    }
}
