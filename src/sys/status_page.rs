//! What a process is busy with, in memory that another process reads: written with plain stores, legible after any
//! death.
//!
//! The reader makes it and maps it, the writer maps what it was given. The writer's threads each sit in a [`Seat`] of
//! their own and store there what they are about; nobody waits for anybody. What the numbers mean is decided in
//! `process/handling.rs`. The reader believes nothing: every field is an atomic for which all bits are valid, every
//! length is cut to what there is, so that the worst a writer can do is to lie about itself (X-1).
//!
//! ```text
//!  0     64        128                4096                12288                65536
//!  +-----+---------+------------------+-------------------+--------------------+
//!  | ... | arbiter | 62 asides        | 128 seats         | length, names      |
//!  +-----+---------+------------------+-------------------+--------------------+
//! ```

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

use self::names::Names;
use super::shared_memory::{self, Mapping};

mod names;

pub use names::Name;

/// The whole of it. Only pages that are touched cost memory: three, for most processes.
pub const PAGE_BYTES: usize = 64 << 10;

/// Threads that can be told apart. Those of a large pool beyond are not seen.
pub const SEATS: usize = 128;

/// Messages that are under way without a thread and can be named. Those beyond are counted.
pub const ASIDES: usize = 62;

/// Room for names: those of some hundreds of message types, and of as many actors as live at once.
pub const NAME_BYTES: usize = PAGE_BYTES - 12_288 - 8;

/// One message that is being handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// By whom.
    pub slot: u32,
    /// What.
    pub message: u32,
    /// From whom.
    pub sender: u32,
    /// Its number, if it has one; else 0.
    pub number: u64,
}

#[repr(C, align(64))]
struct Page {
    reserved: [AtomicU64; 8],
    arbiter: Arbiter,
    asides: [Aside; ASIDES],
    seats: [Seat; SEATS],
    names_length: AtomicU32,
    zero: AtomicU32,
    names: [AtomicU8; NAME_BYTES],
}

const _: () = assert!(size_of::<Page>() == PAGE_BYTES && size_of::<Seat>() == 64 && size_of::<Aside>() == 64);

#[repr(C, align(64))]
struct Arbiter {
    /// 1 while it waits for something to do.
    parked: AtomicU32,
    zero: AtomicU32,
    /// How often it has found something to do.
    turns: AtomicU64,
}

/// Where one thread says what it does. Written by that thread alone.
#[repr(C, align(64))]
pub struct Seat {
    /// Its number with the kernel; 0 where nobody sits.
    thread: AtomicU32,
    busy: AtomicU32,
    slot: AtomicU32,
    message: AtomicU32,
    sender: AtomicU32,
    zero: AtomicU32,
    number: AtomicU64,
    taken: AtomicU64,
    refused: AtomicU64,
    begun: AtomicU64,
    done: AtomicU64,
}

/// A message under way without a thread.
#[repr(C, align(64))]
pub struct Aside {
    /// 0 where there is none.
    used: AtomicU32,
    slot: AtomicU32,
    message: AtomicU32,
    sender: AtomicU32,
    number: AtomicU64,
    /// Which of all these it is, counted from 1.
    serial: AtomicU64,
}

/// So many more. Only one thread writes, so this need not be one step.
#[inline]
fn count(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

impl Seat {
    /// So many messages were taken in.
    #[inline]
    pub fn take(&self, messages: u64) {
        count(&self.taken, messages);
    }

    /// So many messages that were taken in will not be handled.
    #[inline]
    pub fn refuse(&self, messages: u64) {
        count(&self.refused, messages);
    }

    /// A message is being handled from now on.
    #[inline]
    pub fn begin(&self, work: &Work) {
        count(&self.begun, 1);
        self.show(work);
    }

    /// What is being handled now. The flag is stored last, so that a death in between shows nothing that was not.
    #[inline]
    pub fn show(&self, work: &Work) {
        self.busy.store(0, Release);
        self.slot.store(work.slot, Relaxed);
        self.message.store(work.message, Relaxed);
        self.sender.store(work.sender, Relaxed);
        self.number.store(work.number, Relaxed);
        self.busy.store(1, Release);
    }

    /// Nothing is being handled by this thread.
    #[inline]
    pub fn rest(&self) {
        self.busy.store(0, Release);
    }

    /// A message is done with.
    #[inline]
    pub fn done(&self) {
        count(&self.done, 1);
    }

    /// The thread goes. Its counts stay.
    pub fn leave(&self) {
        self.busy.store(0, Release);
        self.thread.store(0, Release);
    }
}

impl Aside {
    /// It is done with.
    pub fn free(&self) {
        self.used.store(0, Release);
    }
}

/// The page, as the process that it is about has it.
#[derive(Debug)]
pub struct Writer {
    mapping: Mapping,
    names: Mutex<Names>,
    next_aside: AtomicU64,
}

impl Writer {
    /// Maps the page that another process has made.
    ///
    /// # Errors
    /// It is none.
    pub fn new(memory: BorrowedFd<'_>) -> io::Result<Writer> {
        Ok(Writer { mapping: map(memory)?, names: Mutex::default(), next_aside: AtomicU64::new(0) })
    }

    /// A seat for the calling thread, whose number with the kernel this is; none if all are taken.
    pub fn sit(&self, thread: u32) -> Option<&Seat> {
        let free = |seat: &&Seat| seat.thread.compare_exchange(0, thread, AcqRel, Relaxed).is_ok();
        page(&self.mapping).seats.iter().find(free)
    }

    /// Keeps a message that goes on without a thread in sight; none if there are too many.
    pub fn put_aside(&self, work: &Work) -> Option<&Aside> {
        let serial = self.next_aside.fetch_add(1, Relaxed).wrapping_add(1);
        let asides = &page(&self.mapping).asides;
        // Usually the place after the last one is free.
        let first = usize::try_from(serial % ASIDES as u64).unwrap_or(0);
        let mut order = asides[first..].iter().chain(&asides[..first]);
        // 2 while it is filled in, so that a reader passes it by.
        let aside = order.find(|aside| aside.used.compare_exchange(0, 2, AcqRel, Relaxed).is_ok())?;
        aside.slot.store(work.slot, Relaxed);
        aside.message.store(work.message, Relaxed);
        aside.sender.store(work.sender, Relaxed);
        aside.number.store(work.number, Relaxed);
        aside.serial.store(serial, Relaxed);
        aside.used.store(1, Release);
        Some(aside)
    }

    /// The arbiter has nothing to do.
    #[inline]
    pub fn park(&self) {
        page(&self.mapping).arbiter.parked.store(1, Release);
    }

    /// The arbiter has something to do.
    #[inline]
    pub fn unpark(&self) {
        let arbiter = &page(&self.mapping).arbiter;
        count(&arbiter.turns, 1);
        arbiter.parked.store(0, Release);
    }

    fn names_field(&self) -> (&AtomicU32, &[AtomicU8]) {
        let page = page(&self.mapping);
        (&page.names_length, &page.names)
    }
}

/// The page, as the process that watches has it.
#[derive(Debug)]
pub struct Reader(Mapping);

/// What a page says at one moment. Nobody stops writing meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Whether the arbiter waits for something to do.
    pub parked: bool,
    /// How often the arbiter has found something to do.
    pub turns: u64,
    /// Messages that were taken in.
    pub taken: u64,
    /// Of these, how many will not be handled.
    pub refused: u64,
    /// Of these, how many handlers were begun with.
    pub begun: u64,
    /// Of these, how many are done with.
    pub done: u64,
    /// What each thread is about that handles something, with the thread's number.
    pub busy: Vec<(u32, Work)>,
    /// What is under way without a thread, oldest first.
    pub asides: Vec<Work>,
}

