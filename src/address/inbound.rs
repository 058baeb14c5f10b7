//! A message on its way through a mailbox, with the duty to answer it.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use actix::dev::{MessageResponse, OneshotSender, ToEnvelope};
use actix::prelude::*;
use tokio::sync::oneshot;
use tracing::Span;

use super::actor::{Accepts, ProcActor, ProcMessage};
use super::export::Held;
use super::inbox::IsPaused;
use super::later::{self, Dropped};
use super::lifetime::{Deferred, Lifetime};
use super::relay::relay;
use super::responder::{self, AnswerTo};
use super::slot::CallSlot;
use super::streaming;
use crate::codec::{self, Encoded};
use crate::id::{ActorId, ProcessId, Slot};
use crate::process::handling::{self, Aside, Asked, Naming, Taken, Work};
use crate::process::routing::{
    Arrival, Begun, DeadLetter, KEEP_BODY_BYTES, MessageName, Outcome, Pass, Place, Refused, Start, Ticket,
    reading,
};
use crate::protocol::frame::first_body;
use crate::protocol::traceparent::TraceParent;
use crate::protocol::wire::{Cause, Failure};
use crate::trace::{self, Finished};

/// What `#[derive(ProcActor)]` makes an actor handle: a message with the right to answer it. Not for users: they
/// handle `M`.
pub struct Inbound<M: ProcMessage> {
    message: Option<M>,
    answer: Answer<M>,
}

/// Who gets the result.
pub(super) enum Answer<M: ProcMessage> {
    /// Another process.
    Remote(Ticket),
    /// This process: the result stays as it is.
    Local(LocalTicket<M>),
    /// Nobody: this process says something by itself.
    Notice(Notice),
}

/// A notice of an end: told if it still may be when it comes to its turn.
pub(super) struct Notice {
    /// Its place behind what came on a channel.
    pub(super) ticket: Option<Ticket>,
    /// Whom it tells.
    pub(super) actor: Slot,
    /// Its place behind what was sent within this process.
    pub(super) pass: Option<Pass>,
    /// Asked once, when it comes to its turn: whether it may be told.
    pub(super) may_be_told: Box<dyn Fn() -> bool + Send + Sync>,
}

/// The duty to answer a sender of the same process.
pub(super) struct LocalTicket<M: ProcMessage> {
    /// Whom it is for.
    pub(super) actor: Slot,
    /// Until it is handled.
    pub(super) taken: Option<Taken>,
    pub(super) slot: Option<Arc<CallSlot<M>>>,
    pub(super) pass: Option<Pass>,
    pub(super) name: MessageName,
    /// Send the result through the codec (a test mode).
    pub(super) serialise: bool,
    /// The trace that it belongs to, if to any.
    pub(super) trace: Option<Box<TraceParent>>,
}

impl<M: ProcMessage> Message for Inbound<M> {
    type Result = ();
}

impl<M: ProcMessage> Inbound<M> {
    pub(super) fn local(message: M, ticket: LocalTicket<M>) -> Inbound<M> {
        Inbound { message: Some(message), answer: Answer::Local(ticket) }
    }

    pub(super) fn notice(message: M, notice: Notice) -> Inbound<M> {
        Inbound { message: Some(message), answer: Answer::Notice(notice) }
    }

    /// Takes the message back out: it did not get into the mailbox.
    pub(super) fn give_back(mut self) -> Option<M> {
        if let Answer::Local(ticket) = &mut self.answer {
            ticket.slot = None;
        }
        self.message.take()
    }

