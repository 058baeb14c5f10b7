//! What each thread remembers of where its messages go, so that a send needs neither the router's lock nor a map.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::peer::Peer;
use super::router::Router;
use crate::id::ActorId;
use crate::protocol::wire::Cause;

/// The connection with an actor's process, and the channel to the actor.
#[derive(Clone)]
pub struct Route {
    /// The connection.
    pub peer: Arc<Peer>,
    /// The channel; its number means this actor for as long as the connection lives.
    pub channel: u32,
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
    routes: Vec<Option<(ActorId, Route)>>,
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
        let place = (target.slot.0 ^ target.process.0.rotate_left(3)) as usize % ROUTES;
        let known = KNOWN.try_with(|known| {
            let mut known = known.borrow_mut();
            if known.epoch != epoch {
                *known = Known { epoch, routes: Vec::new() };
                known.routes.resize(ROUTES, None);
            }
            known
                .routes
                .get(place)
                .and_then(Option::as_ref)
                .filter(|(id, _)| *id == target)
                .map(|(_, route)| route.clone())
        });
        if let Ok(Some(route)) = known {
            return Ok(route);
        }
        let peer = self.peer_for(target)?;
        let channel = peer.channel(target);
        let route = Route { peer, channel };
        let _ = KNOWN.try_with(|known| {
            let mut known = known.borrow_mut();
            if known.epoch == epoch
                && let Some(slot) = known.routes.get_mut(place)
            {
                *slot = Some((target, route.clone()));
            }
        });
        Ok(route)
    }
}
