//! A message on its way to one member of a group, and to another if the first provably did not handle it.
//!
//! ```text
//!  submit --members known--> one of them --reply, failed, unknown--> done
//!     |                        ^    '--not executed, for a reason that is the member's own--> another, within the deadline
//!     '--not yet---------------'          none is left, or the time is up: the last error
//! ```
//!
//! What may have run is sent again only by an address that is `repeating`, and only where the member was lost: never what
//! failed, and never because the time is up.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::target::GroupTarget;
use super::view::{Members, NotParked, View};
use crate::address::actor::ProcMessage;
use crate::address::dispatch::{self, Which};
use crate::address::error::SendError;
use crate::address::request::{Pending, sleep_until};
use crate::address::target::Target;
use crate::id::ActorId;
use crate::process::routing::Router;
use crate::protocol::connection::Mode;
use crate::protocol::wire::{Cause, Failure, MessageId, Verdict};

/// A message to a group: where it was, and how long it may take.
pub(in crate::address) struct Routed {
    group: Arc<GroupTarget>,
    view: Arc<View>,
    at_least_once: bool,
    which: Which,
    mode: Mode,
    tried: Vec<ActorId>,
    deadline: Instant,
    waiting: Option<Waiting>,
}

/// Until the members are known, or the time is up.
type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What comes of a message.
type Outcome<M> = Result<Option<<M as actix::Message>::Result>, SendError<M>>;

/// Sends a message whose outcome somebody waits for.
pub(in crate::address) fn submit<M: ProcMessage>(
    router: &Arc<Router>,
    group: &Arc<GroupTarget>,
    at_least_once: bool,
    which: Which,
    message: M,
    mode: Mode,
) -> Pending<M> {
    let Some(view) = group.view() else { return Pending::failed(Cause::NoRuntime, Some(message)) };
    let mut routed = Box::new(Routed {
        group: Arc::clone(group),
        view: Arc::clone(&view),
        at_least_once,
        which,
        mode,
        tried: Vec::new(),
        deadline: Instant::now() + router.ask_timeout(),
        waiting: None,
    });
    if view.is_open() {
        return routed.begin(message);
    }
    routed.wait();
    Pending::unsent(message).routed(routed)
}

impl Routed {
    fn wait(&mut self) {
        let (view, deadline) = (Arc::clone(&self.view), self.deadline);
        self.waiting = Some(Box::pin(async move {
            tokio::select! {
                // What it is that is known is looked at later.
                () = view.opened() => {}
                () = sleep_until(deadline) => {}
            }
        }));
    }

    pub(in crate::address) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    pub(in crate::address) fn poll_known(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(waiting) = &mut self.waiting else { return Poll::Ready(()) };
        waiting.as_mut().poll(context).map(|()| self.waiting = None)
    }

    /// Its time is up then.
    pub(in crate::address) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if self.is_waiting() {
            self.wait();
        }
    }

    /// To the first member.
    pub(in crate::address) fn begin<M: ProcMessage>(self: Box<Self>, message: M) -> Pending<M> {
        let view = Arc::clone(&self.view);
        let cause = match view.members() {
            Ok(_) if !view.is_open() => Cause::TimedOut,
            Ok(members) => match self.next(&view, &members, message) {
                Ok(next) => return next,
                Err((_, message)) => {
                    return Pending::failed(Cause::NoMember(view.name().clone()), Some(message));
                }
            },
            Err(Cause::NoMember(_)) => Cause::TimedOut,
            Err(cause) => cause,
        };
        Pending::failed(cause, Some(message))
    }

    /// To whoever is next; the message comes back if nobody is.
    #[allow(clippy::type_complexity)]
    fn next<M: ProcMessage>(
        mut self: Box<Self>,
        view: &View,
        members: &Members,
        message: M,
    ) -> Result<Pending<M>, (Box<Self>, M)> {
        let Some(index) = view.choose(members, self.group.routing, &self.tried) else {
            return Err((self, message));
        };
        let member = &members.list[index];
        self.tried.push(member.holder.id);
        let target = to_member(&member.target, self.at_least_once);
        let which = named(self.which, members);
        let mut pending = dispatch::submit(&target, which, message, self.mode).owed(member.owes());
        pending.set_timeout(self.deadline.saturating_duration_since(Instant::now()));
        Ok(pending.routed(self))
    }

    /// To another member, if that is right after this outcome; or the outcome.
    pub(in crate::address) fn again<M: ProcMessage>(
        self: Box<Self>,
        outcome: Outcome<M>,
        kept: Option<M>,
    ) -> Result<Pending<M>, Outcome<M>> {
        let error = match outcome {
            Err(error) if self.deadline > Instant::now() => error,
            outcome => return Err(outcome),
        };
        let is_next = match error.verdict() {
            Verdict::NotExecuted => is_of_the_member(error.cause()),
            Verdict::Unknown => self.group.repeating && was_lost(error.cause()),
            Verdict::Failed => false,
        };
        let view = Arc::clone(&self.view);
        let members = view.members().ok().filter(|_| is_next);
        let Some(members) = members else { return Err(Err(error)) };
        let (verdict, cause) = (error.verdict(), error.cause().clone());
        let Some(message) = error.into_message().or(kept) else {
            return Err(Err(SendError::new(Failure { verdict, cause }, None)));
        };
        self.next(&view, &members, message).map_err(|(_, message)| {
            let message = (verdict == Verdict::NotExecuted).then_some(message);
            Err(SendError::new(Failure { verdict, cause }, message))
        })
    }
}

