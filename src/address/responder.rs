//! Answering later, or by somebody else.
//!
//! ```text
//!  Later::new() in the handler --> Asked --the handler returns Later--> Held --answer--> the asker
//!                                    |                                   |
//!                                    +--------- encoded in a message ----+--> Sent: whoever decodes it answers
//!  dropped in any of these but Sent: the asker is told NoReply
//! ```

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::dev::{MessageResponse, OneshotSender};
use actix::prelude::*;
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::context;
use super::desk;
use super::target::Target;
use crate::codec;
use crate::codec::descriptor::{self, MAX_DESCRIPTORS, Sent};
use crate::codec::shape;
use crate::process::handling::{self, Aside};
use crate::process::routing::{Arrival, Outcome, Peer};
use crate::protocol::responders::{Answer, Place, ReplyTicket};
use crate::protocol::wire::{Cause, Failure};

/// The result of a handler that answers later: by the [`Responder`] that is made with it.
///
/// ```
/// # use procession::prelude::*;
/// # #[derive(Message, Serialize, Deserialize)]
/// # #[rtype(result = "u64")]
/// # struct Guess;
/// # struct Oracle { waiting: Vec<Responder<u64>> }
/// # impl Actor for Oracle { type Context = Context<Self>; }
/// impl Handler<Guess> for Oracle {
///     type Result = Later<u64>;
///     fn handle(&mut self, _: Guess, _: &mut Context<Self>) -> Later<u64> {
///         let (later, responder) = Later::new();
///         self.waiting.push(responder);
///         later
///     }
/// }
/// ```
#[must_use = "it is what the handler returns"]
pub struct Later<R: Send + 'static> {
    duty: Arc<Duty<R>>,
}

/// The right to answer one ask, once: now or later, here or, as a field of a message, in any process of the topology, which
/// answers the asker without a detour.
///
/// - Dropped unanswered, it answers [`Cause::NoReply`]; the end of a process that has it, that the process died.
/// - The deadline and the cancellation of the ask stand: an answer that comes too late reaches nobody, and whoever has the
///   responder can see that ([`is_cancelled`](Responder::is_cancelled)).
/// - A message that comes back, because it was not delivered, has its responder, which still answers. Where a message with a
///   responder is lost otherwise, the asker waits for its deadline.
/// - That of an at-least-once message (M-6) may go elsewhere, too. Its answer comes back to the process that handled the
///   message, which acknowledges it; if that dies before, the message is handled again.
/// - In a human-readable format there is none, nor in a message that is itself sent at least once: at its second delivery it
///   would have nobody to answer.
#[must_use = "dropped, it answers that there is no reply"]
pub struct Responder<R: Send + 'static> {
    way: Way<R>,
    gift: desk::Gift,
}

enum Way<R: Send + 'static> {
    Here(Arc<Duty<R>>),
    There {
        place: Place,
        held: desk::Held,
        /// It is somebody else's now.
        is_sent: Mutex<bool>,
    },
    /// It has answered.
    Done(PhantomData<fn(R)>),
}

/// Between a [`Later`] and its [`Responder`].
struct Duty<R> {
    state: Mutex<State<R>>,
    /// Who asked.
    asker: Asker,
}

enum State<R> {
    /// The handler has not returned.
    Asked,
    /// It was answered, or dropped, before the handler returned.
    Early(Option<R>),
    /// The asker sent it by actix alone.
    Plain(OneshotSender<R>),
    Held(Box<dyn AnswerTo<R>>, Aside),
    Sent(Place),
    Over,
}

enum Asker {
    /// Another process, on this connection, by this call.
    There(Arc<Peer>, u64),
    /// This process.
    Here,
    /// Nobody waits.
    Nobody,
    /// Another process, to which only this one can answer: at least once, or as JSON.
    Relayed,
}

