//! Sending: to an actor of this process as it is, to one of another process as bytes.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::actor::ProcMessage;
use super::context;
use super::error::SendError;
use super::group;
use super::inbound::{Inbound, LocalTicket};
use super::kept;
use super::request::{Pending, Route};
use super::slot::CallSlot;
use super::target::Target;
use crate::codec;
use crate::id::Capability;
use crate::process::handling::Taken;
use crate::process::routing::{
    self, DeadLetter, Exported, KEEP_BODY_BYTES, MessageName, Pass, Peer, Router, Waiter,
};
use crate::protocol::connection::{Mode, Submit, Waiting};
use crate::protocol::json::JsonCall;
use crate::protocol::wire::{Cause, Failure, MessageId};
use crate::trace;

/// Which message, as the wire and people call it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Which {
    pub(super) id: MessageId,
    pub(super) name: &'static str,
}

/// Sends a message whose outcome somebody waits for: `mode` is `Call` or `Tell`.
pub(super) fn submit<M: ProcMessage>(target: &Target, which: Which, message: M, mode: Mode) -> Pending<M> {
    if let Some((id, route)) = known_way(target) {
        let timeout_ms = route.peer.ask_timeout_ms();
        return submit_remote(Some(route), id, which, message, (mode, timeout_ms));
    }
    let Some(router) = context::current() else {
        return Pending::failed(Cause::NoRuntime, Some(message));
    };
    if let Some(group) = target.group() {
        return group::submit(&router, group, target.is_at_least_once(), which, message, mode);
    }
    let id = match target.resolve_fully(&router) {
        Ok((id, false)) => id,
        Ok((id, true)) => return kept::submit(&router, &id, which, message, mode),
        Err(cause) => return Pending::failed(cause, Some(message)),
    };
    if !router.is_local(id.process()) {
        return submit_remote(None, &id, which, message, (mode, router.ask_timeout_ms()));
    }
    let deadline = Instant::now() + router.ask_timeout();
    match router.find_local_for(&id, which.id) {
        Ok(exported) => submit_local(&router, exported, which, message, mode, deadline),
        Err(cause) => Pending::failed(cause, Some(message)),
    }
}

/// Sends a message as JSON, to an actor of this process too: over a connection, where the owner makes a message of it.
/// `meant` is the identity of the message that it is, where that is known.
pub(super) fn submit_json(target: &Target, meant: Option<MessageId>, call: JsonCall) -> Pending<JsonCall> {
    let Some(router) = context::current() else {
        return Pending::failed(Cause::NoRuntime, Some(call));
    };
    let id = match target.resolve(&router) {
        Ok(id) => id,
        Err(cause) => return Pending::failed(cause, Some(call)),
    };
    if let (Some(only), Some(MessageId(meant))) = (id.message(), meant)
        && only != meant
    {
        let cause = Cause::NotGranted { actor: id.id(), message: call.message.clone() };
        return Pending::failed(cause, Some(call));
    }
    let which = Which { id: MessageId::JSON, name: "JSON" };
    submit_remote(None, &id, which, call, (Mode::Call, router.ask_timeout_ms()))
}

/// A connection may end between being found and being used; then the next one is asked for. More often than this
/// in a row means that the peer ends faster than it is born.
const TRIES: usize = 3;

/// Where messages to this address went last, if they go to another process and nothing else is to be looked at.
#[inline]
fn known_way(target: &Target) -> Option<(&Capability, routing::Route)> {
    let id = target.plain()?;
    routing::known_route(id).map(|route| (id, route))
}

fn submit_remote<M: ProcMessage>(
    known: Option<routing::Route>,
    id: &Capability,
    which: Which,
    message: M,
    (mode, timeout_ms): (Mode, u64),
) -> Pending<M> {
    let mut slot = None;
    let sent = put(known, id, which, &message, (mode, timeout_ms), || {
        let waiter = Arc::clone(slot.get_or_insert_with(|| Arc::new(CallSlot::<M>::new())));
        let deadline = Some(Instant::now() + Duration::from_millis(timeout_ms));
        Waiting { tag: Waiter::Outcome(waiter), deadline }
    });
    match (sent, slot) {
        (Ok(Some((peer, key))), Some(slot)) => {
            Pending::new(slot, Some(message), Route::Remote { peer, key: Some(key), timer: None })
        }
        (Ok(_), _) => Pending::Done,
        (Err(cause), _) => Pending::failed(cause, Some(message)),
    }
}