    pub(super) fn deliver<A>(addr: &Addr<A>, body: Encoded<'_>, ticket: Ticket) -> Result<(), Refused>
    where
        A: Actor + Handler<Inbound<M>>,
        A::Context: ToEnvelope<A, Inbound<M>>,
    {
        match reading(ticket.sender(), || body.decode()) {
            Ok(message) => {
                // The mailbox is as long as the windows that were granted, so its own limit is passed by.
                addr.do_send(Inbound { message: Some(message), answer: Answer::Remote(ticket) });
                Ok(())
            }
            Err(error) => Err(Refused::Decode(ticket, error)),
        }
    }

    pub(super) fn open(body: Encoded<'_>, ticket: Ticket) -> Result<Box<dyn Any + Send>, Refused> {
        match reading(ticket.sender(), || body.decode()) {
            Ok(message) => {
                Ok(Box::new(Inbound::<M> { message: Some(message), answer: Answer::Remote(ticket) }))
            }
            Err(error) => Err(Refused::Decode(ticket, error)),
        }
    }

    pub(super) fn handle_small<A>(actor: &mut A, body: &[u8], ticket: Ticket, context: &mut A::Context)
    where
        A: Accepts<M>,
    {
        match reading(ticket.sender(), || codec::decode(body)) {
            Ok(message) => {
                let inbound = Inbound { message: Some(message), answer: Answer::Remote(ticket) };
                handle_inbound(actor, inbound, context);
            }
            Err(error) => ticket.fail(&Failure::not_executed(Cause::Decode(error.to_string()))),
        }
    }

    /// Handles casts that have begun, the first of these frames, and leaves those behind them.
    pub(super) fn handle_casts<A>(
        actor: &mut A,
        mut begun: Begun<'_>,
        frames: &mut &[u8],
        context: &mut A::Context,
        is_paused: IsPaused<A>,
    ) where
        A: Accepts<M>,
    {
        let naming = Named::<A, M>::NAMING;
        let (sender, work) = (begun.sender(), begun.work(naming));
        while begun.has_next()
            && let Some((body, behind)) = first_body(frames)
        {
            *frames = behind;
            begun.next(body.len());
            // What has something to drop may be a future, which ends when it likes.
            if std::mem::needs_drop::<<A as Handler<M>>::Result>() {
                Self::handle_small(actor, body, begun.ticket(), context);
            } else {
                match reading(sender, || codec::decode(body)) {
                    Ok(message) => {
                        let handling = handling::enter(naming, work, Some(begun.taken()));
                        <A as Handler<M>>::handle(actor, message, context).handle(context, None);
                        drop(handling);
                    }
                    Err(error) => begun.refuse(&Failure::not_executed(Cause::Decode(error.to_string()))),
                }
            }
            if is_paused(context) {
                return;
            }
        }
    }

    pub(super) fn handle_whole<A>(actor: &mut A, inbound: Box<dyn Any + Send>, context: &mut A::Context)
    where
        A: Accepts<M>,
    {
        // The line of the table that made it handles it.
        if let Ok(inbound) = inbound.downcast::<Inbound<M>>() {
            handle_inbound(actor, *inbound, context);
        }
    }

    pub(super) fn deliver_local<A>(addr: &Addr<A>, envelope: &mut dyn Any) -> bool
    where
        A: Actor + Handler<Inbound<M>>,
        A::Context: ToEnvelope<A, Inbound<M>>,
    {
        let inbound = envelope.downcast_mut::<Option<Inbound<M>>>().and_then(Option::take);
        inbound.map(|inbound| addr.do_send(inbound)).is_some()
    }

    /// Takes a message out of its envelope, for an actor that is still to be born.
    pub(super) fn hold_local<A>(envelope: &mut dyn Any) -> Option<Held<A>>
    where
        A: Actor + Handler<Inbound<M>>,
        A::Context: ToEnvelope<A, Inbound<M>>,
    {
        let inbound = envelope.downcast_mut::<Option<Inbound<M>>>().and_then(Option::take)?;
        let inbound = Mutex::new(Some(inbound));
        Some(Box::new(move |addr| {
            if let Some(inbound) = inbound.into_inner().unwrap_or_else(PoisonError::into_inner) {
                addr.do_send(inbound);
            }
        }))
    }

    /// Takes a message out of its envelope, for an inbox.
    pub(super) fn unwrap(envelope: &mut dyn Any) -> Option<Box<dyn Any + Send>> {
        let inbound = envelope.downcast_mut::<Option<Inbound<M>>>().and_then(Option::take)?;
        Some(Box::new(inbound))
    }

    /// The message leaves the mailbox, if it may.
    fn begin(&mut self) -> Start {
        match &mut self.answer {
            Answer::Remote(ticket) => ticket.begin(),
            Answer::Local(ticket) => ticket.begin(),
            Answer::Notice(notice) => notice.begin(),
        }
    }

    /// Puts it into the mailbox again when its sender has read enough replies.
    #[cold]
    fn stand_aside<A>(self, place: Place)
    where
        A: Accepts<M>,
    {
        place.keep(Box::new(|exported| {
            let mut envelope = Some(self);
            // Where the actor is gone, dropping the envelope says so.
            exported.actor.deliver_local(<A as Accepts<M>>::ID, &mut envelope as &mut dyn Any);
        }));
    }

    fn wants_reply(&self) -> bool {
        match &self.answer {
            Answer::Remote(ticket) => ticket.wants_reply(),
            Answer::Local(ticket) => ticket.slot.is_some(),
            Answer::Notice(_) => false,
        }
    }
}

impl<M: ProcMessage> Answer<M> {
    /// How it came, if at least once.
    fn arrival(&self) -> Option<Arrival> {
        match self {
            Answer::Remote(ticket) => ticket.arrival(),
            Answer::Local(_) | Answer::Notice(_) => None,
        }
    }

