//! At-least-once messages of this process: kept here until the actor has handled them (M-6).
//!
//! What is kept and when it is sent is decided by [`Keeping`]; here are the messages themselves, and the way to whatever
//! connection leads to their actor now. A connection that ends gives back what was under way on it, like any call, and
//! the next one is asked for: the router waits for the next life, or says that there will be none.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::dead_letters::{DeadLetter, MessageName};
use super::peer::{Outcome, Peer, Waiter};
use super::router::Router;
use crate::codec::descriptor::Carried;
use crate::codec::{self, EncodeError, Encoded, Packed};
use crate::id::{Capability, ProcessId, Slot};
use crate::protocol::series::{
    Culprit, Keeping, Numbering, Return, Room, Settled, Submitted, Wanted, culprit, judge,
};
use crate::protocol::traceparent::{TRACE_BYTES, TraceParent};
use crate::protocol::wire::{Cause, Failure, MessageId, Verdict};
use crate::trace;

/// Who waits for a message that is kept, and for what.
pub enum Keeper {
    /// For its reply.
    Reply(Arc<dyn Outcome>),
    /// For room.
    Room(Arc<dyn Outcome>),
    /// Nobody.
    Nobody,
}

/// A message that is kept.
struct Parcel {
    /// By which address it is sent: whose right it is, and whether it follows its actor into the next life.
    target: Capability,
    message: MessageId,
    name: MessageName,
    bytes: Vec<u8>,
    descriptors: Vec<Arc<OwnedFd>>,
    keeper: Keeper,
    trace: Option<TraceParent>,
}

/// What descriptors count in a window: see `protocol::connection::channel`.
const DESCRIPTOR_BYTES: u64 = 32 << 10;

/// What a numbering, and the number of a right, add to a body.
const NUMBERING_BYTES: u32 = {
    assert!(Numbering::LEN <= 64);
    #[allow(clippy::cast_possible_truncation)]
    {
        Numbering::LEN as u32 + 4
    }
};

/// A connection may end between being found and being used.
const TRIES: usize = 3;

/// The messages of this process to one actor that are delivered at least once, by whatever addresses: they have one order,
/// one window, and one number each by which a death is told from those who only waited (H47).
pub struct Series {
    process: ProcessId,
    slot: Slot,
    router: Weak<Router>,
    /// Locked before a peer and its connection. No code of users runs under it.
    keeping: Mutex<Keeping<Arc<Parcel>>>,
    /// When it looks again by itself, if it does.
    wakes_at: Mutex<Option<Instant>>,
}

/// Those of a process.
#[derive(Default)]
pub(super) struct AllSeries(Mutex<State>);

#[derive(Default)]
struct State {
    by_actor: FxHashMap<(ProcessId, Slot), Arc<Series>>,
    last: u32,
    /// The number at which those with nothing in them are looked for.
    sweep_at: usize,
}

/// Below this many it is not worth looking.
const SWEEP_FROM: usize = 64;

impl AllSeries {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<Series>> {
        self.lock().by_actor.values().cloned().collect()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.all().iter().all(|series| series.lock().is_empty())
    }

    /// This process ends: whatever is still kept is given up.
    pub(super) fn end(&self) {
        for series in self.all() {
            series.give_up(&Cause::ShuttingDown, |_| true);
            series.pump();
        }
    }
}

impl Router {
    /// The series to the actor of an address; another if there is none.
    pub fn series(self: &Arc<Router>, target: &Capability) -> Arc<Series> {
        let actor @ (process, slot) = (target.process(), target.slot());
        let mut state = self.all_series().lock();
        if let Some(series) = state.by_actor.get(&actor) {
            return Arc::clone(series);
        }
        if state.by_actor.len() >= state.sweep_at.max(SWEEP_FROM) {
            // Whoever is about to submit to one of these holds it, and no other can follow it meanwhile.
            state.by_actor.retain(|_, series| Arc::strong_count(series) > 1 || !series.lock().is_empty());
            state.sweep_at = state.by_actor.len() * 2;
        }
        state.last += 1;
        let limits = self.identity().limits;
        // What the consumer grants is learned from it; until then what this process grants.
        let room = Room { messages: limits.window_messages.into(), bytes: limits.window_bytes.into() };
        let series = Arc::new(Series {
            process,
            slot,
            router: Arc::downgrade(self),
            keeping: Mutex::new(Keeping::new(state.last, room)),
            wakes_at: Mutex::default(),
        });
        state.by_actor.insert(actor, Arc::clone(&series));
        series
    }
}

