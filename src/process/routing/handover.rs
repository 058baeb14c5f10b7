//! Order over a hand-over: what A sent to C arrives before what B sends to C after A told B of it (A-2).
//!
//! The two go through different pipes, so nothing but this keeps them in order. An address that A writes into a message
//! bears a mark if A has a way to C by which something may still be under way. Where B reads such an address, what B
//! sends to C from then on waits, while B asks A, and A asks C behind everything that it had sent:
//!
//! ```text
//!  A                          B                          C
//!  |-- m1 ------------------------------------------------>|  (waits for credit, say)
//!  |-- "here is C", marked -->| reads it: holds its way to C
//!  |<-- Settle(C) ------------|-- m2 waits
//!  |-- Arrived? -------------------------------------------> behind m1
//!  |<------------------------------------------------ yes  |
//!  |-- settled -------------->| releases
//!  |                          |-- m2 --------------------->|
//! ```
//!
//! Nothing of this is on the way of a message whose sender was not just given its address, and no third actor waits. A
//! hold ends with A's answer, with the connection to A, or with [`HANDOVER_WAIT`]. If A itself held its way to C when
//! it wrote the address, since it was given C a moment before, its question stands behind that, and before what it held
//! later: so order holds over any number of hands, and no two wait for one another. What is held, and who is answered
//! when, is decided in `protocol/handover.rs`.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::ends::Ends;
use super::gate::Gate;
use super::peer::{Outcome, Peer, Waiter};
use super::registry::{Export, Exported, Refused};
use super::router::Router;
use super::ticket::Ticket;
use super::watching::Behind;
use crate::codec::Encoded;
use crate::id::{ActorId, Capability, ProcessId, Slot};
use crate::protocol::connection::{Mode, Submit, Waiting};
use crate::protocol::handover::{self, HoldId, Over, Whom};
use crate::protocol::watching::EndReason;
use crate::protocol::wire::{Cause, Failure, MessageId};

/// How long what B sends may wait for what A has sent. A process that never answers must not hold others up for ever;
/// past this, order is not kept, and that is logged.
pub const HANDOVER_WAIT: Duration = Duration::from_secs(10);

thread_local! {
    /// Whose message is being read.
    static SENDER: Cell<Option<ProcessId>> = const { Cell::new(None) };
}

/// Reads what this process has sent, or, with none, this one itself.
pub fn reading<R>(sender: impl Into<Option<ProcessId>>, read: impl FnOnce() -> R) -> R {
    struct Restore(Option<ProcessId>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SENDER.set(self.0);
        }
    }
    let _restore = Restore(SENDER.replace(sender.into()));
    read()
}

/// Whose message is being read, if any is.
pub fn sender() -> Option<ProcessId> {
    SENDER.get()
}

/// Ways to actors by which something may be under way, and those that are held.
#[derive(Default)]
pub(super) struct Handovers(Mutex<handover::Handovers<Place, Ticket>>);

impl Handovers {
    fn lock(&self) -> MutexGuard<'_, handover::Handovers<Place, Ticket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A channel was opened, and bears what is held. Its peer lets nobody send on it meanwhile.
    pub(super) fn opened(&self, whom: Whom, peer: &Arc<Peer>, channel: u32) {
        let holds = self.lock().opened(whom);
        holds.into_iter().for_each(|hold| self.put_on(hold, peer, channel));
    }

    /// A channel leads there no more.
    pub(super) fn closed(&self, whom: Whom) {
        self.lock().closed(whom);
    }

    /// Puts a hold on a channel.
    pub(super) fn put_on(&self, hold: HoldId, peer: &Arc<Peer>, channel: u32) {
        let key = peer.with(|connection| connection.hold(channel));
        self.put(hold, Place::Channel(Arc::downgrade(peer), channel, key));
    }

    fn put(&self, hold: HoldId, place: Place) {
        let is_over = self.lock().put(hold, place);
        if let Err(place) = is_over {
            place.release();
        }
    }

    /// The first hold on this channel that a stamp does not count.
    fn channel_after(&self, whom: Whom, stamp: u32, peer: &Arc<Peer>, channel: u32) -> Option<u64> {
        let handovers = self.lock();
        handovers.places_after(whom, stamp).find_map(|place| match place {
            Place::Channel(at, number, key) if *number == channel && at.as_ptr() == Arc::as_ptr(peer) => {
                Some(*key)
            }
            _ => None,
        })
    }

    /// The first hold at a gate of this process that a stamp does not count.
    fn gate_after(&self, whom: Whom, stamp: u32) -> Option<u64> {
        let handovers = self.lock();
        handovers.places_after(whom, stamp).find_map(|place| match place {
            Place::Gate(_, ticket) => Some(*ticket),
            Place::Channel(..) => None,
        })
    }

    /// Answers once nothing is held there that the stamp counts.
    fn answer_after(&self, whom: Whom, stamp: u32, ticket: Ticket) {
        let nothing_is_held = self.lock().ask(whom, stamp, ticket);
        if let Err(ticket) = nothing_is_held {
            answer(ticket);
        }
    }