    /// What is shown while the message is handled, which it is from now on.
    fn work(&mut self, naming: &Naming) -> (Work, Option<Taken>) {
        match self {
            Answer::Remote(ticket) => (ticket.work(naming), ticket.taken()),
            Answer::Local(ticket) => (naming.from_here(ticket.actor), ticket.taken.take()),
            Answer::Notice(Notice { ticket: Some(ticket), .. }) => (ticket.work(naming), ticket.taken()),
            // It is counted as taken in now, since nothing before was.
            Answer::Notice(notice) => (naming.from_here(notice.actor), Some(Taken::new())),
        }
    }

    /// The call of another process that it answers.
    #[inline]
    fn asked(&self) -> Option<Asked> {
        match self {
            Answer::Remote(ticket) => ticket.asked(),
            Answer::Local(_) | Answer::Notice(_) => None,
        }
    }

    /// The other process that gets the result, if it is one.
    fn sender(&self) -> Option<ProcessId> {
        match self {
            Answer::Remote(ticket) => Some(ticket.sender()),
            Answer::Local(_) | Answer::Notice(_) => None,
        }
    }

    /// The trace that it belongs to, if to any.
    #[inline]
    fn trace(&self) -> Option<&TraceParent> {
        match self {
            Answer::Remote(ticket) => ticket.trace(),
            Answer::Local(ticket) => ticket.trace.as_deref(),
            Answer::Notice(_) => None,
        }
    }

    pub(super) fn reply(self, result: M::Result) {
        match self {
            Answer::Remote(ticket) => ticket.reply(&result),
            Answer::Local(mut ticket) => {
                let Some(slot) = ticket.slot.take() else { return };
                slot.complete(match ticket.serialise {
                    false => Ok(Some(result)),
                    true => codec::round_trip(&result)
                        .map(Some)
                        .map_err(|reason| (Failure::failed(Cause::Encode(reason)), None)),
                });
            }
            Answer::Notice(_) => {}
        }
    }

    pub(super) fn fail(self, failure: Failure) {
        match self {
            Answer::Remote(ticket) => ticket.fail(&failure),
            Answer::Local(mut ticket) => {
                if let Some(slot) = ticket.slot.take() {
                    slot.complete(Err((failure, None)));
                }
            }
            Answer::Notice(_) => {}
        }
    }
}

impl<M: ProcMessage> AnswerTo<M::Result> for Answer<M> {
    fn reply(self: Box<Self>, result: M::Result) {
        Answer::reply(*self, result);
    }

    fn hand_over(self: Box<Self>, aside: Aside) -> Option<Arc<dyn Outcome>> {
        match *self {
            Answer::Remote(ticket) if ticket.is_answered_here() => {
                Some(relay(Answer::<M>::Remote(ticket), aside))
            }
            Answer::Remote(ticket) => {
                ticket.hand_over();
                None
            }
            Answer::Local(mut ticket) => ticket.slot.take().map(|slot| slot as Arc<dyn Outcome>),
            Answer::Notice(_) => None,
        }
    }

