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
//! hold ends with A's answer, with the connection to A, or with [`HANDOVER_WAIT`]. If A itself holds its way to C, since
//! it was given C a moment ago, its question stands behind that: so order holds over any number of hands.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::ends::Ends;
use super::gate::Gate;
use super::peer::{Outcome, Peer, Waiter};
use super::registry::{Export, Refused};
use super::router::Router;
use super::ticket::Ticket;
use super::watching::Behind;
use crate::codec::Encoded;
use crate::id::{ActorId, Capability, ProcessId, Slot};
use crate::protocol::connection::{Mode, Submit, Waiting};
use crate::protocol::watching::EndReason;
use crate::protocol::wire::{Cause, Failure, MessageId};

/// How long what B sends may wait for what A has sent. A process that never answers must not hold others up for ever;
/// past this, order is not kept, and that is logged.
pub const HANDOVER_WAIT: Duration = Duration::from_secs(10);

/// Hand-overs that one process may wait for at a time; for more of them order is not kept.
const MAX_HOLDS: usize = 4096;

thread_local! {
    /// Whose message is being read.
    static SENDER: Cell<Option<ProcessId>> = const { Cell::new(None) };
}

/// Reads a message of this process.
pub fn reading<R>(sender: ProcessId, read: impl FnOnce() -> R) -> R {
    struct Restore(Option<ProcessId>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SENDER.set(self.0);
        }
    }
    let _restore = Restore(SENDER.replace(Some(sender)));
    read()
}

/// Whose message is being read, if any is.
pub fn sender() -> Option<ProcessId> {
    SENDER.get()
}

type Whom = (ProcessId, Slot);

/// Ways to actors by which something may be under way, and those that are held.
#[derive(Default)]
pub(super) struct Handovers(Mutex<State>);

#[derive(Default)]
struct State {
    /// How many channels lead there.
    ways: FxHashMap<Whom, u32>,
    holds: FxHashMap<Whom, Vec<Arc<Hold>>>,
    held: usize,
}

impl Handovers {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A channel was opened. Gives the holds that it must bear.
    pub(super) fn opened(&self, whom: Whom) -> Vec<Arc<Hold>> {
        let mut state = self.lock();
        *state.ways.entry(whom).or_default() += 1;
        state.holds.get(&whom).cloned().unwrap_or_default()
    }

    /// A channel leads there no more.
    pub(super) fn closed(&self, whom: Whom) {
        let mut state = self.lock();
        if let Some(ways) = state.ways.get_mut(&whom) {
            *ways -= 1;
            if *ways == 0 {
                state.ways.remove(&whom);
            }
        }
    }
}

/// One hand-over that is not settled.
#[derive(Default)]
pub(super) struct Hold(Mutex<Held>);

#[derive(Default)]
struct Held {
    is_over: bool,
    places: Vec<Place>,
    /// Who asks whether it is over.
    asking: Vec<Ticket>,
}

enum Place {
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

impl Hold {
    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, place: Place) {
        let mut held = self.lock();
        if held.is_over {
            drop(held);
            place.release();
        } else {
            held.places.push(place);
        }
    }

    /// Puts it on a channel.
    pub(super) fn put_on(&self, peer: &Arc<Peer>, channel: u32) {
        let key = peer.with(|connection| connection.hold(channel));
        self.put(Place::Channel(Arc::downgrade(peer), channel, key));
    }

    /// Answers once it is over.
    fn answer_after(&self, ticket: Ticket) {
        let mut held = self.lock();
        if held.is_over {
            drop(held);
            answer(ticket);
        } else {
            held.asking.push(ticket);
        }
    }

    fn release(&self) {
        let mut held = self.lock();
        held.is_over = true;
        let (places, asking) = (std::mem::take(&mut held.places), std::mem::take(&mut held.asking));
        drop(held);
        places.into_iter().for_each(Place::release);
        asking.into_iter().for_each(answer);
    }
}

/// Any outcome is an answer, and this costs no body.
fn answer(ticket: Ticket) {
    ticket.fail(&Failure::not_executed(Cause::Early));
}

/// B waits for the answer of A.
struct Asked {
    router: Weak<Router>,
    whom: Whom,
    hold: Arc<Hold>,
}

impl Outcome for Asked {
    fn reply(&self, _: Encoded<'_>) {
        self.over();
    }

    fn sent(&self) {}

    fn fail(&self, failure: Failure) {
        if failure.cause == Cause::TimedOut {
            let (process, slot) = (self.whom.0, self.whom.1.0);
            tracing::warn!(target: "procession", %process, slot, "whoever gave an address did not say in time that what it had sent there has arrived: order is not kept");
        }
        self.over();
    }
}

