//! The bytes of a connection over memory that both processes share, with a socket as bell.
//!
//! While both sides are awake no system call is made for a message: one writes into a ring ([`crate::sys::ring`]), the
//! other looks at it, polling a little before it sleeps. Who sleeps, or always has other work, says so, and is rung for over the
//! socket, which carries the descriptors as well and ends when the peer does. What had been written before the end is in the ring, and
//! is read first (H9).
//!
//! Not for peers that are not trusted, though nothing that a peer can write harms more than its own connection: see
//! `docs/decisions/0150-a-pipe-in-shared-memory.md`.

mod bell;
mod looks;
mod violation;

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use self::bell::Bell;
use self::looks::Looks;
pub use self::violation::Violation;
use super::turn;
use super::wire::{Arrivals, Wire};
use crate::sys::ring::{Consumer, Producer};
use crate::sys::room::Room;

/// One end of a pipe in shared memory. Dropping it closes it.
#[derive(Debug)]
pub struct SharedWire {
    outgoing: RefCell<Producer>,
    incoming: RefCell<Consumer>,
    bell: Bell,
    blocked: Cell<Blocked>,
    /// The peer was told that this side sleeps and must be rung for.
    asleep: Cell<bool>,
    /// Whether it need not be while this thread is awake.
    looks: Looks,
    /// The last receive found something, so others of this thread come first.
    has_read: Cell<bool>,
}

/// What a shallow ring holds, as much as a shallow socket. With 64 KiB small requests needed ten times their idle time beside
/// large bodies, with 32 KiB sometimes more than three times, with this two.
const SHALLOW_BYTES: usize = 16 << 10;

/// What the last send met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blocked {
    No,
    /// A full ring.
    Ring,
    /// A socket that takes no more descriptors.
    Socket,
}

impl SharedWire {
    /// The rings are those of [`crate::sys::ring::open`]; nothing but one side's agreement may have gone over the
    /// socket before.
    ///
    /// # Errors
    /// When the socket can't be watched.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub fn new(socket: OwnedFd, (outgoing, incoming): (Producer, Consumer)) -> io::Result<SharedWire> {
        Ok(SharedWire {
            outgoing: RefCell::new(outgoing),
            incoming: RefCell::new(incoming),
            bell: Bell::new(socket)?,
            blocked: Cell::new(Blocked::No),
            asleep: Cell::new(false),
            looks: Looks::new(),
            has_read: Cell::new(false),
        })
    }

    fn wake_up(&self) {
        if self.asleep.take() {
            self.incoming.borrow().stay_awake();
        }
    }

    /// From now on the peer rings when it has written. True if there is something to read already.
    fn await_bytes(&self) -> bool {
        // Once told, the peer either has not rung yet, or its ring ends the sleep.
        self.bell.is_gone() || !self.asleep.replace(true) && self.incoming.borrow().await_bytes()
    }

    /// Resolves when the peer has rung. That ended the sleep, whatever it was for: the flag is lowered, and a peer that was slow
    /// between its look at the flag and lowering it may have rung for what was read before, so the next sleep is told anew.
    async fn rung(&self) -> io::Result<()> {
        self.bell.rung().await?;
        self.asleep.set(false);
        Ok(())
    }

    /// From now on the peer rings when it has read. True if what was blocked is not any more.
    fn await_room(&self) -> bool {
        self.blocked.get() == Blocked::Ring && (self.bell.is_gone() || self.outgoing.borrow().await_room())
    }

    /// Bytes, the end, or something wrong.
    fn has_bytes(&self) -> bool {
        self.bell.is_gone() || self.incoming.borrow().has_bytes()
    }

    fn has_room(&self) -> bool {
        self.blocked.get() == Blocked::Ring && self.outgoing.borrow().has_room()
    }

    /// Checks what came over the bell against what the ring says of it.
    fn check_batches(&self, incoming: &Consumer) -> Result<(), Violation> {
        let announced = incoming.batches();
        let (arrived, last) = self.bell.batches();
        // Each sending is announced before the next is made, so that at most one comes unannounced.
        let early = arrived > announced.saturating_add(1);
        match last.filter(|last| early || *last >= incoming.farthest()) {
            Some(last) => Err(Violation::Position(last)),
            None => Ok(()),
        }
    }
}

