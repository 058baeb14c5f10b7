//! An actix actor as the connections see it.

use std::any::Any;
use std::sync::{Arc, PoisonError, RwLock};

use actix::prelude::*;

use super::actor::ProcActor;
use crate::process::routing::{Export, Refused, Ticket};
use crate::protocol::wire::{Cause, Failure, MessageId};

/// An exported actor: the address that its supervisor keeps up to date.
#[derive(Debug)]
pub struct ActorExport<A: Actor> {
    addr: RwLock<Option<Addr<A>>>,
}

impl<A: ProcActor> ActorExport<A> {
    /// An export of a running actor, or, with `None`, of one that is still to be started.
    pub fn new(addr: Option<Addr<A>>) -> Arc<ActorExport<A>> {
        Arc::new(ActorExport { addr: RwLock::new(addr) })
    }

    /// Replaces the actor by its next life, or by nothing.
    pub fn set(&self, addr: Option<Addr<A>>) {
        *self.addr.write().unwrap_or_else(PoisonError::into_inner) = addr;
    }

    /// The actor that lives now.
    pub fn addr(&self) -> Option<Addr<A>> {
        self.addr.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<A: ProcActor> Export for ActorExport<A> {
    fn type_name(&self) -> &'static str {
        A::TYPE_NAME
    }

    fn deliver(&self, message: MessageId, body: &[u8], ticket: Ticket) -> Result<(), Refused> {
        let Some(entry) = A::messages().iter().find(|entry| entry.id == message) else {
            return Err(Refused::NotAccepted(ticket));
        };
        // Out of the lock: a mailbox that drops the message runs code of others.
        match self.addr() {
            Some(addr) => (entry.deliver)(&addr, body, ticket),
            None => {
                ticket.fail(&Failure::not_executed(Cause::ActorStopped));
                Ok(())
            }
        }
    }

    fn deliver_local(&self, message: MessageId, envelope: &mut dyn Any) -> bool {
        let Some(entry) = A::messages().iter().find(|entry| entry.id == message) else { return false };
        match self.addr() {
            Some(addr) if addr.connected() => (entry.deliver_local)(&addr, envelope),
            _ => false,
        }
    }

    fn is_alive(&self) -> bool {
        self.addr.read().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(Addr::connected)
    }
}