    fn fail(self: Box<Self>, failure: Failure) {
        Answer::fail(*self, failure);
    }

    fn is_cancelled(&self) -> bool {
        match self {
            Answer::Remote(ticket) => ticket.is_cancelled(),
            Answer::Local(ticket) => ticket.slot.as_ref().is_none_or(|slot| slot.is_abandoned()),
            Answer::Notice(_) => false,
        }
    }
}

impl Notice {
    fn begin(&mut self) -> Start {
        self.pass = None;
        if let Some(ticket) = &mut self.ticket {
            match ticket.begin() {
                Start::Now => {}
                other => return other,
            }
        }
        if (self.may_be_told)() { Start::Now } else { Start::Never }
    }
}

impl<M: ProcMessage> LocalTicket<M> {
    fn begin(&mut self) -> Start {
        self.pass = None;
        let Some(slot) = &self.slot else { return Start::Now };
        if slot.is_abandoned() {
            self.slot = None;
            return Start::Never;
        }
        let expired = slot.is_expired(Instant::now());
        if expired {
            slot.complete(Err((Failure::not_executed(Cause::TimedOut), None)));
            self.slot = None;
        }
        if expired { Start::Never } else { Start::Now }
    }
}

impl<M: ProcMessage> Drop for LocalTicket<M> {
    /// A handler began and left no answer.
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        let cause = match std::thread::panicking() {
            true => Cause::Panicked(handling::last_panic()),
            false => Cause::NoReply,
        };
        slot.complete(Err((Failure::failed(cause), None)));
    }
}

impl<M: ProcMessage> Drop for Inbound<M> {
    /// Still holding its message, it never left the mailbox: the sender gets it back.
    fn drop(&mut self) {
        let Some(message) = self.message.take() else { return };
        let Answer::Local(ticket) = &mut self.answer else { return };
        let failure = Failure::not_executed(Cause::ActorStopped);
        match ticket.slot.take() {
            Some(slot) => slot.complete(Err((failure, Some(message)))),
            None if ticket.pass.is_some() => bury(ticket.name, ticket.actor, failure.cause, &message),
            None => {}
        }
    }
}

fn bury<M: ProcMessage>(name: MessageName, slot: Slot, cause: Cause, message: &M) {
    if let Some(router) = super::context::current() {
        let target = slot.is_declared().then(|| ActorId::declared(router.identity().process, slot));
        let letter = DeadLetter::new(target, Some(name.0), cause);
        router.bury(letter, || codec::encode(message, KEEP_BODY_BYTES).ok());
    }
}

/// What a message is called in the protocol of an actor.
struct Named<A, M>(PhantomData<fn(A, M)>);

impl<A: Accepts<M>, M: ProcMessage> Named<A, M> {
    const NAMING: &'static Naming =
        &Naming { actor: A::TYPE_NAME, message: <A as Accepts<M>>::NAME, id: <A as Accepts<M>>::ID };
}

