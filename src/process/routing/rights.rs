//! What addresses of this process's actors are good for: checked when a peer presents one, and here when one is used.
//!
//! Whoever holds an address proves by its seal that it was given. The seal is computed once for each connection and
//! address; then a [`Right`] stands for it, and a message looks at that alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::id::{ActorId, Capability, Condition, Incarnation, Key, ProcessId, Seal};
use crate::protocol::rights::{Edge, MAX_REVOKED};
use crate::protocol::wire::{Cause, MessageId};
use crate::sys::clock;

/// What an address that was checked is good for.
#[derive(Clone)]
pub(super) enum Right {
    /// Every message.
    Full,
    /// Some, or for some time.
    Checked(Arc<Checked>),
    /// Nothing any more.
    Denied(Box<Cause>),
}

/// The conditions of an address that was checked.
pub(super) struct Checked {
    actor: ActorId,
    /// Through which it came.
    seals: Vec<Seal>,
    messages: Vec<u32>,
    edges: Vec<Messages>,
    until: Option<u64>,
    counts: Vec<Arc<Count>>,
}

/// Identities of messages, sorted.
type Messages = Arc<[u32]>;

/// How many messages are left of so many, for all who hold the address.
struct Count {
    most: u32,
    left: AtomicU32,
    /// The process that used it first, whose quota it counts in.
    by: ProcessId,
}

/// Counted addresses that one process may be the first to use, in one life of this one. Each is remembered as long as
/// this life lives, since what was forgotten could be used again.
const MAX_COUNTS: usize = 4096;

/// Addresses used within this process that are remembered as checked.
const MAX_LOCAL: usize = 4096;

/// What this process knows of the addresses of its actors.
pub struct Rights {
    key: Key,
    process: ProcessId,
    incarnation: Incarnation,
    revoked: RwLock<FxHashSet<Seal>>,
    edges: RwLock<FxHashMap<(ProcessId, u32), Messages>>,
    counts: Mutex<Counts>,
    /// By a hash that nobody can foresee, as all that others make up.
    local: Mutex<HashMap<Capability, Right>>,
}

#[derive(Default)]
struct Counts {
    by_seal: HashMap<Seal, Arc<Count>>,
    by_process: BTreeMap<ProcessId, usize>,
}

impl Rights {
    pub(super) fn new(key: Key, process: ProcessId, incarnation: Incarnation) -> Rights {
        let (revoked, edges, counts, local) = Default::default();
        Rights { key, process, incarnation, revoked, edges, counts, local }
    }

    /// The life of the process.
    pub(super) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The full right to an actor here.
    pub fn mint(&self, slot: crate::id::Slot) -> Capability {
        Capability::mint(&self.key, self.process, slot)
    }

    /// Who may send only some messages to actors here.
    pub fn learn_edges(&self, edges: &[Edge]) {
        let mut known = self.edges.write().unwrap_or_else(PoisonError::into_inner);
        known.extend(edges.iter().map(|edge| ((edge.from, edge.to.0), edge.messages.as_slice().into())));
    }

    /// What earlier lives revoked.
    pub fn learn_revoked(&self, revoked: &[Seal]) {
        self.revoked.write().unwrap_or_else(PoisonError::into_inner).extend(revoked);
    }

    /// An address, and all that was made from it, is good for nothing any more. False if it was so before.
    ///
    /// # Errors
    /// [`Cause::Full`] with as many as there may be.
    pub(super) fn revoke(&self, seal: Seal) -> Result<bool, Cause> {
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        if revoked.len() >= MAX_REVOKED {
            return Err(Cause::Full);
        }
        let fresh = revoked.insert(seal);
        drop(revoked);
        self.lock_local().clear();
        Ok(fresh)
    }

    /// Whether it was revoked, not looking at what it was made from.
    pub(super) fn is_revoked(&self, seal: Seal) -> bool {
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        revoked.contains(&seal)
    }

    /// All that an address was made from and itself, if it was given and not taken back. Whether its conditions are met is
    /// not looked at, nor is anything remembered.
    ///
    /// # Errors
    /// [`Cause::NoRight`] or [`Cause::Revoked`].
    pub(super) fn seals_of(&self, capability: &Capability) -> Result<Vec<Seal>, Cause> {
        let seals = capability.verify(&self.key).ok_or(Cause::NoRight(capability.id()))?;
        match seals.iter().any(|seal| self.is_revoked(*seal)) {
            true => Err(Cause::Revoked(capability.id())),
            false => Ok(seals),
        }
    }

