//! Where messages of this process go: to an actor here, or to the connection with another process.
//!
//! What the root says of others is taken in `told`, and how it all ends is in `stopping`.

mod stopping;
mod told;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use super::dead_letters::{DeadLetter, DeadLetters};
use super::handover::{Handovers, Service};
use super::lane;
use super::peer::Peer;
use super::presence::{Attended, NamesDesk};
use super::reach::Reach;
use super::registry::{Exported, Registry};
use super::rights::Rights;
use super::route;
use super::series::AllSeries;
use crate::id::{
    ActorId, ActorName, BuildId, Capability, Incarnation, Key, ProcessId, ProcessName, is_hashed, short_name,
};
use crate::protocol::Limits;
use crate::protocol::connection::ProtocolError;
use crate::protocol::control::{KnownActor, ToRoot};
use crate::protocol::letters::LettersToWorker;
use crate::protocol::wire::{Cause, Hello, MessageId};

/// Who this process is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its number.
    pub process: ProcessId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Its name.
    pub name: ProcessName,
    /// Its executable.
    pub build: BuildId,
    /// What it grants and accepts.
    pub limits: Limits,
    /// How long an ask waits that names no timeout, at first.
    pub ask_timeout: Duration,
    /// Serialise also what stays here.
    pub serialise_always: bool,
    /// What the addresses of its actors are sealed with.
    pub key: Key,
    /// Which run of the root this is.
    pub run: u64,
}

/// The way to the root: the control pipe of a worker; within the root, its supervisor. Must not block.
pub trait Broker: Send + Sync {
    /// Says something to the root. What can't be said because the root is gone is dropped: this process ends.
    fn say(&self, what: ToRoot);
}

/// What is done with the root's word about subscriptions.
pub type Subscribing = fn(&Arc<Router>, &LettersToWorker);

/// Knows the actors of this process and the connections with others.
pub struct Router {
    identity: Identity,
    broker: Box<dyn Broker>,
    registry: Registry,
    rights: Arc<Rights>,
    handovers: Handovers,
    dead_letters: DeadLetters,
    subscribing: OnceLock<Subscribing>,
    on_stop: OnceLock<fn(&Router)>,
    desk: OnceLock<Vec<u8>>,
    names_desk: OnceLock<Arc<dyn NamesDesk>>,
    /// Actors of which the root's directory wants to hear.
    attended: Attended,
    names: Mutex<HashMap<ActorName, KnownActor>>,
    state: Mutex<State>,
    /// Connections whose driver must be started on the arbiter.
    unborn: Notify,
    /// A connection has ended.
    quiet: Notify,
    stage: AtomicU8,
    /// The runtime of the arbiter, for who waits on a thread without one.
    arbiter: OnceLock<(ThreadId, tokio::runtime::Handle)>,
    /// Messages of other processes that were taken in and are not done with.
    tickets: Arc<AtomicU64>,
    ask_timeout_ms: Arc<AtomicU64>,
    /// What this process delivers at least once.
    series: AllSeries,
}

fn to_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Default)]
struct State {
    /// Where new messages for a process go.
    current: FxHashMap<ProcessId, Arc<Peer>>,
    /// Every connection that has not ended, with those that wait to learn how their peer ended.
    all: Vec<Arc<Peer>>,
    unborn: Vec<Arc<Peer>>,
    /// What else is known of reaching others.
    reach: Reach,
}

