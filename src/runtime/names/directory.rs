//! Who holds which name and who is a member of which group: the root's directory, without I/O.
//!
//! `handle_*` and the requests go in; what is to be said comes out of `poll`. A push says only that something has changed:
//! whoever carries it out asks for the newest state when there is room for it ([`Directory::name_frame`],
//! [`Directory::group_frame`]).
//!
//! - D-1 a name has at most one holder or claim.
//! - D-2 every holder and member is a tenant, and every tenant holds or is a member.
//! - D-3 versions rise with each visible change.
//! - D-4 every request is answered once, or its process has died.

use std::collections::{BTreeMap, BTreeSet};

use super::group_table::Group;
use super::name_table::{Entry, Name};
use super::rights::Rights;
use crate::id::{ActorId, Capability, FullName, Incarnation, ProcessId};
use crate::protocol::Delivery;
use crate::protocol::names::{
    Holder, MAX_TENANTS, MAX_TYPE_NAME_BYTES, NameError, NamesGranted, NamesRequest, Presence, Right,
};
use crate::runtime::broker::Life;

/// A request that waits, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct Asker {
    pub(in crate::runtime) life: Life,
    pub(in crate::runtime) number: u64,
}

/// What is to be said, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum Say {
    /// To who asked.
    Answer(Asker, Result<NamesGranted, NameError>),
    /// This process is to tell of its actor.
    Attend(ProcessId, ActorId),
    /// No more.
    Ignore(ProcessId, ActorId),
    /// A name that this process watches has changed.
    Name(ProcessId, FullName),
    /// A group that this process uses has changed.
    Group(ProcessId, FullName),
}

/// By which address an actor holds a name or is a member: as narrow as it was shown.
pub(super) type Shown = (Capability, Delivery);

/// An actor that holds something or is a member.
#[derive(Debug)]
pub(super) struct Tenant {
    /// With some address of it; who looks up gets the one that was shown for what is looked up.
    pub(super) holder: Holder,
    pub(super) place: Place,
    pub(super) names: BTreeSet<FullName>,
    pub(super) groups: BTreeSet<FullName>,
    /// Who waits to hear whether it lives.
    waiting: Vec<Asker>,
}

/// Where a tenant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its process was asked, or will be when it is ready.
    Asked,
    Here,
    Away,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(in crate::runtime) struct Directory {
    pub(super) rights: Rights,
    pub(super) tenants: BTreeMap<ActorId, Tenant>,
    pub(super) names: BTreeMap<FullName, Name>,
    pub(super) groups: BTreeMap<FullName, Group>,
    /// Processes that are ready, each in this life.
    ready: BTreeMap<ProcessId, Incarnation>,
    pub(super) last_claim: u64,
    pub(super) say: Vec<Say>,
}

impl Directory {
    /// An empty one for a topology with these rights. The root is there.
    pub(in crate::runtime) fn new(rights: Rights) -> Directory {
        let mut directory = Directory { rights, ..Directory::default() };
        directory.ready.insert(ProcessId::ROOT, Incarnation::FIRST);
        directory
    }

    pub(in crate::runtime) fn rights_mut(&mut self) -> &mut Rights {
        &mut self.rights
    }

    /// What to say, in order.
    pub(in crate::runtime) fn poll(&mut self) -> Vec<Say> {
        std::mem::take(&mut self.say)
    }

    /// A process asks.
    pub(in crate::runtime) fn handle_request(&mut self, asker: Asker, request: NamesRequest) {
        let by = asker.life.0;
        let done = match request {
            NamesRequest::Register { name, holder, claim } => self.register(asker, name, holder, claim),
            NamesRequest::Unregister { name, id } => {
                self.unregister(by, &name, id).map(|()| Some(NamesGranted::Done))
            }
            NamesRequest::LookUp { name } => {
                self.look_up(by, &name).map(|holder| Some(NamesGranted::Held(holder)))
            }
            NamesRequest::Claim { name } => self.claim(asker, name),
            NamesRequest::Release { name, claim } => {
                self.release(asker.life, &name, claim);
                Ok(Some(NamesGranted::Done))
            }
            NamesRequest::Watch { name } => self.watch(by, name).map(|()| Some(NamesGranted::Done)),
            NamesRequest::Unwatch { name } => {
                self.unwatch(by, &name);
                Ok(Some(NamesGranted::Done))
            }
            NamesRequest::Join { group, holder } => self.join(asker, group, holder),
            NamesRequest::Leave { group, id } => {
                self.leave(by, &group, id).map(|()| Some(NamesGranted::Done))
            }
        };
        match done {
            // It waits for somebody.
            Ok(None) => {}
            Ok(Some(granted)) => self.say.push(Say::Answer(asker, Ok(granted))),
            Err(error) => self.say.push(Say::Answer(asker, Err(error))),
        }
        self.check();
    }