    /// What an address is good for that this process (`by`) presents. Hashes.
    ///
    /// # Errors
    /// Nothing.
    pub(super) fn check(&self, capability: &Capability, by: ProcessId) -> Result<Right, Cause> {
        let actor = capability.id();
        let seals = self.seals_of(capability)?;
        if capability.is_full() {
            return Ok(Right::Full);
        }
        let mut checked =
            Checked { actor, seals, messages: vec![], edges: vec![], until: None, counts: vec![] };
        for (at, condition) in capability.conditions().enumerate() {
            match condition {
                Condition::Life(life) if life != self.incarnation => {
                    return Err(Cause::Stale { process: self.process });
                }
                Condition::Life(_) | Condition::Mark(_) => {}
                Condition::Edge(from) => checked.edges.push(self.edge(from, actor)),
                Condition::Message(message) => checked.messages.push(message),
                Condition::Until(moment) => {
                    checked.until = Some(checked.until.map_or(moment, |sooner| sooner.min(moment)));
                }
                Condition::Count(most, _) => {
                    checked.counts.push(self.count(checked.seals[at + 1], most, by)?);
                }
            }
        }
        Ok(Right::Checked(Arc::new(checked)))
    }

    fn edge(&self, from: ProcessId, actor: ActorId) -> Messages {
        let edges = self.edges.read().unwrap_or_else(PoisonError::into_inner);
        edges.get(&(from, actor.slot.0)).cloned().unwrap_or_default()
    }

    fn count(&self, seal: Seal, most: u32, by: ProcessId) -> Result<Arc<Count>, Cause> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.by_seal.get(&seal) {
            return Ok(Arc::clone(count));
        }
        let used = counts.by_process.entry(by).or_default();
        if *used >= MAX_COUNTS {
            return Err(Cause::Full);
        }
        *used += 1;
        let count = Arc::new(Count { most, left: AtomicU32::new(most), by });
        counts.by_seal.insert(seal, Arc::clone(&count));
        Ok(count)
    }

    /// What an address is good for that is used within this process. Hashes once.
    ///
    /// # Errors
    /// Nothing.
    pub(super) fn check_local(&self, capability: &Capability) -> Result<Right, Cause> {
        let mut local = self.lock_local();
        if let Some(right) = local.get(capability) {
            return Ok(right.clone());
        }
        // Under the lock, so that it is forgotten when it is revoked.
        let right = self.check(capability, self.process)?;
        if local.len() >= MAX_LOCAL {
            local.clear();
        }
        local.insert(*capability, right.clone());
        Ok(right)
    }

    fn lock_local(&self) -> MutexGuard<'_, HashMap<Capability, Right>> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Right {
    /// Lets one message pass; what is counted is counted.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn admit(&self, message: MessageId) -> Result<(), Cause> {
        match self {
            Right::Full => Ok(()),
            Right::Checked(checked) => checked.admit(message),
            Right::Denied(cause) => Err((**cause).clone()),
        }
    }

    /// Whether whoever has it may hear of the actor's end; and, to link with it, also end it.
    ///
    /// # Errors
    /// It may not: its time is over, or it is good for some messages, or so many, alone.
    pub(super) fn may_watch(&self, linked: bool) -> Result<(), Cause> {
        match self {
            Right::Full => Ok(()),
            Right::Checked(checked) => checked.may_watch(linked),
            Right::Denied(cause) => Err((**cause).clone()),
        }
    }

    /// Whether it came from this address of an actor here, or is it.
    pub(super) fn comes_from(&self, full: Seal, seal: Seal) -> bool {
        match self {
            Right::Full => full == seal,
            Right::Checked(checked) => checked.seals.contains(&seal),
            Right::Denied(_) => false,
        }
    }
}

