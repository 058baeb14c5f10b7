//! What programs do with names and groups: in the root and in every worker alike.

use std::future::Future;

use crate::address::{
    Desk, GroupAddr, GroupChanged, Holder, NameChanged, NameError, ProcActor, ProcAddr, ProcRecipient,
    Watching, holder_of,
};
use crate::id::FullName;
use crate::protocol::names::{NamesGranted, NamesRequest};
use crate::protocol::requests::{ChangeError, Granted};
use crate::runtime::local::Runtime;

/// Why nobody was found or started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError<E> {
    /// The directory did not let it be so.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It was this caller's turn to start one, and that failed. The next who waits tries.
    #[error("{0}")]
    Start(E),
}

fn full(name: &str) -> Result<FullName, NameError> {
    FullName::new(name)
        .map_err(|error| NameError::Invalid { name: name.to_owned(), reason: error.to_string() })
}

/// A claim that is given back unless it was used.
struct Claim<'r> {
    runtime: &'r Runtime,
    claimed: Option<(FullName, u64)>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some((name, claim)) = self.claimed.take() {
            self.runtime.asks().tell(NamesRequest::Release { name, claim });
        }
    }
}

/// Names and groups, `namespace/name`. Namespaces, and who may do what in them, are declared in the topology
/// ([`Namespace`](crate::topology::Namespace)).
///
/// ```
/// # use procession::prelude::*;
/// # use procession::runtime::StartError;
/// # #[derive(ProcActor)]
/// # #[proc_actor(messages())]
/// # struct Room;
/// # impl Actor for Room { type Context = Context<Self>; }
/// # impl Spawn for Room {
/// #     type Args = ();
/// #     fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> { Ok(Room) }
/// # }
/// // Whichever process asks first starts the room; all get the same.
/// async fn enter(room: &str) -> Result<ProcAddr<Room>, Box<dyn std::error::Error>> {
///     let runtime = Runtime::current()?;
///     let start = async || runtime.start_actor::<Room>(&format!("room-{room}"), ()).await;
///     Ok(runtime.look_up_or_start(&format!("rooms/{room}"), start).await?)
/// }
/// ```
impl Runtime {
    async fn names(&self, request: NamesRequest) -> Result<NamesGranted, NameError> {
        match self.asks().ask_of_names(request).await? {
            Granted::Names(answer) => answer,
            other => Err(ChangeError::Encode(format!("the root answers something else: {other:?}")).into()),
        }
    }

