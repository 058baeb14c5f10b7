//! The actors of this process that others may address.

use std::any::Any;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::FxHashMap;

use super::casts::Casts;
use super::ends::Ends;
use super::gate::Gate;
use super::rights::Rights;
use super::taking::Takings;
use super::ticket::Ticket;
use super::watching::Behind;
use crate::codec::{DecodeError, Encoded};
use crate::id::{ActorId, ActorName, Capability, Condition, Slot};
use crate::process::handling;
use crate::protocol::DEFAULT_ATTEMPTS;
use crate::protocol::frame::Run;
use crate::protocol::watching::EndReason;
use crate::protocol::wire::MessageId;

/// An actor as the connections see it.
pub trait Export: Send + Sync {
    /// The stable name of its type.
    fn type_name(&self) -> &'static str;

    /// Decodes a message and puts it into the mailbox. Must not block.
    fn deliver(&self, message: MessageId, body: Encoded<'_>, ticket: Ticket) -> Result<(), Refused>;

    /// The same for messages of one kind that came by one way, of at most [`SMALL_BYTES`](crate::protocol::frame::SMALL_BYTES)
    /// each and without descriptors: takes all of them.
    fn deliver_run(
        &self,
        message: MessageId,
        run: &mut dyn Iterator<Item = (Encoded<'_>, Ticket)>,
        refused: &mut dyn FnMut(Refused),
    ) {
        deliver_each(self, message, run, refused);
    }

    /// The same for a run of casts, as one. Comes back where the actor does not take runs now: then each is delivered for itself.
    fn deliver_casts(&self, run: &Run<'_>, casts: Casts) -> Result<(), Casts> {
        let _ = run;
        Err(casts)
    }

    /// Puts a message of this process into the mailbox, as it is: `envelope` is an `Option` of the address floor's
    /// inbound message, and is taken if the actor handles that type.
    fn deliver_local(&self, message: MessageId, envelope: &mut dyn Any) -> bool;

    /// Puts a message that this process makes about another into the mailbox, behind everything that has arrived from
    /// other processes; `envelope` as in [`deliver_local`](Self::deliver_local).
    fn deliver_behind(&self, message: MessageId, envelope: &mut dyn Any) -> bool;

    /// Whether the actor is alive.
    fn is_alive(&self) -> bool;

    /// The life that is lived now, or, between two, the next; none if there will be none.
    fn life(&self) -> Option<Arc<Ends>>;

    /// The life after one that is over: it may not have begun. None if there will be none.
    fn life_after(&self, over: &Arc<Ends>) -> Option<Arc<Ends>>;

    /// Has the actor's own context tell of its end, if somebody wants to hear of it and nobody there does so yet.
    fn attend(&self);

    /// Whether its context can tell of its end, and end it. A pool's can't.
    fn can_be_ended(&self) -> bool;

    /// Whether it is told of the ends of those with whom it is linked, instead of being ended.
    fn traps_exits(&self) -> bool;

    /// Somebody with whom that life of it is linked has ended: it is told, if it takes such messages, or ended too if that
    /// was abnormal. Nobody is if that life has ended.
    fn linked_ended(&self, life: &Arc<Ends>, with: ActorId, reason: &EndReason, behind: Behind);

    /// Whether it takes messages until its process ends: one of the runtime's own.
    fn serves_to_the_end(&self) -> bool;

    /// Whether it handles one message after the other, in the order in which they arrive. A pool does not.
    fn keeps_order(&self) -> bool;
}

/// Delivers the messages of a run one by one.
pub fn deliver_each<E: Export + ?Sized>(
    export: &E,
    message: MessageId,
    run: &mut dyn Iterator<Item = (Encoded<'_>, Ticket)>,
    refused: &mut dyn FnMut(Refused),
) {
    for (body, ticket) in run {
        if let Err(why) = export.deliver(message, body, ticket) {
            refused(why);
        }
    }
}

/// A message that did not get into the mailbox.
#[derive(Debug)]
pub enum Refused {
    /// The actor's list has no such message.
    NotAccepted(Ticket),
    /// The bytes are no such message.
    Decode(Ticket, DecodeError),
}

/// An actor that can be addressed. Cloned for each message, so it is one pointer.
#[derive(Clone)]
pub struct Exported(Arc<Entry>);

/// What is known of it.
pub struct Entry {
    /// The actor.
    pub actor: Arc<dyn Export>,
    /// Its name, if the topology gave it one.
    pub name: Option<ActorName>,
    /// Its place.
    pub slot: Slot,
    /// What this process may have under way to it.
    pub gate: Arc<Gate>,
    /// What arrived for it at least once.
    pub(super) takings: Takings,
    attempts: AtomicU16,
    /// The addresses that are good for everything: for each life of the process, and for this one alone. What is sent
    /// here by one of these needs no other look.
    full: Capability,
    pinned: Capability,
    /// Whether the first was revoked, and with it the second; or the second alone.
    is_revoked: AtomicBool,
}

impl Exported {
    /// Whether both are one actor, in one place.
    pub fn is_same(&self, other: &Exported) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Entry {
    /// Whether an address is one of those that are good for everything.
    pub(super) fn is_full(&self, capability: &Capability) -> bool {
        !self.is_revoked.load(Ordering::Relaxed) && (*capability == self.full || *capability == self.pinned)
    }

    /// The address that is good for everything in every life of the process.
    pub(super) fn full(&self) -> &Capability {
        &self.full
    }

    /// From now on addresses are looked at one by one.
    pub(super) fn set_revoked(&self) {
        self.is_revoked.store(true, Ordering::Relaxed);
    }

    /// Of how many deaths of the actor a message may be held for the cause before it is parked (H47).
    pub(super) fn attempts(&self) -> u16 {
        self.attempts.load(Ordering::Relaxed)
    }
}

impl Deref for Exported {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.0
    }
}

/// Who lives in this process, by slot.
pub struct Registry {
    rights: Arc<Rights>,
    slots: RwLock<Slots>,
}

#[derive(Default)]
struct Slots {
    by_slot: FxHashMap<Slot, Exported>,
    next_dynamic: u32,
    /// The number of actors at which those that have stopped are looked for.
    sweep_at: usize,
}

/// Of actors that the topology says nothing of.
#[allow(clippy::cast_possible_truncation)] // it is 3
const ATTEMPTS: u16 = DEFAULT_ATTEMPTS as u16;

/// What a process does for others within its own window: it is done at once, and nobody of this process asks.
const SERVICE_WINDOW: u32 = 1;

/// Below this many it is not worth looking.
const SWEEP_FROM: usize = 64;

impl Registry {
    /// An empty one, of the process with these rights.
    pub fn new(rights: Arc<Rights>) -> Registry {
        Registry { rights, slots: RwLock::default() }
    }

    fn entry(&self, actor: Arc<dyn Export>, name: Option<ActorName>, slot: Slot, window: u32) -> Exported {
        let full = self.rights.mint(slot);
        // The first condition always has room.
        let pinned = full.narrowed(Condition::Life(self.rights.incarnation())).unwrap_or(full);
        let is_revoked = self.rights.is_revoked(full.seal()) || self.rights.is_revoked(pinned.seal());
        Exported(Arc::new(Entry {
            actor,
            name,
            slot,
            gate: Gate::new(window),
            takings: Takings::default(),
            attempts: AtomicU16::new(ATTEMPTS),
            full,
            pinned,
            is_revoked: AtomicBool::new(is_revoked),
        }))
    }

    /// Gives an actor of the topology its place, or its next life the same place.
    pub fn declare(&self, slot: Slot, name: ActorName, actor: Arc<dyn Export>, window: u32) {
        handling::know_actor(slot, &name);
        let entry = self.entry(actor, Some(name), slot, window);
        self.write().by_slot.insert(slot, entry);
    }

    /// Gives any other actor a place, and the address of that in this life of the process.
    pub fn export(&self, actor: Arc<dyn Export>, window: u32) -> Capability {
        let mut slots = self.write();
        if slots.by_slot.len() >= slots.sweep_at.max(SWEEP_FROM) {
            slots.by_slot.retain(|slot, exported| slot.is_declared() || exported.actor.is_alive());
            slots.sweep_at = slots.by_slot.len() * 2;
        }
        let slot = Slot(Slot::FIRST_DYNAMIC.0 + slots.next_dynamic);
        slots.next_dynamic += 1;
        let entry = self.entry(actor, None, slot, window);
        let address = entry.pinned;
        slots.by_slot.insert(slot, entry);
        address
    }

    /// Gives the process itself a place.
    pub(super) fn serve(&self, service: Arc<dyn Export>) {
        let entry = self.entry(service, None, Slot::SERVICE, SERVICE_WINDOW);
        self.write().by_slot.insert(Slot::SERVICE, entry);
    }

    /// Says how often a message that kills an actor is delivered at least once.
    pub fn set_attempts(&self, slot: Slot, attempts: u32) {
        let attempts = u16::try_from(attempts).unwrap_or(u16::MAX).max(1);
        if let Some(exported) = self.write().by_slot.get(&slot) {
            exported.attempts.store(attempts, Ordering::Relaxed);
        }
    }

    /// Takes an actor's place away.
    pub fn remove(&self, slot: Slot) {
        handling::forget_actor(slot);
        let gone = self.write().by_slot.remove(&slot);
        // Its end may send, so it runs without the lock.
        drop(gone);
    }

    /// Takes every actor's place away: the process is no longer one of a topology, and keeps nobody alive.
    pub fn clear(&self) {
        let slots = std::mem::take(&mut *self.write());
        // Their ends may send, so they run without the lock.
        drop(slots);
    }

    /// Who lives in a place, whoever may send there.
    pub fn find(&self, slot: Slot) -> Option<Exported> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.by_slot.get(&slot).cloned()
    }

    /// Who lives in a place of this process, whoever asks.
    pub fn at(&self, slot: Slot) -> Option<Exported> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.by_slot.get(&slot).cloned()
    }

    /// Whether this process has nothing under way to its own actors.
    pub fn is_idle(&self) -> bool {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.by_slot.values().all(|exported| exported.gate.is_idle())
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Slots> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Registry").field("actors", &slots.by_slot.len()).finish()
    }
}

impl std::fmt::Debug for Exported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exported").field("type", &self.actor.type_name()).field("name", &self.name).finish()
    }
}
