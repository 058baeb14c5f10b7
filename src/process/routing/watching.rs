//! Who in this process watches whom: monitors and links, of actors here and in other processes.
//!
//! Which reference means what on a connection is decided by `protocol::connection`; here each gets its watcher, and each
//! watched actor of ours the duty to tell (see `ends`).
//!
//! A monitor, from the watcher's side:
//!
//! ```text
//!  set --actor here--------------> on its Ends --ends--> told, behind what it sent through the gate
//!   |--actor elsewhere--> Given on a connection --Down--> told, behind what came on its channel
//!   |                         '--the connection is lost, and the root said how its process ended--> told, behind
//!   |                                                                  everything that had arrived from there
//!   '--nobody there, ever---------> told at once
//!  taken back (its guard is dropped) from any of these: never told
//! ```

use std::sync::{Arc, PoisonError};

use rustc_hash::FxHashMap;

use super::ends::Ends;
use super::gate::Pass;
use super::lane::EXIT_WAIT;
use super::peer::Peer;
use super::registry::Exported;
use super::router::Router;
use super::ticket::Ticket;
use crate::id::{ActorId, Capability, Incarnation, ProcessId};
use crate::protocol::connection::Connection;
use crate::protocol::control::Unreachable;
use crate::protocol::watching::{EndReason, Reference, Watch};
use crate::protocol::wire::Cause;

/// Is told of an end, at most once by each of those who may.
pub trait Watcher: Send + Sync {
    /// Which life of its process ended with it, where that is known.
    fn ended(&self, reason: &EndReason, incarnation: Option<Incarnation>, behind: Behind);

    /// The address of whoever is told in the end, for the order.
    fn place(&self) -> Option<ActorId>;
}

/// What a notice must not overtake.
pub enum Behind {
    /// What was sent within this process: at the gate, then in the mailbox.
    Here,
    /// It has passed the gate.
    Passed(Pass),
    /// What has arrived from another: in the inbox beside the mailbox and, with a ticket, on its channel.
    Arrived(Option<Ticket>),
}

/// Where something is watched, to take it back.
#[derive(Debug)]
pub enum Watched {
    /// Nowhere: it was told at once.
    Nowhere,
    /// An actor here.
    Here(Arc<Ends>, u64),
    /// An actor elsewhere.
    There(Arc<Peer>, Reference),
    /// A process.
    Process(Arc<Peer>, u64),
}

/// What a peer's references mean, and ours on its connection.
#[derive(Default)]
pub(super) struct PeerWatches {
    given: FxHashMap<Reference, Arc<dyn Watcher>>,
    taken: FxHashMap<Reference, Observed>,
    /// Watchers of the process itself.
    process: FxHashMap<u64, Arc<dyn Watcher>>,
    last_process: u64,
    /// They were told, and who comes now is, too.
    over: bool,
}

/// An actor of ours, watched by a peer.
struct Observed {
    exported: Exported,
    ends: Arc<Ends>,
    key: u64,
    watcher: Option<ActorId>,
    linked: bool,
}

/// How often a connection may end between being found and being used.
const TRIES: usize = 3;

/// Watches the process itself; none if the connection is over, which a later life is not.
fn watch_peer(peer: &Peer, watcher: &Arc<dyn Watcher>) -> Option<u64> {
    match peer.with_silently(|connection| connection.is_over()) {
        true => None,
        false => watch_this(peer, watcher),
    }
}

/// Watches this very life of a process; none if its watchers were told.
fn watch_this(peer: &Peer, watcher: &Arc<dyn Watcher>) -> Option<u64> {
    let mut watches = peer.watches.lock().unwrap_or_else(PoisonError::into_inner);
    if watches.over {
        return None;
    }
    watches.last_process += 1;
    let key = watches.last_process;
    watches.process.insert(key, Arc::clone(watcher));
    Some(key)
}

impl Router {
    /// Tells `watcher` of the end of an actor, wherever it lives.
    ///
    /// # Errors
    /// [`Cause::Full`]: as many are watched in that process as may be.
    pub fn watch(
        self: &Arc<Router>,
        target: &Capability,
        watcher: &Arc<dyn Watcher>,
        linked: bool,
    ) -> Result<Watched, Cause> {
        if self.is_local(target.process()) {
            return Ok(self.watch_here(target, watcher, linked));
        }
        let watch = Watch { target: *target, watcher: watcher.place() };
        self.watch_there(target, watcher, |peer| {
            let mut watches = peer.watches.lock().unwrap_or_else(PoisonError::into_inner);
            let reference = peer.with(|connection| connection.watch(&watch, linked))?;
            watches.given.insert(reference, Arc::clone(watcher));
            drop(watches);
            Ok(Watched::There(Arc::clone(peer), reference))
        })
    }