impl Wire for SharedWire {
    fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        if self.bell.is_gone() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut outgoing = self.outgoing.borrow_mut();
        if !descriptors.is_empty() {
            if outgoing.room().map_err(Violation::from)? == 0 {
                self.blocked.set(Blocked::Ring);
                return Err(io::ErrorKind::WouldBlock.into());
            }
            // They must be there when the byte is.
            if let Err(error) = self.bell.send_batch(outgoing.position(), descriptors) {
                if error.kind() == io::ErrorKind::WouldBlock {
                    self.blocked.set(Blocked::Socket);
                }
                return Err(error);
            }
            outgoing.count_batch();
        }
        let written = outgoing.write(bytes, |outgoing| {
            if outgoing.must_ring() {
                self.bell.ring();
            }
        });
        match written.map_err(Violation::from)? {
            0 => {
                self.blocked.set(Blocked::Ring);
                Err(io::ErrorKind::WouldBlock.into())
            }
            written => {
                self.blocked.set(Blocked::No);
                Ok(written)
            }
        }
    }

    fn recv_into(&self, rooms: &mut [Room<'_>; 2], arrivals: &mut Arrivals) -> io::Result<usize> {
        self.wake_up();
        // Asked before looking, since a peer that is gone writes no more.
        let gone = self.bell.is_gone();
        let mut incoming = self.incoming.borrow_mut();
        let known = incoming.refresh().map_err(Violation::from)?;
        self.bell.receive_batches(incoming.batches())?;
        self.check_batches(&incoming)?;
        if known == incoming.position() {
            return if gone { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        // As the kernel does: a read begins with the descriptors of its first byte, and ends before those of another.
        if let Some(arrived) = self.bell.take_batch(incoming.position()) {
            arrivals.append(arrived);
        }
        let until = self.bell.next_batch_at().map_or(known, |next| next.min(known));
        let mut read = 0;
        for room in rooms {
            let there = usize::try_from(until.saturating_sub(incoming.position())).unwrap_or(usize::MAX);
            let bytes = there.min(room.bytes());
            room.write_with(bytes, |place| {
                read += incoming.read(place, until, |incoming| {
                    if incoming.must_ring() {
                        self.bell.ring();
                    }
                });
            });
        }
        if read == 0 {
            let passed = self.bell.next_batch_at().unwrap_or_default();
            return Err(Violation::Position(passed).into());
        }
        self.has_read.set(true);
        Ok(read)
    }

    fn has_news(&self) -> bool {
        let has_bytes = self.has_bytes();
        if has_bytes {
            self.looks.found();
        }
        has_bytes || self.has_room()
    }

    fn may_have_news(&self) -> bool {
        self.has_news()
    }

    fn set_shallow(&self, shallow: bool) {
        self.outgoing.borrow_mut().set_most(if shallow { SHALLOW_BYTES } else { usize::MAX });
    }

    fn before_sleep(&self) -> bool {
        // Both, whatever the first says.
        self.await_bytes() | self.await_room()
    }

    async fn readable(&self) -> io::Result<()> {
        if self.has_read.take() && self.has_bytes() {
            turn::yield_once().await;
        }
        while !self.has_bytes() {
            if self.looks.is_relied_on() && !self.asleep.get() {
                tokio::select! {
                    biased;
                    rung = self.rung() => rung?,
                    () = self.looks.over() => continue,
                }
            } else if self.await_bytes() {
                break;
            } else {
                self.rung().await?;
            }
            self.check_batches(&self.incoming.borrow())?;
            if self.has_bytes() {
                self.looks.needed_a_bell();
            }
        }
        Ok(())
    }

    async fn writable(&self) -> io::Result<()> {
        match self.blocked.get() {
            Blocked::No => Ok(()),
            Blocked::Socket => {
                self.bell.has_room().await;
                Ok(())
            }
            Blocked::Ring if self.has_room() || self.bell.is_gone() => Ok(()),
            // One bell rings for bytes and for room. Whoever else waits must be told anew, so whatever it was for, this wait is over.
            Blocked::Ring if self.await_room() => Ok(()),
            Blocked::Ring => self.rung().await,
        }
    }
}

#[cfg(test)]
mod tests;
