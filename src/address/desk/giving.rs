//! Responders that went to other processes: where such a process dies before it could say that it has one, who gave it says so,
//! since nobody else knows (the asker is told of nobody's death whom it does not know).
//!
//! ```text
//!  Kept --the message is dropped--> Gone --the receiver dies--> Over, the asker is told
//!   | '--the receiver dies--> Ended --the message is dropped--> Over, the asker is told
//!   '--it came back, and was answered or sent elsewhere, from any of these--> Over
//! ```
//!
//! Whoever said `Hold` is watched by the asker, who does not heed then what is said here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::{Desk, clerk, desk};
use crate::address::target::Target;
use crate::codec;
use crate::id::{ActorId, Incarnation, ProcessName};
use crate::process::routing::{Behind, Watcher, afterwards, encoding_for};
use crate::protocol::responders::{Lost, Place, ReplyTicket};
use crate::protocol::watching::EndReason;
use crate::protocol::wire::{Cause, Failure};

/// What went by each connection and was not long ago, in order.
pub(super) type Giving = FxHashMap<u64, VecDeque<(Instant, Arc<Given>)>>;

/// So many are remembered of each connection: more than may wait for credit there, and what is handled says so at once. Of
/// those before, the asker's deadline is left.
const MAX_GIVEN: usize = 4096;

/// To whom a responder was sent last.
#[derive(Default)]
pub(in crate::address) struct Gift(Mutex<Option<Arc<Given>>>);

/// One that was sent.
pub(super) struct Given {
    place: Place,
    fate: Mutex<Fate>,
}

enum Fate {
    /// Its message is here, and may come back.
    Kept,
    Gone,
    Ended(Lost),
    Over,
}

impl Gift {
    /// It is being encoded; for another process, if for a connection.
    pub(in crate::address) fn goes(&self, place: &Place) {
        self.take_back();
        let Some(connection) = encoding_for().filter(|_| place.ticket != ReplyTicket::Nobody) else { return };
        let given = Arc::new(Given { place: place.clone(), fate: Mutex::new(Fate::Kept) });
        *self.lock() = Some(Arc::clone(&given));
        afterwards(move || {
            if let Some(desk) = desk() {
                desk.give(connection, given);
            }
        });
    }

    /// It came back, and is used here.
    pub(in crate::address) fn take_back(&self) {
        if let Some(given) = self.lock().take() {
            *given.lock() = Fate::Over;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Given>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Gift {
    fn drop(&mut self) {
        let given = self.lock().take();
        if let Some(given) = given {
            given.let_go();
        }
    }
}

impl Given {
    fn lock(&self) -> MutexGuard<'_, Fate> {
        self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its message will not come back any more.
    fn let_go(&self) {
        let mut fate = self.lock();
        match std::mem::replace(&mut *fate, Fate::Over) {
            Fate::Kept => *fate = Fate::Gone,
            Fate::Ended(lost) => {
                drop(fate);
                self.tell(lost);
            }
            other => *fate = other,
        }
    }

    /// Who was to get it has ended.
    fn ended(&self, lost: Lost) {
        let mut fate = self.lock();
        match std::mem::replace(&mut *fate, Fate::Over) {
            Fate::Kept => *fate = Fate::Ended(lost),
            Fate::Gone => {
                drop(fate);
                self.tell(lost);
            }
            other => *fate = other,
        }
    }

    fn tell(&self, lost: Lost) {
        if let Ok(target) = codec::decode::<Target>(&self.place.desk) {
            clerk::tell(&target, lost, |desk, lost| desk.lost(lost));
        }
    }
}

impl Desk {
    /// It went by that connection.
    fn give(self: &Arc<Desk>, connection: u64, given: Arc<Given>) {
        let Some(router) = self.router.upgrade() else { return };
        let now = Instant::now();
        let mut state = self.lock();
        let is_first = !state.giving.contains_key(&connection);
        let all = state.giving.entry(connection).or_default();
        while all.len() >= MAX_GIVEN || all.front().is_some_and(|(until, _)| *until <= now) {
            all.pop_front();
        }
        all.push_back((now + router.ask_timeout().max(LEAST_TIME), given));
        drop(state);
        if is_first {
            let watcher: Arc<dyn Watcher> = Arc::new(Receiver { desk: Arc::downgrade(self), connection });
            if !router.watch_connection(connection, &watcher) {
                watcher.ended(&EndReason::NoActor, None, Behind::Here);
            }
        }
    }
}

/// An ask may have been given longer than others have.
const LEAST_TIME: Duration = Duration::from_secs(60);

/// Waits for the end of a process that was given responders.
struct Receiver {
    desk: Weak<Desk>,
    connection: u64,
}

impl Watcher for Receiver {
    fn place(&self) -> Option<ActorId> {
        None
    }

    fn ended(&self, reason: &EndReason, life: Option<Incarnation>, _: Behind) {
        let Some(desk) = self.desk.upgrade() else { return };
        let given = desk.lock().giving.remove(&self.connection).unwrap_or_default();
        let peer = desk.router.upgrade().and_then(|router| router.connection(self.connection));
        let process = peer.as_ref().map(|peer| peer.process);
        let name = peer.map(|peer| peer.name());
        let (holder, cause) = match (process, reason, life) {
            (Some(process), EndReason::Unreachable(why), _) => {
                (None, Cause::Unreachable { process, why: *why })
            }
            (Some(process), reason, Some(incarnation)) => {
                let exit = match reason {
                    EndReason::ProcessDied(exit) => *exit,
                    _ => None,
                };
                let name = name.unwrap_or_else(|| ProcessName::of_number(process));
                (Some((process, incarnation)), Cause::PeerDied { process: name, incarnation, exit })
            }
            _ => (None, Cause::NoReply),
        };
        let failure = Failure::unknown(cause);
        for (_, given) in given {
            let Place { ticket, hand, .. } = given.place;
            given.ended(Lost { ticket, hand, holder, failure: failure.clone() });
        }
    }
}
