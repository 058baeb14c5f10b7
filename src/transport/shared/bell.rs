//! The socket beside two rings: it wakes who sleeps, carries descriptors, and ends when the peer does.
//!
//! ```text
//!  to wake       +---+        descriptors   +---+----------------------+
//!                | 0 |        that belong   | 1 | position of the byte |   and the descriptors themselves
//!                +---+        to a byte     +---+ u64, little-endian   +   (SCM_RIGHTS)
//! ```

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::violation::Violation;
use crate::sys::socket::{self, MAX_DESCRIPTORS, Wait};
use crate::transport::duplex::Duplex;
use crate::transport::wire::Arrivals;

const RING: u8 = 0;
const BATCH: u8 = 1;
const BATCH_BYTES: usize = 1 + size_of::<u64>();

/// One receive takes at most this much: a side rings once for each sleep of the other, so there is rarely a second byte.
const RECEIVE_BYTES: usize = 64;

/// Receives of one turn; an honest peer never fills two.
const RECEIVES_A_TURN: usize = 16;

/// Batches that are announced at once. A socket holds some hundreds, or more if its system is set up so; beyond this
/// somebody keeps us busy.
const MOST_BATCHES: usize = 8192;

/// Descriptors that were sent with one byte of the ring.
#[derive(Debug)]
struct Batch {
    position: u64,
    arrived: Arrivals,
}

#[derive(Debug)]
pub(super) struct Bell {
    socket: Duplex,
    /// The peer has closed its end, or is dead. What it had written is still in the ring.
    gone: Cell<bool>,
    heard: RefCell<Heard>,
}

/// What arrived and was not taken.
#[derive(Debug, Default)]
struct Heard {
    /// The begin of a batch's record.
    partial: Vec<u8>,
    /// Descriptors whose record has not come whole.
    arrived: VecDeque<Arrivals>,
    batches: VecDeque<Batch>,
    /// How many batches ever came.
    count: u64,
    /// The position of the last.
    last: Option<u64>,
}

impl Bell {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Bell> {
        Ok(Bell { socket: Duplex::new(socket)?, gone: Cell::new(false), heard: RefCell::default() })
    }

    /// Wakes the peer.
    pub(super) fn ring(&self) {
        // A full socket holds more than enough to wake it, and that it is gone is found by reading.
        let _ = socket::send(self.socket.as_fd(), &[RING], Wait::No);
    }

    /// Sends descriptors that belong to the byte at this position.
    pub(super) fn send_batch(&self, position: u64, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut record = [BATCH; BATCH_BYTES];
        record[1..].copy_from_slice(&position.to_le_bytes());
        match socket::send_with_descriptors(self.socket.as_fd(), &record, descriptors, Wait::No)? {
            BATCH_BYTES => {
                self.socket.found_room();
                Ok(())
            }
            _ => Err(io::Error::other("a stream socket has taken half of nine bytes")),
        }
    }

    /// Resolves when there may be room for a batch. Cancel safe.
    pub(super) async fn has_room(&self) {
        self.socket.has_room().await;
    }

    /// Resolves when the peer has rung, or is gone, and takes what came. Cancel safe.
    pub(super) async fn rung(&self) -> io::Result<()> {
        // A peer that rings all the time gets this task's share of the thread and no more.
        tokio::task::coop::consume_budget().await;
        let mut ready = self.socket.reading().readable().await?;
        // "Would block" is an answer here: it ends what was known of readiness.
        match ready.try_io(|_| self.receive()) {
            Ok(received) => received,
            Err(_) => Ok(()),
        }
    }

    /// Takes what has come until `count` batches have, or all that has.
    ///
    /// # Errors
    /// The peer is to blame: it announced more than it had sent.
    pub(super) fn receive_batches(&self, count: u64) -> io::Result<()> {
        for _ in 0..MOST_BATCHES {
            if self.heard.borrow().count >= count {
                return Ok(());
            }
            match self.receive_once() {
                Ok(_) if !self.gone.get() => {}
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => break,
            }
        }
        Err(Violation::MissingDescriptors.into())
    }

    /// Receives until there is nothing, which is an error of the kind "would block", or it is enough for now.
    fn receive(&self) -> io::Result<()> {
        for _ in 0..RECEIVES_A_TURN {
            if self.gone.get() || self.receive_once()? == More::No {
                // A short read without descriptors was all there was.
                return if self.gone.get() { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) };
            }
        }
        Ok(())
    }

    fn receive_once(&self) -> io::Result<More> {
        let mut bytes = [0; RECEIVE_BYTES];
        let socket = self.socket.as_fd();
        let received = match socket::recv_with_descriptors(socket, &mut bytes, MAX_DESCRIPTORS, Wait::No) {
            Ok(received) => received,
            Err(error) if socket::is_peer_gone(&error) => {
                self.gone.set(true);
                return Ok(More::No);
            }
            Err(error) => return Err(error),
        };
        if received.bytes == 0 {
            self.gone.set(true);
            return Ok(More::No);
        }
        let along = Arrivals { descriptors: received.descriptors, lost: received.truncated };
        let came_along = !along.is_empty();
        self.heard.borrow_mut().take(&bytes[..received.bytes], along)?;
        Ok(if received.bytes < RECEIVE_BYTES && !came_along { More::No } else { More::Maybe })
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.get()
    }

    /// The position of the next batch that came.
    pub(super) fn next_batch_at(&self) -> Option<u64> {
        self.heard.borrow().batches.front().map(|batch| batch.position)
    }

    /// The next batch, if it belongs to this position.
    pub(super) fn take_batch(&self, position: u64) -> Option<Arrivals> {
        let mut heard = self.heard.borrow_mut();
        let due = heard.batches.front().is_some_and(|batch| batch.position == position);
        due.then(|| heard.batches.pop_front()).flatten().map(|batch| batch.arrived)
    }

    /// The position of the last batch that came, and how many came in all.
    pub(super) fn batches(&self) -> (u64, Option<u64>) {
        let heard = self.heard.borrow();
        (heard.count, heard.last)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    Maybe,
    No,
}

impl Heard {
    /// The kernel hands descriptors over with the first byte of what they were sent with, and never those of two sendings
    /// at once; so the next record that ends is theirs.
    fn take(&mut self, bytes: &[u8], along: Arrivals) -> Result<(), Violation> {
        if !along.is_empty() {
            self.arrived.push_back(along);
        }
        for byte in bytes {
            match (self.partial.is_empty(), *byte) {
                (true, RING) => {}
                (true, BATCH) | (false, _) => self.partial.push(*byte),
                (true, other) => return Err(Violation::Record(other)),
            }
            if let Ok(record) = <[u8; BATCH_BYTES]>::try_from(self.partial.as_slice()) {
                self.partial.clear();
                let [_, position @ ..] = record;
                self.batch(u64::from_le_bytes(position))?;
            }
        }
        match self.partial.is_empty() && !self.arrived.is_empty() {
            true => Err(Violation::UnclaimedDescriptors),
            false => Ok(()),
        }
    }

    fn batch(&mut self, position: u64) -> Result<(), Violation> {
        let arrived = self.arrived.pop_front().ok_or(Violation::MissingDescriptors)?;
        if self.last.is_some_and(|last| position <= last) {
            return Err(Violation::Position(position));
        }
        self.last = Some(position);
        self.count += 1;
        self.batches.push_back(Batch { position, arrived });
        Ok(())
    }
}