impl Reader {
    /// A new page, and the descriptor by which another process may map it.
    ///
    /// # Errors
    /// The system has no memory files, no descriptor or no memory left.
    pub fn create() -> io::Result<(Reader, OwnedFd)> {
        let memory = shared_memory::create_named(c"procession-status", PAGE_BYTES)?;
        Ok((Reader(map(memory.as_fd())?), memory))
    }

    /// What it says now.
    pub fn look(&self) -> Snapshot {
        let page = page(&self.0);
        let mut snapshot = Snapshot {
            parked: page.arbiter.parked.load(Acquire) == 1,
            turns: page.arbiter.turns.load(Relaxed),
            ..Snapshot::default()
        };
        for seat in &page.seats {
            // Counts are of all who ever sat there.
            let add = |sum: &mut u64, counter: &AtomicU64| *sum = sum.wrapping_add(counter.load(Relaxed));
            add(&mut snapshot.done, &seat.done);
            add(&mut snapshot.begun, &seat.begun);
            add(&mut snapshot.refused, &seat.refused);
            add(&mut snapshot.taken, &seat.taken);
            if seat.busy.load(Acquire) == 1 {
                let work = work([&seat.slot, &seat.message, &seat.sender], &seat.number);
                snapshot.busy.push((seat.thread.load(Relaxed), work));
            }
        }
        let used = page.asides.iter().filter(|aside| aside.used.load(Acquire) == 1);
        let mut asides: Vec<(u64, Work)> = used
            .map(|aside| {
                let words = [&aside.slot, &aside.message, &aside.sender];
                (aside.serial.load(Relaxed), work(words, &aside.number))
            })
            .collect();
        asides.sort_by_key(|(serial, _)| *serial);
        snapshot.asides = asides.into_iter().map(|(_, work)| work).collect();
        snapshot
    }

    /// How much a thread has begun and ended.
    pub fn moves_of(&self, thread: u32) -> u64 {
        let seats = page(&self.0).seats.iter().filter(|seat| seat.thread.load(Relaxed) == thread);
        seats.fold(0, |sum, seat| {
            sum.wrapping_add(seat.begun.load(Relaxed)).wrapping_add(seat.done.load(Relaxed))
        })
    }
}

fn work([slot, message, sender]: [&AtomicU32; 3], number: &AtomicU64) -> Work {
    Work {
        slot: slot.load(Relaxed),
        message: message.load(Relaxed),
        sender: sender.load(Relaxed),
        number: number.load(Relaxed),
    }
}

fn map(memory: BorrowedFd<'_>) -> io::Result<Mapping> {
    let mapping = Mapping::new(memory)?;
    match mapping.bytes() {
        PAGE_BYTES => Ok(mapping),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no status page")),
    }
}

#[allow(unsafe_code)]
fn page(mapping: &Mapping) -> &Page {
    let page: NonNull<Page> = mapping.start().cast();
    // SAFETY: `map` made sure that the mapping is as long as a `Page`, and its start is that of a page of memory, so
    // aligned to 64. It is mapped readable and writable as long as `mapping` lives, its size is sealed, and all of its
    // fields are atomics, for which every bit pattern is valid whoever writes it and when.
    unsafe { page.as_ref() }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("thread", &self.thread).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Aside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aside").field("used", &self.used).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