/// Gives a message to the connection with its target's process. Who waits for its outcome is asked for only if it has
/// one later, and then there are the connection and a key.
fn put<M: ProcMessage>(
    mut known: Option<routing::Route>,
    id: &Capability,
    which: Which,
    message: &M,
    (mode, timeout_ms): (Mode, u64),
    mut waiting: impl FnMut() -> Waiting<Waiter>,
) -> Result<Option<(Arc<Peer>, u64)>, Box<Cause>> {
    // By an address for other messages it would be refused, and this process blamed for it.
    // What goes as JSON was looked at before, as far as its sender knows what it is.
    if !id.is_full() && which.id != MessageId::JSON && id.message().is_some_and(|only| only != which.id.0) {
        return Err(Box::new(Cause::NotGranted { actor: id.id(), message: which.name.to_owned() }));
    }
    let trace = trace::current();
    let timeout_ms = u32::try_from(timeout_ms).unwrap_or(u32::MAX).max(1);
    let mut last = None;
    for _ in 0..TRIES {
        let routing::Route { peer, channel, uses, right } = match known.take() {
            Some(route) => route,
            None => context::current().ok_or(Cause::NoRuntime)?.route(id)?,
        };
        let submit = Submit { channel, message: which.id.0, mode, timeout_ms, right };
        let sent = peer.encode::<M, _>(|connection| {
            // The channel was closed since it was looked up, and may lead to another actor by now.
            if connection.uses_of(channel) != uses {
                return None;
            }
            let sent = connection.submit_traced(submit, trace.as_ref(), message, &mut waiting);
            Some(sent.map_err(|cause| (cause, connection.is_over())))
        });
        match sent {
            Some(Ok(None)) => return Ok(None),
            Some(Ok(Some(key))) => return Ok(Some((peer, key))),
            Some(Err((cause, false))) => return Err(cause),
            Some(Err((cause, true))) => {
                last = Some(cause);
                if let Some(router) = context::current() {
                    router.forget(&peer);
                }
            }
            // Whoever let the channel go says so in a moment; until then this thread would find the same again.
            None => routing::forget_routes(),
        }
    }
    Err(last.unwrap_or_else(|| Box::new(Cause::ShuttingDown)))
}

fn submit_local<M: ProcMessage>(
    router: &Router,
    exported: Exported,
    which: Which,
    message: M,
    mode: Mode,
    deadline: Instant,
) -> Pending<M> {
    let serialise = router.identity().serialise_always;
    let message = match through_codec(message, serialise) {
        Ok(message) => message,
        Err((cause, message)) => return Pending::failed(cause, Some(message)),
    };
    let slot = Arc::new(CallSlot::<M>::new());
    slot.set_deadline(deadline);
    let waiting = Arc::clone(&slot);
    let gate = Arc::clone(&exported.gate);
    let actor = Arc::clone(&exported.actor);
    let call = mode == Mode::Call;
    let place = exported.slot;
    let trace = trace::current().map(Box::new);
    let deliver = move |pass: Pass| {
        let ticket = LocalTicket {
            actor: place,
            taken: Some(Taken::new()),
            slot: call.then(|| Arc::clone(&waiting)),
            pass: Some(pass),
            name: MessageName(which.name),
            serialise,
            trace,
        };
        let mut envelope = Some(Inbound::local(message, ticket));
        if actor.deliver_local(which.id, &mut envelope as &mut dyn Any) {
            if !call {
                waiting.complete(Ok(None));
            }
            return;
        }
        let cause = not_taken(actor.is_alive(), actor.type_name());
        let message = envelope.and_then(Inbound::give_back);
        waiting.complete(Err((Failure::not_executed(cause), message)));
    };
    let ticket = match gate.try_pass() {
        Some(pass) => {
            deliver(pass);
            None
        }
        None => Some(gate.wait(deliver)),
    };
    let route = Route::Local { gate, ticket, deadline, timer: None };
    Pending::new(slot, None, route)
}

/// Why an actor of this process did not take a message.
fn not_taken(is_alive: bool, type_name: &str) -> Cause {
    match is_alive {
        true => Cause::NotAccepted { actor: type_name.to_owned() },
        false => Cause::ActorStopped,
    }
}

fn through_codec<M: ProcMessage>(message: M, serialise: bool) -> Result<M, (Cause, M)> {
    if !serialise {
        return Ok(message);
    }
    match codec::round_trip(&message) {
        Ok(copy) => Ok(copy),
        Err(reason) => Err((Cause::Encode(reason), message)),
    }
}

/// Sends a message that must not wait: refused if there is no room now.
pub(super) fn try_send<M: ProcMessage>(
    target: &Target,
    which: Which,
    message: M,
) -> Result<(), SendError<M>> {
    send_now(target, which, message, Mode::Try)
        .map_err(|(cause, message)| SendError::new(Failure::not_executed(cause), message))
}

/// Sends a message about which nobody wants to hear again: what can't be sent is a dead letter.
pub(super) fn do_send<M: ProcMessage>(target: &Target, which: Which, message: M) {
    let Err((cause, message)) = send_now(target, which, message, Mode::Outbox) else { return };
    bury(target, which, cause, message);
}

