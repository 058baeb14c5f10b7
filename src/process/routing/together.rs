//! Messages that are handled one right after the other, and leave their mailbox under one lock.
//!
//! Whether a message may begin, and that it has left the mailbox, is said under the lock of its connection. Where several
//! come from one sender and want no answer, the first is said for all of them, and the second once they were handled: a
//! moment later than for each alone, never earlier, so that what was granted holds. Those that the actor does not come to,
//! since it pauses or panics, are not counted.

use std::sync::Arc;

use super::peer::Peer;
use super::ticket::Ticket;

/// Messages that leave their mailbox together. Dropped, it says how many were handled.
#[derive(Debug)]
pub struct Together {
    peer: Arc<Peer>,
    channel: u32,
    left: usize,
    handled: u64,
    bytes: u64,
}

/// So many at most, and never more than a quarter of a window: as much is held back already.
const MOST: usize = 16;

impl Together {
    /// Of the messages that wait, those at the front; none if that is not worth it, or none of them may begin now.
    pub fn of<'a>(mut waiting: impl Iterator<Item = &'a Ticket>) -> Option<Together> {
        let first = waiting.next().filter(|first| first.is_quiet())?;
        let mut next = waiting.take(MOST - 1).take_while(|next| next.is_quiet() && next.is_beside(first));
        next.next()?;
        let (peer, channel) = (first.peer(), first.channel());
        let most = peer.with_silently(|connection| connection.casts_at_once(channel));
        let left = most.min(2 + next.count());
        (left > 1).then(|| Together { peer: Arc::clone(peer), channel, left, handled: 0, bytes: 0 })
    }

    /// The next of them leaves the mailbox.
    #[inline]
    pub fn count(&mut self, ticket: &mut Ticket) {
        self.handled += 1;
        self.bytes += ticket.leave_together();
        self.left -= 1;
    }

    /// Whether that was the last of them.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.left == 0
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        let (channel, handled, bytes) = (self.channel, self.handled, self.bytes);
        if handled > 0 {
            self.peer.with(|connection| connection.take_several(channel, handled, bytes));
        }
    }
}
