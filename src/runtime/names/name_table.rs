//! Names: held by an actor, claimed by who is about to start one, or free.
//!
//! ```text
//!  Free --register------------------------------> Held --unregister, or its actor is gone--> Free
//!    '----claim--> Claimed --register with it-------^
//!                     '--released, or its process died--> Claimed by the next who waits, or Free
//! ```

use std::collections::{BTreeSet, VecDeque};

use super::directory::{Asker, Directory, Place, Say, Shown};
use crate::id::{ActorId, FullName, ProcessId};
use crate::protocol::names::{Holder, MAX_WATCHED, NameError, NameState, NamesGranted, NamesToWorker, Right};
use crate::runtime::broker::Life;

/// One name that somebody holds, claims or watches.
#[derive(Debug, Default)]
pub(super) struct Name {
    pub(super) entry: Entry,
    version: u64,
    /// Who looked it up to start its holder, and waits for somebody else's.
    waiting: VecDeque<Asker>,
    watchers: BTreeSet<ProcessId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// Nobody would miss it. Its version goes with it, and starts anew for the next.
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
        let (id, shown) = (holder.addr.id(), (holder.addr, holder.delivery));
        match self.entry(&name) {
            Entry::Held { id: held, .. } if held == id => return Ok(self.when_known(asker, id)),
            Entry::Held { id, shown, .. } => {
                let holder = Box::new(self.holder(id, shown)?);
                return Err(NameError::Taken { name, holder });
            }
            Entry::Claimed { by, claim: given } if (by, Some(given)) != (asker.life, claim) => {
                let by = self.rights.process_name(by.0).ok_or(NameError::NoActor(id))?;
                return Err(NameError::BeingStarted { name, by });
            }
            Entry::Claimed { .. } => {}
            Entry::Free => self.is_full(&name)?,
        }
        self.tenant(holder)?.names.insert(name.clone());
        self.names.entry(name.clone()).or_default().entry = Entry::Held { id, by: asker.life.0, shown };
        match self.place(id) {
            Some(Place::Here) => {
                self.name_changed(&name);
                self.tell_the_waiting(&name);
            }
            Some(Place::Away) => self.name_changed(&name),
            Some(Place::Asked) | None => {}
        }
        Ok(self.when_known(asker, id))
    }

    pub(super) fn unregister(
        &mut self,
        by: ProcessId,
        name: &FullName,
        id: ActorId,
    ) -> Result<(), NameError> {
        let given_by = match self.entry(name) {
            Entry::Held { id: held, by, .. } if held == id => by,
            _ => return Err(NameError::Unknown(name.clone())),
        };
        if !self.may_take_back(by, given_by, id) {
            return Err(NameError::NotYours(name.clone()));
        }
        if let Some(tenant) = self.tenants.get_mut(&id) {
            tenant.names.remove(name);
        }
        self.set_free(name);
        self.dismiss(id);
        self.forget_the_empty();
        Ok(())
    }

    pub(super) fn look_up(&mut self, by: ProcessId, name: &FullName) -> Result<Holder, NameError> {
        self.may(by, name, Right::LookUp)?;
        match self.entry(name) {
            Entry::Held { id, shown, .. } => {
                let holder = self.holder(id, shown)?;
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
                return Ok(Some(NamesGranted::Held(self.holder(id, shown)?)));
            }
            Entry::Held { .. } | Entry::Claimed { .. } => {
                self.names.entry(name).or_default().waiting.push_back(asker);
                return Ok(None);
            }
            Entry::Free => self.is_full(&name)?,
        }
        Ok(Some(self.grant(asker, name)))
    }

    fn grant(&mut self, asker: Asker, name: FullName) -> NamesGranted {
        self.last_claim += 1;
        let claim = self.last_claim;
        self.names.entry(name.clone()).or_default().entry = Entry::Claimed { by: asker.life, claim };
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
            self.say.push(Say::Answer(next, Ok(granted)));
        }
    }

    /// Its holder lives: whoever waited for one has it.
    pub(super) fn tell_the_waiting(&mut self, name: &FullName) {
        let Some(found) = self.names.get_mut(name) else { return };
        let waiting = std::mem::take(&mut found.waiting);
        let Entry::Held { id, shown, .. } = found.entry else { return };
        for asker in waiting {
            let answer = self.holder(id, shown).map(NamesGranted::Held);
            self.say.push(Say::Answer(asker, answer));
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
        self.names.entry(name.clone()).or_default().watchers.insert(by);
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
        let state = match found.entry {
            Entry::Held { id, shown, .. } => {
                let holder = self.holder(id, shown).ok()?;
                match self.place(id) {
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
        self.names.get(name).map(|found| found.entry).unwrap_or_default()
    }

    pub(super) fn place(&self, id: ActorId) -> Option<Place> {
        self.tenants.get(&id).map(|tenant| tenant.place)
    }

    pub(super) fn holder(&self, id: ActorId, (addr, delivery): Shown) -> Result<Holder, NameError> {
        let tenant = self.tenants.get(&id).ok_or(NameError::NoActor(id))?;
        Ok(Holder { addr, delivery, ..tenant.holder.clone() })
    }
}
