//! From the frames of a peer into the mailboxes of actors.
//!
//! Messages that came by one way, one right behind the other, are a *run*: what leads to their actor is looked up once, and
//! they are put down together. Each of those that somebody waits for is still judged, counted and answered for itself; those
//! that nobody waits for are one thing until they are handled ([`Casts`]).

use std::sync::Arc;
use std::vec;

use super::casts::Casts;
use super::lane::PeerLane;
use super::peer::Waiter;
use super::registry::{Exported, Refused};
use super::ticket::{Ticket, Tickets};
use crate::codec::{self, DecodeError, Encoded};
use crate::id::{ActorId, Incarnation, Slot};
use crate::protocol::connection::{Delivery, Event};
use crate::protocol::frame::{Run, SMALL_BYTES};
use crate::protocol::json::JsonCall;
use crate::protocol::series::{Numbering, SeriesId};
use crate::protocol::wire::{Cause, Failure, MessageId};

/// Whether nothing is to be known of a message but what its frame says: it can be part of a run.
fn is_plain(delivery: &Delivery<'_>) -> bool {
    delivery.beside.is_none()
        && delivery.body.descriptors.is_empty()
        && delivery.body.bytes.len() <= SMALL_BYTES
        && !means_else(delivery.message)
}

/// Whether the identity of a message says something about it, and not which of its actor's it is.
fn means_else(message: u32) -> bool {
    matches!(MessageId(message), MessageId::ARRIVED | MessageId::JSON)
}

/// Whether a message may be in the run that this one begins.
fn is_like(first: &Delivery<'_>, event: &Event<'_, Waiter>) -> bool {
    let way = |delivery: &Delivery<'_>| (delivery.channel, delivery.right, delivery.message);
    matches!(event, Event::Deliver(next) if way(next) == way(first) && is_plain(next))
}

