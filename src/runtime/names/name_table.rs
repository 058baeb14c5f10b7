//! Names: held by an actor, claimed by who is about to start one, or free.
//!
//! ```text
//!  Free --register------------------------------> Held --unregister, or its actor is gone--> Free
//!    '----claim--> Claimed --register with it-------^
//!                     '--released, or its process died--> Claimed by the next who waits, or Free
//! ```

use std::collections::{BTreeSet, VecDeque};

use super::directory::{Asker, Directory, Place, Say};
use super::shown::{Shown, is_same_actor};
use crate::id::{ActorId, Capability, FullName, ProcessId};
use crate::protocol::names::{Holder, MAX_WATCHED, NameError, NameState, NamesGranted, NamesToWorker, Right};
use crate::runtime::broker::Life;

/// One name that somebody holds, claims or watches.
#[derive(Debug, Default)]
pub(super) struct Name {
    pub(super) entry: Entry,
    pub(super) version: u64,
    /// Who looked it up to start its holder, and waits for somebody else's.
    waiting: VecDeque<Asker>,
    watchers: BTreeSet<ProcessId>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Entry {
    #[default]
    Free,
    Claimed {
        by: Life,
        claim: u64,
    },
    Held {
        id: ActorId,
        /// Who registered it.
        by: ProcessId,
        shown: Shown,
    },
}

impl Name {
    /// The next of a name that may have been forgotten.
    pub(super) fn since(version: u64) -> Name {
        Name { version, ..Name::default() }
    }

    /// Nobody would miss it.
    pub(super) fn is_idle(&self) -> bool {
        self.entry == Entry::Free && self.waiting.is_empty() && self.watchers.is_empty()
    }

    /// Whether it counts against its namespace's limit.
    pub(super) fn counts(&self) -> bool {
        self.entry != Entry::Free
    }

    /// A life of a process is over: it waits for nothing and watches nothing.
    pub(super) fn forget(&mut self, life: Life) {
        self.waiting.retain(|asker| asker.life != life);
        self.watchers.remove(&life.0);
    }

    pub(super) fn abandon(&mut self, asker: Asker) {
        self.waiting.retain(|other| *other != asker);
    }

    /// How many wait for its holder.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

type Done = Result<Option<NamesGranted>, NameError>;

impl Directory {
    pub(super) fn register(
        &mut self,
        asker: Asker,
        name: FullName,
        holder: Holder,
        claim: Option<u64>,
    ) -> Done {
        self.may(asker.life.0, &name, Right::Register)?;
        let (id, shown) = (holder.addr.id(), Shown::of(holder)?);
        let (by, before) = match self.entry(&name) {
            Entry::Held { id: held, by, shown } if is_same_actor(held, id) => {
                if !self.may_take_back(asker.life.0, by, id) {
                    return Ok(self.when_known(asker, held));
                }
                // Shown anew: that is what others get from now on.
                (by, Some((held, shown)))
            }
            Entry::Held { id, shown, .. } => {
                let mut holder = Box::new(self.holder(id, &shown)?);
                if self.may(asker.life.0, &name, Right::LookUp).is_err() {
                    // Who holds it is no secret; a right to send there is.
                    holder.addr = Capability::unsealed(id);
                }
                return Err(NameError::Taken { name, holder });
            }
            Entry::Claimed { by, claim: given } if (by, Some(given)) != (asker.life, claim) => {
                let by = self.rights.process_name(by.0).ok_or(NameError::NoActor(id))?;
                return Err(NameError::BeingStarted { name, by });
            }
            Entry::Claimed { .. } => (asker.life.0, None),
            Entry::Free => {
                self.is_full(&name)?;
                (asker.life.0, None)
            }
        };
        self.tenant(id)?.names.insert(name.clone());
        let is_new = before.as_ref() != Some(&(id, shown.clone()));
        self.name_mut(&name).entry = Entry::Held { id, by, shown };
        let mut was_told = false;
        if let Some((held, _)) = before {
            was_told = self.place(held) != Some(Place::Asked);
            if held != id {
                self.tenants.get_mut(&held).map(|tenant| tenant.names.remove(&name));
                self.replaced(held, id);
            }
        }
        let place = self.place(id);
        if is_new && (was_told || place != Some(Place::Asked)) {
            self.name_changed(&name);
        }
        if place == Some(Place::Here) {
            self.tell_the_waiting(&name);
        }
        Ok(self.when_known(asker, id))
    }

