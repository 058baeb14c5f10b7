use super::*;

use nix::sys::uio::pwrite;
use nix::unistd::ftruncate;

fn length(bytes: usize) -> NonZeroUsize {
    NonZeroUsize::new(bytes).expect("not zero")
}

/// A file of memory with these seals and nothing in it.
fn unfilled(bytes: i64, seals: SealFlag) -> OwnedFd {
    let memory = memfd_create(NAME, MFdFlags::MFD_ALLOW_SEALING).expect("memory");
    ftruncate(&memory, bytes).expect("length");
    fcntl(&memory, FcntlArg::F_ADD_SEALS(seals)).expect("seals");
    memory
}

#[test]
fn h08_what_is_sealed_can_not_be_changed_by_anybody_and_does_not_survive_exec() {
    let memory = copy(&[7; 10_000]).expect("memory");
    assert_eq!(sealed_length(memory.as_fd()), Ok(10_000));
    let flags = fcntl(&memory, FcntlArg::F_GETFD).expect("flags");
    assert_ne!(flags & libc::FD_CLOEXEC, 0);

    assert_eq!(pwrite(&memory, b"x", 0), Err(Errno::EPERM));
    assert_eq!(ftruncate(&memory, 0), Err(Errno::EPERM));
    assert_eq!(ftruncate(&memory, 20_000), Err(Errno::EPERM));
    let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    assert_eq!(fallocate(&memory, hole, 0, 4096), Err(Errno::EPERM));
    let writable = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    assert!(Range::map(memory.as_fd(), length(4096), writable, MapFlags::MAP_SHARED).is_err());
    // Nor by whoever opens it anew.
    use std::os::fd::AsRawFd;
    let again = std::fs::File::options().write(true).open(format!("/proc/self/fd/{}", memory.as_raw_fd()));
    assert!(again.is_err() || pwrite(again.expect("checked"), b"x", 0) == Err(Errno::EPERM));

    let mapping = Mapping::new(memory.as_fd(), length(10_000)).expect("mapping");
    assert_eq!(mapping.len(), 10_000);
    assert!(mapping.iter().all(|byte| *byte == 7));
}

#[test]
fn a_mapping_outlives_its_descriptor() {
    let memory = copy(b"still there").expect("memory");
    let mapping = Mapping::new(memory.as_fd(), length(11)).expect("mapping");
    drop(memory);
    assert_eq!(&*mapping, b"still there");
}

#[test]
fn a_draft_is_zeroes_until_it_is_filled_and_sealed_then() {
    let mut draft = Draft::new(length(100_000)).expect("draft");
    assert!(draft.iter().all(|byte| *byte == 0));
    draft[99_999] = 9;
    let memory = draft.seal().expect("sealed");
    assert_eq!(sealed_length(memory.as_fd()), Ok(100_000));
    let mapping = Mapping::new(memory.as_fd(), length(100_000)).expect("mapping");
    assert_eq!((mapping[0], mapping[99_999]), (0, 9));
}

#[test]
fn x1_what_is_not_sealed_or_no_memory_is_never_mapped() {
    let (reading, _writing) = std::io::pipe().expect("pipe");
    let file = tempfile::tempfile().expect("file");
    file.set_len(4096).expect("length");
    let folder = std::fs::File::open("/proc/self").expect("folder");
    for stranger in [reading.as_fd(), file.as_fd(), folder.as_fd()] {
        let why = sealed_length(stranger).expect_err("a stranger");
        // A file on tmpfs has seals, but never these.
        assert!(matches!(why, Unfit::NotMemory | Unfit::NotSealed), "{why:?}");
        let error = Mapping::new(stranger, length(4096)).expect_err("a stranger");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
    // Every seal counts: without that on shrinking a read would be a SIGBUS, without that on writing it would be
    // something else each time.
    for missing in [SealFlag::F_SEAL_WRITE, SealFlag::F_SEAL_SHRINK, SealFlag::F_SEAL_GROW] {
        let memory = unfilled(4096, SEALS.difference(missing));
        assert_eq!(sealed_length(memory.as_fd()), Err(Unfit::NotSealed), "{missing:?}");
    }
}

#[test]
fn x1_memory_that_the_reader_would_have_to_pay_for_is_refused() {
    let memory = unfilled(1 << 40, SEALS);
    assert_eq!(sealed_length(memory.as_fd()), Err(Unfit::Sparse));
    let memory = memfd_create(NAME, MFdFlags::MFD_ALLOW_SEALING).expect("memory");
    pwrite(&memory, b"the end", 1 << 20).expect("write");
    seal(&memory).expect("seals");
    assert_eq!(sealed_length(memory.as_fd()), Err(Unfit::Sparse));
    let shorter = copy(b"short").expect("memory");
    assert!(Mapping::new(shorter.as_fd(), length(6)).is_err());
}

#[test]
fn what_somebody_could_still_write_to_can_not_be_sealed() {
    let draft = Draft::new(length(4096)).expect("draft");
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let other = Range::map(draft.memory.as_fd(), length(4096), protection, MapFlags::MAP_SHARED);
    let error = draft.seal().expect_err("a writer is left");
    assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
    drop(other);
}
