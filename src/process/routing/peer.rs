//! One connection with one life of another process, shared by those who send on it and the task that drives it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

use bytes::Bytes;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use super::aside::{Aside, Return};
use super::asking::Asking;
use super::bell::Bell;
use super::dead_letters::{DeadLetter, MessageName};
use super::patience::Patience;
use super::registry::Exported;
use super::router::Router;
use super::serving::Serving;
use super::watching::PeerWatches;
use crate::codec::{Encoded, lent};
use crate::id::{ActorId, Capability, Exit, Incarnation, ProcessId, ProcessName, Slot};
use crate::protocol::connection::{Connection, MAX_CHANNELS};
use crate::protocol::control::{self, Cursor, Unreachable};
use crate::protocol::responders::{MOST_DESK_BYTES, Place, ReplyTicket, proof};
use crate::protocol::wire::{Cause, Failure, Hello, Open};
use crate::transport::pipe::Pipe;

/// Who wants to know what became of a message. Each is called once, by whoever learns it, with nothing locked.
pub trait Outcome: Send + Sync {
    /// The reply.
    fn reply(&self, body: Encoded<'_>);
    /// The message had room (a tell).
    fn sent(&self);
    /// There is no reply.
    fn fail(&self, failure: Failure);
    /// Others than who was asked answer, by this ticket: who waits must say when he waits no longer.
    fn hand_over(&self, ticket: ReplyTicket) -> Handed {
        let _ = ticket;
        Handed::Waits(None)
    }
}

/// Whether somebody waits for an answer that others give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// Somebody does; until then, if that was changed after it was sent.
    Waits(Option<Instant>),
    /// Nobody does.
    Gone,
}

/// What a connection keeps for a message of ours.
pub enum Waiter {
    /// Somebody waits.
    Outcome(Arc<dyn Outcome>),
    /// Nobody does: if it fails, it is a dead letter.
    Nobody {
        /// For whom it was.
        target: ActorId,
        /// What it was.
        message: MessageName,
    },
}

/// The way to an actor: its channel, and which rights there stand for which addresses.
struct Way {
    channel: u32,
    /// How many actors the number led to before.
    uses: u32,
    /// Right 0.
    first: Capability,
    /// By a hash that nobody can foresee: others make up addresses.
    others: Option<HashMap<Capability, u32>>,
}

/// A connection, its driver and those who send on it meet here.
pub struct Peer {
    /// Whom we want to reach, or were introduced to.
    pub process: ProcessId,
    /// Its own number in this process; never 0, never used twice.
    pub(super) number: u64,
    /// What proves to us that an answer is to a call of ours on it; none if there was no randomness.
    secret: Option<u128>,
    /// The peer's desk and secret, once it said them.
    desk: OnceLock<(Bytes, u128)>,
    /// Whose connection this is.
    pub(super) router: Weak<Router>,
    pub(super) tickets: Arc<AtomicU64>,
    ask_timeout_ms: Arc<AtomicU64>,
    pub(super) born: Instant,
    connection: Mutex<Connection<Waiter>>,
    /// Channels by the actor that they lead to. Locked before the connection.
    channels: Mutex<FxHashMap<Slot, Way>>,
    /// With what the root is asked, until this is introduced. Locked under the router.
    asking: Mutex<Asking>,
    /// What the peer's channels lead to, by their number.
    pub(super) served: Mutex<Vec<Option<Serving>>>,
    /// Whether the root was told what the peer tried that it may not.
    pub(super) is_blamed: AtomicBool,
    /// Who watches whom over it. Locked before the connection.
    pub(super) watches: Mutex<PeerWatches>,
    /// How long it is waited for when it gives addresses.
    patience: Mutex<Patience>,
    /// Messages that may not begin yet.
    aside: Aside,
    /// The connection has something to transmit.
    pub(super) wake: Bell,
    /// Our end of the pipe, until the driver takes it.
    pipe: Mutex<Option<Pipe>>,
    introduced: OnceLock<(Incarnation, ProcessName)>,
    unreachable: OnceLock<Unreachable>,
    /// Why the last address that the root was asked with is no right.
    denial: OnceLock<Cause>,
    exit: OnceLock<Exit>,
    cursor: OnceLock<Option<Cursor>>,
    /// `pipe`, `unreachable` or `exit` was set.
    pub(super) news: Notify,
}