impl Series {
    fn lock(&self) -> MutexGuard<'_, Keeping<Arc<Parcel>>> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_wakes_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.wakes_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a message to `target`, an address of this actor, and sends it, or lets it wait for room: then there is a ticket
    /// to cancel it by.
    ///
    /// # Errors
    /// It is not kept, and nobody hears of it.
    pub fn submit<M: Serialize + ?Sized>(
        self: &Arc<Series>,
        target: &Capability,
        (message, name): (MessageId, MessageName),
        value: &M,
        keeper: Keeper,
        wanted: Wanted,
    ) -> Result<Option<u64>, Cause> {
        let Some(router) = self.router.upgrade() else { return Err(Cause::NoRuntime) };
        if router.may_close() {
            return Err(Cause::ShuttingDown);
        }
        let limits = router.identity().limits;
        let trace = trace::current();
        let spare = NUMBERING_BYTES + u32::try_from(TRACE_BYTES).unwrap_or(u32::MAX >> 1);
        let limit = limits.max_message_bytes.saturating_sub(spare);
        let mut bytes = Vec::new();
        let carried = codec::encode_to_keep(value, &mut bytes, limit as usize, limits.max_descriptors.into())
            .map_err(|error| match error {
                EncodeError::TooLarge { .. } => Cause::TooLarge { limit },
                EncodeError::Value(reason) => Cause::Encode(reason),
            })?;
        let mut descriptors = Vec::with_capacity(carried.len());
        for carried in carried {
            descriptors.push(carried.into_shared());
        }
        let trace_bytes = if trace.is_some() { TRACE_BYTES } else { 0 };
        let weight =
            (bytes.len() + trace_bytes + Numbering::LEN) as u64 + descriptors.len() as u64 * DESCRIPTOR_BYTES;
        let quiet = !matches!(keeper, Keeper::Reply(_));
        debug_assert_eq!(
            (target.process(), target.slot()),
            (self.process, self.slot),
            "another actor's series"
        );
        let parcel = Arc::new(Parcel { target: *target, message, name, bytes, descriptors, keeper, trace });
        let submitted = self.lock().submit(parcel, weight, quiet, wanted);
        let ticket = match submitted {
            Submitted::Full(_) => return Err(Cause::Full),
            Submitted::Kept => None,
            Submitted::Waits(ticket) => Some(ticket),
        };
        self.pump();
        Ok(ticket)
    }

    /// Takes back a message that waits for room. False if it waits no more: then it is delivered.
    pub fn cancel(self: &Arc<Series>, ticket: u64) -> bool {
        let cancelled = self.lock().cancel(ticket);
        self.pump();
        cancelled.is_some()
    }

    /// Sends what can be sent now, and tells those who waited for room that they have it.
    fn pump(self: &Arc<Series>) {
        let Some(router) = self.router.upgrade() else { return };
        loop {
            let mut keeping = self.lock();
            if let Some(admitted) = keeping.poll_admitted() {
                drop(keeping);
                if let Keeper::Room(waiting) = &admitted.keeper {
                    waiting.sent();
                }
                continue;
            }
            let Some((numbering, parcel)) = keeping.poll_send(Instant::now()) else {
                let resume_at = keeping.poll_timeout();
                drop(keeping);
                return self.wake_at(&router, resume_at);
            };
            // Sent under the lock, so that messages leave in the order of their numbers (K-2).
            let sent = self.send(&router, &numbering, &parcel);
            match sent {
                Ok(Some(room)) => keeping.set_room(room),
                Ok(None) => {}
                Err(cause) => {
                    drop(keeping);
                    let failure = Failure::not_executed(cause);
                    self.came_back(numbering.number, &parcel.target, &failure, Culprit::Other);
                }
            }
        }
    }

    /// Puts one message on its way. Gives the window of the consumer, where it is known.
    fn send(
        self: &Arc<Series>,
        router: &Arc<Router>,
        numbering: &Numbering,
        parcel: &Arc<Parcel>,
    ) -> Result<Option<Room>, Cause> {
        for _ in 0..TRIES {
            let super::Route { peer, channel, uses, right } = router.route(&parcel.target)?;
            let sent = peer.with(|connection| {
                if connection.uses_of(channel) != uses {
                    return Err((Cause::ShuttingDown, false));
                }
                let delivery = Arc::new(Delivered {
                    series: Arc::clone(self),
                    number: numbering.number,
                    parcel: Arc::clone(parcel),
                    peer: Arc::downgrade(&peer),
                });
                let descriptors = parcel.descriptors.iter().map(Carried::shared).collect();
                let body = Packed::copy_from(&parcel.bytes, descriptors);
                connection
                    .submit_numbered(
                        (channel, parcel.message.0, right),
                        (numbering, parcel.trace),
                        body,
                        Waiter::Outcome(delivery),
                    )
                    .map(|()| connection.window_of(channel))
                    .map_err(|cause| (cause, connection.is_over()))
            });
            match sent {
                Ok(window) => {
                    return Ok(window.map(|(messages, bytes)| Room { messages, bytes }));
                }
                Err((_, true)) => router.forget(&peer),
                Err((Cause::ShuttingDown, false)) => super::route::invalidate(),
                Err((why, false)) => return Err(why),
            }
        }
        // Its process ends faster than it is born: it is tried again a little later.
        Err(if router.may_close() { Cause::ShuttingDown } else { Cause::Early })
    }