    /// Tells `watcher` of the end of the process of an address: of the life that lives now, or of the next.
    ///
    /// # Errors
    /// As [`watch`](Self::watch).
    pub fn watch_process(
        self: &Arc<Router>,
        target: &Capability,
        watcher: &Arc<dyn Watcher>,
    ) -> Result<Watched, Cause> {
        if self.is_local(target.process()) {
            // Who would be told dies with it.
            return Ok(Watched::Nowhere);
        }
        self.watch_there(target, watcher, |peer| {
            let key = watch_peer(peer, watcher).ok_or(Cause::ShuttingDown)?;
            Ok(Watched::Process(Arc::clone(peer), key))
        })
    }

    /// Tells `watcher` of the end of that life of a process, with which this one is connected. False if it is not.
    pub fn watch_life(&self, process: ProcessId, life: Incarnation, watcher: &Arc<dyn Watcher>) -> bool {
        self.connection_with(process, life).is_some_and(|peer| watch_this(&peer, watcher).is_some())
    }

    /// Tells `watcher` of the end of the process at the other end of this connection. False if that was told.
    pub fn watch_connection(&self, number: u64, watcher: &Arc<dyn Watcher>) -> bool {
        self.connection(number).is_some_and(|peer| watch_this(&peer, watcher).is_some())
    }

    fn watch_there(
        self: &Arc<Router>,
        target: &Capability,
        watcher: &Arc<dyn Watcher>,
        watch: impl Fn(&Arc<Peer>) -> Result<Watched, Cause>,
    ) -> Result<Watched, Cause> {
        let mut cause = Cause::ShuttingDown;
        for _ in 0..TRIES {
            let peer = match self.peer_for(target) {
                Ok(peer) => peer,
                Err(why) => {
                    cause = why;
                    break;
                }
            };
            match watch(&peer) {
                Ok(watched) => return Ok(watched),
                Err(Cause::Full) => return Err(Cause::Full),
                Err(why) => cause = why,
            }
            self.forget(&peer);
        }
        watcher.ended(&reason_of(&cause), None, Behind::Arrived(None));
        Ok(Watched::Nowhere)
    }

    fn watch_here(
        self: &Arc<Router>,
        target: &Capability,
        watcher: &Arc<dyn Watcher>,
        linked: bool,
    ) -> Watched {
        let incarnation = Some(self.identity().incarnation);
        let found = self.find_local_to_watch(target, linked).map(|exported| exported.actor.life());
        let told = match found {
            Ok(Some(ends)) => {
                let observer = Arc::clone(watcher);
                let key = ends.observe(move |reason| observer.ended(reason, incarnation, Behind::Here));
                self.attend(target.id());
                return Watched::Here(ends, key);
            }
            Ok(None) => EndReason::NoActor,
            Err(cause) => reason_of(&cause),
        };
        watcher.ended(&told, None, Behind::Here);
        Watched::Nowhere
    }

    fn find_local_to_watch(&self, target: &Capability, linked: bool) -> Result<Exported, Cause> {
        let exported = self.find_local(target)?;
        if !exported.is_full(target) {
            self.rights().check_local(target)?.may_watch(linked)?;
        }
        Ok(exported)
    }

    /// Has the actor's own context tell of its end.
    pub fn attend(&self, target: ActorId) {
        if let Ok(exported) = self.find_own(target) {
            exported.actor.attend();
        }
    }

    /// Takes a watch back. A notice that is on its way is still told: its receiver drops it.
    pub fn unwatch(&self, watched: &Watched) {
        match watched {
            Watched::Nowhere => {}
            Watched::Here(ends, key) => drop(ends.forget(*key)),
            Watched::There(peer, reference) => {
                let mut watches = peer.watches.lock().unwrap_or_else(PoisonError::into_inner);
                let watcher = watches.given.remove(reference);
                peer.with(|connection| connection.unwatch(*reference, false));
                drop(watches);
                drop(watcher);
            }
            Watched::Process(peer, key) => {
                let watcher = peer.watches.lock().unwrap_or_else(PoisonError::into_inner).process.remove(key);
                drop(watcher);
            }
        }
    }