/// Handles a message and answers it: what the derive's handlers call.
///
/// A handler that is done when it returns is answered at once, without a task; any other by a task that waits.
pub fn handle_inbound<A, M>(actor: &mut A, mut inbound: Inbound<M>, context: &mut A::Context)
where
    A: Accepts<M> + ProcActor,
    M: ProcMessage,
{
    match inbound.begin() {
        Start::Now => {}
        Start::Never => return,
        Start::Later(place) => return inbound.stand_aside::<A>(place),
    }
    let Some(message) = inbound.message.take() else { return };
    let wants_reply = inbound.wants_reply();
    let (work, taken) = inbound.answer.work(Named::<A, M>::NAMING);
    let handling = handling::enter_call(Named::<A, M>::NAMING, work, taken, inbound.answer.asked());
    let arrival = inbound.answer.arrival().map(Arrival::enter);
    let span = inbound.answer.trace().map(|parent| handling_span(*parent, Named::<A, M>::NAMING));
    let entered = span.as_ref().map(Span::enter);
    let response = <A as Handler<M>>::handle(actor, message, context);
    let is_kept = arrival.is_some();
    drop((arrival, entered));
    // What has nothing to drop is no future: it is done, and without a channel nearly for nothing.
    if !wants_reply && !std::mem::needs_drop::<<A as Handler<M>>::Result>() {
        return response.handle(context, None);
    }
    let answer = inbound.into_answer();
    let (sender, mut receiver): (OneshotSender<M::Result>, _) = oneshot::channel();
    response.handle(context, Some(sender));
    match receiver.try_recv() {
        Ok(result) => answer.reply(result),
        Err(oneshot::error::TryRecvError::Closed) => match responder::left::<M::Result>() {
            Some(left) => left.take_up(deferred::<A, M>(answer, is_kept, context), handling.put_aside()),
            None => answer.fail(Failure::failed(Cause::NoReply)),
        },
        Err(oneshot::error::TryRecvError::Empty) => {
            let lifetime = is_kept.then(|| Lifetime::of::<A>(context)).flatten();
            answer_later((answer, lifetime), receiver, (handling.put_aside(), span), Slot(work.slot));
        }
    }
}

/// The span in which a message of a trace is handled.
#[cold]
fn handling_span(parent: TraceParent, naming: &'static Naming) -> Span {
    let actor = handling::current().map_or_else(|| naming.actor.to_owned(), |handling| handling.actor);
    trace::handling(parent, &actor, naming.message)
}

impl Message for Finished {
    type Result = ();
}

/// What a responder answers. A message that is delivered at least once is not blamed for an end of its actor that it did
/// not bring about.
fn deferred<A: ProcActor, M: ProcMessage>(
    answer: Answer<M>,
    is_kept: bool,
    context: &mut A::Context,
) -> Box<dyn AnswerTo<M::Result>> {
    match is_kept.then(|| Lifetime::of::<A>(context)).flatten() {
        Some(lifetime) => Box::new(Deferred { answer, lifetime }),
        None => Box::new(answer),
    }
}

/// Waits for an asynchronous handler, also of a message that nobody waits for: a process that stops waits for it.
fn answer_later<M: ProcMessage>(
    (answer, lifetime): (Answer<M>, Option<Lifetime>),
    receiver: oneshot::Receiver<M::Result>,
    (aside, span): (Aside, Option<Span>),
    slot: Slot,
) {
    let (outcome, life) = (later::Outcome::of(receiver), handling::life());
    let wait = async move {
        let (result, by) = outcome.await;
        streaming::bind_made_by(by, (slot, life), answer.sender());
        // Who hears the answer finds it done.
        drop((aside, span));
        let (dropped, text) = match result {
            Ok(result) => return answer.reply(result),
            Err(lost) => lost,
        };
        let failure = Failure::failed(match dropped {
            Dropped::InOrder => Cause::NoReply,
            Dropped::ByPanic | Dropped::ByLink => Cause::Panicked(text),
        });
        // First, so that who hears of it and sends again reaches the next life.
        if let (Dropped::ByPanic, Cause::Panicked(text)) = (dropped, &failure.cause) {
            handling::panicked_aside(slot, life, text.clone());
        }
        answer.fail(match &lifetime {
            Some(lifetime) => lifetime.judge(failure, dropped),
            None => failure,
        });
    };
    actix::spawn(wait);
}

impl<M: ProcMessage> Inbound<M> {
    fn into_answer(mut self) -> Answer<M> {
        let (actor, name) = (Slot::FIRST_DYNAMIC, MessageName(""));
        let (taken, slot, pass, serialise, trace) = (None, None, None, false, None);
        let done = LocalTicket { actor, taken, slot, pass, name, serialise, trace };
        std::mem::replace(&mut self.answer, Answer::Local(done))
    }
}

impl<M: ProcMessage> std::fmt::Debug for Inbound<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inbound<{}>", std::any::type_name::<M>())
    }
}
