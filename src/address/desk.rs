//! The desk of a process: where others come for what has no actor of its own: the items of a stream, and the answers to asks
//! by those who were not asked.
//!
//! ```text
//!  other processes --Claim, Pull, Cancel--> Clerk, an actor of the runtime --> Desk: streams by their number
//!                  --Hold, Answer--------->                                         asks by their ticket
//! ```
//!
//! One for each process, exported like any actor, so a stream costs no channel, and a process that gives none nothing but one
//! idle actor.

mod asks;
mod clerk;
mod source;

pub(super) use asks::{bind, release, reserve};
pub use clerk::serve;
pub(super) use clerk::{ask, tell};

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use rustc_hash::{FxHashMap, FxHashSet};

use self::asks::Ask;
use self::source::{Owner, Source};
use super::streaming::{Feed, Life};
use super::target::Target;
use crate::id::{ActorId, Incarnation, ProcessId, ProcessName};
use crate::process::routing::{Behind, Router, Watcher};
use crate::protocol::responders::ReplyTicket;
use crate::protocol::streams::{Batch, End, Pull, StreamId};
use crate::protocol::watching::EndReason;
use crate::protocol::wire::{Cause, Failure};

/// The name of the clerk's type.
pub(super) const CLERK: &str = "procession::Clerk";

/// Streams that a process may have given and not ended: what a peer that asks for streams and never pulls can make it keep.
const MOST_STREAMS: usize = 16 << 10;

/// See the [module](self).
pub(super) struct Desk {
    router: Weak<Router>,
    target: OnceLock<Target>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sources: FxHashMap<u64, Arc<Source>>,
    /// What others answer.
    asks: FxHashMap<ReplyTicket, Ask>,
    last: u64,
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
    }
}

/// The runtime has ended.
pub(super) fn close() {
    let desk = DESK.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(desk) = desk {
        desk.end_all(&Failure::failed(Cause::ShuttingDown));
    }
}

/// Gives a stream a place at the desk of this process.
pub(super) fn offer(feed: Box<dyn Feed>, life: Arc<Life>) -> Result<(Target, StreamId), String> {
    let desk = desk().ok_or("a stream can be sent within `Program::run` alone")?;
    desk.offer(feed, life)
}

impl Desk {
    fn new(router: &Arc<Router>) -> Desk {
        Desk { router: Arc::downgrade(router), target: OnceLock::new(), state: Mutex::default() }
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
        let (router, target) = (self.router.upgrade(), self.target.get());
        let (Some(router), Some(target)) = (router, target) else {
            return Err("the runtime of this process has ended".to_owned());
        };
        let key = random().map_err(|error| format!("no random key for a stream: {error}"))?;
        let source = Arc::new(Source::new(key, feed, life));
        let mut state = self.lock();
        if let Some(stopping) = &state.stopping {
            // Its first pull says so.
            source.end(stopping.clone());
        }
        if state.sources.len() >= MOST_STREAMS {
            return Err(format!("this process gives {MOST_STREAMS} streams already"));
        }
        state.last += 1;
        let stream = StreamId { number: state.last, key };
        state.sources.insert(stream.number, Arc::clone(&source));
        drop(state);
        // Its asker waits no longer than this, so who has not claimed it by then never will.
        if let Some(arbiter) = router.arbiter() {
            let (desk, timeout) = (Arc::downgrade(self), router.ask_timeout());
            let runs_out = arbiter.spawn(async move {
                tokio::time::sleep(timeout).await;
                if let Some(desk) = desk.upgrade() {
                    desk.unclaimed(stream);
                }
            });
            source.set_owner(Owner::Offered(Some(runs_out.abort_handle())));
        }
        Ok((target.clone(), stream))
    }

    fn unclaimed(&self, stream: StreamId) {
        if self.find(stream).is_some_and(|source| source.is_offered()) {
            self.cancel(stream);
        }
    }

    fn find(&self, stream: StreamId) -> Option<Arc<Source>> {
        self.lock().sources.get(&stream.number).filter(|source| source.key == stream.key).cloned()
    }

    /// The stream is this process's now, or, with none, ours.
    pub(super) fn claim(self: &Arc<Desk>, stream: StreamId, process: Option<ProcessId>) {
        let (Some(source), Some(router)) = (self.find(stream), self.router.upgrade()) else { return };
        let Some(process) = process else { return source.set_owner(Owner::Ours) };
        let Some(life) = router.connected_life(process) else { return self.cancel(stream) };
        source.set_owner(Owner::Claimed(process, life));
        self.watch(&router, process, life);
    }

    /// Hears of the end of this life of a process, once.
    fn watch(self: &Arc<Desk>, router: &Arc<Router>, process: ProcessId, life: Incarnation) {
        if !self.lock().watched.insert((process, life)) {
            return;
        }
        let name = router.connection_with(process, life).map(|peer| peer.name());
        let claimant = Claimant { desk: Arc::downgrade(self), process, life, name };
        let watcher: Arc<dyn Watcher> = Arc::new(claimant);
        if !router.watch_life(process, life, &watcher) {
            watcher.ended(&EndReason::NoActor, Some(life), Behind::Here);
        }
    }

    /// Nobody wants it any more.
    pub(super) fn cancel(&self, stream: StreamId) {
        if let Some(source) = self.find(stream) {
            self.lock().sources.remove(&stream.number);
            source.end(Failure::failed(Cause::Cancelled));
        }
    }

    async fn pull(&self, pull: Pull) -> Batch {
        let Some(source) = self.find(pull.stream) else {
            let stopping = self.lock().stopping.clone();
            return Batch::ended(End::Failed(stopping.unwrap_or(Failure::failed(Cause::NoStream))));
        };
        let limits = self.router.upgrade().map(|router| router.identity().limits).unwrap_or_default();
        let most_bytes = (limits.max_message_bytes as usize).saturating_sub(AROUND_BYTES);
        let batch = source.fill(&pull, (most_bytes, usize::from(limits.max_descriptors))).await;
        if batch.end.is_some() {
            self.lock().sources.remove(&pull.stream.number);
        }
        batch
    }

    fn end_all(&self, failure: &Failure) {
        let mut state = self.lock();
        state.stopping = Some(failure.clone());
        let sources: Vec<_> = state.sources.drain().collect();
        drop(state);
        for (_, source) in sources {
            source.end(failure.clone());
        }
    }

    fn gone(&self, process: ProcessId, life: Incarnation, why: &Failure) {
        let mut state = self.lock();
        state.watched.remove(&(process, life));
        let gone: Vec<_> = state.sources.extract_if(|_, source| source.is_of(process, life)).collect();
        let held: Vec<_> = state.asks.extract_if(|_, ask| ask.is_of(process, life)).collect();
        drop(state);
        for (_, source) in gone {
            source.end(Failure::failed(Cause::Cancelled));
        }
        for (_, ask) in held {
            ask.fail(why);
        }
    }
}

/// What a batch has around the bytes of its items, with room for an end.
const AROUND_BYTES: usize = 64 << 10;

fn random() -> Result<u128, getrandom::Error> {
    let mut key = [0; 16];
    getrandom::fill(&mut key)?;
    Ok(u128::from_le_bytes(key))
}

/// Waits for the end of a process that has streams of ours.
struct Claimant {
    desk: Weak<Desk>,
    process: ProcessId,
    life: Incarnation,
    name: Option<ProcessName>,
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
        let cause = match self.name.clone() {
            Some(process) => Cause::PeerDied { process, incarnation: self.life, exit },
            None => Cause::NoReply,
        };
        desk.gone(self.process, self.life, &Failure::unknown(cause));
    }
}
