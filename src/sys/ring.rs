//! Two rings of bytes in shared memory, one for each direction of a pipe, each with one writer and one reader.
//!
//! ```text
//!  0         128       256       384       512                4096            4096 + capacity
//!  +---------+---------+---------+---------+---- - - - ------+---------------+---------------+
//!  | head    | tail    | reader  | writer  | the same of the | bytes of the  | bytes of the  |
//!  | batches |         | sleeps  | waits   | second ring     | first ring    | second ring   |
//!  | u64 x 2 | u64     | u32     | u32     |                 |               |               |
//!  +---------+---------+---------+---------+-----------------+---------------+---------------+
//! ```
//!
//! `head` counts the bytes ever written, `tail` those ever read, so `head - tail` are under way, and byte `n` lies at `n`
//! modulo the capacity, which is a power of two and follows from the sealed size of the memory. `batches` counts the
//! sendings of descriptors that belong to bytes before `head`. Each word has one writer, but for the two flags, which
//! the other side lowers (`handshake`); those that are written at every message lie apart from those that are not, so
//! that no look at one costs a transfer of the other.
//!
//! **The peer may write anything anywhere, at any time.** So each side keeps its own index to itself and only
//! publishes it, checks the peer's each time it reads it ([`Broken`]), and copies bytes out before anybody looks at them.
//!
//! Not for waiting: a [`Producer`] and a [`Consumer`] say when to ring and when to sleep; the bell is a socket of
//! `transport::shared`, which calls this.

mod copy;
mod handshake;

/// What [`handshake`] is made of here; its tests have another.
mod atomic {
    pub(super) use std::sync::atomic::{AtomicU32, Ordering, fence};
}

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::handshake::{Flag, Raised};
use super::shared_memory::{self, Mapping};

/// Bytes of one direction: a large read of the reader's and one more that the writer fills meanwhile.
pub const CAPACITY: usize = 256 << 10;

/// The smallest ring, for tests of full ones.
pub const MIN_CAPACITY: usize = 64;

/// The largest that is believed; more would not be faster.
const MAX_CAPACITY: usize = 16 << 20;

/// The words of both rings have a page of their own.
const HEADER_BYTES: usize = 4096;

/// Where the words of the second ring begin.
const RING_WORDS_BYTES: usize = 512;

/// Two lines of a cache, since processors fetch them in pairs.
const HEAD_AT: usize = 0;
const BATCHES_AT: usize = 8;
const TAIL_AT: usize = 128;
const READER_SLEEPS_AT: usize = 256;
const WRITER_WAITS_AT: usize = 384;

/// What is copied before the other side may have it: it works on the one piece while this side copies the next.
const PIECE_BYTES: usize = 16 << 10;

/// Which end of the pipe: the first writes into the first ring and reads from the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Writes into the first ring.
    First,
    /// Writes into the second.
    Second,
}

/// What the peer wrote is no state of a ring: it is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The count of bytes written.
    #[error("it says that it has written {head} bytes, after {seen}, of which {tail} were read")]
    Head {
        /// What it says now.
        head: u64,
        /// What it said before.
        seen: u64,
        /// What was read.
        tail: u64,
    },
    /// The count of bytes read.
    #[error("it says that it has read {tail} bytes, after {seen}, of {head} that were written")]
    Tail {
        /// What it says now.
        tail: u64,
        /// What it said before.
        seen: u64,
        /// What was written.
        head: u64,
    },
}

/// Memory for the two rings of one pipe.
///
/// # Errors
/// As [`shared_memory::create`].
pub fn create(capacity: usize) -> io::Result<OwnedFd> {
    assert!(
        capacity.is_power_of_two() && (MIN_CAPACITY..=MAX_CAPACITY).contains(&capacity),
        "a sensible ring"
    );
    shared_memory::create(HEADER_BYTES + 2 * capacity)
}

/// The two directions of one end of a pipe.
///
/// # Errors
/// The memory is not what [`create`] makes, or can't be mapped.
pub fn open(memory: BorrowedFd<'_>, side: Side) -> io::Result<(Producer, Consumer)> {
    let mapping = Rc::new(Mapping::new(memory)?);
    let capacity = mapping.bytes().saturating_sub(HEADER_BYTES) / 2;
    let exact = mapping.bytes() == HEADER_BYTES + 2 * capacity;
    if !exact || !capacity.is_power_of_two() || !(MIN_CAPACITY..=MAX_CAPACITY).contains(&capacity) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the memory has not the size of two rings"));
    }
    let ring = |second: bool| Ring { mapping: Rc::clone(&mapping), capacity, second };
    let (ours, theirs) = match side {
        Side::First => (ring(false), ring(true)),
        Side::Second => (ring(true), ring(false)),
    };
    let producer = Producer { ring: ours, most: capacity, head: 0, tail: 0, batches: 0 };
    Ok((producer, Consumer { ring: theirs, tail: 0, head: 0 }))
}

