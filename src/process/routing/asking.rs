//! How a process asks to be introduced: by showing the root an address, one after the other until one is good.
//!
//! A connection that is not yet introduced may wait for several addresses of its process. One of them is asked with; if the
//! root says that it is no right, only what was sent by that one fails, and the next is asked with.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::peer::Peer;
use super::router::Router;
use crate::id::{Capability, Incarnation};
use crate::protocol::control::ToRoot;
use crate::protocol::rights::Denial;
use crate::protocol::wire::Cause;

/// The addresses of one process, the first of which the root was asked with.
#[derive(Debug, Default)]
pub(super) struct Asking {
    line: VecDeque<Capability>,
    /// Others make up what is in them, so by a hash that nobody can foresee.
    known: HashSet<Capability>,
    broken: Option<Incarnation>,
}

impl Asking {
    /// Whether this is the first, with which the root must be asked.
    pub(super) fn join(&mut self, target: &Capability) -> bool {
        if self.known.insert(*target) {
            self.line.push_back(*target);
        }
        self.line.len() == 1
    }
}

impl Router {
    /// Has a connection that is not introduced ask with this address, too. Under the router's lock.
    pub(super) fn ask_with(&self, peer: &Peer, target: &Capability, broken: Option<Incarnation>) {
        if peer.incarnation().is_some() {
            return;
        }
        let mut asking = peer.asking();
        let before = asking.line.len();
        asking.broken = asking.broken.or(broken);
        if asking.join(target) && before == 0 {
            self.say(ToRoot::Introduce { target: *target, broken: asking.broken });
        }
    }

    /// The root says that an address is no right to send there.
    pub(super) fn denied(self: &Arc<Router>, target: &Capability, why: Denial) {
        let cause = match why {
            Denial::NoRight => Cause::NoRight(target.id()),
            Denial::Revoked => Cause::Revoked(target.id()),
        };
        let Some(peer) = self.unintroduced(target.process()) else { return };
        let next = {
            let mut asking = peer.asking();
            asking.known.remove(target);
            asking.line.retain(|other| other != target);
            asking.line.front().copied().map(|next| (next, asking.broken))
        };
        peer.denied(target, &cause);
        match next {
            Some((target, broken)) => self.say(ToRoot::Introduce { target, broken }),
            None => {
                // Whatever waits there was sent by addresses that are none, and this was the last.
                peer.set_denied(cause);
                self.forget(&peer);
            }
        }
    }
}
