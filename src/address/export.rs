//! An actix actor as the connections see it.

use std::any::Any;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use actix::prelude::*;

use super::actor::{MessageEntry, ProcActor};
use super::attend::Attend;
use super::inbox::Inbox;
use crate::codec::Encoded;
use crate::id::ActorId;
use crate::process::handling;
use crate::process::routing::{Behind, Casts, Ends, Export, Refused, Ticket, deliver_each};
use crate::protocol::frame::{Run, SMALL_BYTES};
use crate::protocol::json::{JsonCall, JsonFault, MAX_KNOWN};
use crate::protocol::watching::EndReason;
use crate::protocol::wire::{Cause, Failure, MessageId};

/// An exported actor: the address that its supervisor keeps up to date.
///
/// ```text
///  Between --set(Some)--> Alive --a delivery finds its mailbox closed--> Between
///     |                     |
///     +-----set(None)-------+--> Gone
/// ```
///
/// Between two lives of a supervised actor messages are held, within the windows that were granted, so that who was
/// told of a panic and sends again reaches the next life.
pub struct ActorExport<A: Actor> {
    life: RwLock<Life<A>>,
    supervised: bool,
}

enum Life<A: Actor> {
    Between(Vec<Held<A>>, Arc<Ends>),
    Alive(Addr<A>, Arc<Inbox>, Arc<Ends>),
    Gone,
}

impl<A: Actor> Life<A> {
    fn of(addr: Addr<A>, ends: Arc<Ends>) -> Life<A> {
        Life::Alive(addr, Arc::default(), ends)
    }

    /// Says why the life will end, if it is one.
    fn foretell(&self, why: EndReason) {
        if let Life::Alive(_, _, ends) = self {
            ends.foretell(why);
        }
    }

    /// Before the next life, with what is held for it.
    fn between(held: Vec<Held<A>>) -> Life<A> {
        Life::Between(held, Ends::new())
    }
}

/// A message for the next life. Dropped, it answers that the actor stopped.
pub(super) type Held<A> = Box<dyn FnOnce(&Addr<A>) + Send + Sync>;

impl<A: ProcActor> ActorExport<A> {
    /// An export of a running actor, or, with `None`, of one that a supervisor is still to start.
    pub fn new(addr: Option<Addr<A>>) -> Arc<ActorExport<A>> {
        let messages = A::messages().iter().map(|entry| (entry.id, entry.name));
        handling::know_type(A::TYPE_NAME, messages);
        let supervised = addr.is_none();
        let life = match addr {
            Some(addr) => {
                let ends = Ends::new();
                ends.begin();
                Life::of(addr, ends)
            }
            None => Life::between(Vec::new()),
        };
        Arc::new(ActorExport { life: RwLock::new(life), supervised })
    }

    /// Replaces the actor by its next life, or by nothing.
    pub fn set(&self, addr: Option<Addr<A>>) {
        let (mut gone, mut left, mut begun) = (None, None, None);
        loop {
            // Delivered and dropped without the lock: both may lead to further deliveries here.
            let held = match (&mut *self.write(), &addr) {
                (Life::Between(held, _), Some(_)) if !held.is_empty() => std::mem::take(held),
                (life, Some(addr)) => {
                    let ends = match &*life {
                        Life::Between(_, ends) => Arc::clone(ends),
                        _ => Ends::new(),
                    };
                    begun = Some(Arc::clone(&ends));
                    left = Some(std::mem::replace(life, Life::of(addr.clone(), ends)));
                    break;
                }
                (life, None) => match std::mem::replace(life, Life::Gone) {
                    Life::Between(held, ends) => {
                        gone = Some(ends);
                        held
                    }
                    alive @ Life::Alive(..) => {
                        // Whoever takes the place away of one that lives is about to stop it.
                        alive.foretell(EndReason::Stopped);
                        left = Some(alive);
                        break;
                    }
                    Life::Gone => break,
                },
            };
            if let Some(addr) = &addr {
                held.into_iter().for_each(|held| held(addr));
            }
        }
        left.into_iter().for_each(Self::left);
        match gone {
            // The life that was waited for will not be.
            Some(ends) => ends.end(EndReason::NoActor),
            None => self.attend(),
        }
        if let Some(ends) = begun {
            ends.begin();
        }
    }

    /// From now on messages are kept for the next life; the present one has what it has, and will end for this reason.
    pub fn hold(&self, why: EndReason) {
        let mut life = self.write();
        if !matches!(*life, Life::Alive(..)) {
            return;
        }
        life.foretell(why);
        let left = std::mem::replace(&mut *life, Life::between(Vec::new()));
        drop(life);
        Self::left(left);
    }

    /// A life has its place no more. Who had asked for it before may be about to observe it, and finds it here no more, so
    /// its context tells of its end whether or not somebody does yet. Called with nothing locked.
    fn left(life: Life<A>) {
        let (Life::Alive(addr, _, ends), Some(serving)) = (life, A::serving()) else { return };
        if !ends.claim_anyway() {
            return;
        }
        if !addr.connected() {
            // It has ended, and nobody knows how.
            ends.foretell(EndReason::NoActor);
        }
        (serving.attend)(&addr, Attend::new(ends));
    }