    pub(super) fn unregister(
        &mut self,
        by: ProcessId,
        name: &FullName,
        id: ActorId,
    ) -> Result<(), NameError> {
        let (held, given_by) = match self.entry(name) {
            Entry::Held { id: held, by, .. } if is_same_actor(held, id) => (held, by),
            _ => return Err(NameError::Unknown(name.clone())),
        };
        if !self.may_take_back(by, given_by, id) {
            return Err(NameError::NotYours(name.clone()));
        }
        self.take_name(name, held);
        self.dismiss(held);
        self.forget_the_empty();
        Ok(())
    }

    /// It holds the name no more.
    pub(super) fn take_name(&mut self, name: &FullName, id: ActorId) {
        if let Some(tenant) = self.tenants.get_mut(&id) {
            tenant.names.remove(name);
        }
        self.set_free(name);
    }

    pub(super) fn look_up(&mut self, by: ProcessId, name: &FullName) -> Result<Holder, NameError> {
        self.may(by, name, Right::LookUp)?;
        match self.entry(name) {
            Entry::Held { id, shown, .. } => {
                let holder = self.holder(id, &shown)?;
                match self.place(id) {
                    Some(Place::Here) => Ok(holder),
                    Some(Place::Away) => {
                        Err(NameError::Away { name: name.clone(), holder: Box::new(holder) })
                    }
                    Some(Place::Asked) | None => Err(NameError::Unknown(name.clone())),
                }
            }
            Entry::Claimed { .. } | Entry::Free => Err(NameError::Unknown(name.clone())),
        }
    }

    pub(super) fn claim(&mut self, asker: Asker, name: FullName) -> Done {
        self.may(asker.life.0, &name, Right::LookUp)?;
        self.may(asker.life.0, &name, Right::Register)?;
        match self.entry(&name) {
            Entry::Held { id, shown, .. } if self.place(id) == Some(Place::Here) => {
                return Ok(Some(NamesGranted::Held(self.holder(id, &shown)?)));
            }
            Entry::Held { .. } | Entry::Claimed { .. } => {
                self.name_mut(&name).waiting.push_back(asker);
                self.waits(asker);
                return Ok(None);
            }
            Entry::Free => self.is_full(&name)?,
        }
        Ok(Some(self.grant(asker, name)))
    }

    fn grant(&mut self, asker: Asker, name: FullName) -> NamesGranted {
        self.last_claim += 1;
        let claim = self.last_claim;
        self.name_mut(&name).entry = Entry::Claimed { by: asker.life, claim };
        NamesGranted::Claimed { name, claim }
    }

    /// What was claimed will not come: the next who waits may.
    pub(super) fn release(&mut self, life: Life, name: &FullName, claim: u64) {
        if self.entry(name) == (Entry::Claimed { by: life, claim }) {
            self.set_free(name);
            self.forget_the_empty();
        }
    }

    /// A life is over, with its claims.
    pub(super) fn give_back_claims(&mut self, life: Life) {
        let claimed = |entry: &Entry| matches!(entry, Entry::Claimed { by, .. } if *by == life);
        let names = self.names.iter().filter(|(_, name)| claimed(&name.entry));
        for name in names.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.set_free(&name);
        }
    }

