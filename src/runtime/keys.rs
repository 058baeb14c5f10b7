//! The keys of a root: what the addresses of all its processes are sealed with, and what it thinks of those that are shown.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{ActorId, Capability, Key, ProcessId, Seal};
use crate::protocol::rights::{Denial, MAX_REVOKED};

/// Those of one root, for as long as it runs: no number of a process is used twice in that time, so no key is either.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    root: Key,
    /// Which run this is. Not secret.
    pub(super) run: u64,
}

impl Keys {
    /// Keys that nobody knows.
    ///
    /// # Errors
    /// The kernel gives no random bytes.
    pub(super) fn random() -> std::io::Result<Keys> {
        let (mut key, mut run) = ([0; Key::BYTES], [0; 8]);
        getrandom::fill(&mut key)
            .and_then(|()| getrandom::fill(&mut run))
            .map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Keys { root: Key::new(key), run: u64::from_le_bytes(run) })
    }

    pub(super) fn of_process(&self, process: ProcessId) -> Key {
        self.root.of_process(process)
    }

    /// The right to send to a declared actor.
    pub(super) fn mint(&self, id: ActorId) -> Capability {
        Capability::mint(&self.of_process(id.process), id.process, id.slot)
    }
}

/// What processes took back, for their next lives and for who asks to be introduced.
#[derive(Debug, Default)]
pub(super) struct Revoked(BTreeMap<ProcessId, OfOne>);

/// What one process took back.
#[derive(Debug, Default)]
struct OfOne {
    for_good: BTreeSet<Seal>,
    /// Good for one life alone, whichever it is: the next has none of them.
    of_this_life: BTreeSet<Seal>,
}

impl Revoked {
    /// Its owner says that an address is good for nothing any more. What is over the limit its owner alone knows.
    pub(super) fn add(&mut self, owner: ProcessId, seal: Seal, is_of_this_life: bool) {
        let OfOne { for_good, of_this_life } = self.0.entry(owner).or_default();
        let seals = if is_of_this_life { of_this_life } else { for_good };
        if seals.len() < MAX_REVOKED {
            seals.insert(seal);
        }
    }

    /// What the next life of a process must know, which begins now.
    pub(super) fn for_next_life(&mut self, owner: ProcessId) -> Vec<Seal> {
        let Some(revoked) = self.0.get_mut(&owner) else { return Vec::new() };
        revoked.of_this_life.clear();
        revoked.for_good.iter().copied().collect()
    }

    /// A process will not come back.
    pub(super) fn forget(&mut self, owner: ProcessId) {
        self.0.remove(&owner);
    }

    /// Whether an address gives the right to be introduced to its process.
    ///
    /// # Errors
    /// It gives none.
    pub(super) fn check(&self, keys: &Keys, target: &Capability) -> Result<(), Denial> {
        let key = keys.of_process(target.process());
        let seals = target.verify(&key).ok_or(Denial::NoRight)?;
        let revoked = self.0.get(&target.process());
        let is_in = |revoked: &OfOne| {
            let mut seals = seals.iter();
            seals.any(|seal| revoked.for_good.contains(seal) || revoked.of_this_life.contains(seal))
        };
        match revoked.is_some_and(is_in) {
            true => Err(Denial::Revoked),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Condition, Incarnation, Slot, Tag};

    #[test]
    fn a3_the_root_introduces_by_a_seal_of_its_own_that_was_not_revoked() {
        let (keys, others) = (Keys::random().expect("keys"), Keys::random().expect("keys"));
        let id = ActorId::declared(ProcessId(3), Slot(1));
        let mut revoked = Revoked::default();
        let address = keys.mint(id);
        let copy = address.narrowed(Condition::Mark(Tag([7; 6]))).expect("room");
        let of_copy = copy.narrowed(Condition::Message(9)).expect("room");
        for good in [address, copy, of_copy] {
            assert_eq!(revoked.check(&keys, &good), Ok(()));
            assert_eq!(revoked.check(&others, &good), Err(Denial::NoRight), "another run");
        }
        assert_eq!(revoked.check(&keys, &Capability::unsealed(id)), Err(Denial::NoRight));
        revoked.add(ProcessId(3), copy.seal(), false);
        assert_eq!(revoked.check(&keys, &of_copy), Err(Denial::Revoked));
        assert_eq!(revoked.check(&keys, &copy), Err(Denial::Revoked));
        assert_eq!(revoked.check(&keys, &address), Ok(()));
        // What is of one life is forgotten with it.
        let pinned = address.narrowed(Condition::Life(Incarnation::FIRST)).expect("room");
        revoked.add(ProcessId(3), pinned.seal(), true);
        assert_eq!(revoked.check(&keys, &pinned), Err(Denial::Revoked));
        assert_eq!(revoked.for_next_life(ProcessId(3)), [copy.seal()]);
        assert_eq!(revoked.check(&keys, &pinned), Ok(()));
        revoked.forget(ProcessId(3));
        assert_eq!(revoked.for_next_life(ProcessId(3)), []);
    }
}