impl Router {
    /// A router; `run` must be polled on the arbiter.
    pub fn new(identity: Identity, broker: Box<dyn Broker>) -> Arc<Router> {
        let ask_timeout_ms = to_ms(identity.ask_timeout);
        route::invalidate();
        let rights = Rights::new(identity.key.clone(), identity.process, identity.incarnation);
        let rights = Arc::new(rights);
        let router = Arc::new(Router {
            identity,
            broker,
            registry: Registry::new(Arc::clone(&rights)),
            rights,
            handovers: Handovers::default(),
            dead_letters: DeadLetters::default(),
            subscribing: OnceLock::new(),
            on_stop: OnceLock::new(),
            desk: OnceLock::new(),
            names_desk: OnceLock::new(),
            attended: Attended::default(),
            names: Mutex::default(),
            state: Mutex::default(),
            unborn: Notify::new(),
            quiet: Notify::new(),
            stage: AtomicU8::new(stopping::OPEN),
            arbiter: OnceLock::new(),
            tickets: Arc::default(),
            ask_timeout_ms: Arc::new(AtomicU64::new(ask_timeout_ms)),
            series: AllSeries::default(),
        });
        router.registry.serve(Arc::new(Service(Arc::downgrade(&router))));
        router
    }

    /// Starts the drivers of connections, on the thread that polls this.
    pub async fn run(self: Arc<Router>) {
        let _ = self.arbiter.set((std::thread::current().id(), tokio::runtime::Handle::current()));
        loop {
            for peer in std::mem::take(&mut self.lock().unborn) {
                tokio::task::spawn_local(lane::run(Arc::clone(&self), peer));
            }
            self.unborn.notified().await;
        }
    }

    /// The runtime of the arbiter, once `run` was polled there.
    pub fn arbiter(&self) -> Option<tokio::runtime::Handle> {
        self.arbiter.get().map(|(_, runtime)| runtime.clone())
    }

    /// Whether this thread is the arbiter, which drives the connections.
    pub fn is_arbiter(&self) -> bool {
        self.arbiter.get().is_some_and(|(thread, _)| *thread == std::thread::current().id())
    }

    /// Who this process is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The actors that live here.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What could not be delivered.
    pub fn dead_letters(&self) -> &DeadLetters {
        &self.dead_letters
    }

    /// A message that could not be delivered; `body` as for [`DeadLetters::bury`].
    pub fn bury(&self, letter: DeadLetter, body: impl FnOnce() -> Option<Vec<u8>>) {
        self.dead_letters.bury(&self.identity.name, letter, body);
    }

    /// Who makes subscribers of subscriptions: the floor that knows recipients.
    pub fn set_subscribing(&self, subscribing: Subscribing) {
        let _ = self.subscribing.set(subscribing);
    }

    /// What else ends when intake is closed.
    pub fn set_on_stop(&self, on_stop: fn(&Router)) {
        let _ = self.on_stop.set(on_stop);
    }

    /// Who is told of names and groups.
    pub fn set_names_desk(&self, desk: Arc<dyn NamesDesk>) {
        let _ = self.names_desk.set(desk);
    }

    pub(super) fn attended(&self) -> &Attended {
        &self.attended
    }

    pub(super) fn names_desk(&self) -> Option<&Arc<dyn NamesDesk>> {
        self.names_desk.get()
    }