    fn end(&self, hold: HoldId) {
        let Over { places, asking } = self.lock().end(hold);
        places.into_iter().for_each(Place::release);
        asking.into_iter().for_each(answer);
    }
}

/// Where a hold keeps what is sent.
pub(super) enum Place {
    Channel(Weak<Peer>, u32, u64),
    Gate(Arc<Gate>, u64),
}

impl Place {
    fn release(self) {
        match self {
            Place::Channel(peer, channel, key) => {
                if let Some(peer) = peer.upgrade() {
                    peer.with(|connection| connection.release_hold(channel, key));
                }
            }
            Place::Gate(gate, ticket) => gate.release_hold(ticket),
        }
    }
}

/// Any outcome is an answer, and this costs no body.
fn answer(ticket: Ticket) {
    ticket.fail(&Failure::not_executed(Cause::Early));
}

/// B waits for the answer of A.
struct Asked {
    router: Weak<Router>,
    giver: Weak<Peer>,
    began: Instant,
    whom: Whom,
    hold: HoldId,
}

impl Outcome for Asked {
    fn reply(&self, _: Encoded<'_>) {
        self.over();
    }

    fn sent(&self) {}

    fn fail(&self, failure: Failure) {
        if failure.cause == Cause::TimedOut
            && let Some(giver) = self.giver.upgrade()
        {
            say_unordered(
                &giver,
                self.whom,
                "it did not say in time that what it had sent there has arrived",
            );
        }
        self.over();
    }
}

/// Said of one giver now and then, however often it is so.
fn say_unordered(giver: &Peer, whom: Whom, why: &str) {
    if giver.patience().is_worth_saying(Instant::now()) {
        let (giver, process, slot) = (giver.name(), whom.0, whom.1.0);
        tracing::warn!(target: "procession", %giver, %process, slot, why, "order is not kept over a hand-over");
    }
}

impl Asked {
    fn over(&self) {
        if let Some(giver) = self.giver.upgrade() {
            giver.patience().end(self.began, Instant::now());
        }
        if let Some(router) = self.router.upgrade() {
            router.handovers().end(self.hold);
        }
    }
}

/// A waits for the answer of C.
struct Settling(Mutex<Option<Ticket>>);

impl Settling {
    fn over(&self) {
        let ticket = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ticket) = ticket {
            answer(ticket);
        }
    }
}

impl Outcome for Settling {
    fn reply(&self, _: Encoded<'_>) {
        self.over();
    }

    fn sent(&self) {}

    fn fail(&self, _: Failure) {
        self.over();
    }
}

fn ms(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)
}

/// How often the channel to what a process does for others may be closed just when it is needed.
const TRIES: usize = 3;

impl Peer {
    /// Asks the peer itself, not one of its actors.
    fn ask_service<M: serde::Serialize>(
        self: &Arc<Peer>,
        message: u32,
        body: &M,
        timeout_ms: u32,
        waiting: impl Fn() -> Waiting<Waiter>,
    ) -> Result<(), Cause> {
        let service = Capability::unsealed(ActorId::declared(self.process, Slot::SERVICE));
        for _ in 0..TRIES {
            let (channel, uses, right) = self.channel(&service)?;
            let submit = Submit { channel, message, mode: Mode::Call, timeout_ms, right };
            let put = self.with(|connection| {
                let is_it = connection.uses_of(channel) == uses;
                is_it.then(|| connection.submit(submit, body, &waiting))
            });
            if let Some(put) = put {
                return put.map(drop);
            }
        }
        Err(Cause::ShuttingDown)
    }
}

impl Router {
    /// Whether something that this process sent to an actor may not have arrived: the mark of an address, with its stamp.
    pub fn may_be_under_way(&self, target: &Capability) -> Option<u32> {
        let whom = (target.process(), target.slot());
        // What is held is owed, too, by whoever sends there because of this address: also to an actor that lives here.
        let stamp = self.handovers().lock().stamp(whom);
        let is_busy = || self.registry().find(whom.1).is_some_and(|exported| !exported.gate.is_idle());
        stamp.or_else(|| (self.is_local(whom.0) && is_busy()).then_some(0))
    }

