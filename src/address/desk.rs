//! The desk of a process: where others come for what has no actor of its own: the items of a stream, and the answers to asks
//! by those who were not asked.
//!
//! ```text
//!  other processes --Claim, Pull, Cancel,
//!                    Passed---------------> Clerk, an actor of the runtime --> Desk: a shelf of streams
//!                  --Hold, Answer--------->                                         asks by their ticket
//!                  --Released------------->                                         responders that are held here
//! ```
//!
//! One for each process, exported like any actor, so a stream costs no channel, and a process that gives none nothing but one
//! idle actor.

mod asks;
mod clerk;
mod giving;
mod holding;
mod owing;
mod source;

pub(super) use asks::{bind, extend, give_up, release, reserve};
pub use clerk::serve;
pub(super) use clerk::{accuse, ask, tell, tell_answer};
pub(super) use giving::Gift;
pub(super) use holding::{Held, hold};

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use rustc_hash::{FxHashMap, FxHashSet};

use self::asks::Ask;
use self::giving::Giving;
use self::holding::Holding;
use self::owing::Owing;
use self::source::Source;
use super::streaming::{Feed, Life};
use super::target::Target;
use crate::id::{ActorId, Incarnation, ProcessId, ProcessName};
use crate::process::routing::{Behind, Router, Watcher};
use crate::protocol::responders::ReplyTicket;
use crate::protocol::streams::{AROUND_BYTES, Batch, Consumer, End, Pull, Shelf, StreamId, Wrong};
use crate::protocol::watching::EndReason;
use crate::protocol::wire::{Cause, Failure};

/// The name of the clerk's type.
pub(super) const CLERK: &str = "procession::Clerk";

/// See the [module](self).
pub(super) struct Desk {
    router: Weak<Router>,
    target: OnceLock<Target>,
    state: Mutex<State>,
}

struct State {
    shelf: Shelf<Arc<Source>>,
    /// What others answer.
    asks: FxHashMap<ReplyTicket, Ask>,
    /// What this process answers for others.
    holding: Holding,
    /// What went to others and may be lost with them.
    giving: Giving,
    /// What others have no room for.
    owing: Owing,
    /// Why no more streams are given.
    stopping: Option<Failure>,
    /// Lives of processes whose end is waited for.
    watched: FxHashSet<(ProcessId, Incarnation)>,
}

static DESK: Mutex<Option<Arc<Desk>>> = Mutex::new(None);

