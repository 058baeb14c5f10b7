//! Connections as the desk asks for them: who has proved what of an earlier call, and who did what no honest process does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::peer::Peer;
use super::router::Router;
use crate::id::{Incarnation, ProcessId};

impl Router {
    /// The connection on which this process made that call, if who asks was told of it. Of two that live there may be
    /// several for a while, each with a secret of its own.
    pub fn proved(
        &self,
        (process, life): (ProcessId, Incarnation),
        correlation: u64,
        proof: u128,
    ) -> Option<Arc<Peer>> {
        let mut peers = self.peers().into_iter();
        let is_with = |peer: &Arc<Peer>| peer.process == process && peer.incarnation() == Some(life);
        peers.find(|peer| is_with(peer) && peer.is_proof(correlation, proof))
    }

    /// The number of the connection to which new messages for a process go, if it is another and there is one.
    pub fn connection_to(&self, process: ProcessId) -> Option<u64> {
        let peer = self.current_peer(process).filter(|_| !self.is_local(process))?;
        Some(peer.number)
    }

    /// How many bytes and descriptors a reply to that life of a process may have.
    pub fn reply_limits(&self, process: ProcessId, life: Incarnation) -> Option<(usize, usize)> {
        let peer = self.connection_with(process, life)?;
        Some(peer.with_silently(|connection| connection.reply_limits()))
    }

    /// Tells the root, once for each pipe, that a process did what no honest one does (X-1, H59).
    pub fn accuse(&self, process: ProcessId, reason: String) {
        let Some(peer) = self.current_peer(process) else { return };
        if !peer.is_blamed.swap(true, Ordering::AcqRel) {
            self.blame_for(&peer, reason);
        }
    }
}