/// Answers whoever asked, without the type of the message.
pub(super) trait AnswerTo<R>: Send {
    fn reply(self: Box<Self>, result: R);
    /// Somebody else answers: what must still be told is given away, if it is of this process.
    fn hand_over(self: Box<Self>, aside: Aside) -> Option<Arc<dyn Outcome>>;
    fn fail(self: Box<Self>, failure: Failure);
    fn is_cancelled(&self) -> bool;
}

impl<R: Send + 'static> Later<R> {
    /// What the handler returns, and who answers. To be called in the handler, before it returns or makes a future.
    pub fn new() -> (Later<R>, Responder<R>) {
        let duty = Arc::new(Duty { state: Mutex::new(State::Asked), asker: Asker::current() });
        (Later { duty: Arc::clone(&duty) }, Responder::new(Way::Here(duty)))
    }
}

impl Asker {
    fn current() -> Asker {
        let asked = handling::asked();
        if Arrival::current().is_some() || asked.is_some_and(|asked| asked.relayed) {
            return Asker::Relayed;
        }
        let Some(_) = handling::sender() else { return Asker::Here };
        let found = asked.and_then(|asked| {
            let peer = context::current()?.connection(asked.connection)?;
            Some(Asker::There(peer, asked.correlation))
        });
        found.unwrap_or(Asker::Nobody)
    }
}

impl<R> Duty<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, result: R) {
        let mut state = self.lock();
        match mem::replace(&mut *state, State::Over) {
            State::Asked => *state = State::Early(Some(result)),
            State::Plain(asker) => {
                // Who has gone does not want it.
                let _ = asker.send(result);
            }
            State::Held(answer, aside) => {
                drop(state);
                // Who hears the answer finds it done.
                drop(aside);
                answer.reply(result);
            }
            other => *state = other,
        }
    }

    /// Its responder is gone.
    fn abandon(&self) {
        let mut state = self.lock();
        match mem::replace(&mut *state, State::Over) {
            State::Asked => *state = State::Early(None),
            State::Plain(asker) => drop(asker),
            State::Held(answer, aside) => {
                drop(state);
                drop(aside);
                answer.fail(no_reply());
            }
            other => *state = other,
        }
    }

    /// Where another process finds the asker. It is answered from there from now on.
    fn send(&self) -> Result<Place, String> {
        let mut state = self.lock();
        if let State::Sent(place) = &*state {
            return Ok(place.clone());
        }
        if matches!(*state, State::Early(_) | State::Over) {
            return Err("this responder has answered".to_owned());
        }
        let place = match (&*state, &self.asker) {
            (State::Plain(_), _) => {
                Err("the asker sent its message by an actix `Addr`, which only this process can answer"
                    .to_owned())
            }
            (_, Asker::Nobody) => {
                Ok(Place { desk: Default::default(), ticket: ReplyTicket::Nobody, hand: 0 })
            }
            // The answer comes here, and goes on.
            (_, Asker::Here | Asker::Relayed) => desk::reserve(),
            (_, Asker::There(peer, correlation)) => peer
                .reply_place(*correlation)
                .ok_or("the asker's process can't be answered by others".to_owned()),
        }?;
        let before = mem::replace(&mut *state, State::Sent(place.clone()));
        if let State::Held(answer, aside) = before {
            give_away(answer, &place, aside);
        }
        Ok(place)
    }

    fn is_cancelled(&self) -> bool {
        match &*self.lock() {
            State::Plain(asker) => asker.is_closed(),
            State::Held(answer, _) => answer.is_cancelled(),
            _ => false,
        }
    }
}

/// What was to be answered here is answered by others.
fn give_away<R>(answer: Box<dyn AnswerTo<R>>, place: &Place, aside: Aside) {
    let outcome = answer.hand_over(aside);
    if let ReplyTicket::Kept { .. } = place.ticket {
        desk::bind(place.ticket, outcome);
    }
}

fn no_reply() -> Failure {
    Failure::failed(match std::thread::panicking() {
        true => Cause::Panicked(handling::last_panic()),
        false => Cause::NoReply,
    })
}

