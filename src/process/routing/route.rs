//! What each thread remembers of where its messages go, so that a send needs neither the router's lock nor a map.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::peer::Peer;
use super::router::Router;
use crate::id::ActorId;
use crate::protocol::wire::Cause;

/// The connection with an actor's process, and the channel to the actor.
pub struct Route {
    /// The connection.
    pub peer: Arc<Peer>,
    /// The channel.
    pub channel: u32,
    /// How many other actors its number led to before: it means this one while the connection counts the same.
    pub uses: u32,
}

/// Raised whenever what a thread remembers may be wrong: a connection came or went, a process closes.
static EPOCH: AtomicU64 = AtomicU64::new(0);

/// Makes every thread forget its routes before it uses one again.
pub(super) fn invalidate() {
    EPOCH.fetch_add(1, Ordering::Release);
}

/// Few, since a handler sends to few; a power of two.
const ROUTES: usize = 64;

#[derive(Default)]
struct Known {
    epoch: u64,
    routes: Vec<Option<Entry>>,
}

/// Keeps no connection alive: its thread may never send again.
#[derive(Clone)]
struct Entry {
    target: ActorId,
    peer: Weak<Peer>,
    channel: u32,
    uses: u32,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

impl Router {
    /// Where messages to an actor of another process go now.
    ///
    /// # Errors
    /// It can't be reached; nothing was sent.
    pub fn route(self: &Arc<Router>, target: ActorId) -> Result<Route, Cause> {
        // Read before the router is asked: what changes meanwhile makes the answer old.
        let epoch = EPOCH.load(Ordering::Acquire);
        if let Some(route) = KNOWN.try_with(|known| known.borrow_mut().find(epoch, target)).ok().flatten() {
            return Ok(route);
        }
        let peer = self.peer_for(target)?;
        let (channel, uses) = peer.channel(target);
        let entry = Entry { target, peer: Arc::downgrade(&peer), channel, uses };
        let _ = KNOWN.try_with(|known| known.borrow_mut().remember(epoch, entry));
        Ok(Route { peer, channel, uses })
    }
}

impl Known {
    fn find(&mut self, epoch: u64, target: ActorId) -> Option<Route> {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.routes.clear();
        }
        let entry = self.routes.get(place(target))?.as_ref().filter(|entry| entry.target == target)?;
        Some(Route { peer: entry.peer.upgrade()?, channel: entry.channel, uses: entry.uses })
    }

    fn remember(&mut self, epoch: u64, entry: Entry) {
        if self.epoch == epoch {
            self.routes.resize(ROUTES, None);
            let place = place(entry.target);
            self.routes[place] = Some(entry);
        }
    }
}

fn place(target: ActorId) -> usize {
    (target.slot.0 ^ target.process.0.rotate_left(3)) as usize % ROUTES
}