static LAST_NUMBER: AtomicU64 = AtomicU64::new(0);

fn random() -> Option<u128> {
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).ok()?;
    Some(u128::from_le_bytes(secret))
}

impl Peer {
    pub(super) fn new(process: ProcessId, router: &Arc<Router>) -> Arc<Peer> {
        let secret = random();
        Arc::new(Peer {
            process,
            number: LAST_NUMBER.fetch_add(1, Ordering::Relaxed) + 1,
            secret,
            desk: OnceLock::new(),
            router: Arc::downgrade(router),
            tickets: router.tickets(),
            ask_timeout_ms: router.shared_ask_timeout(),
            born: Instant::now(),
            connection: Mutex::new(Connection::new(router.hello(secret.unwrap_or_default()))),
            channels: Mutex::default(),
            asking: Mutex::default(),
            served: Mutex::default(),
            is_blamed: AtomicBool::new(false),
            watches: Mutex::default(),
            patience: Mutex::default(),
            aside: Aside::default(),
            wake: Bell::default(),
            pipe: Mutex::new(None),
            introduced: OnceLock::new(),
            unreachable: OnceLock::new(),
            denial: OnceLock::new(),
            exit: OnceLock::new(),
            cursor: OnceLock::new(),
            news: Notify::new(),
        })
    }

    /// How long an ask waits, unless it says so itself.
    #[inline]
    pub fn ask_timeout_ms(&self) -> u64 {
        self.ask_timeout_ms.load(Ordering::Relaxed)
    }

