//! Links: two actors that end together, unless one of them wants to be told instead.
//!
//! A link is a monitor both ways, on the `Ends` of both lives. Whoever ends first takes both halves with it:
//!
//! ```text
//!  linked --one ends--> abnormally: the other is told (it takes `Exited`), or ended (`EndReason::Linked`)
//!     |                 normally:   the other is told (it takes `Exited`), or goes on
//!     '----unlink-----> neither hears of the other
//! ```

use std::any::TypeId;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use actix::prelude::*;
use serde::{Deserialize, Serialize};

use super::actor::ProcActor;
use super::addr::ProcAddr;
use super::context;
use super::export::ActorExport;
use super::inbound::{Inbound, Notice};
use crate::id::{ActorId, Capability, Incarnation, Slot};
use crate::process::routing::{Behind, Ends, Export, Exported, Watched, Watcher};
use crate::process::text::cut;
use crate::protocol::watching::EndReason;
use crate::protocol::wire::{Cause, Failure, MessageId};

/// Somebody with whom an actor is linked has ended. An actor that has this message in its list traps exits: it is told,
/// also of normal ends, and goes on. Every other actor ends, too, if the end was abnormal.
#[derive(Clone, Debug, PartialEq, Eq, Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub struct Exited {
    /// Who.
    pub who: ActorId,
    /// How.
    pub reason: EndReason,
}

/// Two linked actors. Dropping this changes nothing; [`unlink`](Link::unlink) does.
pub struct Link {
    half: Arc<Half>,
}

impl Link {
    /// Neither hears of the other's end any more, unless that is past.
    pub fn unlink(self) {
        self.half.ends.forget(self.half.key());
        let watched = self.half.take();
        if let (Some(watched), Some(router)) = (watched, context::current()) {
            router.unwatch(&watched);
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({} with {})", self.half.me, self.half.with)
    }
}

/// The half of a link on the side that made it.
struct Half {
    me: ActorId,
    with: ActorId,
    exported: Exported,
    ends: Arc<Ends>,
    /// The observer of our own end.
    key: Mutex<u64>,
    /// Where the other is watched, until one of both has ended.
    watched: Mutex<Option<Watched>>,
}

impl Half {
    fn key(&self) -> u64 {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Our own actor has ended.
    fn we_ended(&self, reason: &EndReason) {
        let (Some(watched), Some(router)) = (self.take(), context::current()) else { return };
        match &watched {
            Watched::Here(ends, key) => {
                // Where the other has ended as well it has nobody to tell.
                if ends.forget(*key)
                    && let Ok(other) = router.find_own(self.with)
                {
                    pass_on(&other, ends, self.me, reason, Behind::Here);
                }
            }
            watched => router.tell_linked(watched, self.with, reason),
        }
    }
}

struct Other(Arc<Half>);

impl Watcher for Other {
    fn place(&self) -> Option<ActorId> {
        Some(self.0.me)
    }

