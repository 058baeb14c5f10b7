//! Monitors: an actor, or whoever else, is told when another actor ends, wherever that lives.
//!
//! ```text
//!                 +--the notice comes to its turn--> Told
//!  Armed --ended--+
//!    |            +--its guard is dropped before---> Over
//!    '--its guard is dropped--> Over
//! ```
//!
//! One cell for each monitor decides, whoever brings the news: so it is told at most once. That it is told at least once
//! follows from each place where something is watched telling exactly once (`process::routing::watching`).

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix::prelude::*;
use serde::{Deserialize, Serialize};

use super::actor::{Accepts, ProcActor, ProcMessage};
use super::addr::ProcAddr;
use super::context;
use super::dispatch;
use super::inbound::{Inbound, Notice};
use super::recipient::ProcRecipient;
use super::target::Target;
use crate::id::{ActorId, Capability, Incarnation, ProcessId};
use crate::process::routing::{Behind, Pass, Router, Watched, Watcher};
use crate::protocol::watching::EndReason;
use crate::protocol::wire::{Cause, Failure};

/// Which monitor a [`Down`] answers: unique within the process that set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MonitorRef(u64);

/// Who was watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Who {
    /// An actor.
    Actor {
        /// Its address; none if its name is not known here.
        id: Option<ActorId>,
        /// Its name, where that is known.
        name: Option<String>,
    },
    /// A process.
    Process {
        /// Its number; none if its name is not known here.
        id: Option<ProcessId>,
        /// Its name, where that is known.
        name: Option<String>,
    },
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Actor { name: Some(name), .. } => write!(f, "actor {name}"),
            Who::Actor { id: Some(id), .. } => write!(f, "actor {id}"),
            Who::Process { name: Some(name), .. } => write!(f, "process {name}"),
            Who::Process { id: Some(id), .. } => write!(f, "process {id}"),
            Who::Actor { .. } | Who::Process { .. } => f.write_str("somebody"),
        }
    }
}

/// Who was watched has ended; the message by which a monitor tells it.
///
/// Put `Down` into the list of an actor's messages, and it can be told: exactly once for each monitor, after everything
/// that the dead one had sent to it, and at once where there is nobody to watch.
#[derive(Clone, Debug, PartialEq, Eq, Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub struct Down {
    /// Which monitor.
    pub monitor: MonitorRef,
    /// Who.
    pub who: Who,
    /// Which life of its process that was; none if nothing lived.
    pub incarnation: Option<Incarnation>,
    /// How it ended, or why there is nobody.
    pub reason: EndReason,
}

/// A monitor that is set. Dropping it takes it back: then no [`Down`] of it is delivered any more, not even one that waits
/// in the mailbox of an actor of this process.
///
/// Kept in a field of the actor that is told, it ends with that actor.
#[must_use = "dropping it takes the monitor back; keep it, or call `keep`"]
pub struct Monitor {
    cell: Arc<Cell>,
}

impl Monitor {
    /// What the [`Down`] of this monitor bears.
    pub fn reference(&self) -> MonitorRef {
        self.cell.reference
    }

    /// Lets it stand for as long as this process lives; it can't be taken back any more.
    pub fn keep(self) -> MonitorRef {
        self.cell.kept.store(1, Ordering::Relaxed);
        self.cell.reference
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        if self.cell.kept.load(Ordering::Relaxed) != 0 {
            return;
        }
        self.cell.state.store(OVER, Ordering::Release);
        let watched = self.cell.watched.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(watched), Some(router)) = (watched, context::current()) {
            router.unwatch(&watched);
        }
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Monitor({} of {})", self.cell.reference.0, self.cell.who)
    }
}

/// Who can be told by a monitor: a [`ProcRecipient<Down>`], a [`ProcAddr`] of an actor that has [`Down`] in its list, or
/// an actix `Recipient<Down>` of this process.
///
/// Only the first two have an address, by which what was sent to them is known: an actor that is told by its actix
/// recipient is told in the order of its mailbox alone.
pub trait IntoWatcher {
    /// Not for users.
    #[doc(hidden)]
    fn into_watcher(self) -> ToTell;
}

/// Not for users.
#[doc(hidden)]
#[derive(Debug)]
pub struct ToTell(Told);

#[derive(Debug)]
enum Told {
    Recipient(ProcRecipient<Down>),
    Local(Recipient<Down>),
}

impl IntoWatcher for ProcRecipient<Down> {
    fn into_watcher(self) -> ToTell {
        ToTell(Told::Recipient(self))
    }
}

impl IntoWatcher for &ProcRecipient<Down> {
    fn into_watcher(self) -> ToTell {
        self.clone().into_watcher()
    }
}

impl IntoWatcher for Recipient<Down> {
    fn into_watcher(self) -> ToTell {
        ToTell(Told::Local(self))
    }
}