    /// A process tells where its actor is. What it says of others' actors, or of nobody's, means nothing.
    pub(in crate::runtime) fn handle_presence(&mut self, life: Life, id: ActorId, presence: Presence) {
        if id.process != life.0 || self.ready.get(&life.0) != Some(&life.1) || !self.tenants.contains_key(&id)
        {
            return;
        }
        match presence {
            Presence::Here => self.set_place(id, Place::Here),
            Presence::Away => self.set_place(id, Place::Away),
            Presence::Gone => self.gone(id),
        }
        self.check();
    }

    /// A life of a process is ready: where are its tenants?
    pub(in crate::runtime) fn handle_ready(&mut self, (process, incarnation): Life) {
        self.ready.insert(process, incarnation);
        for id in self.tenants_of(process) {
            self.say.push(Say::Attend(process, id));
        }
        self.check();
    }

    /// A life of a process is over, and with it what it watched and claimed. Its tenants are away until the next one is
    /// ready, but those that belonged to this life alone.
    pub(in crate::runtime) fn handle_down(&mut self, life: Life) {
        if self.ready.get(&life.0) == Some(&life.1) {
            self.ready.remove(&life.0);
        }
        for id in self.tenants_of(life.0) {
            match id.incarnation == Incarnation::ANY {
                true => self.set_place(id, Place::Away),
                false => self.gone(id),
            }
        }
        self.tenants.values_mut().for_each(|tenant| tenant.waiting.retain(|asker| asker.life != life));
        self.names.values_mut().for_each(|name| name.forget(life));
        self.groups.values_mut().for_each(|group| group.forget(life.0));
        self.give_back_claims(life);
        self.forget_the_empty();
        self.check();
    }

    /// A process will not come back.
    pub(in crate::runtime) fn handle_gone(&mut self, process: ProcessId) {
        self.tenants_of(process).into_iter().for_each(|id| self.gone(id));
        self.check();
    }

    fn tenants_of(&self, process: ProcessId) -> Vec<ActorId> {
        self.tenants.keys().filter(|id| id.process == process).copied().collect()
    }

    /// Makes an actor a tenant, or finds the one that it is. Its process is asked where it is.
    pub(super) fn tenant(&mut self, mut holder: Holder) -> Result<&mut Tenant, NameError> {
        let id = holder.addr.id();
        holder.id = id;
        if holder.type_name.len() > MAX_TYPE_NAME_BYTES {
            return Err(NameError::Encode("the name of its type is too long".to_owned()));
        }
        if !self.tenants.contains_key(&id) {
            if self.tenants.len() >= MAX_TENANTS {
                let what = "actors with names or groups".to_owned();
                return Err(NameError::TooMany { what, most: MAX_TENANTS });
            }
            holder.process = self.rights.process_name(id.process).ok_or(NameError::NoActor(id))?;
            holder.life = 0;
            let (names, groups, waiting) = Default::default();
            self.tenants.insert(id, Tenant { holder, place: Place::Asked, names, groups, waiting });
            if self.ready.contains_key(&id.process) {
                self.say.push(Say::Attend(id.process, id));
            }
        }
        self.tenants.get_mut(&id).ok_or(NameError::NoActor(id))
    }

    /// Answers when it is known whether the actor lives.
    pub(super) fn when_known(&mut self, asker: Asker, id: ActorId) -> Option<NamesGranted> {
        match self.tenants.get_mut(&id) {
            Some(tenant) if tenant.place == Place::Asked => {
                tenant.waiting.push(asker);
                None
            }
            _ => Some(NamesGranted::Done),
        }
    }

