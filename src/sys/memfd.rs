//! Sealed memory: a file without a name whose bytes and length can never change again, whoever has it.
//!
//! For what is handed from process to process without a copy ([`crate::blob`]). Whoever receives one believes
//! nothing: [`sealed_length`] asks the kernel, and only what passes it may be mapped. What two processes write to
//! together is something else, and not here.

use std::ffi::CStr;
use std::io;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{self, MapFlags, ProtFlags};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::fstat;
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};

/// What `/proc/PID/fd` shows.
const NAME: &CStr = c"procession-blob";

/// Not written, shrunk, grown, nor unsealed.
const SEALS: SealFlag = SealFlag::F_SEAL_WRITE
    .union(SealFlag::F_SEAL_SHRINK)
    .union(SealFlag::F_SEAL_GROW)
    .union(SealFlag::F_SEAL_SEAL);

/// Sealed memory with these bytes.
///
/// Written and not mapped: mapping what is still empty costs two and a half times as much
/// (decisions/0160).
///
/// # Errors
/// The system has no memory files, no descriptor, no memory left, or a limit of file sizes that is below.
pub fn copy(bytes: &[u8]) -> io::Result<OwnedFd> {
    let memory = create(NAME, bytes.len())?;
    let mut rest = bytes;
    while !rest.is_empty() {
        match nix::unistd::write(&memory, rest) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
        }
    }
    seal(&memory)?;
    Ok(memory)
}

/// An empty file of memory, close-on-exec, that may become this long and may be sealed.
pub(super) fn create(name: &CStr, bytes: usize) -> io::Result<OwnedFd> {
    // The kernel would kill the process that makes a file over its limit (SIGXFSZ).
    let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE)?;
    if limit < bytes as u64 {
        return Err(Errno::EFBIG.into());
    }
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Kernels before 6.3 do not know that a memory file may be barred from being executed; some later ones insist.
    let barred = MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    match memfd_create(name, flags | barred) {
        Err(Errno::EINVAL) => Ok(memfd_create(name, flags)?),
        other => Ok(other?),
    }
}

fn seal(memory: &OwnedFd) -> io::Result<()> {
    fcntl(memory, FcntlArg::F_ADD_SEALS(SEALS))?;
    Ok(())
}

/// Why a descriptor is not the sealed memory that it was said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is something else, or not on memory alone.
    #[error("it is no memory file")]
    NotMemory,
    /// Somebody could still change it.
    #[error("it is not sealed")]
    NotSealed,
    /// Part of it has no memory behind it, so that reading it would cost the reader.
    #[error("parts of it are missing")]
    Sparse,
}

/// How long this sealed memory is.
///
/// # Errors
/// It is none, so it must not be mapped.
pub fn sealed_length(memory: BorrowedFd<'_>) -> Result<u64, Unfit> {
    let seals = fcntl(memory, FcntlArg::F_GET_SEALS).map_err(|_| Unfit::NotMemory)?;
    if !SealFlag::from_bits_retain(seals).contains(SEALS) {
        return Err(Unfit::NotSealed);
    }
    // Huge pages can be sealed as well, and a read of them can fail for want of one (SIGBUS).
    let kind = fstatfs(memory).map_err(|_| Unfit::NotMemory)?.filesystem_type();
    if kind != TMPFS_MAGIC {
        return Err(Unfit::NotMemory);
    }
    let stat = fstat(memory).map_err(|_| Unfit::NotMemory)?;
    let length = u64::try_from(stat.st_size).map_err(|_| Unfit::NotMemory)?;
    let held = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(STAT_BLOCK_BYTES);
    // What is missing would be filled with zeroes by whoever reads it first, at his cost, or not, with SIGBUS. This sees
    // what was forgotten; who hides it puts as much behind the end. To look for holes page by page would cost with the
    // length, and a hand-over costs the same for any.
    if held < length { Err(Unfit::Sparse) } else { Ok(length) }
}

/// The unit of `st_blocks`, whatever the file system's own.
const STAT_BLOCK_BYTES: u64 = 512;

/// Sealed memory in the address space of this process, until it is dropped.
#[derive(Debug)]
pub struct Mapping(Range);

