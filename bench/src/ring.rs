//! The limit of shared memory: bytes through two rings in a memfd, whose readers and writers spin a little and then
//! sleep by futex. As little as can be: no framing, and ends that trust one another.

#![allow(unsafe_code)] // Memory that another process writes to is beyond what the compiler can check.

use std::cell::UnsafeCell;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use rustix::thread::futex;

/// The bytes of one ring: more than the second-level cache holds is slower, less makes writers wait.
const CAPACITY: u32 = 1 << 19;

/// Looks before sleeping: some tens of microseconds, about what a wake costs.
const SPINS: u32 = 5_000;

/// The indices of one ring, each on a cache line of its own. They count bytes and wrap around.
#[repr(C, align(64))]
struct Index {
    bytes: AtomicU32,
    /// Whether somebody sleeps until it moves.
    awaited: AtomicU32,
}

/// One direction.
#[repr(C)]
struct Ring {
    written: Index,
    read: Index,
    data: UnsafeCell<[u8; CAPACITY as usize]>,
}

/// Memory with two rings, as a descriptor for the other process.
pub(crate) fn memory() -> io::Result<OwnedFd> {
    let memory = memfd_create("procession-bench", MFdFlags::MFD_CLOEXEC)?;
    nix::unistd::ftruncate(&memory, i64::try_from(2 * size_of::<Ring>()).map_err(io::Error::other)?)?;
    Ok(memory)
}

/// One end: the ring that it writes, and the one that it reads.
pub(crate) struct End {
    outgoing: &'static Ring,
    incoming: &'static Ring,
    /// What is known of the other side's progress; asking costs a cache line.
    outgoing_read: u32,
    incoming_written: u32,
    spins: u32,
}

impl End {
    /// Maps the memory, for as long as the process lives. `first` tells the ends apart; `spins`: whether it may look
    /// before it sleeps.
    pub(crate) fn new(memory: impl AsFd, first: bool, spins: bool) -> io::Result<End> {
        let length = NonZeroUsize::new(2 * size_of::<Ring>()).ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, memory, 0) }?;
        let rings: NonNull<Ring> = start.cast();
        // SAFETY: the mapping is as long as two rings, page-aligned and never unmapped; zeroes are a valid ring. What
        // the other process changes is atomic or in a cell.
        let (one, two) = unsafe { (rings.as_ref(), rings.add(1).as_ref()) };
        let (outgoing, incoming) = if first { (one, two) } else { (two, one) };
        let spins = if spins { SPINS } else { 0 };
        Ok(End { outgoing, incoming, outgoing_read: 0, incoming_written: 0, spins })
    }

    /// Writes all of it.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let Ring { written, read, data } = self.outgoing;
        let mut at = written.bytes.load(Ordering::Relaxed);
        while !bytes.is_empty() {
            if at.wrapping_sub(self.outgoing_read) == CAPACITY {
                self.outgoing_read = read.past(self.outgoing_read, self.spins)?;
            }
            let room = CAPACITY - at.wrapping_sub(self.outgoing_read);
            let offset = (at % CAPACITY) as usize;
            let now = bytes.len().min(room as usize).min(CAPACITY as usize - offset);
            // SAFETY: `offset + now` is within the data; the reader does not read there before the index says so, and
            // has read what was there, as its own index said.
            unsafe { data.get().cast::<u8>().add(offset).copy_from_nonoverlapping(bytes.as_ptr(), now) };
            at = at.wrapping_add(u32::try_from(now).map_err(io::Error::other)?);
            written.publish(at)?;
            bytes = &bytes[now..];
        }
        Ok(())
    }

    /// Reads what is there, at least one byte.
    pub(crate) fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Ring { written, read, data } = self.incoming;
        let at = read.bytes.load(Ordering::Relaxed);
        if self.incoming_written == at {
            self.incoming_written = written.past(at, self.spins)?;
        }
        let there = self.incoming_written.wrapping_sub(at);
        let offset = (at % CAPACITY) as usize;
        let now = buffer.len().min(there as usize).min(CAPACITY as usize - offset);
        // SAFETY: `offset + now` is within the data; the writer has written it, as its index said, and writes there
        // again only after this end's index has moved.
        unsafe { data.get().cast::<u8>().add(offset).copy_to_nonoverlapping(buffer.as_mut_ptr(), now) };
        read.publish(at.wrapping_add(u32::try_from(now).map_err(io::Error::other)?))?;
        Ok(now)
    }

    /// Reads so many bytes as the buffer has.
    pub(crate) fn read(&mut self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let now = self.read_some(buffer)?;
            buffer = &mut buffer[now..];
        }
        Ok(())
    }
}

impl Index {
    /// Moves it, and wakes who waits for that.
    fn publish(&self, bytes: u32) -> io::Result<()> {
        self.bytes.store(bytes, Ordering::Release);
        // Between the store and the look; `past` has the same between its mark and its look, so one of them sees the other.
        fence(Ordering::SeqCst);
        if self.awaited.load(Ordering::Relaxed) == 1 {
            self.awaited.store(0, Ordering::Relaxed);
            futex::wake(&self.bytes, futex::Flags::empty(), 1)?;
        }
        Ok(())
    }

    /// Waits until it is past `seen`.
    fn past(&self, seen: u32, spins: u32) -> io::Result<u32> {
        for _ in 0..spins {
            let bytes = self.bytes.load(Ordering::Acquire);
            if bytes != seen {
                return Ok(bytes);
            }
            std::hint::spin_loop();
        }
        loop {
            self.awaited.store(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            let bytes = self.bytes.load(Ordering::Acquire);
            if bytes != seen {
                return Ok(bytes);
            }
            match futex::wait(&self.bytes, futex::Flags::empty(), seen, None) {
                Ok(()) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_in_order_past_the_end_of_the_ring() {
        let memory = memory().expect("memory");
        let theirs = memory.try_clone().expect("a descriptor");
        let mut far = End::new(&memory, false, false).expect("an end");
        let all: Vec<u8> = (0..251).cycle().take(3 * CAPACITY as usize + 5).collect();
        let expected = all.clone();
        let writer = std::thread::spawn(move || {
            let mut near = End::new(&theirs, true, true).expect("an end");
            all.chunks(777).for_each(|chunk| near.write(chunk).expect("written"));
            let mut answer = [0];
            near.read(&mut answer).expect("answered");
            answer
        });
        let mut found = vec![0; expected.len()];
        far.read(&mut found).expect("read");
        far.write(&[7]).expect("written");
        assert_eq!(writer.join().expect("no panic"), [7]);
        assert!(found == expected);
    }
}