    fn ended(&self, reason: &EndReason, _: Option<Incarnation>, behind: Behind) {
        let half = &self.0;
        half.ends.forget(half.key());
        drop(half.take());
        pass_on(&half.exported, &half.ends, half.with, reason, behind);
    }
}

impl<A: ProcActor> ProcAddr<A> {
    /// Links this actor with another. One of the two lives in this process, the other anywhere. It holds for the lives
    /// that are lived now; between two, for the next.
    ///
    /// When one of them ends abnormally (a panic, a link, the death of its process, or nobody who lives at that address),
    /// the other ends, too, with [`EndReason::Linked`], and its supervisor sees a failure. An actor that has [`Exited`] in
    /// its list is told instead. An end by itself and a stop that was asked for end nobody else.
    ///
    /// The address of the other must be good for all of its messages, since it is so for its end: with less of a right it is
    /// as if nobody lived there.
    ///
    /// # Errors
    /// [`Cause::NoRuntime`] outside `Program::run`, [`Cause::UnknownName`] for a name that is not known here,
    /// [`Cause::NoActor`] if neither lives in this process, [`Cause::NotAccepted`] if the one here is a pool
    /// (`SyncArbiter`), which can't be ended, [`Cause::Full`] as for monitors.
    pub fn link<B: ProcActor>(&self, other: &ProcAddr<B>) -> Result<Link, Failure> {
        let router = context::current().ok_or(Failure::not_executed(Cause::NoRuntime))?;
        let resolve = |target: &super::target::Target| target.resolve(&router).map_err(Failure::not_executed);
        let (mut me, mut with) = (resolve(self.target())?, resolve(other.target())?);
        if !router.is_local(me.process()) {
            std::mem::swap(&mut me, &mut with);
        }
        link(&me, &with).map_err(Failure::not_executed)
    }
}

fn link(ours: &Capability, other: &Capability) -> Result<Link, Cause> {
    let router = context::current().ok_or(Cause::NoRuntime)?;
    let (me, with) = (ours.id(), other.id());
    if !router.is_local(me.process) {
        return Err(Cause::NoActor(me));
    }
    let exported = router.find_local(ours)?;
    let ends = exported.actor.life().ok_or(Cause::NoActor(me))?;
    if !exported.actor.can_be_ended() {
        return Err(Cause::NotAccepted { actor: exported.actor.type_name().to_owned() });
    }
    let (key, watched) = Default::default();
    let half = Arc::new(Half { me, with, exported, ends: Arc::clone(&ends), key, watched });
    let observer = Arc::clone(&half);
    let key = ends.observe(move |reason| observer.we_ended(reason));
    *half.key.lock().unwrap_or_else(PoisonError::into_inner) = key;
    let watcher: Arc<dyn Watcher> = Arc::new(Other(Arc::clone(&half)));
    match router.watch(other, &watcher, true) {
        Ok(watched) => *half.watched.lock().unwrap_or_else(PoisonError::into_inner) = Some(watched),
        Err(cause) => {
            ends.forget(key);
            return Err(cause);
        }
    }
    // It may have ended meanwhile, on a thread of its own, and found nobody to tell.
    if let Some(reason) = ends.over() {
        half.we_ended(&reason);
    }
    half.exported.actor.attend();
    Ok(Link { half })
}

/// An actor that traps exits hears of it behind what the dead one had sent; any other ends at once. Only the life that was
/// linked does either.
fn pass_on(exported: &Exported, life: &Arc<Ends>, with: ActorId, reason: &EndReason, behind: Behind) {
    let actor = Arc::clone(&exported.actor);
    match behind {
        Behind::Here if actor.traps_exits() => {
            let (life, reason) = (Arc::clone(life), reason.clone());
            exported.gate.wait(move |pass| actor.linked_ended(&life, with, &reason, Behind::Passed(pass)));
        }
        behind => actor.linked_ended(life, with, reason, behind),
    }
}

/// Whether an actor takes [`Exited`].
pub(super) fn traps_exits<A: ProcActor>() -> bool {
    let id = MessageId::of(A::TYPE_NAME, "Exited");
    A::messages().iter().any(|entry| entry.id == id && (entry.message)() == TypeId::of::<Exited>())
}

/// What becomes of a life of an actor whose linked one has ended.
pub(super) fn ended<A: ProcActor>(
    export: &ActorExport<A>,
    life: &Arc<Ends>,
    with: ActorId,
    reason: &EndReason,
    behind: Behind,
) {
    let id = MessageId::of(A::TYPE_NAME, "Exited");
    if traps_exits::<A>() {
        let message = Exited { who: with, reason: reason.clone() };
        let (ticket, pass, arrived) = match behind {
            Behind::Arrived(ticket) => (ticket, None, true),
            Behind::Passed(pass) => (None, Some(pass), false),
            Behind::Here => (None, None, false),
        };
        // An actor that has ended meanwhile is told nothing, and the life after it made no link.
        let life = Arc::clone(life);
        let may_be_told = Box::new(move || life.over().is_none());
        let notice = Notice { ticket, actor: Slot::FIRST_DYNAMIC, pass, may_be_told };
        let mut envelope = Some(Inbound::notice(message, notice));
        let _ = match arrived {
            true => export.deliver_behind(id, &mut envelope),
            false => export.deliver_local(id, &mut envelope),
        };
        return;
    }
    if reason.is_abnormal() {
        // One that is ending by itself just now, or has, is asked for nothing: the next life is another.
        life.ask(EndReason::Linked { with, reason: cut(reason.to_string(), MAX_REASON_BYTES) });
        export.attend();
    }
}

/// What is kept of why the other one ended: a chain of links must not grow its reason.
const MAX_REASON_BYTES: usize = 256;