    /// The actor that lives now.
    pub fn addr(&self) -> Option<Addr<A>> {
        match &*self.read() {
            Life::Alive(addr, ..) => Some(addr.clone()),
            _ => None,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Life<A>> {
        self.life.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Life<A>> {
        self.life.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the message to the actor that lives, or keeps it for the next life; false if there will be none.
    fn with_life<W>(
        &self,
        what: W,
        now: impl FnOnce(&Addr<A>, &Arc<Inbox>, W),
        later: impl FnOnce(W) -> Option<Held<A>>,
    ) -> bool {
        if let Life::Alive(addr, inbox, _) = &*self.read()
            && (!self.supervised || addr.connected())
        {
            now(addr, inbox, what);
            return true;
        }
        let mut life = self.write();
        match &mut *life {
            // A new life began meanwhile.
            Life::Alive(addr, inbox, _) if addr.connected() => now(addr, inbox, what),
            Life::Between(held, _) => held.extend(later(what)),
            Life::Alive(..) if self.supervised => {
                let held = later(what).into_iter().collect();
                let left = std::mem::replace(&mut *life, Life::between(held));
                drop(life);
                Self::left(left);
            }
            Life::Alive(..) | Life::Gone => return false,
        }
        true
    }
}

impl<A: ProcActor> ActorExport<A> {
    /// Makes a message of its name and JSON, and delivers that.
    #[cold]
    fn deliver_json(&self, body: Encoded<'_>, mut ticket: Ticket) -> Result<(), Refused> {
        let JsonCall { message, json } = match body.decode() {
            Ok(call) => call,
            Err(error) => return Err(Refused::Decode(ticket, error)),
        };
        let made = match A::messages().iter().find(|entry| entry.name == message) {
            Some(entry) => (entry.from_json)(&json).map(|body| (entry.id, body)),
            None => {
                let known = A::messages().iter().take(MAX_KNOWN).map(|entry| entry.name.to_owned());
                let (actor, known) = (A::TYPE_NAME.to_owned(), known.collect());
                Err(JsonFault::UnknownMessage { actor, message, known })
            }
        };
        match made {
            Ok((id, body)) => {
                ticket.answer_as_json();
                self.deliver(id, body, ticket)
            }
            Err(fault) => {
                ticket.fail(&Failure::not_executed(Cause::Json(fault)));
                Ok(())
            }
        }
    }
}

impl<A: ProcActor> Export for ActorExport<A> {
    fn type_name(&self) -> &'static str {
        A::TYPE_NAME
    }

    fn deliver(&self, message: MessageId, body: Encoded<'_>, ticket: Ticket) -> Result<(), Refused> {
        let Some(line) = A::messages().iter().position(|entry| entry.id == message) else {
            return match message {
                MessageId::JSON => self.deliver_json(body, ticket),
                _ => Err(Refused::NotAccepted(ticket)),
            };
        };
        let entry = &A::messages()[line];
        let mut refused = Ok(());
        // A ticket that nobody takes is dropped, and says that the actor stopped.
        self.with_life(
            (body, ticket),
            |addr, inbox, (body, ticket)| refused = put(addr, inbox, (line, entry), body, ticket),
            |(body, ticket)| {
                let (deliver, body) = (entry.deliver, body.into_owned());
                Some(Box::new(move |addr| {
                    if let Err(Refused::Decode(ticket, error)) = deliver(addr, body, ticket) {
                        ticket.fail(&Failure::not_executed(Cause::Decode(error.to_string())));
                    }
                }))
            },
        );
        refused
    }

    fn deliver_run(
        &self,
        message: MessageId,
        run: &mut dyn Iterator<Item = (Encoded<'_>, Ticket)>,
        refused: &mut dyn FnMut(Refused),
    ) {
        let line = A::messages().iter().position(|entry| entry.id == message);
        if let (Some(line), Some(serving)) = (line, A::serving())
            && let Life::Alive(addr, inbox, _) = &*self.read()
            && (!self.supervised || addr.connected())
        {
            if let Some(arrived) = inbox.push_small(line, run) {
                (serving.announce)(addr, arrived);
            }
            return;
        }
        deliver_each(self, message, run, refused);
    }

    fn deliver_casts(&self, run: &Run<'_>, casts: Casts) -> Result<(), Casts> {
        let line = A::messages().iter().position(|entry| entry.id.0 == run.header.message);
        let (Some(line), Some(serving)) = (line, A::serving()) else { return Err(casts) };
        let pushed = match &*self.read() {
            Life::Alive(addr, inbox, _) if !self.supervised || addr.connected() => {
                inbox.push_casts(line, run.frames, casts).map(|arrived| {
                    arrived.into_iter().for_each(|arrived| (serving.announce)(addr, arrived));
                })
            }
            _ => return Err(casts),
        };
        // An actor that nobody starts again: who is told of them may send here, so the life is not locked.
        drop(pushed);
        Ok(())
    }

    fn deliver_local(&self, message: MessageId, envelope: &mut dyn Any) -> bool {
        let Some(entry) = A::messages().iter().find(|entry| entry.id == message) else { return false };
        let mut taken = true;
        let lives = self.with_life(
            envelope,
            |addr, _, envelope| taken = (entry.deliver_local)(addr, envelope),
            |envelope| (entry.hold_local)(envelope),
        );
        lives && taken
    }

    fn deliver_behind(&self, message: MessageId, envelope: &mut dyn Any) -> bool {
        let Some(line) = A::messages().iter().position(|entry| entry.id == message) else { return false };
        let entry = &A::messages()[line];
        let mut taken = true;
        let lives = self.with_life(
            envelope,
            |addr, inbox, envelope| {
                let Some(serving) = A::serving() else {
                    taken = (entry.deliver_local)(addr, envelope);
                    return;
                };
                match (entry.unwrap)(envelope) {
                    Some(whole) => {
                        if let Some(arrived) = inbox.push_whole(line, whole) {
                            (serving.announce)(addr, arrived);
                        }
                    }
                    None => taken = false,
                }
            },
            |envelope| (entry.hold_local)(envelope),
        );
        lives && taken
    }

    fn life(&self) -> Option<Arc<Ends>> {
        if let Life::Alive(addr, _, ends) = &*self.read()
            && addr.connected()
        {
            return Some(Arc::clone(ends));
        }
        let mut life = self.write();
        let mut left = None;
        if let Life::Alive(addr, ..) = &*life
            && !addr.connected()
        {
            let next = if self.supervised { Life::between(Vec::new()) } else { Life::Gone };
            left = Some(std::mem::replace(&mut *life, next));
        }
        let found = match &*life {
            Life::Alive(_, _, ends) | Life::Between(_, ends) => Some(Arc::clone(ends)),
            Life::Gone => None,
        };
        drop(life);
        left.into_iter().for_each(Self::left);
        found
    }

    fn life_after(&self, over: &Arc<Ends>) -> Option<Arc<Ends>> {
        let mut life = self.write();
        let mut before = None;
        if let Life::Alive(_, _, ends) = &*life
            && Arc::ptr_eq(ends, over)
        {
            let next = if self.supervised { Life::between(Vec::new()) } else { Life::Gone };
            before = Some(std::mem::replace(&mut *life, next));
        }
        let next = match &*life {
            Life::Alive(_, _, ends) | Life::Between(_, ends) => Some(Arc::clone(ends)),
            Life::Gone => None,
        };
        drop(life);
        before.into_iter().for_each(Self::left);
        next
    }

    fn attend(&self) {
        let claimed = match (&*self.read(), A::serving()) {
            (Life::Alive(addr, _, ends), Some(serving)) if ends.claim() => {
                Some((addr.clone(), serving, Arc::clone(ends)))
            }
            _ => None,
        };
        // Where the mailbox is closed the message is dropped at once, which tells.
        if let Some((addr, serving, ends)) = claimed {
            (serving.attend)(&addr, Attend::new(ends));
        }
    }

    fn can_be_ended(&self) -> bool {
        A::serving().is_some()
    }

    fn traps_exits(&self) -> bool {
        super::link::traps_exits::<A>()
    }

    fn linked_ended(&self, life: &Arc<Ends>, with: ActorId, reason: &EndReason, behind: Behind) {
        super::link::ended::<A>(self, life, with, reason, behind);
    }

    fn serves_to_the_end(&self) -> bool {
        A::TYPE_NAME == super::desk::CLERK
    }

    fn keeps_order(&self) -> bool {
        A::serving().is_some()
    }

    fn is_alive(&self) -> bool {
        match &*self.read() {
            Life::Between(..) => true,
            Life::Alive(addr, ..) => self.supervised || addr.connected(),
            Life::Gone => false,
        }
    }
}

/// Into the inbox, and a notice of it into the mailbox; or, where there is no inbox, into the mailbox.
fn put<A: ProcActor>(
    addr: &Addr<A>,
    inbox: &Arc<Inbox>,
    (line, entry): (usize, &MessageEntry<A>),
    body: Encoded<'_>,
    ticket: Ticket,
) -> Result<(), Refused> {
    let Some(serving) = A::serving() else { return (entry.deliver)(addr, body, ticket) };
    let arrived = match body.bytes.len() <= SMALL_BYTES && body.descriptors.is_empty() {
        true => inbox.push_small(line, &mut std::iter::once((body, ticket))),
        false => inbox.push_whole(line, (entry.open)(body, ticket)?),
    };
    if let Some(arrived) = arrived {
        // The mailbox is as long as the windows that were granted, so its own limit is passed by.
        (serving.announce)(addr, arrived);
    }
    Ok(())
}

impl<A: Actor> std::fmt::Debug for ActorExport<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ActorExport").field("supervised", &self.supervised).finish_non_exhaustive()
    }
}
