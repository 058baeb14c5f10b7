//! What each thread remembers of where its messages go, so that a send needs neither the router's lock nor a map.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::peer::Peer;
use super::router::Router;
use crate::id::Capability;
use crate::protocol::wire::Cause;

/// The connection with an actor's process, and the channel to the actor.
pub struct Route {
    /// The connection.
    pub peer: Arc<Peer>,
    /// The channel.
    pub channel: u32,
    /// How many other actors its number led to before: it means this one while the connection counts the same.
    pub uses: u32,
    /// Which right on it the address is.
    pub right: u32,
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
    target: Capability,
    peer: Weak<Peer>,
    channel: u32,
    uses: u32,
    right: u32,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// A route led nowhere: no thread uses one before it has looked again.
pub fn forget_routes() {
    invalidate();
}

/// Where messages to an actor of another process go, if this thread has looked and nothing has changed since.
#[inline]
pub fn known_route(target: &Capability) -> Option<Route> {
    let epoch = EPOCH.load(Ordering::Acquire);
    KNOWN.try_with(|known| known.borrow_mut().find(epoch, target)).ok().flatten()
}

impl Router {
    /// Where messages to an actor of another process go now.
    ///
    /// # Errors
    /// It can't be reached; nothing was sent.
    pub fn route(self: &Arc<Router>, target: &Capability) -> Result<Route, Cause> {
        // Read before the router is asked: what changes meanwhile makes the answer old.
        let epoch = EPOCH.load(Ordering::Acquire);
        let is_own = self.is_local(target.process());
        if !is_own && let Some(route) = known_route(target) {
            return Ok(route);
        }
        let peer = self.peer_for(target)?;
        let (channel, uses, right) = peer.channel(target)?;
        if is_own {
            // Few messages of a process to itself go this way.
            return Ok(Route { peer, channel, uses, right });
        }
        let entry = Entry { target: *target, peer: Arc::downgrade(&peer), channel, uses, right };
        let _ = KNOWN.try_with(|known| known.borrow_mut().remember(epoch, entry));
        Ok(Route { peer, channel, uses, right })
    }
}

impl Known {
    #[inline]
    fn find(&mut self, epoch: u64, target: &Capability) -> Option<Route> {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.routes.clear();
        }
        let entry = self.routes.get(place(target))?.as_ref().filter(|entry| entry.target == *target)?;
        let (channel, uses, right) = (entry.channel, entry.uses, entry.right);
        Some(Route { peer: entry.peer.upgrade()?, channel, uses, right })
    }

    fn remember(&mut self, epoch: u64, entry: Entry) {
        if self.epoch == epoch {
            self.routes.resize(ROUTES, None);
            let place = place(&entry.target);
            self.routes[place] = Some(entry);
        }
    }
}

/// A seal is as good as random, and differs for each actor and each address of it.
#[inline]
fn place(target: &Capability) -> usize {
    usize::from(target.seal().to_bytes()[0]) % ROUTES
}
