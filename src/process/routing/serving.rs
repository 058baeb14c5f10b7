//! What a channel of a peer leads to, and by which rights: the receiver's half of `protocol::connection::rights`.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::peer::Peer;
use super::registry::Exported;
use super::rights::{Right, is_for_good};
use super::router::Router;
use crate::id::{Capability, Slot};
use crate::protocol::control::ToRoot;
use crate::protocol::wire::{Cause, MessageId};

/// An actor of ours, for a peer.
pub(super) struct Serving {
    pub(super) exported: Exported,
    /// By which the channel was opened.
    first: Right,
    /// Those that were presented, from right 1.
    others: Vec<Right>,
}

impl Serving {
    fn right_mut(&mut self, right: u32) -> Option<&mut Right> {
        match right {
            0 => Some(&mut self.first),
            right => self.others.get_mut(right as usize - 1),
        }
    }

    fn rights_mut(&mut self) -> impl Iterator<Item = (u32, &mut Right)> {
        (0..).zip(std::iter::once(&mut self.first).chain(&mut self.others))
    }
}

/// A right that a peer presented, and what it must be told of it.
fn taken(checked: Result<Right, Cause>) -> (Right, Option<Cause>) {
    match checked {
        Ok(right) => (right, None),
        Err(cause) => (Right::Denied(Box::new(cause.clone())), Some(cause)),
    }
}

impl Peer {
    /// The peer wants a channel to an actor of ours. What was no right by which to open it need not be the only one that
    /// the peer has, so that the channel is granted all the same, if there is such an actor.
    pub(super) fn opened(&self, router: &Router, channel: u32, target: &Capability) {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that who revokes it finds it, or it finds that it was revoked.
        let checked = match target.slot() {
            Slot::SERVICE => Ok(Right::Full),
            _ => router.rights().check(target, self.process),
        };
        let found = router.registry().find(target.slot());
        let channels = served.len().max(channel as usize + 1);
        served.resize_with(channels, || None);
        let Some(exported) = found else {
            served[channel as usize] = None;
            let cause = checked.err().unwrap_or(Cause::NoActor(target.id()));
            return self.with(|connection| connection.refuse(channel, &cause));
        };
        let (first, denied) = taken(checked);
        served[channel as usize] = Some(Serving { exported, first, others: Vec::new() });
        self.with(|connection| {
            connection.grant(channel);
            if let Some(cause) = denied {
                connection.deny(channel, 0, &cause);
            }
        });
    }

    /// The peer shows another address of the same actor.
    pub(super) fn presented(&self, router: &Router, channel: u32, right: u32, shown: &Capability) {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was refused has none.
        let Some(serving) = served.get_mut(channel as usize).and_then(Option::as_mut) else { return };
        let checked = match shown.slot() == serving.exported.slot {
            true => router.rights().check(shown, self.process),
            // It may be good, but not here.
            false => Err(Cause::NoRight(shown.id())),
        };
        let (made, denied) = taken(checked);
        serving.others.push(made);
        if let Some(cause) = denied {
            self.with(|connection| connection.deny(channel, right, &cause));
        }
    }

    /// Whom the messages of this way are for, if the right by which they come is good for each of them.
    pub(super) fn serves_fully(&self, (channel, right): (u32, u32)) -> Option<Exported> {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let serving = served.get_mut(channel as usize)?.as_mut()?;
        matches!(serving.right_mut(right)?, Right::Full).then(|| serving.exported.clone())
    }

    /// Whom a message is for, if the right by which it comes is good for it.
    ///
    /// # Errors
    /// Nobody is there, or it is not: then the peer is told, and blamed for what it should have known.
    pub(super) fn admitted(
        &self,
        router: &Router,
        (channel, right): (u32, u32),
        message: MessageId,
    ) -> Result<Exported, Option<Cause>> {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let serving = served.get_mut(channel as usize).and_then(Option::as_mut).ok_or(None)?;
        let exported = serving.exported.clone();
        let found = serving.right_mut(right).ok_or(None)?;
        let Err(cause) = found.admit(message) else { return Ok(exported) };
        let is_news = is_for_good(&cause) && !matches!(found, Right::Denied(_));
        if is_news {
            *found = Right::Denied(Box::new(cause.clone()));
        }
        drop(served);
        if is_news {
            self.with(|connection| connection.deny(channel, right, &cause));
        }
        if matches!(cause, Cause::NotGranted { .. }) && !self.is_blamed.swap(true, Ordering::AcqRel) {
            router.blame_for(self, cause.to_string());
        }
        Err(Some(cause))
    }

    /// Denies the peer what comes from this address.
    fn revoke(&self, capability: &Capability) {
        let cause = Cause::Revoked(capability.id());
        let mut denied = Vec::new();
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        for (channel, serving) in (0..).zip(served.iter_mut()) {
            let Some(serving) = serving.as_mut().filter(|one| one.exported.slot == capability.slot()) else {
                continue;
            };
            let full = serving.exported.full().seal();
            for (right, made) in serving.rights_mut() {
                if made.comes_from(full, capability.seal()) {
                    *made = Right::Denied(Box::new(cause.clone()));
                    denied.push((channel, right));
                }
            }
        }
        // Under the lock: the number of a channel that is closed meanwhile may be that of another by then.
        self.with(|connection| {
            denied.iter().for_each(|(channel, right)| connection.deny(*channel, *right, &cause))
        });
        drop(served);
    }
}

impl Router {
    /// Takes an address of an actor here back, and with it every other that was made from it.
    ///
    /// # Errors
    /// It is of another process, or none, or as many were revoked as may be.
    pub fn revoke(self: &Arc<Router>, capability: &Capability) -> Result<(), Cause> {
        if !self.is_local(capability.process()) {
            return Err(Cause::NotOwner(capability.id()));
        }
        // What it is good for does not matter, so that one that is counted needs no place among those that were used.
        match self.rights().seals_of(capability) {
            Err(Cause::Revoked(_)) => return Ok(()),
            Err(cause) => return Err(cause),
            Ok(_) => {}
        }
        if capability.life().is_some_and(|life| life != self.rights().incarnation()) {
            return Err(Cause::Stale { process: capability.process() });
        }
        if !self.rights().revoke(capability.seal())? {
            return Ok(());
        }
        if let Some(exported) = self.registry().find(capability.slot()) {
            exported.set_revoked();
        }
        for peer in self.peers() {
            peer.revoke(capability);
        }
        let (seal, is_of_this_life) = (capability.seal(), capability.life().is_some());
        self.say(ToRoot::Revoke { seal, is_of_this_life });
        Ok(())
    }
}