/// One direction: its words and bytes within the mapping.
#[derive(Debug)]
struct Ring {
    mapping: Rc<Mapping>,
    capacity: usize,
    second: bool,
}

impl Ring {
    fn words(&self) -> NonNull<u8> {
        let offset = if self.second { RING_WORDS_BYTES } else { 0 };
        self.at(offset)
    }

    #[allow(unsafe_code)]
    fn at(&self, offset: usize) -> NonNull<u8> {
        debug_assert!(offset < self.mapping.bytes());
        // SAFETY: every offset in this file is below the header's size, or that of a byte that lies at less than the
        // capacity from the start of its ring; `open` has checked that the mapping holds the header and both rings.
        unsafe { self.mapping.start().add(offset) }
    }

    #[allow(unsafe_code)]
    fn count(&self, at: usize) -> &AtomicU64 {
        // SAFETY: `at` is one of the constants above, a multiple of 8 within the header's page, which is aligned and
        // mapped for as long as `self.mapping`; this process accesses these words only as this atomic.
        unsafe { AtomicU64::from_ptr(self.words().add(at).as_ptr().cast()) }
    }

    #[allow(unsafe_code)]
    fn flag(&self, at: usize) -> &Flag {
        // SAFETY: as for `count`; a Flag is transparently an AtomicU32, which any bytes may be.
        unsafe { self.words().add(at).cast::<Flag>().as_ref() }
    }

    /// Where the byte of this position lies, and how many follow it before the ring wraps.
    fn place(&self, position: u64) -> (NonNull<u8>, usize) {
        let mask = self.capacity as u64 - 1;
        let offset = usize::try_from(position & mask).unwrap_or_default();
        let start = HEADER_BYTES + if self.second { self.capacity } else { 0 };
        (self.at(start + offset), self.capacity - offset)
    }

    /// At most the capacity of bytes, in one or two parts.
    #[allow(unsafe_code)]
    fn store(&self, position: u64, bytes: &[u8]) {
        assert!(bytes.len() <= self.capacity, "no more than the ring holds");
        let (place, until_wrap) = self.place(position);
        let (before, after) = bytes.split_at(until_wrap.min(bytes.len()));
        let (start, _) = self.place(0);
        // SAFETY: `before` ends at the latest where the ring does, and `after`, what is left of at most its capacity,
        // begins where it does; so both lie in the mapping, of which references are only made to words of the header.
        unsafe {
            copy::store(place, before);
            copy::store(start, after);
        }
    }

    /// At most the capacity of bytes, in one or two parts.
    #[allow(unsafe_code)]
    fn load(&self, position: u64, into: &mut [u8]) {
        assert!(into.len() <= self.capacity, "no more than the ring holds");
        let (place, until_wrap) = self.place(position);
        let (before, after) = into.split_at_mut(until_wrap.min(into.len()));
        let (start, _) = self.place(0);
        // SAFETY: as in `store`.
        unsafe {
            copy::load(place, before);
            copy::load(start, after);
        }
    }
}

/// The writing end of one ring.
#[derive(Debug)]
pub struct Producer {
    ring: Ring,
    /// How much of the ring this side fills.
    most: usize,
    /// Bytes ever written: known here, only published there.
    head: u64,
    /// Bytes ever read, as far as we looked.
    tail: u64,
    batches: u64,
}

impl Producer {
    /// How much can be written now.
    ///
    /// # Errors
    /// The peer's count is impossible.
    pub fn room(&mut self) -> Result<usize, Broken> {
        let tail = self.ring.count(TAIL_AT).load(Ordering::Acquire);
        if tail < self.tail || tail > self.head {
            return Err(Broken::Tail { tail, seen: self.tail, head: self.head });
        }
        self.tail = tail;
        let under_way = usize::try_from(self.head - tail).unwrap_or(self.ring.capacity);
        Ok(self.most.saturating_sub(under_way))
    }

    /// Writes what fits and returns how much that was, 0 if the ring is full. `publish` is called after each piece
    /// that the reader may have.
    ///
    /// # Errors
    /// The peer's count is impossible; nothing was written then.
    pub fn write(&mut self, bytes: &[u8], mut published: impl FnMut(&Producer)) -> Result<usize, Broken> {
        let room = self.room()?;
        let bytes = &bytes[..room.min(bytes.len())];
        for piece in bytes.chunks(PIECE_BYTES) {
            self.ring.store(self.head, piece);
            self.head += piece.len() as u64;
            self.ring.count(BATCHES_AT).store(self.batches, Ordering::Relaxed);
            self.ring.count(HEAD_AT).store(self.head, Ordering::Release);
            published(self);
        }
        Ok(bytes.len())
    }

