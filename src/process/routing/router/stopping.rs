//! How a process comes to rest: intake closes, then the connections do (P-4).

use std::sync::atomic::Ordering;

use super::Router;
use crate::process::routing::route;
use crate::protocol::connection::Connection;

/// Messages are taken and sent.
pub(super) const OPEN: u8 = 0;
/// New messages are refused; those taken are handled and answered, and may send.
const STOPPING: u8 = 1;
/// Connections close as soon as they owe nothing.
const CLOSING: u8 = 2;

impl Router {
    /// Closes intake: what arrives from now on is answered `Stopping` (P-4). What was taken in may still send.
    pub fn stop(&self) {
        self.stage.store(STOPPING, Ordering::Release);
        if let Some(on_stop) = self.on_stop.get() {
            on_stop(self);
        }
    }

    /// Says goodbye on every connection and closes each as soon as it owes nothing; resolves when all are closed.
    /// Requests of peers that are still being handled hold it up; the caller has the deadline.
    pub async fn close(&self) {
        self.stage.store(CLOSING, Ordering::Release);
        route::invalidate();
        let peers = self.lock().all.clone();
        for peer in &peers {
            peer.with(Connection::leave);
            peer.wake.ring();
            peer.news.notify_one();
        }
        drop(peers);
        while !self.lock().all.is_empty() {
            self.quiet.notified().await;
        }
        self.series.end();
    }

    /// Whether intake is closed.
    pub fn is_stopping(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= STOPPING
    }

    pub(in crate::process::routing) fn may_close(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= CLOSING
    }

    /// Whether every message that was taken in, from here or elsewhere, is handled and answered, and everything
    /// that was sent without waiting for a reply has left.
    pub fn is_idle(&self) -> bool {
        self.tickets.load(Ordering::Acquire) == 0
            && self.registry.is_idle()
            && self.series.is_idle()
            && self.names_desk().is_none_or(|desk| desk.is_idle())
            && self
                .lock()
                .all
                .iter()
                .all(|peer| !peer.with_silently(|connection| connection.has_casts_waiting()))
    }
}
