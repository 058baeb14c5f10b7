//! Groups: their members, and the processes that use them.

use std::collections::{BTreeMap, BTreeSet};

use super::directory::{Asker, Directory, Place, Say};
use super::shown::{Shown, is_same_actor};
use crate::id::{ActorId, FullName, ProcessId, REPLICAS};
use crate::protocol::names::{
    Holder, MAX_MEMBERS, MAX_WATCHED, NameError, NamesGranted, NamesToWorker, Right,
};

/// One group that has members or is used.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Each with who let it join, and by which address.
    pub(super) members: BTreeMap<ActorId, (ProcessId, Shown)>,
    /// That of the first that joined.
    type_name: Option<String>,
    pub(super) version: u64,
    users: BTreeSet<ProcessId>,
}

impl Group {
    /// The next of a name that may have been forgotten.
    pub(super) fn since(version: u64) -> Group {
        Group { version, ..Group::default() }
    }

    /// As what this actor is a member.
    fn member(&self, id: ActorId) -> Option<(ActorId, &(ProcessId, Shown))> {
        let mut members = self.members.iter();
        members.find(|(member, _)| is_same_actor(**member, id)).map(|(member, known)| (*member, known))
    }

    /// Nobody would miss it.
    pub(super) fn is_idle(&self) -> bool {
        self.members.is_empty() && self.users.is_empty()
    }

    /// Whether it counts against its namespace's limit.
    pub(super) fn counts(&self) -> bool {
        !self.members.is_empty()
    }

    /// A process has died, or lets it go: it does not use it.
    pub(super) fn forget(&mut self, process: ProcessId) {
        self.users.remove(&process);
    }
}

impl Directory {
    pub(super) fn join(
        &mut self,
        asker: Asker,
        group: FullName,
        holder: Holder,
    ) -> Result<Option<NamesGranted>, NameError> {
        if group.namespace() == REPLICAS {
            return Err(NameError::OfReplicas(group));
        }
        self.may(asker.life.0, &group, Right::Register)?;
        let id = self.add(asker.life.0, group, holder)?;
        Ok(self.when_known(asker, id))
    }

    /// A replica is ready to be: its actor is a member of the group of its likes.
    pub(in crate::runtime) fn handle_replica(&mut self, group: FullName, holder: Holder) {
        let id = holder.id;
        if let Err(error) = self.add(ProcessId::ROOT, group.clone(), holder) {
            tracing::warn!(target: "procession", %group, actor = %id, %error, "a replica is no member of its group");
        }
    }

    /// By which id it is a member then.
    fn add(&mut self, by: ProcessId, name: FullName, holder: Holder) -> Result<ActorId, NameError> {
        let (id, shown) = (holder.addr.id(), Shown::of(holder)?);
        let known = self.groups.get(&name).and_then(|group| group.type_name.as_ref());
        if let Some(known) = known.filter(|known| **known != shown.type_name) {
            let (wanted, found) = (shown.type_name, known.clone());
            return Err(NameError::WrongType { name, wanted, found });
        }
        let before = self.groups.get(&name).and_then(|group| group.member(id));
        let before = before.map(|(member, (given_by, shown))| (member, *given_by, shown.clone()));
        match (&before, self.groups.get(&name)) {
            (Some((member, given_by, _)), _) if !self.may_take_back(by, *given_by, id) => return Ok(*member),
            // Shown anew.
            (Some(_), _) => {}
            (None, Some(group)) if group.members.len() >= MAX_MEMBERS => {
                return Err(NameError::TooMany { what: format!("members of {name}"), most: MAX_MEMBERS });
            }
            (None, Some(group)) if group.counts() => {}
            _ if name.namespace() == REPLICAS => {}
            _ => self.is_full(&name)?,
        }
        let tenant = self.tenant(id)?;
        tenant.groups.insert(name.clone());
        let is_here = tenant.place == Place::Here;
        let by = before.as_ref().map_or(by, |(_, given_by, _)| *given_by);
        let is_new = before.as_ref().is_none_or(|(member, _, known)| (*member, known) != (id, &shown));
        let group = self.group_mut(&name);
        group.type_name.get_or_insert_with(|| shown.type_name.clone());
        group.members.insert(id, (by, shown));
        self.heard(&name);
        if let Some((member, ..)) = before.filter(|(member, ..)| *member != id) {
            self.take_member(&name, member);
            self.replaced(member, id);
        }
        if is_here && is_new {
            self.group_changed(&name);
        }
        Ok(id)
    }