    /// Nobody holds it any more, or is about to: who waits longest may be next.
    pub(super) fn set_free(&mut self, name: &FullName) {
        let Some(found) = self.names.get_mut(name) else { return };
        let before = std::mem::take(&mut found.entry);
        let next = found.waiting.pop_front();
        if matches!(before, Entry::Held { .. }) {
            self.name_changed(name);
        }
        if let Some(next) = next {
            let granted = self.grant(next, name.clone());
            self.answer(next, Ok(granted));
        }
    }

    /// Its holder lives: whoever waited for one has it.
    pub(super) fn tell_the_waiting(&mut self, name: &FullName) {
        let Some(found) = self.names.get_mut(name) else { return };
        let waiting = std::mem::take(&mut found.waiting);
        let Entry::Held { id, shown, .. } = found.entry.clone() else { return };
        for asker in waiting {
            let answer = self.holder(id, &shown).map(NamesGranted::Held);
            self.answer(asker, answer);
        }
    }

    pub(super) fn watch(&mut self, by: ProcessId, name: FullName) -> Result<(), NameError> {
        self.may(by, &name, Right::LookUp)?;
        let watched = self.names.values().filter(|name| name.watchers.contains(&by)).count();
        if watched >= MAX_WATCHED {
            return Err(NameError::TooMany {
                what: "names watched by this process".to_owned(),
                most: MAX_WATCHED,
            });
        }
        self.name_mut(&name).watchers.insert(by);
        self.say.push(Say::Name(by, name));
        Ok(())
    }

    pub(super) fn unwatch(&mut self, by: ProcessId, name: &FullName) {
        if let Some(found) = self.names.get_mut(name) {
            found.watchers.remove(&by);
        }
        self.forget_the_empty();
    }

    pub(super) fn name_changed(&mut self, name: &FullName) {
        let Some(found) = self.names.get_mut(name) else { return };
        found.version += 1;
        self.say.extend(found.watchers.iter().map(|watcher| Say::Name(*watcher, name.clone())));
    }

    /// What a process that watches a name is told of it now; none if it does not watch it any more.
    pub(in crate::runtime) fn name_frame(&self, to: ProcessId, name: &FullName) -> Option<NamesToWorker> {
        let found = self.names.get(name).filter(|found| found.watchers.contains(&to))?;
        let state = match &found.entry {
            Entry::Held { id, shown, .. } => {
                let holder = self.holder(*id, shown).ok()?;
                match self.place(*id) {
                    Some(Place::Here) => NameState::Here(holder),
                    Some(Place::Away) => NameState::Away(holder),
                    Some(Place::Asked) | None => NameState::Free,
                }
            }
            Entry::Claimed { .. } | Entry::Free => NameState::Free,
        };
        Some(NamesToWorker::Name { name: name.clone(), version: found.version, state })
    }

    fn entry(&self, name: &FullName) -> Entry {
        self.names.get(name).map(|found| found.entry.clone()).unwrap_or_default()
    }

    fn name_mut(&mut self, name: &FullName) -> &mut Name {
        let floor = self.floor;
        self.names.entry(name.clone()).or_insert_with(|| Name::since(floor))
    }

    pub(super) fn place(&self, id: ActorId) -> Option<Place> {
        self.tenants.get(&id).map(|tenant| tenant.place)
    }

    /// As what its holder was shown.
    pub(super) fn shown_by(&self, name: &FullName) -> Option<&Shown> {
        match &self.names.get(name)?.entry {
            Entry::Held { shown, .. } => Some(shown),
            Entry::Claimed { .. } | Entry::Free => None,
        }
    }

    pub(super) fn holder(&self, id: ActorId, shown: &Shown) -> Result<Holder, NameError> {
        let tenant = self.tenants.get(&id).ok_or(NameError::NoActor(id))?;
        let Shown { addr, delivery, type_name } = shown.clone();
        Ok(Holder { id, type_name, process: tenant.process.clone(), addr, delivery, life: tenant.life })
    }
}