/// It becomes a dead letter.
pub(super) fn bury<M: ProcMessage>(target: &Target, which: Which, cause: Cause, message: Option<M>) {
    let Some(router) = context::current() else {
        tracing::warn!(target: "procession::dead_letters", message = which.name, "dead letter: {cause}");
        return;
    };
    let target = target.resolve(&router).ok().map(|target| target.id());
    let letter = DeadLetter::new(target, Some(which.name), cause);
    router.bury(letter, || message.and_then(|message| codec::encode(&message, KEEP_BODY_BYTES).ok()));
}

/// Sends a message that waits for room as long as it takes, whoever sent it: there are few of them, and each is owed.
pub(super) fn tell_and_forget<M: ProcMessage>(
    router: &Arc<Router>,
    id: &Capability,
    which: Which,
    message: &M,
) {
    let nobody = || {
        let tag = Waiter::Nobody { target: id.id(), message: MessageName(which.name) };
        Waiting { tag, deadline: None }
    };
    if let Err(cause) = put(None, id, which, message, (Mode::Tell, 0), nobody) {
        let letter = DeadLetter::new(Some(id.id()), Some(which.name), *cause);
        router.bury(letter, || codec::encode(message, KEEP_BODY_BYTES).ok());
    }
}

/// As [`tell_and_forget`], for who counts what waits: with the connection, and a key while it does.
pub(super) fn tell_with<M: ProcMessage>(
    id: &Capability,
    which: Which,
    message: &M,
    waiting: impl FnMut() -> Waiting<Waiter>,
) -> Result<Option<(Arc<Peer>, u64)>, Cause> {
    put(None, id, which, message, (Mode::Tell, 0), waiting).map_err(|cause| *cause)
}

pub(super) fn send_now<M: ProcMessage>(
    target: &Target,
    which: Which,
    message: M,
    mode: Mode,
) -> Result<(), (Cause, Option<M>)> {
    if let Some((id, route)) = known_way(target) {
        return send_remote_now(Some(route), id, which, message, mode);
    }
    let Some(router) = context::current() else { return Err((Cause::NoRuntime, Some(message))) };
    if let Some(group) = target.group() {
        return group::send_now(&router, target, group, which, message, mode);
    }
    let id = match target.resolve_fully(&router) {
        Ok((id, false)) => id,
        Ok((id, true)) => return kept::send_now(&router, &id, which, message, mode),
        Err(cause) => return Err((cause, Some(message))),
    };
    if router.is_local(id.process()) {
        return match router.find_local_for(&id, which.id) {
            Ok(exported) => send_local_now(&router, exported, which, message, mode),
            Err(cause) => Err((cause, Some(message))),
        };
    }
    send_remote_now(None, &id, which, message, mode)
}

fn send_remote_now<M: ProcMessage>(
    known: Option<routing::Route>,
    id: &Capability,
    which: Which,
    message: M,
    mode: Mode,
) -> Result<(), (Cause, Option<M>)> {
    let nobody = || {
        let tag = Waiter::Nobody { target: id.id(), message: MessageName(which.name) };
        Waiting { tag, deadline: None }
    };
    match put(known, id, which, &message, (mode, 0), nobody) {
        Ok(_) => Ok(()),
        Err(cause) => Err((*cause, Some(message))),
    }
}

fn send_local_now<M: ProcMessage>(
    router: &Router,
    exported: Exported,
    which: Which,
    message: M,
    mode: Mode,
) -> Result<(), (Cause, Option<M>)> {
    let message = through_codec(message, router.identity().serialise_always)
        .map_err(|(cause, message)| (cause, Some(message)))?;
    let place = exported.slot;
    let trace = trace::current().map(Box::new);
    let ticket = move |pass| LocalTicket {
        actor: place,
        taken: Some(Taken::new()),
        slot: None,
        pass: Some(pass),
        name: MessageName(which.name),
        serialise: false,
        trace,
    };
    if let Some(pass) = exported.gate.try_pass() {
        let mut envelope = Some(Inbound::local(message, ticket(pass)));
        if exported.actor.deliver_local(which.id, &mut envelope as &mut dyn Any) {
            return Ok(());
        }
        let cause = not_taken(exported.actor.is_alive(), exported.actor.type_name());
        return Err((cause, envelope.and_then(Inbound::give_back)));
    }
    let actor = Arc::clone(&exported.actor);
    let message = Arc::new(std::sync::Mutex::new(Some(message)));
    let kept = Arc::clone(&message);
    let deliver = move |pass| {
        let message = message.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        // If the actor is gone by then, dropping the envelope makes it a dead letter.
        let mut envelope = message.map(|message| Inbound::local(message, ticket(pass)));
        actor.deliver_local(which.id, &mut envelope as &mut dyn Any);
    };
    let queued = match mode {
        Mode::Try => exported.gate.wait_if_room(deliver),
        _ => exported.gate.wait_in_outbox(deliver),
    };
    match queued {
        true => Ok(()),
        false => {
            let message = kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            Err((Cause::Full, message))
        }
    }
}
