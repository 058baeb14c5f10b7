//! A run of casts on its way through a mailbox: one thing, until they are handled.
//!
//! Nobody waits for any of them, so what is owed of each is a place in the window of their channel and in the counts of what
//! this process has taken in. A run owes it for all. Whether casts may begin, and that they have left the mailbox, is said
//! under the lock of their connection: of several at once ([`Begun`]), the first before they are handled and the second after,
//! a moment later than for each alone, never earlier, so that what was granted holds. Those that the actor does not come to,
//! since it pauses or panics, are not counted. Where casts may not begin at once, each goes on as a [`Ticket`] of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::peer::Peer;
use super::ticket::Ticket;
use crate::id::{ProcessId, Slot};
use crate::process::handling::{ManyTaken, Naming, Taken, Work};
use crate::protocol::wire::{Cause, Failure};

/// The duty of a run of casts. Dropped, those that are left are dead letters of an actor that stopped.
#[derive(Debug)]
pub struct Casts {
    peer: Arc<Peer>,
    channel: u32,
    slot: Slot,
    /// How many have not left it.
    left: u64,
    /// What these count in their window.
    bytes: u64,
    taken: ManyTaken,
}

/// So many begin at once at most, and never more than a quarter of their window: as much is held back already. More would
/// spare little, and where a process takes its leave while one of its other threads is at them, they count as not taken.
const MOST_AT_ONCE: u64 = 16;

impl Casts {
    pub(super) fn new(peer: &Arc<Peer>, channel: u32, slot: Slot, count: usize, bytes: usize) -> Casts {
        let (left, bytes) = (count as u64, bytes as u64);
        peer.tickets.fetch_add(left, Ordering::AcqRel);
        Casts { peer: Arc::clone(peer), channel, slot, left, bytes, taken: ManyTaken::new(left) }
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        usize::try_from(self.left).unwrap_or(usize::MAX)
    }

    /// Takes those that came behind these by the same way. Others come back.
    pub fn absorb(&mut self, mut behind: Casts) -> Result<(), Casts> {
        if self.channel != behind.channel || !Arc::ptr_eq(&self.peer, &behind.peer) {
            return Err(behind);
        }
        self.left += std::mem::take(&mut behind.left);
        self.bytes += std::mem::take(&mut behind.bytes);
        self.taken.absorb(&mut behind.taken);
        Ok(())
    }

    /// The next goes on alone: its body has so many bytes.
    pub fn alone(&mut self, bytes: usize) -> Ticket {
        self.leave(bytes as u64);
        let mut ticket =
            Ticket::counted(Arc::clone(&self.peer), self.channel, bytes as u64, None, None, self.taken.one());
        ticket.set_slot(self.slot);
        ticket
    }

    fn leave(&mut self, bytes: u64) {
        self.left -= 1;
        self.bytes -= bytes;
    }

    /// The next begin, one after the other, as many as may and at most so many; none if each must be asked for.
    pub fn begin(&mut self, most: usize) -> Option<Begun<'_>> {
        let channel = self.channel;
        let (messages, most_bytes) = self.peer.with_silently(|connection| connection.casts_at_once(channel));
        let most = (most as u64).min(self.left).min(MOST_AT_ONCE).min(messages);
        (most > 0).then_some(Begun { casts: self, most, most_bytes, handled: 0, bytes: 0 })
    }
}

impl Drop for Casts {
    fn drop(&mut self) {
        if self.left == 0 {
            return;
        }
        let (channel, left, bytes) = (self.channel, self.left, self.bytes);
        self.peer.with(|connection| connection.take_several(channel, left, bytes));
        self.peer.bury_inbound(left, &Failure::not_executed(Cause::ActorStopped));
        self.peer.tickets.fetch_sub(left, Ordering::AcqRel);
    }
}

/// Casts that may be handled now. Dropped, it says that those that were taken out have left the mailbox.
#[derive(Debug)]
pub struct Begun<'a> {
    casts: &'a mut Casts,
    most: u64,
    most_bytes: u64,
    handled: u64,
    bytes: u64,
}

impl Begun<'_> {
    /// Whether another may begin.
    #[inline]
    pub fn has_next(&self) -> bool {
        self.handled < self.most && self.bytes <= self.most_bytes
    }

    /// The next leaves the mailbox: its body has so many bytes.
    #[inline]
    pub fn next(&mut self, bytes: usize) {
        self.casts.leave(bytes as u64);
        self.handled += 1;
        self.bytes += bytes as u64;
    }

    /// The process that sent them.
    pub fn sender(&self) -> ProcessId {
        self.casts.peer.process
    }

    /// What is shown while they are handled.
    pub fn work(&self, naming: &Naming) -> Work {
        naming.from(self.casts.peer.process, self.casts.slot, 0)
    }

    /// The one that has left was taken in, and is to be handled.
    #[inline]
    pub fn taken(&mut self) -> Taken {
        self.casts.taken.one()
    }

    /// The one that has left is no message.
    #[cold]
    pub fn refuse(&mut self, failure: &Failure) {
        drop(self.taken());
        self.casts.peer.bury_inbound(1, failure);
    }

    /// The one that has left goes on with a ticket, since handling it may outlast this.
    pub fn ticket(&mut self) -> Ticket {
        let (peer, channel) = (Arc::clone(&self.casts.peer), self.casts.channel);
        peer.tickets.fetch_add(1, Ordering::AcqRel);
        let mut ticket = Ticket::counted(peer, channel, 0, None, None, self.casts.taken.one());
        ticket.set_slot(self.casts.slot);
        ticket.set_left();
        ticket
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let (channel, handled, bytes) = (self.casts.channel, self.handled, self.bytes);
        if handled > 0 {
            self.casts.peer.with(|connection| connection.take_several(channel, handled, bytes));
            self.casts.peer.tickets.fetch_sub(handled, Ordering::AcqRel);
        }
    }
}