impl Checked {
    fn may_watch(&self, linked: bool) -> Result<(), Cause> {
        if linked && !(self.messages.is_empty() && self.edges.is_empty() && self.counts.is_empty()) {
            return Err(Cause::NotGranted { actor: self.actor, message: "link".to_owned() });
        }
        match self.is_over() {
            true => Err(Cause::Expired(self.actor)),
            false => Ok(()),
        }
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|moment| clock::now_ms() >= moment)
    }

    fn admit(&self, MessageId(message): MessageId) -> Result<(), Cause> {
        let others = |allowed: &Messages| allowed.binary_search(&message).is_err();
        if self.messages.iter().any(|only| *only != message) || self.edges.iter().any(others) {
            return Err(Cause::NotGranted { actor: self.actor, message: format!("message {message:08x}") });
        }
        if self.is_over() {
            return Err(Cause::Expired(self.actor));
        }
        // Each counts for itself: where one has none left, those before it are given back.
        for (taken, count) in self.counts.iter().enumerate() {
            if !count.take() {
                self.counts[..taken].iter().for_each(|before| before.give_back());
                return Err(Cause::UsedUp { most: count.most });
            }
        }
        Ok(())
    }
}

impl Count {
    fn take(&self) -> bool {
        let take = |left: u32| left.checked_sub(1);
        self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }

    fn give_back(&self) {
        self.left.fetch_add(1, Ordering::AcqRel);
    }
}

/// Whether nothing will ever pass again after a message was refused for this.
pub(super) fn is_for_good(cause: &Cause) -> bool {
    matches!(
        cause,
        Cause::NoRight(_)
            | Cause::Revoked(_)
            | Cause::Expired(_)
            | Cause::UsedUp { .. }
            | Cause::Stale { .. }
    )
}

impl std::fmt::Debug for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let by: Vec<_> = counts.by_seal.values().map(|count| count.by).collect();
        f.debug_struct("Rights").field("process", &self.process).field("counted", &by).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Slot, Tag};

    const MINE: ProcessId = ProcessId(3);

    fn rights() -> Rights {
        Rights::new(Key::new([7; Key::BYTES]), MINE, Incarnation::FIRST)
    }

    #[test]
    fn a3_who_may_send_some_messages_may_not_end_the_actor_by_a_link() {
        let rights = rights();
        let full = rights.mint(Slot(0));
        let may = |conditions: &[Condition], linked| {
            let narrow =
                |address: Capability, condition: &Condition| address.narrowed(*condition).expect("room");
            let address = conditions.iter().fold(full, narrow);
            rights.check(&address, ProcessId(4)).and_then(|right| right.may_watch(linked))
        };
        let whole =
            [vec![], vec![Condition::Life(Incarnation::FIRST)], vec![Condition::Until(u64::MAX >> 1)]];
        for conditions in whole {
            assert_eq!((may(&conditions, true), may(&conditions, false)), (Ok(()), Ok(())), "{conditions:?}");
        }
        let edge = Edge { from: ProcessId(4), to: Slot(0), messages: vec![9] };
        rights.learn_edges(&[edge]);
        for part in [Condition::Message(9), Condition::Edge(ProcessId(4)), Condition::Count(5, Tag([1; 6]))] {
            assert!(matches!(may(&[part], true), Err(Cause::NotGranted { .. })), "{part:?}");
            assert_eq!(may(&[part], false), Ok(()), "it may hear of the end: {part:?}");
        }
        let past = [Condition::Until(1)];
        assert_eq!((may(&past, true), may(&past, false)), {
            let expired = || Err(Cause::Expired(full.id()));
            (expired(), expired())
        });
    }

    #[test]
    fn m3_an_address_is_looked_at_without_a_place_among_those_that_count() {
        let rights = rights();
        let address = rights.mint(Slot(0)).narrowed(Condition::Count(1, Tag([1; 6]))).expect("room");
        assert_eq!(rights.seals_of(&address).map(|seals| seals.len()), Ok(2));
        assert!(rights.counts.lock().expect("counts").by_seal.is_empty());
        rights.revoke(address.seal()).expect("room");
        assert_eq!(rights.seals_of(&address).map(drop), Err(Cause::Revoked(address.id())));
        let guessed = Capability::unsealed(address.id());
        assert_eq!(rights.seals_of(&guessed).map(drop), Err(Cause::NoRight(address.id())));
    }
}
