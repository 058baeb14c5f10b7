//! An actix actor as the connections see it.

use std::any::Any;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use actix::prelude::*;

use super::actor::ProcActor;
use crate::codec::Encoded;
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
    Alive(Addr<A>),
    Gone,
}

/// A message for the next life. Dropped, it answers that the actor stopped.
pub(super) type Held<A> = Box<dyn FnOnce(&Addr<A>) + Send + Sync>;

impl<A: ProcActor> ActorExport<A> {
    /// An export of a running actor, or, with `None`, of one that a supervisor is still to start.
    pub fn new(addr: Option<Addr<A>>) -> Arc<ActorExport<A>> {
        let supervised = addr.is_none();
        let life = addr.map_or_else(|| Life::Between(Vec::new()), Life::Alive);
        Arc::new(ActorExport { life: RwLock::new(life), supervised })
    }

    /// Replaces the actor by its next life, or by nothing.
    pub fn set(&self, addr: Option<Addr<A>>) {
        loop {
            // Delivered and dropped without the lock: both may lead to further deliveries here.
            let held = match (&mut *self.write(), &addr) {
                (Life::Between(held), Some(_)) if !held.is_empty() => std::mem::take(held),
                (life, Some(addr)) => {
                    *life = Life::Alive(addr.clone());
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
            Life::Alive(addr) => Some(addr.clone()),
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
        now: impl FnOnce(&Addr<A>, W),
        later: impl FnOnce(W) -> Option<Held<A>>,
    ) -> bool {
        if let Life::Alive(addr) = &*self.read()
            && (!self.supervised || addr.connected())
        {
            now(addr, what);
            return true;
        }
        let mut life = self.write();
        match &mut *life {
            // A new life began meanwhile.
            Life::Alive(addr) if addr.connected() => now(addr, what),
            Life::Between(held) => held.extend(later(what)),
            Life::Alive(_) if self.supervised => *life = Life::Between(later(what).into_iter().collect()),
            Life::Alive(_) | Life::Gone => return false,
        }
        true
    }
}

impl<A: ProcActor> Export for ActorExport<A> {
    fn type_name(&self) -> &'static str {
        A::TYPE_NAME
    }

    fn deliver(&self, message: MessageId, body: Encoded<'_>, ticket: Ticket) -> Result<(), Refused> {
        let Some(entry) = A::messages().iter().find(|entry| entry.id == message) else {
            return Err(Refused::NotAccepted(ticket));
        };
        let mut refused = Ok(());
        // A ticket that nobody takes is dropped, and says that the actor stopped.
        self.with_life(
            (body, ticket),
            |addr, (body, ticket)| refused = (entry.deliver)(addr, body, ticket),
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
            |addr, envelope| taken = (entry.deliver_local)(addr, envelope),
            |envelope| (entry.hold_local)(envelope),
        );
        lives && taken
    }

    fn is_alive(&self) -> bool {
        match &*self.read() {
            Life::Between(_) => true,
            Life::Alive(addr) => self.supervised || addr.connected(),
            Life::Gone => false,
        }
    }
}

impl<A: Actor> std::fmt::Debug for ActorExport<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ActorExport").field("supervised", &self.supervised).finish_non_exhaustive()
    }
}