    /// The other half of a link: the one here has ended, and who is linked with it is told.
    pub fn tell_linked(&self, watched: &Watched, target: ActorId, reason: &EndReason) {
        if let Watched::There(peer, reference) = watched {
            let watcher = peer.watches.lock().unwrap_or_else(PoisonError::into_inner).given.remove(reference);
            peer.notify(*reference, false, Some(target), reason);
            drop(watcher);
        }
    }
}

/// Why somebody who can't be reached has ended.
fn reason_of(cause: &Cause) -> EndReason {
    match cause {
        Cause::NoActor(_) | Cause::ActorStopped => EndReason::NoActor,
        Cause::Stale { .. } => EndReason::Stale,
        Cause::NoRight(_)
        | Cause::NotGranted { .. }
        | Cause::Revoked(_)
        | Cause::Expired(_)
        | Cause::Unreachable { why: Unreachable::NotAllowed, .. } => EndReason::NoRight,
        Cause::Unreachable { why: Unreachable::Ended(exit), .. } => {
            EndReason::Unreachable(Unreachable::Ended(*exit))
        }
        Cause::Unreachable { why, .. } => EndReason::Unreachable(*why),
        Cause::UnknownName(name) => EndReason::UnknownName(name.clone()),
        Cause::PeerDied { exit: Some(exit), .. } => EndReason::ProcessDied(Some(*exit)),
        Cause::PeerDied { exit: None, .. } => EndReason::ProcessDied(None),
        other => EndReason::Disconnected(other.to_string()),
    }
}

impl Peer {
    /// Tells the peer that an actor here has ended, behind what was sent to `watcher`.
    pub(super) fn notify(
        &self,
        reference: Reference,
        back: bool,
        watcher: Option<ActorId>,
        reason: &EndReason,
    ) {
        let known = watcher.and_then(|watcher| self.known_channel(watcher));
        self.with(|connection| {
            let still = known.filter(|(channel, uses)| connection.uses_of(*channel) == *uses);
            connection.notify(reference, back, still.map(|(channel, _)| channel), reason)
        });
    }

    /// The peer wants to hear of the end of an actor here.
    pub(super) fn watched(
        self: &Arc<Peer>,
        router: &Arc<Router>,
        reference: Reference,
        watch: &Watch,
        linked: bool,
    ) {
        let watcher = watch.watcher;
        let checked = router.rights().check(&watch.target, self.process);
        let may = checked.and_then(|right| right.may_watch(linked));
        // Through a link its own actors end ours, in their own name.
        let is_its_own = !linked || watcher.is_some_and(|watcher| watcher.process == self.process);
        let may = may.and_then(|()| is_its_own.then_some(()).ok_or(Cause::NoRight(watch.target.id())));
        let found = may.and_then(|()| router.find_own(watch.target.id()));
        let (exported, ends) = match found.map(|exported| (exported.actor.life(), exported)) {
            Ok((Some(ends), exported)) => (exported, ends),
            Ok((None, _)) => return self.notify(reference, true, watcher, &EndReason::NoActor),
            Err(cause) => return self.notify(reference, true, watcher, &reason_of(&cause)),
        };
        let actor = Arc::clone(&exported.actor);
        let observed = Observed { exported, ends: Arc::clone(&ends), key: 0, watcher, linked };
        // Before the observer is: it takes its own entry back, perhaps at once.
        let lock = || self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        lock().taken.insert(reference, observed);
        let peer = Arc::downgrade(self);
        let observer = move |reason: &EndReason| {
            let Some(peer) = peer.upgrade() else { return };
            let observed =
                peer.watches.lock().unwrap_or_else(PoisonError::into_inner).taken.remove(&reference);
            peer.notify(reference, true, watcher, reason);
            drop(observed);
        };
        let key = ends.observe(observer);
        if let Some(observed) = lock().taken.get_mut(&reference) {
            observed.key = key;
        }
        actor.attend();
    }

