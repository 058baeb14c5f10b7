//! Responders that came from other processes and wait here to be used.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use super::{Desk, desk, tell};
use crate::address::context;
use crate::address::target::Target;
use crate::codec::{self, DecodeError};
use crate::id::Incarnation;
use crate::protocol::responders::{Hold, Place, ReplyTicket};

/// Who must hear that nobody waits any more. By a hash that nobody can foresee: others make up tickets.
pub(super) type Holding = HashMap<ReplyTicket, Weak<AtomicBool>>;

/// As long as it lives, this process has the responder.
pub(in crate::address) struct Held {
    ticket: ReplyTicket,
    is_released: Arc<AtomicBool>,
    /// The connection with the asker's process, if that is another.
    connection: Option<u64>,
}

/// Tells the asker's process that this one has its responder.
///
/// # Errors
/// There is no such place.
pub(in crate::address) fn hold(place: &Place) -> Result<Held, DecodeError> {
    let target: Target = codec::decode(&place.desk)?;
    // First, so that what comes of `Hold` finds it.
    let is_released = desk().map(|desk| desk.keep(place.ticket)).unwrap_or_default();
    let life = context::current().map_or(Incarnation::ANY, |router| router.identity().incarnation);
    let hold = Hold { ticket: place.ticket, hand: place.hand, life };
    tell(&target, hold, |desk, hold| desk.hold(hold, None));
    let connection = context::current().and_then(|router| {
        let asker = target.resolve(&router).ok()?.process();
        router.connection_to(asker)
    });
    Ok(Held { ticket: place.ticket, is_released, connection })
}

impl Held {
    /// Whether nobody waits for the answer any more, as far as this process knows.
    pub(in crate::address) fn is_released(&self) -> bool {
        self.is_released.load(Ordering::Acquire) || self.has_lost_its_asker()
    }

    /// Whether the connection with the asker's process has ended: then the ask has, too.
    fn has_lost_its_asker(&self) -> bool {
        let (Some(router), Some(connection)) = (context::current(), self.connection) else { return false };
        router.connection(connection).is_none()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(desk) = desk() else { return };
        let mut state = desk.lock();
        // A copy may hold it still.
        if Arc::strong_count(&self.is_released) == 1 {
            state.holding.remove(&self.ticket);
        }
    }
}

impl Desk {
    /// Copies of one responder hear the same.
    fn keep(&self, ticket: ReplyTicket) -> Arc<AtomicBool> {
        let mut state = self.lock();
        if let Some(kept) = state.holding.get(&ticket).and_then(Weak::upgrade) {
            return kept;
        }
        let kept = Arc::default();
        state.holding.insert(ticket, Arc::downgrade(&kept));
        kept
    }

    /// Nobody waits for that answer any more.
    pub(in crate::address) fn released(&self, ticket: ReplyTicket) {
        let held = self.lock().holding.get(&ticket).and_then(Weak::upgrade);
        if let Some(held) = held {
            held.store(true, Ordering::Release);
        }
    }
}
