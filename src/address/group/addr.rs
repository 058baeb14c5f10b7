//! The address of a group.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::change::{self, GroupChanged};
use super::gather::{All, Gathered};
use super::target::GroupTarget;
use super::view::{Members, View};
use crate::address::actor::{Accepts, ProcActor, ProcMessage};
use crate::address::addr::ProcAddr;
use crate::address::naming::Watching;
use crate::address::protocol;
use crate::address::recipient::ProcRecipient;
use crate::address::request::sleep_until;
use crate::address::target::Target;
use crate::codec::shape::{self, Whom};
use crate::id::FullName;
use crate::protocol::members::{Routing, hash_key};
use crate::protocol::names::{Holder, NameError};
use crate::protocol::wire::{Cause, Failure};

/// A group of actors of one type, wherever they live.
///
/// A plain value, like [`ProcAddr`]. It holds no members: what a process knows of those the root tells it from the first
/// use on, in versions. What is sent to all goes to those that are known then.
///
/// [`route`](Self::route) and [`by_key`](Self::by_key) give a [`ProcAddr`] by which each message goes to one member.
pub struct GroupAddr<A> {
    group: Arc<GroupTarget>,
    actor: PhantomData<fn() -> A>,
}

impl<A: ProcActor> GroupAddr<A> {
    /// The group `namespace/name`, or, without a namespace, that of the replicas of an actor.
    ///
    /// # Errors
    /// [`NameError::Invalid`]. Whether this process may use it is told where it does.
    pub fn named(name: &str) -> Result<GroupAddr<A>, NameError> {
        let group = GroupTarget::called(name, Routing::default())
            .map_err(|error| NameError::Invalid { name: name.to_owned(), reason: error.to_string() })?;
        Ok(GroupAddr { group, actor: PhantomData })
    }

    /// What it is called.
    pub fn name(&self) -> &FullName {
        &self.group.name
    }

    /// An address by which each message goes to one member.
    ///
    /// - If a message was provably not executed because its member died, stopped or can't be reached, it goes to another
    ///   member, as long as there is time: a `send` and a `tell` while somebody waits for them, others at once.
    /// - What may have been executed is not sent again, unless the address is
    ///   [`repeating`](ProcAddr::repeating); what failed never is.
    /// - Where there is no member that was not tried, the error is that of the last, or [`Cause::NoMember`].
    /// - Messages of one sender to one member keep their order (M-1), those to different members have none.
    pub fn route(&self, routing: Routing) -> ProcAddr<A> {
        ProcAddr::new(Target::group_of(self.group.routed(routing)))
    }

    /// An address by which each message goes to the member that owns this key, by consistent hashing: all processes that
    /// know the same members agree on it, and a member that comes or goes moves no keys but its own share.
    pub fn by_key(&self, key: impl AsRef<[u8]>) -> ProcAddr<A> {
        self.route(Routing::Key(hash_key(key.as_ref())))
    }

    /// The members that are known here now, in the order of their ids.
    ///
    /// # Errors
    /// [`Cause::NoMember`] as long as nothing was told, [`Cause::GroupRefused`] if nothing will be.
    pub fn members(&self) -> Result<Vec<Holder>, Failure> {
        let members = self.view()?.members().map_err(Failure::not_executed)?;
        Ok(members.list.iter().map(|member| member.holder.clone()).collect())
    }

    /// Tells `to` of the members that are known, and from then on of each change. Dropping what is returned ends it.
    ///
    /// A change that follows before `to` had room for the one before is told together with it.
    ///
    /// # Errors
    /// [`Cause::NoRuntime`] outside `Program::run`.
    pub fn watch(&self, to: ProcRecipient<GroupChanged>) -> Result<Watching, Failure> {
        change::watch(self.view()?, to).ok_or(Failure::not_executed(Cause::NoRuntime))
    }

    /// Sends a copy to every member that is known, and waits until each has taken it into its mailbox or room was found on
    /// the way there; at the deadline at the latest. Not until it is handled: see [`gather`](Self::gather).
    ///
    /// # Errors
    /// The members are not known in time, or this process may not use the group. Then nothing was sent.
    ///
    /// Cancel safe: copies that wait for room are not sent then.
    pub async fn broadcast<M>(&self, message: M, deadline: Duration) -> Result<Gathered<(), M>, Failure>
    where
        A: Accepts<M>,
        M: ProcMessage + Clone,
    {
        let (members, until) = self.known(deadline).await?;
        let sent = members.list.iter().map(|member| {
            let left = until.saturating_duration_since(Instant::now());
            let addr = ProcAddr::<A>::new(member.target.clone());
            (member.holder.clone(), addr.tell(message.clone()).timeout(left))
        });
        let sent = All::new(sent.collect::<Vec<_>>());
        Ok(Gathered { version: members.version, members: sent.await })
    }