    /// As `names`, for no longer than an ask of this process may take.
    async fn names_in_time(&self, name: &FullName, request: NamesRequest) -> Result<NamesGranted, NameError> {
        let late = || NameError::TimedOut(format!("{name} is still waited for"));
        tokio::time::timeout(self.router().ask_timeout(), self.names(request))
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    /// Gives an actor a name: of this process, or any other whose address this one has, but no group.
    ///
    /// Returns when the actor lives, or is between two lives. A name that the actor holds already is none the worse for it: if
    /// this process gave it, or has the actor, others get the address that is given now from then on.
    /// A name that an actor was given by a revocable address is free when that is revoked. By one whose time is over, or that is
    /// used up, it stays, and who looks it up gets an address of no use.
    /// The name vanishes with a life of the actor and is back with the next; it is free when there will be no next.
    ///
    /// # Errors
    /// [`NameError::Taken`] shows who has it; [`NameError::NoActor`] where none lives; what the topology does not allow.
    pub async fn register<A: ProcActor>(&self, name: &str, addr: &ProcAddr<A>) -> Result<(), NameError> {
        self.register_claimed(full(name)?, addr, None).await
    }

    async fn register_claimed<A: ProcActor>(
        &self,
        name: FullName,
        addr: &ProcAddr<A>,
        claim: Option<u64>,
    ) -> Result<(), NameError> {
        let holder = holder_of(addr)?;
        self.names_in_time(&name.clone(), NamesRequest::Register { name, holder, claim }).await.map(drop)
    }

    /// Takes a name back: that this process gave, or that an actor of it has. The root may take any.
    ///
    /// # Errors
    /// The actor does not hold it; [`NameError::NotYours`].
    pub async fn unregister<A: ProcActor>(&self, name: &str, addr: &ProcAddr<A>) -> Result<(), NameError> {
        let (name, id) = (full(name)?, holder_of(addr)?.id);
        self.names(NamesRequest::Unregister { name, id }).await.map(drop)
    }

    /// Who holds a name.
    ///
    /// # Errors
    /// [`NameError::Unknown`] if nobody does; [`NameError::Away`] if its holder is between two lives;
    /// [`NameError::WrongType`]; what the topology does not allow.
    pub async fn look_up<A: ProcActor>(&self, name: &str) -> Result<ProcAddr<A>, NameError> {
        let name = full(name)?;
        match self.names(NamesRequest::LookUp { name: name.clone() }).await? {
            NamesGranted::Held(holder) => typed(&name, &holder),
            _ => Err(NameError::Unknown(name)),
        }
    }

    /// Who holds a name, or, if nobody does, whom `start` starts: at most one of all who ask at once starts, the others wait
    /// for it. Who holds it between two lives is waited for.
    ///
    /// If `start` fails, or is dropped, or its process dies, one of those who wait is next.
    ///
    /// # Errors
    /// As [`register`](Self::register) and [`look_up`](Self::look_up); [`NameError::TimedOut`] if it takes longer than an ask
    /// may take to find or to get the turn.
    ///
    /// Cancel safe: dropped, it gives its turn to the next. What `start` had started by then remains.
    pub async fn look_up_or_start<A, F, S, E>(
        &self,
        name: &str,
        start: S,
    ) -> Result<ProcAddr<A>, StartError<E>>
    where
        A: ProcActor,
        F: Future<Output = Result<ProcAddr<A>, E>>,
        S: FnOnce() -> F,
    {
        let name = full(name)?;
        let claim = match self.names_in_time(&name, NamesRequest::Claim { name: name.clone() }).await? {
            NamesGranted::Held(holder) => return Ok(typed(&name, &holder)?),
            NamesGranted::Claimed { claim, .. } => claim,
            NamesGranted::Done => return Err(NameError::Unknown(name).into()),
        };
        let mut claimed = Claim { runtime: self, claimed: Some((name.clone(), claim)) };
        let addr = start().await.map_err(StartError::Start)?;
        self.register_claimed(name, &addr, Some(claim)).await?;
        claimed.claimed = None;
        Ok(addr)
    }

    /// Tells `to` who holds a name, now and whenever that changes. Dropping what is returned ends it.
    ///
    /// # Errors
    /// What the topology does not allow; more than 1024 names watched by this process.
    pub async fn watch_name(
        &self,
        name: &str,
        to: ProcRecipient<NameChanged>,
    ) -> Result<Watching, NameError> {
        let name = full(name)?;
        let desk = Desk::current().ok_or(ChangeError::NoRuntime)?;
        // Before the root is asked, whose word is then heard.
        let (asks, watched) = (self.asks().clone(), name.clone());
        let unwatch = move || asks.tell(NamesRequest::Unwatch { name: watched });
        let watching = desk.watch_name(&name, to, unwatch).ok_or(ChangeError::NoRuntime)?;
        self.names(NamesRequest::Watch { name }).await?;
        Ok(watching)
    }

    /// Makes an actor a member of a group: of this process, or any other whose address this one has.
    ///
    /// The first that joins decides of what type the members are. It is a member while it lives, and again with its next life,
    /// until it leaves, or until the address by which it joined is revoked. Returns when it lives, or is between two lives. One that is
    /// a member already gets messages by the address that is given now, if this process let it join or has it.
    ///
    /// # Errors
    /// [`NameError::WrongType`]; [`NameError::NoActor`]; [`NameError::TooMany`] with 1024 members; what the topology does
    /// not allow.
    pub async fn join<A: ProcActor>(&self, group: &str, addr: &ProcAddr<A>) -> Result<(), NameError> {
        let (group, holder) = (full(group)?, holder_of(addr)?);
        self.names_in_time(&group.clone(), NamesRequest::Join { group, holder }).await.map(drop)
    }

    /// Makes it a member no more: who may, is as with [`unregister`](Self::unregister).
    ///
    /// # Errors
    /// It is none; [`NameError::NotYours`]; [`NameError::OfReplicas`].
    pub async fn leave<A: ProcActor>(&self, group: &str, addr: &ProcAddr<A>) -> Result<(), NameError> {
        let (group, id) = (full(group)?, holder_of(addr)?.id);
        self.names(NamesRequest::Leave { group, id }).await.map(drop)
    }

    /// The group `namespace/name`, or, without a namespace, that of the replicas of an actor; its members are known here when
    /// this returns.
    ///
    /// # Errors
    /// [`NameError::WrongType`]; what the topology does not allow.
    pub async fn group<A: ProcActor>(&self, name: &str) -> Result<GroupAddr<A>, NameError> {
        let group = GroupAddr::named(name)?;
        let late = || NameError::TimedOut(format!("the members of {} are still waited for", group.name()));
        let timeout = self.router().ask_timeout();
        tokio::time::timeout(timeout, group.ready()).await.unwrap_or_else(|_| Err(late()))?;
        Ok(group)
    }

    /// As [`GroupAddr::watch`], once the members are known.
    ///
    /// # Errors
    /// As [`group`](Self::group).
    pub async fn watch_group<A: ProcActor>(
        &self,
        name: &str,
        to: ProcRecipient<GroupChanged>,
    ) -> Result<Watching, NameError> {
        let group = self.group::<A>(name).await?;
        group.watch(to).map_err(|_| ChangeError::NoRuntime.into())
    }
}

fn typed<A: ProcActor>(name: &FullName, holder: &Holder) -> Result<ProcAddr<A>, NameError> {
    if holder.type_name != A::TYPE_NAME {
        let (wanted, found) = (A::TYPE_NAME.to_owned(), holder.type_name.clone());
        return Err(NameError::WrongType { name: name.clone(), wanted, found });
    }
    holder.addr()
}