/// Sends a message about whose outcome nobody wants to hear: `mode` is `Try` or `Outbox`.
pub(in crate::address) fn send_now<M: ProcMessage>(
    _router: &Arc<Router>,
    target: &Target,
    group: &Arc<GroupTarget>,
    which: Which,
    message: M,
    mode: Mode,
) -> Result<(), (Cause, Option<M>)> {
    let Some(view) = group.view() else { return Err((Cause::NoRuntime, Some(message))) };
    let mut message = message;
    if !view.is_open() {
        match mode {
            Mode::Outbox => match park(&view, target, group, which, message) {
                Ok(()) => return Ok(()),
                // It has been opened meanwhile.
                Err((NotParked::Open, Some(back))) => message = back,
                Err((_, back)) => return Err((Cause::Full, back)),
            },
            // Others wait.
            _ if view.is_known() => return Err((Cause::Full, Some(message))),
            _ => {}
        }
    }
    send_known(&view, target, group, which, message, mode)
}

/// By what is known of the group.
fn send_known<M: ProcMessage>(
    view: &View,
    target: &Target,
    group: &GroupTarget,
    which: Which,
    message: M,
    mode: Mode,
) -> Result<(), (Cause, Option<M>)> {
    let members = match view.members() {
        Ok(members) => members,
        Err(cause) => return Err((cause, Some(message))),
    };
    let (mut tried, mut message) = (Vec::new(), message);
    let mut cause = Cause::NoMember(group.name.clone());
    while let Some(index) = view.choose(&members, group.routing, &tried) {
        let member = &members.list[index];
        tried.push(member.holder.id);
        let to = to_member(&member.target, target.is_at_least_once());
        match dispatch::send_now(&to, named(which, &members), message, mode) {
            Ok(()) => return Ok(()),
            Err((why, Some(back))) if is_of_the_member(&why) || has_room_elsewhere(&why, group) => {
                (cause, message) = (why, back);
            }
            Err(failed) => return Err(failed),
        }
    }
    Err((cause, Some(message)))
}

/// Until the members are known: then it is sent, or a dead letter.
fn park<M: ProcMessage>(
    view: &View,
    target: &Target,
    group: &Arc<GroupTarget>,
    which: Which,
    message: M,
) -> Result<(), (NotParked, Option<M>)> {
    let letter = Arc::new(std::sync::Mutex::new(Some(message)));
    let take = |letter: &std::sync::Mutex<Option<M>>| {
        letter.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    };
    let (parked, target, group) = (Arc::clone(&letter), target.clone(), Arc::clone(group));
    let act = move |view: &View| {
        let Some(message) = take(&parked) else { return };
        if let Err((cause, message)) = send_known(view, &target, &group, which, message, Mode::Outbox) {
            dispatch::bury(&target, which, cause, message);
        }
    };
    view.park(Box::new(act)).map_err(|(why, _)| (why, take(&letter)))
}

/// A member that has no room does not stand for others, unless the key is its own.
fn has_room_elsewhere(why: &Cause, group: &GroupTarget) -> bool {
    *why == Cause::Full && !matches!(group.routing, crate::protocol::members::Routing::Key(_))
}

fn to_member(target: &Target, at_least_once: bool) -> Target {
    if at_least_once { target.at_least_once() } else { target.clone() }
}

/// The message, as the members' type knows it: a recipient of a group learns that with the members.
fn named(which: Which, members: &Members) -> Which {
    match (which.id, &members.type_name) {
        (MessageId(0), Some(type_name)) => Which { id: MessageId::of(type_name, which.name), ..which },
        _ => which,
    }
}

/// Whether a message was not handled for a reason that another member may not have.
fn is_of_the_member(cause: &Cause) -> bool {
    was_lost(cause)
        || matches!(
            cause,
            Cause::NoActor(_)
                | Cause::ActorStopped
                | Cause::Stale { .. }
                | Cause::Stopping(_)
                | Cause::Unreachable { .. }
                | Cause::UnknownName(_)
                // What it was registered by is good for nothing any more.
                | Cause::NoRight(_)
                | Cause::Revoked(_)
                | Cause::Expired(_)
                | Cause::UsedUp { .. }
        )
}

/// Whether the member, or the way to it, was lost.
fn was_lost(cause: &Cause) -> bool {
    matches!(cause, Cause::PeerDied { .. } | Cause::Protocol { .. })
}