    /// Asks every member that is known, and returns at the deadline at the latest with the reply or the error of each: that
    /// of a member that did not answer in time is [`Cause::TimedOut`].
    ///
    /// # Errors
    /// As [`broadcast`](Self::broadcast).
    ///
    /// Cancel safe: requests that were not yet handled are not handled then (M-7).
    pub async fn gather<M>(&self, message: M, deadline: Duration) -> Result<Gathered<M::Result, M>, Failure>
    where
        A: Accepts<M>,
        M: ProcMessage + Clone,
    {
        let (members, until) = self.known(deadline).await?;
        let asked = members.list.iter().map(|member| {
            let left = until.saturating_duration_since(Instant::now());
            let addr = ProcAddr::<A>::new(member.target.clone());
            (member.holder.clone(), addr.send(message.clone()).timeout(left))
        });
        let asked = All::new(asked.collect::<Vec<_>>());
        Ok(Gathered { version: members.version, members: asked.await })
    }

    /// The members, as soon as some are known.
    async fn known(&self, deadline: Duration) -> Result<(Arc<Members>, Instant), Failure> {
        let (view, until) = (self.view()?, Instant::now() + deadline);
        // Behind what waits for its members.
        if !view.is_open() {
            tokio::select! {
                () = view.opened() => {}
                () = sleep_until(until) => return Err(Failure::not_executed(Cause::TimedOut)),
            }
        }
        Ok((view.members().map_err(Failure::not_executed)?, until))
    }

    fn view(&self) -> Result<Arc<View>, Failure> {
        self.group.view().ok_or(Failure::not_executed(Cause::NoRuntime))
    }

    /// Waits until the root has told of the members, and sees that they are of this type.
    pub(crate) async fn ready(&self) -> Result<(), NameError> {
        let view = self.group.view().ok_or(crate::protocol::requests::ChangeError::NoRuntime)?;
        view.known().await?;
        let found = view.members().ok().and_then(|members| members.type_name.clone());
        match found {
            Some(found) if found != A::TYPE_NAME => {
                let (name, wanted) = (self.name().clone(), A::TYPE_NAME.to_owned());
                Err(NameError::WrongType { name, wanted, found })
            }
            _ => Ok(()),
        }
    }
}

impl<A: ProcActor> ProcAddr<A> {
    /// As [`GroupAddr::named`] and [`GroupAddr::route`]: also for `Args` of a topology, where it is
    /// `{ addr = "NAME", routing = "..." }`.
    ///
    /// # Errors
    /// [`NameError::Invalid`].
    pub fn group(name: &str, routing: Routing) -> Result<ProcAddr<A>, NameError> {
        Ok(GroupAddr::named(name)?.route(routing))
    }

    /// The same address; if it is that of a group, what may have been executed by a member that was then lost is sent to
    /// another, too: for messages that may be handled twice. A message to an actor of this process is not repeated.
    pub fn repeating(&self) -> ProcAddr<A> {
        match self.target().group() {
            Some(group) => {
                let target = Target::group_of(Arc::clone(group).repeating_if(true));
                ProcAddr::new(if self.target().is_at_least_once() { target.at_least_once() } else { target })
            }
            None => self.clone(),
        }
    }
}

impl<A> Clone for GroupAddr<A> {
    fn clone(&self) -> Self {
        GroupAddr { group: Arc::clone(&self.group), actor: PhantomData }
    }
}

impl<A> PartialEq for GroupAddr<A> {
    fn eq(&self, other: &Self) -> bool {
        self.group.name.short() == other.group.name.short()
    }
}

impl<A> Eq for GroupAddr<A> {}

impl<A> Hash for GroupAddr<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.group.name.short().hash(state);
    }
}

impl<A> fmt::Debug for GroupAddr<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupAddr({})", self.group.name)
    }
}

impl<A> Serialize for GroupAddr<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Target::group_of(Arc::clone(&self.group)).serialize(serializer)
    }
}

impl<'de, A: ProcActor> Deserialize<'de> for GroupAddr<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whom = Whom::Actor(protocol::key::<A>(), protocol::collect::<A>);
        let Some(deserializer) = shape::mention(deserializer, whom)? else {
            return GroupAddr::named("looked-at").map_err(serde::de::Error::custom);
        };
        let target = Target::deserialize(deserializer)?;
        let group = target
            .group()
            .ok_or_else(|| serde::de::Error::custom("the address of one actor, not of a group"))?;
        Ok(GroupAddr { group: Arc::clone(group), actor: PhantomData })
    }
}