    /// Locks the connection for a moment, and wakes its driver if there is something to transmit.
    pub fn with<R>(&self, act: impl FnOnce(&mut Connection<Waiter>) -> R) -> R {
        // User code runs under this lock only as Serialize, and the codec catches its panics. The end of what was lent is after it.
        let holding = lent::hold();
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut connection);
        let pending = connection.has_pending();
        drop(connection);
        if pending {
            self.wake.ring();
        }
        drop(holding);
        result
    }

    /// The peer has said where others answer its calls.
    pub(super) fn greeted(&self, hello: Hello) {
        if !hello.desk.is_empty() && hello.desk.len() <= MOST_DESK_BYTES {
            let _ = self.desk.set((hello.desk.into(), hello.secret));
        }
    }

    /// Where another process answers this call of the peer.
    pub fn reply_place(&self, correlation: u64) -> Option<Place> {
        let (desk, secret) = self.desk.get()?;
        let router = self.router.upgrade()?;
        let (process, incarnation) = (router.identity().process, router.identity().incarnation);
        let proof = proof(*secret, correlation);
        let ticket = ReplyTicket::Call { process, incarnation, correlation, proof };
        Some(Place { desk: desk.clone(), ticket, hand: 0 })
    }

    /// Whether who has this was told of that call of ours.
    pub fn is_proof(&self, correlation: u64, proved: u128) -> bool {
        self.secret.is_some_and(|secret| proof(secret, correlation) == proved)
    }

    /// The address of the peer's desk, once it said so.
    pub fn desk(&self) -> Option<Bytes> {
        self.desk.get().map(|(desk, _)| desk.clone())
    }

    /// Takes out who waits for the answer to a call of ours, and its deadline, since others answer it.
    pub fn take_out(&self, correlation: u64) -> Option<(Arc<dyn Outcome>, Option<Instant>)> {
        match self.with_silently(|connection| connection.take_out(correlation))? {
            (Waiter::Outcome(outcome), deadline) => Some((outcome, deadline)),
            (Waiter::Nobody { .. }, _) => None,
        }
    }

    /// Makes the driver look at the connection's deadlines again.
    pub fn rouse(&self) {
        self.wake.ring();
    }

    /// As `with`, without waking the driver: for the driver.
    pub(super) fn with_silently<R>(&self, act: impl FnOnce(&mut Connection<Waiter>) -> R) -> R {
        let _holding = lent::hold();
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut connection)
    }

    fn lock_channels(&self) -> MutexGuard<'_, FxHashMap<Slot, Way>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn patience(&self) -> MutexGuard<'_, Patience> {
        self.patience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn asking(&self) -> MutexGuard<'_, Asking> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The channel to an actor, opened when first asked for, how many others its number led to before, and which right the
    /// address is there.
    pub(super) fn channel(self: &Arc<Peer>, target: &Capability) -> Result<(u32, u32, u32), Cause> {
        let mut channels = self.lock_channels();
        if let Some(way) = channels.get_mut(&target.slot()) {
            if way.first == *target {
                return Ok((way.channel, way.uses, 0));
            }
            let others = way.others.get_or_insert_default();
            if let Some(right) = others.get(target) {
                return Ok((way.channel, way.uses, *right));
            }
            let right = self.with(|connection| connection.present(way.channel, target))?;
            others.insert(*target, right);
            return Ok((way.channel, way.uses, right));
        }
        let (channel, uses, is_lost) = self.with(|connection| {
            let channel = connection.open(&Open { target: *target });
            (channel, connection.uses_of(channel), connection.is_lost())
        });
        // Nothing can be sent on it, and nobody may be left who would take its way back.
        if is_lost {
            return Ok((channel, uses, 0));
        }
        if (channel as usize) < MAX_CHANNELS
            && let Some(router) = self.router.upgrade()
        {
            router.handovers().opened((self.process, target.slot()), self, channel);
        }
        // One past the last refuses everything; the next message may find a place.
        if (channel as usize) < MAX_CHANNELS {
            channels.insert(target.slot(), Way { channel, uses, first: *target, others: None });
        }
        Ok((channel, uses, 0))
    }

    /// The channel to an actor, if something was sent there.
    pub(super) fn known_channel(&self, target: ActorId) -> Option<(u32, u32)> {
        self.lock_channels().get(&target.slot).map(|way| (way.channel, way.uses))
    }

    fn left_way(&self, slot: Slot) {
        if let Some(router) = self.router.upgrade() {
            router.handovers().closed((self.process, slot));
        }
    }

    /// The connection has ended: no channel of it leads anywhere.
    pub(super) fn leave_ways(&self, router: &Router) {
        for slot in std::mem::take(&mut *self.lock_channels()).into_keys() {
            router.handovers().closed((self.process, slot));
        }
    }

    /// Holds the channel to an actor, if there is one.
    pub(super) fn hold_way(self: &Arc<Peer>, slot: Slot, hold: impl FnOnce(&Arc<Peer>, u32)) {
        let channels = self.lock_channels();
        if let Some(way) = channels.get(&slot) {
            hold(self, way.channel);
        }
    }

    /// An address is no right to send there.
    pub(super) fn denied(&self, target: &Capability, cause: &Cause) {
        // What is denied ends, and what that runs may need a channel.
        let _holding = lent::hold();
        let channels = self.lock_channels();
        let Some(way) = channels.get(&target.slot()) else { return };
        let right = match way.first == *target {
            true => Some(0),
            false => way.others.as_ref().and_then(|others| others.get(target).copied()),
        };
        if let Some(right) = right {
            self.with(|connection| connection.handle_denied(way.channel, right, cause));
        }
    }

    /// A channel was closed: the next who asks for its actor opens another, unless somebody waits for this one.
    pub(super) fn release(&self, channel: u32) {
        let mut channels = self.lock_channels();
        if let Some(target) = self.with_silently(|connection| connection.release(channel)) {
            if channels.remove(&target.slot()).is_some() {
                self.left_way(target.slot());
            }
            super::route::invalidate();
        }
    }

    /// Keeps a message that may not begin yet.
    pub(super) fn put_aside(&self, channel: u32, is_first: bool, back: Return) {
        let called = self.aside.put(channel, is_first, back);
        self.bring_back(channel, called);
    }

    /// The next message that stands aside on a channel goes into its mailbox again.
    pub(super) fn resume(&self, channel: u32) {
        let called = self.aside.call(channel);
        self.bring_back(channel, called);
    }

    fn bring_back(&self, channel: u32, called: Option<Return>) {
        let Some(back) = called else { return };
        if let Some(exported) = self.served_on(channel) {
            back(&exported);
        }
    }

    /// What a channel of the peer leads to.
    pub(super) fn served_on(&self, channel: u32) -> Option<Exported> {
        let served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        served.get(channel as usize)?.as_ref().map(|serving| serving.exported.clone())
    }

    /// Its driver hears of it by [`Peer::announce`].
    pub(super) fn introduce(&self, peer: &control::Peer, pipe: Pipe) {
        let _ = self.introduced.set((peer.incarnation, peer.name.clone()));
        *self.pipe.lock().unwrap_or_else(PoisonError::into_inner) = Some(pipe);
    }

    /// Wakes the driver for what was set, which may take the router's lock at once: not to be called under it.
    pub(super) fn announce(&self) {
        self.news.notify_one();
    }

    /// The peer is this process itself: there is no pipe to wait for.
    pub(super) fn is_own(&self, incarnation: Incarnation, name: ProcessName) {
        let _ = self.introduced.set((incarnation, name));
    }

    /// No address that is waited with is a right. What is sent by one of them only now fails for that, too.
    pub(super) fn set_denied(&self, cause: Cause) {
        let _ = self.denial.set(cause);
        self.set_unreachable(Unreachable::NotAllowed);
    }

    pub(super) fn denial(&self) -> Option<Cause> {
        self.denial.get().cloned()
    }

    pub(super) fn set_unreachable(&self, why: Unreachable) {
        let _ = self.unreachable.set(why);
        self.news.notify_one();
    }

    /// How the process ended, and how far it had come. Its driver hears of it by [`Peer::announce`].
    pub(super) fn set_exit(&self, exit: Exit, cursor: Option<Cursor>) {
        let _ = self.cursor.set(cursor);
        let _ = self.exit.set(exit);
    }

    pub(super) fn take_pipe(&self) -> Option<Pipe> {
        self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn unreachable(&self) -> Option<Unreachable> {
        self.unreachable.get().copied()
    }

    /// Which life of the process this is, once the root said so.
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.introduced.get().map(|(incarnation, _)| *incarnation)
    }

    /// The name of the process; its number before the root said so.
    pub fn name(&self) -> ProcessName {
        match self.introduced.get() {
            Some((_, name)) => name.clone(),
            None => ProcessName::of_number(self.process),
        }
    }

    /// How the process ended, if the root said so.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.exit.get().copied()
    }

    /// How far it had come with its messages when it died, if the root said so.
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.get().and_then(Option::as_ref)
    }

    /// The cause of everything that fails because this connection ended.
    pub(super) fn death(&self) -> Cause {
        Cause::PeerDied {
            process: self.name(),
            incarnation: self.incarnation().unwrap_or(Incarnation::FIRST),
            exit: self.exit(),
        }
    }

    /// What this process is called.
    pub(super) fn our_name(&self) -> Option<ProcessName> {
        self.router.upgrade().map(|router| router.identity().name.clone())
    }

    /// Casts that arrived here and reached no handler.
    pub(super) fn bury_inbound(&self, count: u64, failure: &Failure) {
        if let Some(router) = self.router.upgrade() {
            let cause = failure.cause.clone();
            router.bury(DeadLetter { count, ..DeadLetter::new(None, None, cause) }, || None);
        }
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("process", &self.process).field("life", &self.incarnation()).finish()
    }
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Waiter::Outcome(_) => f.write_str("Outcome"),
            Waiter::Nobody { target, message } => write!(f, "Nobody({message} to {target})"),
        }
    }
}
