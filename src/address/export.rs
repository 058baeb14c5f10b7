//! An actix actor as the connections see it.

use std::any::Any;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use actix::prelude::*;

use super::actor::{MessageEntry, ProcActor};
use super::inbox::{Inbox, SMALL_BYTES};
use crate::codec::Encoded;
use crate::process::handling;
use crate::process::routing::{Export, Refused, Ticket};
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
    Between(Vec<Held<A>>),
    Alive(Addr<A>, Arc<Inbox>),
    Gone,
}

impl<A: Actor> Life<A> {
    fn of(addr: Addr<A>) -> Life<A> {
        Life::Alive(addr, Arc::default())
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
        let life = addr.map_or_else(|| Life::Between(Vec::new()), Life::of);
        Arc::new(ActorExport { life: RwLock::new(life), supervised })
    }

    /// Replaces the actor by its next life, or by nothing.
    pub fn set(&self, addr: Option<Addr<A>>) {
        loop {
            // Delivered and dropped without the lock: both may lead to further deliveries here.
            let held = match (&mut *self.write(), &addr) {
                (Life::Between(held), Some(_)) if !held.is_empty() => std::mem::take(held),
                (life, Some(addr)) => {
                    *life = Life::of(addr.clone());
                    return;
                }
                (life, None) => match std::mem::replace(life, Life::Gone) {
                    Life::Between(held) => held,
                    _ => return,
                },
            };
            if let Some(addr) = &addr {
                held.into_iter().for_each(|held| held(addr));
            }
        }
    }

    /// The actor that lives now.
    pub fn addr(&self) -> Option<Addr<A>> {
        match &*self.read() {
            Life::Alive(addr, _) => Some(addr.clone()),
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
        if let Life::Alive(addr, inbox) = &*self.read()
            && (!self.supervised || addr.connected())
        {
            now(addr, inbox, what);
            return true;
        }
        let mut life = self.write();
        match &mut *life {
            // A new life began meanwhile.
            Life::Alive(addr, inbox) if addr.connected() => now(addr, inbox, what),
            Life::Between(held) => held.extend(later(what)),
            Life::Alive(..) if self.supervised => *life = Life::Between(later(what).into_iter().collect()),
            Life::Alive(..) | Life::Gone => return false,
        }
        true
    }
}

impl<A: ProcActor> Export for ActorExport<A> {
    fn type_name(&self) -> &'static str {
        A::TYPE_NAME
    }

    fn deliver(&self, message: MessageId, body: Encoded<'_>, ticket: Ticket) -> Result<(), Refused> {
        let Some(line) = A::messages().iter().position(|entry| entry.id == message) else {
            return Err(Refused::NotAccepted(ticket));
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

    fn is_alive(&self) -> bool {
        match &*self.read() {
            Life::Between(_) => true,
            Life::Alive(addr, _) => self.supervised || addr.connected(),
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
        true => inbox.push_small(line, &body.bytes, ticket),
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