    pub(super) fn leave(&mut self, by: ProcessId, name: &FullName, id: ActorId) -> Result<(), NameError> {
        if name.namespace() == REPLICAS {
            return Err(NameError::OfReplicas(name.clone()));
        }
        let member = self.groups.get(name).and_then(|group| group.member(id));
        let (member, given_by) = member
            .map(|(member, (given_by, _))| (member, *given_by))
            .ok_or_else(|| NameError::Unknown(name.clone()))?;
        if !self.may_take_back(by, given_by, id) {
            return Err(NameError::NotYours(name.clone()));
        }
        self.take_member(name, member);
        self.dismiss(member);
        self.forget_the_empty();
        Ok(())
    }

    /// It is a member no more.
    pub(super) fn take_member(&mut self, name: &FullName, id: ActorId) {
        if let Some(group) = self.groups.get_mut(name) {
            group.members.remove(&id);
        }
        let tenant = self.tenants.get_mut(&id);
        let was_here = tenant.is_some_and(|tenant| {
            tenant.groups.remove(name);
            tenant.place == Place::Here
        });
        if was_here {
            self.group_changed(name);
        }
    }

    /// As what this actor is a member.
    pub(super) fn shown_in(&self, name: &FullName, id: ActorId) -> Option<&Shown> {
        self.groups.get(name)?.members.get(&id).map(|(_, shown)| shown)
    }

    fn group_mut(&mut self, name: &FullName) -> &mut Group {
        let floor = self.floor;
        self.groups.entry(name.clone()).or_insert_with(|| Group::since(floor))
    }

    /// A process uses a group: it is told of its members, now and whenever they change.
    pub(in crate::runtime) fn handle_use(&mut self, by: ProcessId, name: FullName) -> Result<(), NameError> {
        let name = self.called(name);
        // What a hash stands for that nobody has named yet has no namespace to ask; and no members.
        if !name.is_hashed() {
            self.may(by, &name, Right::LookUp)?;
        }
        let used = self.groups.values().filter(|group| group.users.contains(&by)).count();
        if used >= MAX_WATCHED {
            return Err(NameError::TooMany {
                what: "groups used by this process".to_owned(),
                most: MAX_WATCHED,
            });
        }
        self.group_mut(&name).users.insert(by);
        self.heard(&name);
        self.say.push(Say::Group(by, name));
        Ok(())
    }

    /// The group of a name, or of what stands in an address for one that is too long: then one that has members, is used, or
    /// that somebody is wired to.
    fn called(&self, name: FullName) -> FullName {
        if !name.is_hashed() {
            return name;
        }
        let mut known = self.groups.keys().chain(self.rights.groups());
        let found = known.find(|known| !known.is_hashed() && known.short() == name.as_str());
        found.cloned().unwrap_or(name)
    }

    /// A group has a name from now on: those that use what stands for that use the group, if they may.
    fn heard(&mut self, name: &FullName) {
        let stands_for_it = FullName::try_from(name.short().into_owned()).ok().filter(|short| short != name);
        let Some(waiting) = stands_for_it.and_then(|short| self.groups.remove(&short)) else { return };
        self.floor = self.floor.max(waiting.version + 1);
        for user in waiting.users {
            if self.may(user, name, Right::LookUp).is_ok()
                && let Some(group) = self.groups.get_mut(name)
            {
                group.users.insert(user);
                self.say.push(Say::Group(user, name.clone()));
            }
        }
    }

    /// It uses it no more.
    pub(in crate::runtime) fn handle_unuse(&mut self, by: ProcessId, name: &FullName) {
        let name = self.called(name.clone());
        if let Some(group) = self.groups.get_mut(&name) {
            group.forget(by);
        }
        self.forget_the_empty();
    }

    pub(super) fn group_changed(&mut self, name: &FullName) {
        let Some(group) = self.groups.get_mut(name) else { return };
        group.version += 1;
        self.say.extend(group.users.iter().map(|user| Say::Group(*user, name.clone())));
    }

    /// What a process that uses a group is told of it now; none if it does not use it any more.
    pub(in crate::runtime) fn group_frame(&self, to: ProcessId, name: &FullName) -> Option<NamesToWorker> {
        let group = self.groups.get(name).filter(|group| group.users.contains(&to))?;
        let here = |(id, (_, shown)): (&ActorId, &(ProcessId, Shown))| {
            self.tenants.get(id).filter(|tenant| tenant.place == Place::Here)?;
            self.holder(*id, shown).ok()
        };
        let members = group.members.iter().filter_map(here).collect();
        let (group_name, type_name) = (name.clone(), group.type_name.clone());
        Some(NamesToWorker::Group { group: group_name, version: group.version, type_name, members })
    }
}