impl Asked {
    fn over(&self) {
        if let Some(router) = self.router.upgrade() {
            let mut state = router.handovers().lock();
            if let Some(holds) = state.holds.get_mut(&self.whom) {
                let before = holds.len();
                holds.retain(|hold| !Arc::ptr_eq(hold, &self.hold));
                let (gone, none_left) = (before - holds.len(), holds.is_empty());
                if none_left {
                    state.holds.remove(&self.whom);
                }
                state.held -= gone;
            }
        }
        self.hold.release();
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

fn timeout_ms() -> u32 {
    u32::try_from(HANDOVER_WAIT.as_millis()).unwrap_or(u32::MAX)
}

impl Router {
    /// Whether something that this process sent to an actor may not have arrived: for the mark of an address.
    pub fn may_be_under_way(&self, target: &Capability) -> bool {
        let whom = (target.process(), target.slot());
        if self.is_local(whom.0) {
            return self.registry().find(whom.1).is_some_and(|exported| !exported.gate.is_idle());
        }
        let state = self.handovers().lock();
        state.ways.contains_key(&whom) || state.holds.contains_key(&whom)
    }

    /// The address of an actor was read in a message of `from`, which may have sent it what has not arrived: nothing that
    /// is sent there from now on overtakes that.
    pub fn hold(self: &Arc<Router>, target: &Capability, from: ProcessId) {
        let whom = (target.process(), target.slot());
        let Some(giver) = self.current_peer(from).filter(|_| !self.is_local(from)) else { return };
        let hold = Arc::new(Hold::default());
        {
            let mut state = self.handovers().lock();
            if state.held >= MAX_HOLDS {
                return;
            }
            state.held += 1;
            state.holds.entry(whom).or_default().push(Arc::clone(&hold));
        }
        if self.is_local(whom.0) {
            if let Some(exported) = self.registry().find(whom.1) {
                hold.put(Place::Gate(Arc::clone(&exported.gate), exported.gate.hold()));
            }
        } else if let Some(peer) = self.current_peer(whom.0) {
            peer.hold_way(whom.1, &hold);
        }
        let asked = Arc::new(Asked { router: Arc::downgrade(self), whom, hold });
        let waiter = Arc::clone(&asked);
        let put = giver.channel(&Capability::unsealed(ActorId::declared(from, Slot::SERVICE)));
        let put = put.and_then(|(channel, _, right)| {
            let message = MessageId::SETTLE.0;
            let submit = Submit { channel, message, mode: Mode::Call, timeout_ms: timeout_ms(), right };
            let deadline = Some(Instant::now() + HANDOVER_WAIT);
            let waiting = || Waiting { tag: Waiter::Outcome(waiter), deadline };
            giver.with(|connection| connection.submit(submit, &whom, waiting))
        });
        match put {
            Ok(_) => giver.rouse(),
            Err(_) => asked.over(),
        }
    }

    /// A process to which this one gave an address wants to hear when what was sent there has arrived.
    fn settle(&self, whom: Whom, ticket: Ticket) {
        if self.is_local(whom.0) {
            return match self.registry().find(whom.1) {
                Some(exported) => drop(exported.gate.wait(move |pass| {
                    drop(pass);
                    answer(ticket);
                })),
                None => answer(ticket),
            };
        }
        let way = self.current_peer(whom.0).and_then(|peer| {
            let (channel, _) = peer.known_channel(ActorId::declared(whom.0, whom.1))?;
            Some((peer, channel))
        });
        let Some((peer, channel)) = way else {
            let held = self.handovers().lock().holds.get(&whom).and_then(|holds| holds.last().cloned());
            return match held {
                Some(hold) => hold.answer_after(ticket),
                None => answer(ticket),
            };
        };
        let settling = Arc::new(Settling(Mutex::new(Some(ticket))));
        let waiter: Arc<dyn Outcome> = Arc::clone(&settling) as Arc<dyn Outcome>;
        let message = MessageId::ARRIVED.0;
        let submit = Submit { channel, message, mode: Mode::Call, timeout_ms: timeout_ms(), right: 0 };
        let deadline = Some(Instant::now() + HANDOVER_WAIT);
        let put = peer.with(|connection| {
            connection.submit(submit, &(), || Waiting { tag: Waiter::Outcome(waiter), deadline })
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
        match (body.decode(), self.0.upgrade()) {
            (Ok(whom), Some(router)) => router.settle(whom, ticket),
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