impl Mapping {
    /// Maps the first `length` bytes. No page is touched, so it costs the same for any length.
    ///
    /// # Errors
    /// It is no sealed memory, or shorter (`InvalidInput`); there is no room for it.
    pub fn new(memory: BorrowedFd<'_>, length: NonZeroUsize) -> io::Result<Mapping> {
        let unfit =
            |why: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidInput, why.to_string());
        let sealed = sealed_length(memory).map_err(|error| unfit(&error))?;
        if sealed < length.get() as u64 {
            return Err(unfit(&"it is shorter"));
        }
        // Private, because kernels before 6.7 refuse shared mappings of what can't be written. Nothing is copied:
        // only a write would do that, and there is none.
        Ok(Mapping(Range::map(memory, length, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE)?))
    }
}

impl Deref for Mapping {
    type Target = [u8];

    #[allow(unsafe_code)]
    fn deref(&self) -> &[u8] {
        // SAFETY: the range is mapped readable as long as `self` lives, and a mapping is at most `isize::MAX` long.
        // All of it is within the file, since `new` asked the kernel for its length and F_SEAL_SHRINK keeps it. No
        // byte of it changes: F_SEAL_WRITE is granted only while nobody has a writable mapping, and refuses write,
        // new writable mappings and holes from then on; the seals were found on this very file and none can be
        // taken off. Our own mapping is private and not writable.
        unsafe { std::slice::from_raw_parts(self.0.start.as_ptr(), self.0.length.get()) }
    }
}

/// Memory that is filled in place and sealed then.
#[derive(Debug)]
pub struct Draft {
    memory: OwnedFd,
    range: Range,
}

impl Draft {
    /// Zeroes.
    ///
    /// # Errors
    /// As [`copy`].
    pub fn new(length: NonZeroUsize) -> io::Result<Draft> {
        let memory = create(NAME, length.get())?;
        let end = libc::off_t::try_from(length.get()).map_err(|_| io::Error::from(Errno::EFBIG))?;
        // All pages now, so that one that can't be had is an error here and no SIGBUS later.
        loop {
            match fallocate(&memory, FallocateFlags::empty(), 0, end) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        }
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let range = Range::map(memory.as_fd(), length, protection, MapFlags::MAP_SHARED)?;
        Ok(Draft { memory, range })
    }

    /// No byte changes from now on.
    ///
    /// # Errors
    /// A child that was forked meanwhile could still write to it.
    pub fn seal(self) -> io::Result<OwnedFd> {
        let Draft { memory, range } = self;
        drop(range);
        seal(&memory)?;
        Ok(memory)
    }
}

impl Deref for Draft {
    type Target = [u8];

    #[allow(unsafe_code)]
    fn deref(&self) -> &[u8] {
        // SAFETY: the range is mapped as long as `self` lives and has all its pages. The file was made by `new`
        // and its descriptor is private to this value, so nobody else maps or writes it.
        unsafe { std::slice::from_raw_parts(self.range.start.as_ptr(), self.range.length.get()) }
    }
}

impl DerefMut for Draft {
    #[allow(unsafe_code)]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `deref`; the range is mapped writable, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.range.start.as_ptr(), self.range.length.get()) }
    }
}

/// A mapped range, unmapped when it is dropped.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) start: NonNull<u8>,
    pub(super) length: NonZeroUsize,
}

// SAFETY: a range belongs to the process and not to a thread, and this owns it alone; who may read and write it is
// for the types around it to say, and these lend it by the rules of `&` and `&mut`.
#[allow(unsafe_code)]
unsafe impl Send for Range {}
// SAFETY: as for `Send`; a shared `Range` gives nothing but its address.
#[allow(unsafe_code)]
unsafe impl Sync for Range {}

impl Range {
    #[allow(unsafe_code)]
    pub(super) fn map(
        memory: BorrowedFd<'_>,
        length: NonZeroUsize,
        protection: ProtFlags,
        flags: MapFlags,
    ) -> io::Result<Range> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that anybody uses.
        let start = unsafe { mman::mmap(None, length, protection, flags, memory, 0) }?;
        Ok(Range { start: start.cast(), length })
    }
}

impl Drop for Range {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: `map` mapped exactly this range, this is its only owner, and whoever borrowed from it is gone.
        let _ = unsafe { mman::munmap(self.start.cast(), self.length.get()) };
    }
}

#[cfg(test)]
mod tests;