/// The desk of this process, while a runtime runs in it.
pub(super) fn desk() -> Option<Arc<Desk>> {
    DESK.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The process takes nothing more in: its streams are over (P-4).
fn stop(router: &Router) {
    if let Some(desk) = desk() {
        desk.end_all(&Failure::failed(Cause::Stopping(router.identity().name.clone())));
        desk.stop_owing();
    }
}

/// The runtime has ended.
pub(super) fn close() {
    let desk = DESK.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(desk) = desk {
        desk.end_all(&Failure::failed(Cause::ShuttingDown));
        desk.end_asks(&Failure::unknown(Cause::ShuttingDown));
    }
}

/// Gives a stream a place at the desk of this process.
pub(super) fn offer(feed: Box<dyn Feed>, life: Arc<Life>) -> Result<(Target, StreamId), String> {
    let desk = desk().ok_or("a stream can be sent within `Program::run` alone")?;
    desk.offer(feed, life)
}

impl Desk {
    /// None if there is no randomness for its secret.
    fn new(router: &Arc<Router>) -> Option<Desk> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).ok()?;
        let shelf = Shelf::new(u128::from_le_bytes(secret));
        let (asks, holding, giving, owing) = Default::default();
        let (stopping, watched) = Default::default();
        let state = Mutex::new(State { shelf, asks, holding, giving, owing, stopping, watched });
        Some(Desk { router: Arc::downgrade(router), target: OnceLock::new(), state })
    }

    /// From now on it is the one of this process, and has an address.
    fn open(self: &Arc<Desk>, target: Target) {
        let _ = self.target.set(target);
        *DESK.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(self));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offer(self: &Arc<Desk>, feed: Box<dyn Feed>, life: Arc<Life>) -> Result<(Target, StreamId), String> {
        let target = self.target.get().ok_or("the runtime of this process has ended")?;
        let asker = life.asker();
        let source = Arc::new(Source::new(feed, life));
        let mut state = self.lock();
        if let Some(stopping) = &state.stopping {
            // Its first pull says so.
            source.end(stopping.clone());
        }
        let stream = state.shelf.offer(Arc::clone(&source), asker).map_err(|wrong| wrong.to_string())?;
        drop(state);
        self.is_offered(&source, stream);
        Ok((target.clone(), stream))
    }

    /// Who asked waits no longer than this, so who has not claimed it by then never will.
    fn is_offered(self: &Arc<Desk>, source: &Source, stream: StreamId) {
        let Some(router) = self.router.upgrade() else { return };
        let Some(arbiter) = router.arbiter() else { return };
        let (desk, timeout) = (Arc::downgrade(self), router.ask_timeout());
        let runs_out = arbiter.spawn(async move {
            tokio::time::sleep(timeout).await;
            if let Some(desk) = desk.upgrade() {
                let unclaimed = desk.lock().shelf.unclaimed(stream);
                end(unclaimed);
            }
        });
        source.runs_out(runs_out.abort_handle());
    }

    /// Who asks: that process, as it is connected, or, with none, this one.
    fn consumer(&self, process: Option<ProcessId>) -> Result<Consumer, Wrong> {
        let Some(process) = process else { return Ok(None) };
        let router = self.router.upgrade().ok_or(Wrong::Over)?;
        let life = router.connected_life(process).ok_or(Wrong::Over)?;
        Ok(Some((process, life)))
    }

    /// The stream is this process's now, or, with none, ours.
    pub(super) fn claim(self: &Arc<Desk>, stream: StreamId, process: Option<ProcessId>) -> Result<(), Wrong> {
        let consumer = self.consumer(process)?;
        let source = self.lock().shelf.claim(stream, consumer)?;
        self.is_claimed(&source, consumer);
        Ok(())
    }

    fn is_claimed(self: &Arc<Desk>, source: &Source, consumer: Consumer) {
        source.is_claimed();
        if let (Some(router), Some((process, life))) = (self.router.upgrade(), consumer) {
            self.watch(&router, process, life);
        }
    }

    /// Hears of the end of this life of a process, once; at once, if that was told to everybody.
    fn watch(self: &Arc<Desk>, router: &Arc<Router>, process: ProcessId, life: Incarnation) {
        if let Err(watcher) = self.try_watch(router, process, life) {
            watcher.ended(&EndReason::NoActor, Some(life), Behind::Here);
        }
    }

    /// Its consumer has sent it on.
    pub(super) fn pass(self: &Arc<Desk>, stream: StreamId, process: Option<ProcessId>) -> Result<(), Wrong> {
        let consumer = self.consumer(process)?;
        let source = self.lock().shelf.pass(stream, consumer)?;
        self.is_offered(&source, stream);
        Ok(())
    }

    /// As [`watch`](Self::watch), unless that was told to everybody.
    fn try_watch(
        self: &Arc<Desk>,
        router: &Arc<Router>,
        process: ProcessId,
        life: Incarnation,
    ) -> Result<(), Arc<dyn Watcher>> {
        if !self.lock().watched.insert((process, life)) {
            return Ok(());
        }
        let name = router.connection_with(process, life).map(|peer| peer.name());
        let name = name.unwrap_or_else(|| ProcessName::of_number(process));
        let claimant = Claimant { desk: Arc::downgrade(self), process, life, name };
        let watcher: Arc<dyn Watcher> = Arc::new(claimant);
        if router.watch_life(process, life, &watcher) {
            return Ok(());
        }
        self.lock().watched.remove(&(process, life));
        Err(watcher)
    }

    /// Its consumer wants it no more.
    pub(super) fn cancel(&self, stream: StreamId, process: Option<ProcessId>) -> Result<(), Wrong> {
        let consumer = self.consumer(process)?;
        let cancelled = self.lock().shelf.cancel(stream, consumer)?;
        end(cancelled);
        Ok(())
    }

    async fn pull(self: &Arc<Desk>, pull: Pull, process: Option<ProcessId>) -> (Batch, Option<Wrong>) {
        let begun = self.consumer(process).and_then(|consumer| {
            let limits = self.limits(consumer);
            // A batch is one message, whatever was asked for.
            let most_bytes = u32::try_from(limits.0).unwrap_or(u32::MAX);
            let pull = Pull { bytes: pull.bytes.min(most_bytes), ..pull };
            let begun = self.lock().shelf.begin(&pull, consumer);
            begun.inspect(|(source, _)| self.is_claimed(source, consumer)).map(|begun| (begun, limits))
        });
        let ((source, pull), limits) = match begun {
            Ok(begun) => begun,
            Err(wrong) => {
                let stopping = self.lock().stopping.clone();
                let cause = if wrong == Wrong::Many { Cause::Full } else { Cause::NoStream };
                let failure = stopping.unwrap_or(Failure::failed(cause));
                return (Batch::ended(End::Failed(failure)), Some(wrong));
            }
        };
        let batch = source.fill(&pull, limits).await;
        self.lock().shelf.finish(&pull, batch.end.is_some());
        (batch, None)
    }

    /// How many bytes of items, and how many descriptors, may be in one batch for that consumer: what both processes let be
    /// a message.
    fn limits(&self, consumer: Consumer) -> (usize, usize) {
        let router = self.router.upgrade();
        let ours = router.as_ref().map(|router| router.identity().limits).unwrap_or_default();
        let mut most = (ours.max_message_bytes as usize, usize::from(ours.max_descriptors));
        if let Some((process, life)) = consumer
            && let Some(theirs) = router.and_then(|router| router.reply_limits(process, life))
        {
            most = (most.0.min(theirs.0), most.1.min(theirs.1));
        }
        (most.0.saturating_sub(AROUND_BYTES), most.1)
    }

    fn end_all(&self, failure: &Failure) {
        let mut state = self.lock();
        state.stopping = Some(failure.clone());
        let sources = state.shelf.clear();
        drop(state);
        sources.iter().for_each(|source| source.end(failure.clone()));
    }

    fn gone(&self, process: ProcessId, life: Incarnation, why: &Failure) {
        let mut state = self.lock();
        state.watched.remove(&(process, life));
        let gone = state.shelf.gone(process, life);
        let held = state.asks.iter().filter(|(_, ask)| ask.is_of(process, life));
        let held: Vec<_> = held.map(|(ticket, _)| *ticket).collect();
        let ended: Vec<_> = held.into_iter().filter_map(|ticket| state.end(ticket, why)).collect();
        drop(state);
        end(gone);
        for ask in ended {
            ask.fail(why);
        }
    }
}

/// Nobody wants them any more.
fn end(sources: impl IntoIterator<Item = Arc<Source>>) {
    sources.into_iter().for_each(|source| source.end(Failure::failed(Cause::Cancelled)));
}

/// Waits for the end of a process that has streams of ours.
struct Claimant {
    desk: Weak<Desk>,
    process: ProcessId,
    life: Incarnation,
    name: ProcessName,
}

impl Watcher for Claimant {
    fn place(&self) -> Option<ActorId> {
        None
    }

    fn ended(&self, reason: &EndReason, _: Option<Incarnation>, _: Behind) {
        let Some(desk) = self.desk.upgrade() else { return };
        let exit = match reason {
            EndReason::ProcessDied(exit) => *exit,
            _ => None,
        };
        let cause = Cause::PeerDied { process: self.name.clone(), incarnation: self.life, exit };
        desk.gone(self.process, self.life, &Failure::unknown(cause));
    }
}