impl PeerLane<'_> {
    /// A message, and those of the events behind it that are a run with it.
    pub(super) fn deliver_run<'a>(&self, first: Delivery<'a>, events: &mut vec::IntoIter<Event<'a, Waiter>>) {
        let more = match is_plain(&first) {
            true => events.as_slice().iter().take_while(|event| is_like(&first, event)).count(),
            false => 0,
        };
        let way = (first.channel, first.right);
        let exported = match more > 0 && !self.router.is_stopping() {
            true => self.peer.serves_fully(way),
            false => None,
        };
        let Some(exported) = exported else { return self.deliver(first) };
        let message = MessageId(first.message);
        let behind = events.take(more).filter_map(|event| match event {
            Event::Deliver(next) => Some(next),
            _ => None,
        });
        let mut tickets = Tickets::reserve(self.peer, 1 + more);
        let mut bodies = std::iter::once(first).chain(behind);
        // One at a time, since the ticket of one that nobody takes answers.
        let mut run = std::iter::from_fn(|| {
            let Delivery { channel, body, weight, correlation, deadline, .. } = bodies.next()?;
            Some((body, tickets.ticket(channel, weight, correlation, deadline, exported.slot)))
        });
        exported.actor.deliver_run(message, &mut run, &mut |refused| self.refused(&exported, refused));
    }

    /// Casts of one way, right behind one another.
    pub(super) fn deliver_casts(&self, run: Run<'_>) {
        let (channel, message) = (run.header.channel, run.header.message);
        let exported = match means_else(message) || self.router.is_stopping() {
            true => None,
            false => self.peer.serves_fully((channel, 0)),
        };
        let Some(exported) = exported else {
            return run.deliveries().for_each(|delivery| self.deliver(delivery));
        };
        let casts = Casts::new(self.peer, channel, exported.slot, run.count, run.body_bytes());
        let Err(mut casts) = exported.actor.deliver_casts(&run, casts) else { return };
        for body in run.bodies() {
            let ticket = casts.alone(body.len());
            if let Err(refused) = exported.actor.deliver(MessageId(message), body.into(), ticket) {
                self.refused(&exported, refused);
            }
        }
    }

    /// One message.
    pub(super) fn deliver(&self, delivery: Delivery<'_>) {
        let Delivery { channel, message, body, weight, correlation, deadline, right, beside } = delivery;
        let mut ticket = Ticket::new(Arc::clone(self.peer), channel, weight, correlation, deadline);
        let (numbering, trace) = beside.map_or((None, None), |beside| (beside.numbering, beside.trace));
        if let Some(trace) = trace {
            ticket.set_trace(trace);
        }
        let ticket = match numbering {
            None => Some(ticket),
            Some(numbering) => self.number(channel, &numbering, ticket),
        };
        if let Some(ticket) = ticket {
            self.hand_in((channel, right), MessageId(message), body, ticket);
        }
    }

    /// Gives a message its place in its series, unless it has killed its actor as often as it may (H47).
    fn number(&self, channel: u32, numbering: &Numbering, ticket: Ticket) -> Option<Ticket> {
        let Some(exported) = self.peer.served_on(channel) else { return Some(ticket) };
        if numbering.deaths >= exported.attempts() {
            ticket.fail(&Failure::failed(Cause::Poison { deaths: numbering.deaths }));
            return None;
        }
        let id = SeriesId {
            process: self.peer.process,
            incarnation: self.peer.incarnation().unwrap_or(Incarnation::FIRST),
            series: numbering.series,
        };
        let in_order = exported.actor.keeps_order();
        Some(ticket.numbered(exported.takings.numbered(id, *numbering, in_order)))
    }

    /// Which message one is that goes as JSON: the right by which it comes is for that.
    #[cold]
    fn meant(&self, channel: u32, body: &Encoded<'_>) -> MessageId {
        match (self.peer.served_on(channel), codec::decode::<JsonCall>(&body.bytes)) {
            (Some(exported), Ok(call)) => MessageId::of(exported.actor.type_name(), &call.message),
            _ => MessageId::JSON,
        }
    }

    fn hand_in(&self, way: (u32, u32), message: MessageId, body: Encoded<'_>, mut ticket: Ticket) {
        if message == MessageId::ARRIVED {
            // So has everything before it, and any outcome says so.
            return ticket.fail(&Failure::not_executed(Cause::Early));
        }
        let to_the_end =
            || self.peer.served_on(way.0).is_some_and(|exported| exported.actor.serves_to_the_end());
        if self.router.is_stopping() && !to_the_end() {
            return ticket.fail(&Failure::not_executed(Cause::Stopping(self.router.identity().name.clone())));
        }
        let meant = if message == MessageId::JSON { self.meant(way.0, &body) } else { message };
        let exported = match self.peer.admitted(self.router, way, meant) {
            Ok(exported) => exported,
            Err(cause) => {
                let nobody = ActorId::declared(self.router.identity().process, Slot(0));
                let cause = cause.unwrap_or(Cause::NoActor(nobody));
                return ticket.fail(&Failure::not_executed(cause));
            }
        };
        ticket.set_slot(exported.slot);
        if let Err(refused) = exported.actor.deliver(message, body, ticket) {
            self.refused(&exported, refused);
        }
    }

    #[cold]
    fn refused(&self, exported: &Exported, refused: Refused) {
        match refused {
            Refused::NotAccepted(ticket) => {
                let actor = exported.actor.type_name().to_owned();
                ticket.fail(&Failure::not_executed(Cause::NotAccepted { actor }));
            }
            Refused::Decode(ticket, error) => {
                if exported.actor.serves_to_the_end() {
                    // The runtime's own, whose messages no user's type is part of.
                    self.router.accuse(self.peer.process, format!("it sent the desk nonsense: {error}"));
                }
                ticket.fail(&undecoded(&error));
            }
        }
    }
}

fn undecoded(error: &DecodeError) -> Failure {
    Failure::not_executed(Cause::Decode(error.to_string()))
}