    /// Looks again at that time, once, however many messages come until then.
    fn wake_at(self: &Arc<Series>, router: &Arc<Router>, at: Option<Instant>) {
        let (Some(at), Some(arbiter)) = (at, router.arbiter()) else { return };
        let mut wakes_at = self.lock_wakes_at();
        if wakes_at.is_some_and(|earlier| earlier <= at) {
            return;
        }
        *wakes_at = Some(at);
        drop(wakes_at);
        let series = Arc::downgrade(self);
        arbiter.spawn(async move {
            tokio::time::sleep_until(at.into()).await;
            if let Some(series) = series.upgrade() {
                series.lock_wakes_at().take_if(|wakes_at| *wakes_at == at);
                series.pump();
            }
        });
    }

    /// A message was not acknowledged. The caller pumps.
    fn came_back(self: &Arc<Series>, number: u64, target: &Capability, failure: &Failure, culprit: Culprit) {
        let follows = target.life().is_none();
        let what = judge(failure, follows, culprit);
        let settled = self.lock().handle_return(number, what);
        if let Some(settled) = settled {
            self.fail(settled, failure, what);
        }
        if what == Return::Hopeless && concerns_all(&failure.cause) {
            // Another address may be good for more; if not, what is sent by that is told so itself.
            self.give_up(&failure.cause, |parcel| parcel.target == *target);
        }
    }

    /// What is not under way, of these, will not be delivered. The caller pumps.
    fn give_up(self: &Arc<Series>, cause: &Cause, which: impl Fn(&Parcel) -> bool) {
        let given_up = self.lock().give_up(|parcel| which(parcel));
        for settled in given_up {
            self.fail(settled, &Failure::not_executed(cause.clone()), Return::Hopeless);
        }
    }

    /// Tells who waits for a message, or the dead letters, that it is kept no more.
    fn fail(&self, settled: Settled<Arc<Parcel>>, failure: &Failure, what: Return) {
        let Settled { value: parcel, may_have_run, was_kept } = settled;
        let verdict = match failure.verdict {
            Verdict::NotExecuted if may_have_run => Verdict::Unknown,
            verdict => verdict,
        };
        let failure = Failure { verdict, cause: failure.cause.clone() };
        let is_parked = matches!(failure.cause, Cause::Poison { .. });
        let is_lost = match (&parcel.keeper, what) {
            (Keeper::Reply(waiting), _) => {
                waiting.fail(failure.clone());
                is_parked
            }
            // It was handled; only nobody wanted to know with what result.
            (Keeper::Room(_) | Keeper::Nobody, Return::Handled) => false,
            (Keeper::Room(waiting), _) if !was_kept => {
                waiting.fail(failure.clone());
                false
            }
            (Keeper::Room(_) | Keeper::Nobody, _) => true,
        };
        if let Some(router) = self.router.upgrade().filter(|_| is_lost) {
            let letter = DeadLetter::new(Some(parcel.target.id()), Some(parcel.name.0), failure.cause);
            // Places of descriptors are of no use without them.
            router.bury(letter, || parcel.descriptors.is_empty().then(|| parcel.bytes.clone()));
        }
    }
}

/// Whether a cause that ends one message would end every other by its address, too.
fn concerns_all(cause: &Cause) -> bool {
    matches!(
        cause,
        Cause::NoActor(_)
            | Cause::ActorStopped
            | Cause::Stale { .. }
            | Cause::NoRight(_)
            | Cause::Revoked(_)
            | Cause::Expired(_)
            | Cause::UsedUp { .. }
            | Cause::Unreachable { .. }
            | Cause::ShuttingDown
            | Cause::NoRuntime
    )
}

/// One delivery of one message.
struct Delivered {
    series: Arc<Series>,
    number: u64,
    parcel: Arc<Parcel>,
    peer: Weak<Peer>,
}

impl Delivered {
    /// Whether the receiving process died of it, if it died.
    fn culprit(&self) -> Culprit {
        let (Some(peer), Some(router)) = (self.peer.upgrade(), self.series.router.upgrade()) else {
            return Culprit::Unknown;
        };
        let ours = (router.identity().process, self.series.slot, self.number);
        peer.cursor().map_or(Culprit::Unknown, |cursor| culprit(cursor, ours))
    }
}

impl Outcome for Delivered {
    fn reply(&self, body: Encoded<'_>) {
        let settled = self.series.lock().handle_return(self.number, Return::Handled);
        if let Some(Settled { value: parcel, .. }) = settled
            && let Keeper::Reply(waiting) = &parcel.keeper
        {
            waiting.reply(body);
        }
        self.series.pump();
    }

    fn sent(&self) {}

    fn fail(&self, failure: Failure) {
        self.series.came_back(self.number, &self.parcel.target, &failure, self.culprit());
        self.series.pump();
    }
}

impl std::fmt::Debug for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Series")
            .field("process", &self.process)
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}