/// What a handler has left behind that answers later: taken up by who would answer now.
pub(super) trait TakeUp<R> {
    fn take_up(&self, answer: Box<dyn AnswerTo<R>>, aside: Aside);
}

impl<R: Send> TakeUp<R> for Duty<R> {
    fn take_up(&self, answer: Box<dyn AnswerTo<R>>, aside: Aside) {
        let mut state = self.lock();
        match mem::replace(&mut *state, State::Over) {
            State::Asked => *state = State::Held(answer, aside),
            State::Sent(place) => {
                *state = State::Sent(place.clone());
                drop(state);
                give_away(answer, &place, aside);
            }
            State::Early(result) => {
                drop(state);
                drop(aside);
                match result {
                    Some(result) => answer.reply(result),
                    None => answer.fail(no_reply()),
                }
            }
            other => *state = other,
        }
    }
}

thread_local! {
    /// Of the handler that has just returned.
    static LEFT: std::cell::RefCell<Option<Box<dyn std::any::Any>>> = const { std::cell::RefCell::new(None) };
}

/// What the handler that has just returned on this thread has left behind, if it answers later.
pub(super) fn left<R: Send + 'static>() -> Option<Arc<dyn TakeUp<R>>> {
    let left = LEFT.try_with(|left| left.take()).ok().flatten()?;
    Some(*left.downcast::<Arc<Duty<R>>>().ok()?)
}

impl<A, M, R> MessageResponse<A, M> for Later<R>
where
    A: Actor,
    M: Message<Result = R>,
    R: Send + 'static,
{
    fn handle(self, _: &mut A::Context, asker: Option<OneshotSender<R>>) {
        // Within `handle_inbound`, which has the channel's other end.
        if handling::slot().is_some() {
            let _ = LEFT.try_with(|left| left.replace(Some(Box::new(self.duty))));
            // Which closes it: that is when it is looked for.
            drop(asker);
            return;
        }
        let mut state = self.duty.lock();
        match (mem::replace(&mut *state, State::Over), asker) {
            (State::Early(Some(result)), Some(asker)) => {
                let _ = asker.send(result);
            }
            (State::Asked, Some(asker)) => *state = State::Plain(asker),
            _ => {}
        }
    }
}

impl<R: Send + 'static> Responder<R> {
    fn new(way: Way<R>) -> Responder<R> {
        Responder { way, gift: desk::Gift::default() }
    }

    /// Whether nobody waits for the answer any more, as far as this process was told: the asker has dropped the ask, its
    /// time is up, its process is gone, or somebody else has answered.
    ///
    /// Not known of a message that is delivered at least once, and in the process that handled it not after it was sent on.
    pub fn is_cancelled(&self) -> bool {
        match &self.way {
            Way::Here(duty) => duty.is_cancelled(),
            Way::There { held, .. } => held.is_released(),
            Way::Done(_) => false,
        }
    }
}

impl<R: Serialize + Send + 'static> Responder<R> {
    /// Answers.
    pub fn answer(mut self, result: R) {
        self.gift.take_back();
        match mem::replace(&mut self.way, Way::Done(PhantomData)) {
            Way::Here(duty) => {
                let sent = match &*duty.lock() {
                    State::Sent(place) => Some(place.clone()),
                    _ => None,
                };
                match sent {
                    // The message that had it came back, perhaps.
                    Some(place) => answer_there(&place, &result),
                    None => duty.answer(result),
                }
            }
            Way::There { place, .. } => answer_there(&place, &result),
            Way::Done(_) => {}
        }
    }
}

/// What an answer has around the bytes of its result.
const AROUND_BYTES: usize = 1 << 10;