    /// The peer takes a watch back, or unlinks.
    pub(super) fn unwatched(&self, reference: Reference, back: bool) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if back {
            let observed = watches.taken.remove(&reference);
            drop(watches);
            if let Some(observed) = observed {
                observed.ends.forget(observed.key);
            }
        } else {
            let watcher = watches.given.remove(&reference);
            drop(watches);
            drop(watcher);
        }
    }

    /// A notice has come.
    pub(super) fn ended(
        self: &Arc<Peer>,
        channel: Option<u32>,
        reference: Reference,
        back: bool,
        reason: &EndReason,
    ) {
        let ticket = channel.map(|channel| Ticket::notice(Arc::clone(self), channel));
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if back {
            let observed = watches.taken.remove(&reference);
            drop(watches);
            if let Some(observed) = observed {
                self.linked_ended(observed, reason, ticket);
            }
            return;
        }
        let watcher = watches.given.remove(&reference);
        drop(watches);
        if let Some(watcher) = watcher {
            let ticket = ticket.filter(|ticket| self.leads_to(ticket.channel(), watcher.place()));
            watcher.ended(reason, self.incarnation(), Behind::Arrived(ticket));
        }
    }

    /// Whoever an actor of ours is linked with, on the peer's wish, has ended.
    fn linked_ended(&self, observed: Observed, reason: &EndReason, ticket: Option<Ticket>) {
        let Observed { exported, ends, key, watcher, linked } = observed;
        ends.forget(key);
        if let (true, Some(with)) = (linked, watcher) {
            exported.actor.linked_ended(&ends, with, reason, Behind::Arrived(ticket));
        }
    }

    /// Whether a channel of the peer leads to this actor of ours.
    fn leads_to(&self, channel: u32, place: Option<ActorId>) -> bool {
        let (Some(place), Some(router)) = (place, self.router.upgrade()) else { return false };
        let served = self.served_on(channel);
        match (served, router.find_own(place)) {
            (Some(served), Ok(found)) => served.is_same(&found),
            _ => false,
        }
    }

    /// A channel of the peer that leads to this actor: what the peer sent may still stand aside there.
    fn channel_to(&self, place: Option<ActorId>) -> Option<u32> {
        let router = self.router.upgrade()?;
        let found = router.find_own(place?).ok()?;
        let served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let at = served.iter().position(|one| one.as_ref().is_some_and(|one| one.exported.is_same(&found)));
        at.and_then(|at| u32::try_from(at).ok())
    }

    /// Whether anybody here watches somebody there, so that the exit of its process is worth waiting for.
    pub(super) fn is_watched(&self) -> bool {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        !watches.given.is_empty()
            || !watches.process.is_empty()
            || watches.taken.values().any(|observed| observed.linked)
    }

    /// The connection is lost and everything that had arrived was delivered: whoever watches somebody there is told.
    pub(super) fn tell_watchers(self: &Arc<Peer>, cause: &Cause) {
        let reason = match (self.exit(), cause) {
            (Some(exit), _) => EndReason::ProcessDied(Some(exit)),
            (None, Cause::Stopping(_)) => EndReason::ProcessDied(None),
            (None, cause) => reason_of(cause),
        };
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.over = true;
        let mut given = std::mem::take(&mut watches.given);
        let taken = std::mem::take(&mut watches.taken);
        let process = std::mem::take(&mut watches.process);
        let (ours, theirs) = self.with_silently(Connection::take_watches);
        drop(watches);
        debug_assert!(given.len() <= ours.len(), "N-5: a watcher without a reference");
        debug_assert!(taken.len() <= theirs.len(), "N-5: an observed actor without a reference");
        if *cause == Cause::ShuttingDown {
            // Whoever would be told ends with this process.
            return;
        }
        let mut told: Vec<_> = ours.iter().filter_map(|reference| given.remove(reference)).collect();
        told.extend(process.into_values());
        for watcher in told {
            let ticket = self.channel_to(watcher.place()).and_then(|channel| self.place(channel));
            watcher.ended(&reason, self.incarnation(), Behind::Arrived(ticket));
        }
        for observed in taken.into_values() {
            let place = Some(observed.exported.clone());
            let ticket = place.and_then(|exported| self.place_behind(&exported));
            self.linked_ended(observed, &reason, ticket);
        }
    }

    fn place_behind(self: &Arc<Peer>, exported: &Exported) -> Option<Ticket> {
        let served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let at = served.iter().position(|one| one.as_ref().is_some_and(|one| one.exported.is_same(exported)));
        drop(served);
        self.place(u32::try_from(at?).ok()?)
    }

    fn place(self: &Arc<Peer>, channel: u32) -> Option<Ticket> {
        let placed = self.with_silently(|connection| connection.place_notice(channel));
        placed.then(|| Ticket::notice(Arc::clone(self), channel))
    }

    /// Until the root has said how the process ended, for so long as that may take.
    pub(super) async fn wait_for_exit(&self) {
        let deadline = tokio::time::Instant::now() + EXIT_WAIT;
        while self.exit().is_none() {
            tokio::select! {
                () = self.news.notified() => {}
                () = tokio::time::sleep_until(deadline) => return,
            }
        }
    }
}
