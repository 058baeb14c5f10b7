//! Memory that two processes share: made sealed, so that its size never changes, and mapped by both.
//!
//! A mapping of a file that another process can shrink is a SIGBUS that waits; so [`create`] seals the size, and
//! [`Mapping::new`] maps nothing that is not sealed. What the bytes mean is decided in [`super::ring`] and
//! [`super::status_page`].

use std::ffi::CStr;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::mman::{self, MapFlags, MmapAdvise, ProtFlags};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;

use super::memfd::{self, Range};

/// What `/proc/PID/maps` and `/proc/PID/fd` show.
const NAME: &CStr = c"procession-pipe";

/// Neither smaller nor larger, and not to be unsealed.
const SEALS: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_SEAL);

/// Memory of this size, all zeroes, close-on-exec. Pages cost memory once they are touched.
///
/// # Errors
/// The system has no memory files, no descriptor left, or a limit of file sizes that is below.
pub fn create(bytes: usize) -> io::Result<OwnedFd> {
    create_named(NAME, bytes)
}

/// As [`create`], under another name.
pub(super) fn create_named(name: &CStr, bytes: usize) -> io::Result<OwnedFd> {
    let memory = memfd::create(name, bytes)?;
    let length = libc::off_t::try_from(bytes).map_err(|_| io::Error::from(Errno::EFBIG))?;
    ftruncate(&memory, length)?;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(SEALS))?;
    Ok(memory)
}

/// Shared memory in the address space of this process, until it is dropped. Others may change it at any moment.
#[derive(Debug)]
pub struct Mapping(Range);

impl Mapping {
    /// Maps the whole of it. The descriptor is not needed afterwards.
    ///
    /// # Errors
    /// It is no memory file of sealed size, it is empty, or there is no room for it.
    #[allow(unsafe_code)]
    pub fn new(memory: BorrowedFd<'_>) -> io::Result<Mapping> {
        let unfit = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why.to_owned());
        let seals = fcntl(memory, FcntlArg::F_GET_SEALS).map_err(|_| unfit("it is no memory file"))?;
        if !SealFlag::from_bits_retain(seals).contains(SealFlag::F_SEAL_SHRINK) {
            return Err(unfit("its size is not sealed"));
        }
        let length = usize::try_from(fstat(memory)?.st_size).ok().and_then(NonZeroUsize::new);
        let length = length.ok_or_else(|| unfit("it is empty"))?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let range = Range::map(memory, length, protection, MapFlags::MAP_SHARED)?;
        // A child that user code forks would hold this process's end. If the kernel refuses, it does.
        // SAFETY: the range is the one just mapped; the advice changes what a child gets and nothing here.
        let _ = unsafe { mman::madvise(range.start.cast(), length.get(), MmapAdvise::MADV_DONTFORK) };
        Ok(Mapping(range))
    }

    /// Its first byte, which lies at the start of a page.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.0.start
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.0.length.get()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use nix::sys::memfd::{MFdFlags, memfd_create};

    use super::*;

    #[test]
    fn h08_it_is_close_on_exec_and_its_size_is_sealed() {
        let memory = create(8192).expect("memory");
        let flags = fcntl(&memory, FcntlArg::F_GETFD).expect("flags");
        assert_ne!(flags & libc::FD_CLOEXEC, 0);
        assert_eq!(ftruncate(&memory, 0), Err(Errno::EPERM));
        assert_eq!(ftruncate(&memory, 1 << 20), Err(Errno::EPERM));
        assert_eq!(Mapping::new(memory.as_fd()).expect("mapping").bytes(), 8192);
    }

    #[test]
    fn what_could_shrink_under_us_is_not_mapped() {
        let unsealed = memfd_create(NAME, MFdFlags::MFD_ALLOW_SEALING).expect("memory");
        ftruncate(&unsealed, 4096).expect("truncate");
        let file = tempfile::tempfile().expect("file");
        for unfit in [unsealed.as_fd(), file.as_fd()] {
            let error = Mapping::new(unfit).expect_err("not sealed");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