    fn set_place(&mut self, id: ActorId, place: Place) {
        let Some(tenant) = self.tenants.get_mut(&id) else { return };
        let before = std::mem::replace(&mut tenant.place, place);
        if place == Place::Here {
            if before == Place::Here {
                return;
            }
            tenant.holder.life += 1;
        }
        let waiting = std::mem::take(&mut tenant.waiting);
        let (names, groups) = (tenant.names.clone(), tenant.groups.clone());
        self.say.extend(waiting.into_iter().map(|asker| Say::Answer(asker, Ok(NamesGranted::Done))));
        if before == place {
            return;
        }
        names.iter().for_each(|name| self.name_changed(name));
        if before == Place::Here || place == Place::Here {
            groups.iter().for_each(|group| self.group_changed(group));
        }
        if place == Place::Here {
            names.iter().for_each(|name| self.tell_the_waiting(name));
        }
    }

    /// An actor will not live again: it holds nothing any more.
    fn gone(&mut self, id: ActorId) {
        let Some(tenant) = self.tenants.remove(&id) else { return };
        let waiting = tenant.waiting.into_iter();
        self.say.extend(waiting.map(|asker| Say::Answer(asker, Err(NameError::NoActor(id)))));
        for name in &tenant.names {
            self.set_free(name);
        }
        for group in &tenant.groups {
            if let Some(found) = self.groups.get_mut(group) {
                found.members.remove(&id);
            }
            if tenant.place == Place::Here {
                self.group_changed(group);
            }
        }
        self.forget_the_empty();
    }

    /// A tenant that holds nothing and is no member is none.
    pub(super) fn dismiss(&mut self, id: ActorId) {
        let is_idle = |tenant: &Tenant| tenant.names.is_empty() && tenant.groups.is_empty();
        if self.tenants.get(&id).is_some_and(is_idle)
            && let Some(tenant) = self.tenants.remove(&id)
        {
            let waiting = tenant.waiting.into_iter();
            self.say.extend(waiting.map(|asker| Say::Answer(asker, Err(NameError::NoActor(id)))));
            if self.ready.contains_key(&id.process) {
                self.say.push(Say::Ignore(id.process, id));
            }
        }
    }

    /// Whether `by` may take back what `id` was given: it is its own, or `by` gave it, or is the root.
    pub(super) fn may_take_back(&self, by: ProcessId, given_by: ProcessId, id: ActorId) -> bool {
        by.is_root() || by == id.process || by == given_by
    }

    pub(super) fn may(&self, by: ProcessId, name: &FullName, right: Right) -> Result<(), NameError> {
        self.rights.check(by, name, right)
    }

    /// How many names and groups a namespace has.
    pub(super) fn is_full(&self, name: &FullName) -> Result<(), NameError> {
        let most = self.rights.most(name.namespace());
        let own = |other: &&FullName| other.namespace() == name.namespace();
        let names =
            self.names.iter().filter(|(_, found)| found.counts()).map(|(name, _)| name).filter(own).count();
        let groups =
            self.groups.iter().filter(|(_, group)| group.counts()).map(|(name, _)| name).filter(own).count();
        match names + groups < most {
            true => Ok(()),
            false => {
                Err(NameError::TooMany { what: format!("names and groups in {}", name.namespace()), most })
            }
        }
    }

    pub(super) fn forget_the_empty(&mut self) {
        self.names.retain(|_, name| !name.is_idle());
        self.groups.retain(|_, group| !group.is_idle());
    }

    fn check(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        for (name, found) in &self.names {
            if let Entry::Held { id, .. } = found.entry {
                assert!(
                    self.tenants.get(&id).is_some_and(|tenant| tenant.names.contains(name)),
                    "D-2: {name}"
                );
            }
        }
        for (name, group) in &self.groups {
            for id in group.members.keys() {
                assert!(
                    self.tenants.get(id).is_some_and(|tenant| tenant.groups.contains(name)),
                    "D-2: {name}"
                );
            }
        }
        for (id, tenant) in &self.tenants {
            assert!(!tenant.names.is_empty() || !tenant.groups.is_empty(), "D-2: {id} is idle");
        }
    }
}