impl<A: Accepts<Down>> IntoWatcher for &ProcAddr<A> {
    fn into_watcher(self) -> ToTell {
        self.recipient::<Down>().into_watcher()
    }
}

impl<A: Accepts<Down>> IntoWatcher for ProcAddr<A> {
    fn into_watcher(self) -> ToTell {
        self.recipient::<Down>().into_watcher()
    }
}

const ARMED: u8 = 0;
const TOLD: u8 = 1;
const OVER: u8 = 2;

/// See the [module](self).
struct Cell {
    reference: MonitorRef,
    who: Who,
    told: Told,
    state: AtomicU8,
    kept: AtomicU8,
    /// Where it is set, to take it back.
    watched: Mutex<Option<Watched>>,
}

static LAST_REFERENCE: AtomicU64 = AtomicU64::new(0);

impl Cell {
    /// Whether it may be told now; afterwards it may not.
    fn may_be_told(&self) -> bool {
        self.state.compare_exchange(ARMED, TOLD, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// The cell, as those know it who tell.
struct Telling(Arc<Cell>);

impl Watcher for Telling {
    fn place(&self) -> Option<ActorId> {
        let router = context::current()?;
        match &self.0.told {
            Told::Recipient(recipient) => {
                let target = recipient.target().resolve(&router).ok()?;
                router.is_local(target.process()).then(|| target.id())
            }
            Told::Local(_) => None,
        }
    }

    fn ended(&self, reason: &EndReason, incarnation: Option<Incarnation>, behind: Behind) {
        let cell = &self.0;
        if cell.state.load(Ordering::Acquire) != ARMED {
            return;
        }
        let (monitor, who, reason) = (cell.reference, cell.who.clone(), reason.clone());
        let down = Down { monitor, who, incarnation, reason };
        match &cell.told {
            Told::Local(recipient) if cell.may_be_told() => recipient.do_send(down),
            Told::Local(_) => {}
            Told::Recipient(recipient) => {
                let cell = Arc::clone(cell);
                tell(recipient, down, behind, Box::new(move || cell.may_be_told()));
            }
        }
    }
}

type MayBeTold = Box<dyn Fn() -> bool + Send + Sync>;

/// Gives a notice to whoever is told: here, behind what it must not overtake; elsewhere, as any message.
pub(super) fn tell<M: ProcMessage>(
    recipient: &ProcRecipient<M>,
    message: M,
    behind: Behind,
    may_be_told: MayBeTold,
) {
    let (Some(router), Ok(which)) = (context::current(), recipient.which()) else { return };
    let Ok(id) = recipient.target().resolve(&router) else { return };
    if !router.is_local(id.process()) {
        if may_be_told() {
            dispatch::tell_and_forget(&router, &id, which, &message);
        }
        return;
    }
    let Ok(exported) = router.find_local_for(&id, which.id) else { return };
    let actor = Arc::clone(&exported.actor);
    match behind {
        Behind::Arrived(ticket) => {
            let notice = Notice { ticket, actor: id.slot(), pass: None, may_be_told };
            let mut envelope = Some(Inbound::notice(message, notice));
            actor.deliver_behind(which.id, &mut envelope);
        }
        Behind::Passed(pass) => {
            let notice = Notice { ticket: None, actor: id.slot(), pass: Some(pass), may_be_told };
            let mut envelope = Some(Inbound::notice(message, notice));
            actor.deliver_local(which.id, &mut envelope);
        }
        Behind::Here => {
            exported.gate.wait(move |pass: Pass| {
                let notice = Notice { ticket: None, actor: id.slot(), pass: Some(pass), may_be_told };
                let mut envelope = Some(Inbound::notice(message, notice));
                actor.deliver_local(which.id, &mut envelope);
            });
        }
    }
}

/// Sets a monitor of whom `watch` finds, or, where that can't be found, tells so at once.
fn set(
    who: Who,
    told: ToTell,
    watch: impl FnOnce(&Arc<Router>, &Arc<dyn Watcher>) -> Result<Result<Watched, Cause>, EndReason>,
) -> Result<Monitor, Failure> {
    let router = context::current().ok_or(Failure::not_executed(Cause::NoRuntime))?;
    let ToTell(told) = told;
    if let Told::Recipient(recipient) = &told {
        recipient.which().map_err(Failure::not_executed)?;
        recipient.target().resolve(&router).map_err(Failure::not_executed)?;
    }
    let cell = Arc::new(Cell {
        reference: MonitorRef(LAST_REFERENCE.fetch_add(1, Ordering::Relaxed) + 1),
        who,
        told,
        state: AtomicU8::new(ARMED),
        kept: AtomicU8::new(0),
        watched: Mutex::new(None),
    });
    let watcher: Arc<dyn Watcher> = Arc::new(Telling(Arc::clone(&cell)));
    match watch(&router, &watcher) {
        Ok(watched) => {
            let watched = watched.map_err(Failure::not_executed)?;
            *cell.watched.lock().unwrap_or_else(PoisonError::into_inner) = Some(watched);
        }
        Err(reason) => watcher.ended(&reason, None, Behind::Here),
    }
    Ok(Monitor { cell })
}

pub(super) fn of_actor(target: &Target, told: ToTell) -> Result<Monitor, Failure> {
    let router = context::current().ok_or(Failure::not_executed(Cause::NoRuntime))?;
    if let Some(group) = target.group() {
        return Err(Failure::not_executed(Cause::IsGroup(group.name.clone())));
    }
    let name = target.name().map(|name| name.to_string());
    let found = target.resolve(&router);
    let id = found.as_ref().ok().map(Capability::id);
    set(Who::Actor { id, name: name.clone() }, told, |router, watcher| match found {
        Ok(target) => Ok(router.watch(&target, watcher, false)),
        Err(_) => Err(EndReason::UnknownName(name.unwrap_or_default())),
    })
}

/// Tells `watcher` when the process with this name ends: the life that lives now, or, between two, the next. A process
/// that is not in the topology, or that will not come back, is told of at once.
///
/// A worker knows the names of those processes whose actors it was wired to; the root knows all.
///
/// # Errors
/// [`Cause::NoRuntime`] outside `Program::run`; [`Cause::UnknownName`] if `watcher` is a name that is not known here.
pub fn monitor_process(process: &str, watcher: impl IntoWatcher) -> Result<Monitor, Failure> {
    let router = context::current().ok_or(Failure::not_executed(Cause::NoRuntime))?;
    let id = router.look_up_process(process);
    let who = Who::Process { id: id.map(|id| id.process()), name: Some(process.to_owned()) };
    set(who, watcher.into_watcher(), |router, watcher| match id {
        Some(id) => Ok(router.watch_process(&id, watcher)),
        None => Err(EndReason::UnknownName(process.to_owned())),
    })
}

pub(super) fn of_process_of(target: &Target, told: ToTell) -> Result<Monitor, Failure> {
    let router = context::current().ok_or(Failure::not_executed(Cause::NoRuntime))?;
    if let Some(group) = target.group() {
        return Err(Failure::not_executed(Cause::IsGroup(group.name.clone())));
    }
    let found = target.resolve(&router);
    let name = target.name().and_then(|name| router.look_up(name)).map(|known| known.process.to_string());
    let id = found.as_ref().ok().map(Capability::process);
    set(Who::Process { id, name }, told, |router, watcher| match found {
        Ok(target) => Ok(router.watch_process(&target, watcher)),
        Err(cause) => Err(EndReason::UnknownName(cause.to_string())),
    })
}

impl<A: ProcActor> ProcAddr<A> {
    /// Tells `watcher` when the actor ends, by a [`Down`]: exactly once, after everything that the actor had sent to it,
    /// and at once where no actor lives there and none will.
    ///
    /// It watches the life that is lived now; between two lives, the next. While the two processes have not talked yet, that is the life that
    /// they are introduced to: who must not miss the end of this one asks it something first. After a `Down` the address reaches the next
    /// life (A-1), which is watched by another monitor. The order holds for a `watcher` of this process; one elsewhere is
    /// told through this process.
    ///
    /// # Errors
    /// [`Cause::NoRuntime`] outside `Program::run`; [`Cause::UnknownName`] if `watcher` is a name that is not known here;
    /// [`Cause::Full`] with 65 536 monitors set in that process from this one.
    pub fn monitor(&self, watcher: impl IntoWatcher) -> Result<Monitor, Failure> {
        of_actor(self.target(), watcher.into_watcher())
    }

    /// Tells `watcher` when the process of the actor ends, whatever became of the actor before: see [`monitor_process`].
    ///
    /// # Errors
    /// As [`monitor`](Self::monitor).
    pub fn monitor_process(&self, watcher: impl IntoWatcher) -> Result<Monitor, Failure> {
        of_process_of(self.target(), watcher.into_watcher())
    }
}

impl<M: ProcMessage> ProcRecipient<M> {
    /// As [`ProcAddr::monitor`].
    ///
    /// # Errors
    /// As there.
    pub fn monitor(&self, watcher: impl IntoWatcher) -> Result<Monitor, Failure> {
        of_actor(self.target(), watcher.into_watcher())
    }

    /// As [`ProcAddr::monitor_process`].
    ///
    /// # Errors
    /// As there.
    pub fn monitor_process(&self, watcher: impl IntoWatcher) -> Result<Monitor, Failure> {
        of_process_of(self.target(), watcher.into_watcher())
    }
}