    /// Fills at most so much of the ring from now on, so that less stands before what is written later.
    pub fn set_most(&mut self, bytes: usize) {
        self.most = bytes.clamp(MIN_CAPACITY, self.ring.capacity);
    }

    /// The position of the next byte.
    pub fn position(&self) -> u64 {
        self.head
    }

    /// Descriptors were sent that belong to the next byte.
    pub fn count_batch(&mut self) {
        self.batches += 1;
    }

    /// Whether the reader sleeps and must be woken; asked after each publication, and true once for each sleep.
    pub fn must_ring(&self) -> bool {
        self.ring.flag(READER_SLEEPS_AT).take(|| true)
    }

    /// Whether there is enough room to go on after the ring was full, or something is wrong with it.
    pub fn has_room(&self) -> bool {
        is_worth(self.most, self.head, self.ring.count(TAIL_AT).load(Ordering::Acquire))
    }

    /// This side will sleep until there is room: true if there is already; then it must not.
    pub fn await_room(&self) -> bool {
        self.ring.flag(WRITER_WAITS_AT).raise(|| self.has_room()) == Raised::News
    }
}

/// A quarter of a ring is worth waking its writer: less would wake it for every few bytes. What is impossible is worth
/// it, too, so that it is found out.
fn is_worth(capacity: usize, head: u64, tail: u64) -> bool {
    let under_way = head.wrapping_sub(tail);
    let quarter = capacity as u64 / 4;
    under_way <= 3 * quarter || under_way > i64::MAX as u64
}

/// The reading end of one ring.
#[derive(Debug)]
pub struct Consumer {
    ring: Ring,
    /// Bytes ever read: known here, only published there.
    tail: u64,
    /// Bytes ever written, as far as we looked.
    head: u64,
}

impl Consumer {
    /// Whether there is something to read, or something wrong. Cheap.
    pub fn has_bytes(&self) -> bool {
        self.head != self.tail || self.ring.count(HEAD_AT).load(Ordering::Relaxed) != self.head
    }

    /// Looks for more bytes once those known are read, and returns the position after the last.
    ///
    /// # Errors
    /// The peer's count is impossible.
    pub fn refresh(&mut self) -> Result<u64, Broken> {
        if self.head == self.tail {
            let head = self.ring.count(HEAD_AT).load(Ordering::Acquire);
            if head < self.head || head - self.tail > self.ring.capacity as u64 {
                return Err(Broken::Head { head, seen: self.head, tail: self.tail });
            }
            self.head = head;
        }
        Ok(self.head)
    }

    /// The position of the next byte.
    pub fn position(&self) -> u64 {
        self.tail
    }

    /// The position after which nothing can have been written yet.
    pub fn farthest(&self) -> u64 {
        self.tail.saturating_add(self.ring.capacity as u64)
    }

    /// How many sendings of descriptors belong to bytes before the position that [`refresh`](Self::refresh) gave, or,
    /// if the peer has written on meanwhile, to some more.
    pub fn batches(&self) -> u64 {
        self.ring.count(BATCHES_AT).load(Ordering::Relaxed)
    }

    /// Reads what is known to be there, up to the position `until`, and returns how much. `freed` is called after each
    /// piece that the writer may write over.
    pub fn read(&mut self, into: &mut [u8], until: u64, mut freed: impl FnMut(&Consumer)) -> usize {
        let there = self.head.min(until).saturating_sub(self.tail);
        let length = usize::try_from(there).unwrap_or(usize::MAX).min(into.len());
        for piece in into[..length].chunks_mut(PIECE_BYTES) {
            self.ring.load(self.tail, piece);
            self.tail += piece.len() as u64;
            self.ring.count(TAIL_AT).store(self.tail, Ordering::Release);
            freed(self);
        }
        length
    }

    /// Whether the writer waits and now has room worth waking it for; asked after each piece that was read.
    pub fn must_ring(&self) -> bool {
        self.ring.flag(WRITER_WAITS_AT).take(|| {
            // It waits, so it writes nothing meanwhile.
            is_worth(self.ring.capacity, self.ring.count(HEAD_AT).load(Ordering::Relaxed), self.tail)
        })
    }

    /// This side will sleep until there are bytes: true if there are already; then it must not.
    pub fn await_bytes(&self) -> bool {
        self.ring.flag(READER_SLEEPS_AT).raise(|| self.has_bytes()) == Raised::News
    }

    /// This side is awake and needs no bell.
    pub fn stay_awake(&self) {
        self.ring.flag(READER_SLEEPS_AT).lower();
    }
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