    /// Lets this process reach actors by name.
    pub fn learn(&self, known: impl IntoIterator<Item = KnownActor>) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.extend(known.into_iter().map(|actor| (actor.name.clone(), actor)));
    }

    /// Forgets these names: what they meant has ended.
    pub fn forget_actors<'n>(&self, gone: impl IntoIterator<Item = &'n ActorName>) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for name in gone {
            names.remove(name);
        }
    }

    /// Forgets every name: what they meant has ended.
    pub fn forget_names(&self) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.attended.clear();
        if let Some(desk) = self.names_desk.get() {
            desk.clear();
        }
    }

    /// How long an ask waits that names no timeout.
    pub fn ask_timeout(&self) -> Duration {
        Duration::from_millis(self.ask_timeout_ms())
    }

    /// The same in milliseconds.
    pub fn ask_timeout_ms(&self) -> u64 {
        self.ask_timeout_ms.load(Ordering::Relaxed)
    }

    /// Sets it, for asks that are sent from now on.
    pub fn set_ask_timeout(&self, timeout: Duration) {
        self.ask_timeout_ms.store(to_ms(timeout), Ordering::Relaxed);
    }

    /// The actor of a name that this process may reach.
    pub fn look_up(&self, name: &str) -> Option<KnownActor> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if is_hashed(name) {
            return names.values().find(|known| short_name(known.name.as_str()) == name).cloned();
        }
        names.get(name).cloned()
    }

    /// The name by which this process may look up this very address.
    pub fn name_of(&self, id: &Capability) -> Option<ActorName> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.values().find(|known| known.id == *id).map(|known| known.name.clone())
    }

    /// The process of a name, if some actor of it may be reached by name.
    ///
    /// With an address by which it may be watched; its own is none of its business.
    pub fn look_up_process(&self, name: &str) -> Option<Capability> {
        if name == self.identity.name.as_str() {
            return Some(self.rights.mint(crate::id::Slot(0)));
        }
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.values().find(|known| known.process.as_str() == name).map(|known| known.id)
    }

    /// What the addresses of this process's actors are good for.
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Who lives here in this place, for whom this process itself wants to find; not for who shows an address.
    pub fn find_own(&self, id: ActorId) -> Result<Exported, Cause> {
        let ours = id.incarnation == Incarnation::ANY || id.incarnation == self.identity.incarnation;
        if !ours {
            return Err(Cause::Stale { process: id.process });
        }
        self.registry.find(id.slot).ok_or(Cause::NoActor(id))
    }

    /// Who lives here at this address, if it is good for anything.
    pub fn find_local(&self, target: &Capability) -> Result<Exported, Cause> {
        match self.registry.find(target.slot()) {
            Some(exported) if exported.is_full(target) => Ok(exported),
            found => {
                self.rights.check_local(target)?;
                found.ok_or(Cause::NoActor(target.id()))
            }
        }
    }

    /// As `find_local`, to send it this message.
    pub fn find_local_for(&self, target: &Capability, message: MessageId) -> Result<Exported, Cause> {
        match self.registry.find(target.slot()) {
            Some(exported) if exported.is_full(target) => Ok(exported),
            found => {
                let right = self.rights.check_local(target)?;
                let exported = found.ok_or(Cause::NoActor(target.id()))?;
                right.admit(message)?;
                Ok(exported)
            }
        }
    }

    /// Whether an actor is of this process.
    pub fn is_local(&self, process: ProcessId) -> bool {
        process == self.identity.process
    }

    /// The connection for new messages to an actor of another process; asks the root for one if there is none.
    pub(super) fn peer_for(self: &Arc<Router>, target: &Capability) -> Result<Arc<Peer>, Cause> {
        // A process that stops still handles what it has taken, and what handlers send then is part of that (P-4).
        if self.may_close() {
            return Err(Cause::ShuttingDown);
        }
        let process = target.process();
        let mut state = self.lock();
        let broken = state.reach.broken(process);
        if let Some(peer) = state.current.get(&process) {
            let stale =
                target.life().is_some_and(|wanted| peer.incarnation().is_some_and(|life| life != wanted));
            if stale {
                return Err(Cause::Stale { process });
            }
            self.ask_with(peer, target, broken);
            return Ok(Arc::clone(peer));
        }
        let peer = Peer::new(process, self);
        state.current.insert(process, Arc::clone(&peer));
        if self.is_local(process) {
            peer.is_own(self.identity.incarnation, self.identity.name.clone());
            self.start(state, Arc::clone(&peer));
            return Ok(peer);
        }
        self.ask_with(&peer, target, broken);
        self.start(state, Arc::clone(&peer));
        Ok(peer)
    }

    /// Whether a process is believed to be reachable: it is, until the root has said otherwise.
    pub fn is_reachable(&self, process: ProcessId) -> bool {
        !self.lock().reach.is_unreachable(process)
    }

    /// Which life of a process this one is connected with.
    pub fn connected_life(&self, process: ProcessId) -> Option<Incarnation> {
        self.lock().current.get(&process).and_then(|peer| peer.incarnation())
    }

    /// The connection with a process that the root has not yet introduced.
    pub(super) fn unintroduced(&self, process: ProcessId) -> Option<Arc<Peer>> {
        let state = self.lock();
        state.current.get(&process).filter(|peer| peer.incarnation().is_none()).cloned()
    }

    /// The connection to which new messages for a process go, if there is one.
    pub(super) fn current_peer(&self, process: ProcessId) -> Option<Arc<Peer>> {
        self.lock().current.get(&process).cloned()
    }

    pub(super) fn handovers(&self) -> &Handovers {
        &self.handovers
    }

    /// Every connection that has not ended.
    pub(super) fn peers(&self) -> Vec<Arc<Peer>> {
        self.lock().all.clone()
    }

    fn start(&self, mut state: MutexGuard<'_, State>, peer: Arc<Peer>) {
        state.all.push(Arc::clone(&peer));
        state.unborn.push(peer);
        drop(state);
        self.unborn.notify_one();
    }

    /// New messages no longer go to this connection: it is over.
    pub fn forget(&self, peer: &Arc<Peer>) {
        let mut state = self.lock();
        if state.current.get(&peer.process).is_some_and(|current| Arc::ptr_eq(current, peer)) {
            state.current.remove(&peer.process);
            route::invalidate();
            if let Some(incarnation) = peer.incarnation().filter(|_| peer.exit().is_none()) {
                state.reach.lost(peer.process, incarnation);
            }
        }
    }

    /// A connection has ended, with every outcome told.
    pub(super) fn ended(&self, peer: &Arc<Peer>) {
        peer.leave_ways(self);
        self.lock().all.retain(|other| !Arc::ptr_eq(other, peer));
        self.quiet.notify_one();
    }

    /// Tells the root that a peer broke the protocol (X-1, H59).
    pub(super) fn blame(&self, peer: &Peer, error: &ProtocolError) {
        self.blame_for(peer, error.to_string());
    }

    /// Tells the root that a peer did what it may not.
    pub(super) fn blame_for(&self, peer: &Peer, reason: String) {
        tracing::error!(target: "procession", peer = %peer.name(), %reason, "the peer broke the protocol");
        let incarnation = peer.incarnation().unwrap_or(Incarnation::FIRST);
        self.broker.say(ToRoot::Blame { process: peer.process, incarnation, reason });
    }

    /// Says something to the root.
    pub fn say(&self, what: ToRoot) {
        self.broker.say(what);
    }

    pub(super) fn hello(&self, secret: u128) -> Hello {
        let Identity { process, incarnation, build, limits, .. } = self.identity;
        let desk = self.desk.get().cloned().unwrap_or_default();
        Hello::new(process, incarnation, build, limits).with_desk(desk, secret)
    }

    /// Tells every peer from now on where those answer who were not asked: the encoded address of the desk.
    pub fn set_desk(&self, desk: Vec<u8>) {
        let _ = self.desk.set(desk);
    }

    /// The encoded address of the desk.
    pub fn desk(&self) -> Option<&[u8]> {
        self.desk.get().map(Vec::as_slice)
    }

    /// A connection by its number in this process.
    pub fn connection(&self, number: u64) -> Option<Arc<Peer>> {
        self.lock().all.iter().find(|peer| peer.number == number).cloned()
    }

    /// The connection with this life of a process.
    pub fn connection_with(&self, process: ProcessId, life: Incarnation) -> Option<Arc<Peer>> {
        let state = self.lock();
        let mut all = state.all.iter();
        all.find(|peer| peer.process == process && peer.incarnation() == Some(life)).cloned()
    }

    pub(super) fn all_series(&self) -> &AllSeries {
        &self.series
    }

    pub(super) fn tickets(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.tickets)
    }

    pub(super) fn shared_ask_timeout(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.ask_timeout_ms)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("identity", &self.identity).field("registry", &self.registry).finish()
    }
}
