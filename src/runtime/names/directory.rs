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
use super::shown::Shown;
use crate::id::{ActorId, Capability, FullName, Incarnation, ProcessId, ProcessName};
use crate::protocol::names::{MAX_TENANTS, NameError, NamesGranted, NamesRequest, Presence, Right};
use crate::protocol::requests::MAX_REQUESTS;
use crate::runtime::broker::Life;

/// A request that waits, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// An actor that holds something or is a member.
#[derive(Debug)]
pub(super) struct Tenant {
    /// The name of its process.
    pub(super) process: ProcessName,
    /// Which of its lives this is, counted from 1; 0 for none yet.
    pub(super) life: u64,
    pub(super) place: Place,
    pub(super) names: BTreeSet<FullName>,
    pub(super) groups: BTreeSet<FullName>,
    /// Who waits to hear whether it lives.
    waiting: Vec<Asker>,
}

impl Tenant {
    fn is_idle(&self) -> bool {
        self.names.is_empty() && self.groups.is_empty()
    }
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
    /// All whose answers wait for somebody.
    waiting: BTreeSet<Asker>,
    /// Above every version of a name or group that was forgotten: the next of that name begins here (D-3).
    pub(super) floor: u64,
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
        let may_wait = match &request {
            NamesRequest::Register { .. } | NamesRequest::Join { .. } | NamesRequest::Claim { .. } => {
                self.may_wait(asker)
            }
            _ => Ok(()),
        };
        let done = may_wait.and_then(|()| self.request(asker, by, request));
        match done {
            // It waits for somebody.
            Ok(None) => {}
            Ok(Some(granted)) => self.say.push(Say::Answer(asker, Ok(granted))),
            Err(error) => self.say.push(Say::Answer(asker, Err(error))),
        }
        self.check();
    }

    /// None if the answer waits for somebody.
    fn request(
        &mut self,
        asker: Asker,
        by: ProcessId,
        request: NamesRequest,
    ) -> Result<Option<NamesGranted>, NameError> {
        match request {
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
            NamesRequest::Abandon { number } => {
                self.abandon(Asker { life: asker.life, number });
                Ok(Some(NamesGranted::Done))
            }
        }
    }

    /// Whether this request may wait for somebody: a process of ours has no more under way, so only one that breaks the
    /// rules is refused.
    fn may_wait(&self, asker: Asker) -> Result<(), NameError> {
        let (first, last) = (Asker { number: 0, ..asker }, Asker { number: u64::MAX, ..asker });
        match self.waiting.contains(&asker) || self.waiting.range(first..=last).count() >= MAX_REQUESTS {
            true => Err(NameError::TooMany { what: "requests that wait".to_owned(), most: MAX_REQUESTS }),
            false => Ok(()),
        }
    }

    /// Its answer waits for somebody from now on.
    pub(super) fn waits(&mut self, asker: Asker) {
        self.waiting.insert(asker);
    }

    /// Answers one that has waited.
    pub(super) fn answer(&mut self, asker: Asker, answer: Result<NamesGranted, NameError>) {
        self.waiting.remove(&asker);
        self.say.push(Say::Answer(asker, answer));
    }

    /// Whoever asked waits no longer. What it asked for stands.
    fn abandon(&mut self, asker: Asker) {
        if !self.waiting.contains(&asker) {
            return;
        }
        self.tenants.values_mut().for_each(|tenant| tenant.waiting.retain(|other| *other != asker));
        self.names.values_mut().for_each(|name| name.abandon(asker));
        self.answer(asker, Err(NameError::TimedOut("whoever asked has gone".to_owned())));
        self.forget_the_empty();
    }

    /// Addresses of actors of this process were revoked: what was given by one of them is given no more.
    pub(in crate::runtime) fn handle_revoked(
        &mut self,
        owner: ProcessId,
        is_revoked: impl Fn(&Capability) -> bool,
    ) {
        // Nobody can revoke a full one.
        let is_over = |shown: &Shown| !shown.addr.is_full() && is_revoked(&shown.addr);
        for id in self.tenants_of(owner) {
            let Some(tenant) = self.tenants.get(&id) else { continue };
            let names = tenant.names.iter().filter(|name| self.shown_by(name).is_some_and(is_over));
            let is_member = |group: &&FullName| self.shown_in(group, id).is_some_and(is_over);
            let groups = tenant.groups.iter().filter(is_member);
            let (names, groups): (Vec<_>, Vec<_>) = (names.cloned().collect(), groups.cloned().collect());
            names.iter().for_each(|name| self.take_name(name, id));
            groups.iter().for_each(|group| self.take_member(group, id));
            self.dismiss(id);
        }
        self.forget_the_empty();
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
        self.waiting.retain(|asker| asker.life != life);
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
    pub(super) fn tenant(&mut self, id: ActorId) -> Result<&mut Tenant, NameError> {
        if !self.tenants.contains_key(&id) {
            if self.tenants.len() >= MAX_TENANTS {
                let what = "actors with names or groups".to_owned();
                return Err(NameError::TooMany { what, most: MAX_TENANTS });
            }
            let process = self.rights.process_name(id.process).ok_or(NameError::NoActor(id))?;
            let (names, groups, waiting) = Default::default();
            self.tenants.insert(id, Tenant { process, life: 0, place: Place::Asked, names, groups, waiting });
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
                self.waits(asker);
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
            tenant.life += 1;
        }
        let waiting = std::mem::take(&mut tenant.waiting);
        let (names, groups) = (tenant.names.clone(), tenant.groups.clone());
        waiting.into_iter().for_each(|asker| self.answer(asker, Ok(NamesGranted::Done)));
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
        tenant.waiting.iter().for_each(|asker| self.answer(*asker, Err(NameError::NoActor(id))));
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

    /// What one actor held by one id it holds by another.
    pub(super) fn replaced(&mut self, before: ActorId, now: ActorId) {
        if self.tenants.get(&before).is_some_and(Tenant::is_idle)
            && let Some(tenant) = self.tenants.get_mut(&before)
        {
            let waiting = std::mem::take(&mut tenant.waiting);
            match self.tenants.get_mut(&now) {
                Some(now) if now.place == Place::Asked => now.waiting.extend(waiting),
                _ => waiting.into_iter().for_each(|asker| self.answer(asker, Ok(NamesGranted::Done))),
            }
        }
        self.dismiss(before);
    }

    /// A tenant that holds nothing and is no member is none.
    pub(super) fn dismiss(&mut self, id: ActorId) {
        if self.tenants.get(&id).is_some_and(Tenant::is_idle)
            && let Some(tenant) = self.tenants.remove(&id)
        {
            tenant.waiting.iter().for_each(|asker| self.answer(*asker, Err(NameError::NoActor(id))));
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
        let mut floor = self.floor;
        let mut is_kept = |is_idle: bool, version: u64| {
            if is_idle {
                floor = floor.max(version + 1);
            }
            !is_idle
        };
        self.names.retain(|_, name| is_kept(name.is_idle(), name.version));
        self.groups.retain(|_, group| is_kept(group.is_idle(), group.version));
        self.floor = floor;
    }

    fn check(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        for (name, found) in &self.names {
            if let Entry::Held { id, .. } = &found.entry {
                assert!(
                    self.tenants.get(id).is_some_and(|tenant| tenant.names.contains(name)),
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
        let of_tenants = self.tenants.values().map(|tenant| tenant.waiting.len()).sum::<usize>();
        let of_names = self.names.values().map(Name::waiting).sum::<usize>();
        assert_eq!(of_tenants + of_names, self.waiting.len(), "D-4");
    }
}