fn answer_there<R: Serialize>(place: &Place, result: &R) {
    let limits = context::current().map(|router| router.identity().limits).unwrap_or_default();
    let most_bytes = (limits.max_message_bytes as usize).saturating_sub(AROUND_BYTES);
    let mut bytes = Vec::new();
    let encoded = codec::encode_with_descriptors(result, &mut bytes, most_bytes, MAX_DESCRIPTORS);
    let (result, descriptors) = match encoded {
        Ok(carried) => {
            let owned = carried.into_iter().map_while(|carried| carried.into_owned().ok());
            (Ok(bytes.into()), owned.map(Into::into).collect())
        }
        Err(error) => (Err(Failure::failed(Cause::Encode(error.to_string()))), Vec::new()),
    };
    tell(place, Answer { ticket: place.ticket, result, descriptors });
}

fn tell(place: &Place, answer: Answer) {
    if let Some(target) = desk_of(place) {
        desk::tell_answer(&target, answer);
    }
}

fn desk_of(place: &Place) -> Option<Target> {
    match place.ticket {
        ReplyTicket::Nobody => None,
        _ => codec::decode(&place.desk).ok(),
    }
}

impl<R: Send + 'static> Drop for Responder<R> {
    fn drop(&mut self) {
        match mem::replace(&mut self.way, Way::Done(PhantomData)) {
            Way::Here(duty) => duty.abandon(),
            Way::There { place, is_sent, .. } => {
                if !is_sent.into_inner().unwrap_or_else(PoisonError::into_inner) {
                    let ticket = place.ticket;
                    tell(&place, Answer { ticket, result: Err(no_reply()), descriptors: Vec::new() });
                }
            }
            Way::Done(_) => {}
        }
    }
}

impl<R> Drop for Duty<R> {
    /// A handler that panicked after it had sent its responder: who asked was told so.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let State::Sent(Place { ticket: ticket @ ReplyTicket::Kept { .. }, .. }) = state {
            desk::release(*ticket);
        }
    }
}

impl<R: Send + 'static> Serialize for Responder<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Err(S::Error::custom("a responder can't be written to a file"));
        }
        // A dead letter keeps the bytes of its message; who asked is told by the drop of the message itself.
        match descriptor::is_sent() {
            Some(Sent::Once) => {}
            Some(Sent::Again) => {
                return Err(S::Error::custom(
                    "a responder can't go with a message that is delivered at least once",
                ));
            }
            None => {
                return Err(S::Error::custom(
                    "a responder goes with a message that is sent, and with nothing else",
                ));
            }
        }
        let place = match &self.way {
            Way::Here(duty) => duty.send().map_err(S::Error::custom)?,
            Way::There { place, is_sent, .. } => {
                *is_sent.lock().unwrap_or_else(PoisonError::into_inner) = true;
                let hand =
                    place.hand.checked_add(1).ok_or_else(|| S::Error::custom("it was sent on too often"))?;
                Place { hand, ..place.clone() }
            }
            Way::Done(_) => return Err(S::Error::custom("this responder has answered")),
        };
        self.gift.goes(&place);
        place.serialize(serializer)
    }
}

impl<'de, R: DeserializeOwned + Send + 'static> Deserialize<'de> for Responder<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if shape::is_looking() {
            // What it answers with is part of its shape.
            <(Place, R)>::deserialize(deserializer)?;
            return Ok(Responder::new(Way::Done(PhantomData)));
        }
        if deserializer.is_human_readable() {
            return Err(D::Error::custom("a responder can't be read from a file"));
        }
        let place = Place::deserialize(deserializer)?;
        if place.ticket == ReplyTicket::Nobody {
            return Ok(Responder::new(Way::Done(PhantomData)));
        }
        let held = desk::hold(&place).map_err(D::Error::custom)?;
        Ok(Responder::new(Way::There { place, held, is_sent: Mutex::new(false) }))
    }
}

impl<R: Send + 'static> fmt::Debug for Responder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Responder<{}>", std::any::type_name::<R>())
    }
}

impl<R: Send + 'static> fmt::Debug for Later<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Later<{}>", std::any::type_name::<R>())
    }
}