    /// The address of an actor was read in a message of `from`, which may have sent it what has not arrived: nothing that
    /// is sent there from now on overtakes that.
    pub fn hold(self: &Arc<Router>, target: &Capability, from: ProcessId, stamp: u32) {
        let whom = (target.process(), target.slot());
        let Some(giver) = self.current_peer(from).filter(|_| !self.is_local(from)) else { return };
        if !self.may_be_held(target) {
            return;
        }
        let began = Instant::now();
        let patience = giver.patience().begin(began);
        let Some(patience) = patience else {
            return say_unordered(&giver, whom, "too many that it gave are not settled");
        };
        let hold = self.handovers().lock().begin(whom);
        let Some(hold) = hold else {
            giver.patience().end(began, began);
            return say_unordered(&giver, whom, "too many hand-overs are not settled");
        };
        if self.is_local(whom.0) {
            if let Some(exported) = self.registry().find(whom.1) {
                let place = Place::Gate(Arc::clone(&exported.gate), exported.gate.hold());
                self.handovers().put(hold, place);
            }
        } else if let Some(peer) = self.current_peer(whom.0) {
            peer.hold_way(whom.1, |peer, channel| self.handovers().put_on(hold, peer, channel));
        }
        let (router, asking) = (Arc::downgrade(self), Arc::downgrade(&giver));
        let asked = Arc::new(Asked { router, giver: asking, began, whom, hold });
        let message = MessageId::SETTLE.0;
        let waiting = || {
            let tag = Waiter::Outcome(Arc::clone(&asked) as Arc<dyn Outcome>);
            Waiting { tag, deadline: Some(began + patience) }
        };
        match giver.ask_service(message, &(whom, stamp), ms(patience), waiting) {
            Ok(()) => giver.rouse(),
            Err(_) => asked.over(),
        }
    }

    /// Whether an address that somebody gave may stop what this process sends there for a while: that of an actor here only
    /// if it was given to him, and what processes ask of one another never.
    fn may_be_held(&self, target: &Capability) -> bool {
        if target.slot() == Slot::SERVICE {
            return false;
        }
        let is_full = |exported: Exported| exported.is_full(target);
        let is_good = || !matches!(self.rights().seals_of(target), Err(Cause::NoRight(_)));
        !self.is_local(target.process())
            || self.registry().find(target.slot()).is_some_and(is_full)
            || is_good()
    }

    /// A process to which this one gave an address wants to hear when what was sent there has arrived.
    fn settle(&self, whom: Whom, stamp: u32, ticket: Ticket) {
        if self.is_local(whom.0) {
            return match self.registry().find(whom.1) {
                Some(exported) => {
                    let later = self.handovers().gate_after(whom, stamp);
                    exported.gate.wait_ahead(later, move |pass| {
                        drop(pass);
                        answer(ticket);
                    });
                }
                None => answer(ticket),
            };
        }
        let way = self.current_peer(whom.0).and_then(|peer| {
            let (channel, _) = peer.known_channel(ActorId::declared(whom.0, whom.1))?;
            Some((peer, channel))
        });
        let Some((peer, channel)) = way else { return self.handovers().answer_after(whom, stamp, ticket) };
        let settling = Arc::new(Settling(Mutex::new(Some(ticket))));
        let waiter: Arc<dyn Outcome> = Arc::clone(&settling) as Arc<dyn Outcome>;
        let message = MessageId::ARRIVED.0;
        let submit = Submit { channel, message, mode: Mode::Call, timeout_ms: ms(HANDOVER_WAIT), right: 0 };
        let deadline = Some(Instant::now() + HANDOVER_WAIT);
        let later = self.handovers().channel_after(whom, stamp, &peer, channel);
        let put = peer.with(|connection| {
            let waiting = || Waiting { tag: Waiter::Outcome(waiter), deadline };
            connection.submit_ahead(later, submit, &(), waiting)
        });
        match put {
            Ok(_) => peer.rouse(),
            Err(_) => settling.over(),
        }
    }
}

/// What a process does for others without an actor, at [`Slot::SERVICE`]: whoever it is connected with may ask.
pub(super) struct Service(pub(super) Weak<Router>);

impl Export for Service {
    fn type_name(&self) -> &'static str {
        "procession::Service"
    }

    fn deliver(&self, message: MessageId, body: Encoded<'_>, ticket: Ticket) -> Result<(), Refused> {
        if message != MessageId::SETTLE {
            return Err(Refused::NotAccepted(ticket));
        }
        match (body.decode::<(Whom, u32)>(), self.0.upgrade()) {
            (Ok((whom, stamp)), Some(router)) => router.settle(whom, stamp, ticket),
            (Ok(_), None) => answer(ticket),
            (Err(error), _) => return Err(Refused::Decode(ticket, error)),
        }
        Ok(())
    }

    fn deliver_local(&self, _: MessageId, _: &mut dyn std::any::Any) -> bool {
        false
    }

    fn deliver_behind(&self, _: MessageId, _: &mut dyn std::any::Any) -> bool {
        false
    }

    fn is_alive(&self) -> bool {
        true
    }

    fn life_after(&self, _: &Arc<super::ends::Ends>) -> Option<Arc<super::ends::Ends>> {
        None
    }

    fn life(&self) -> Option<Arc<super::ends::Ends>> {
        None
    }

    fn attend(&self) {}

    fn can_be_ended(&self) -> bool {
        false
    }

    fn traps_exits(&self) -> bool {
        false
    }

    fn linked_ended(&self, _: &Arc<Ends>, _: ActorId, _: &EndReason, _: Behind) {}

    fn keeps_order(&self) -> bool {
        true
    }

    fn serves_to_the_end(&self) -> bool {
        true
    }
}
