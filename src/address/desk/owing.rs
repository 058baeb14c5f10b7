//! What the desks of other processes are told, and have no room for yet. A process that gives no room must cost no more than
//! a part of what this one has (M-3), and hold up no stop of it (P-4).
//!
//! ```text
//!  told --room--> sent
//!   | '--no room--> owed --room--> sent
//!   |                '--its time is up, the connection ends, this process has stopped for a while--> a dead letter
//!   '--as much is owed as may be--> a dead letter; an answer becomes a small one that says so
//! ```

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::Desk;
use super::clerk::Clerk;
use crate::address::actor::ProcMessage;
use crate::address::addr::which;
use crate::address::dispatch::{self, Which};
use crate::codec::Encoded;
use crate::id::{Capability, ProcessId};
use crate::process::routing::{DeadLetter, Outcome, Peer, Router, Waiter};
use crate::protocol::connection::Waiting;
use crate::protocol::responders::{Answer, ReplyTicket};
use crate::protocol::wire::{Cause, Failure};

/// So many are owed to one process: more than a stuck one is told at once by any honest traffic, some megabytes in all.
const MAX_OWED: usize = 1 << 14;

/// So many bytes of answers are owed to one process, or one answer that is larger: as many as all streams may have under way.
const MAX_OWED_BYTES: u64 = 64 << 20;

/// What a descriptor of an answer counts: so that few of those are kept that a process may have open.
const DESCRIPTOR_BYTES: u64 = 256 << 10;

/// How long a process that stops waits for room at others' desks.
const STOP_WAIT: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Owing {
    last: u64,
    casts: FxHashMap<u64, Cast>,
    all: FxHashMap<ProcessId, Sum>,
    /// Nobody waits for room any more.
    is_over: bool,
}

struct Cast {
    to: ProcessId,
    bytes: u64,
    /// By which it can be taken back.
    key: Option<(Weak<Peer>, u64)>,
}

#[derive(Default)]
struct Sum {
    casts: usize,
    bytes: u64,
}

impl Owing {
    fn has_room(&self, to: ProcessId, bytes: u64) -> bool {
        self.all.get(&to).is_none_or(|sum| {
            let fits = bytes == 0 || sum.bytes == 0 || sum.bytes + bytes <= MAX_OWED_BYTES;
            sum.casts < MAX_OWED && fits
        })
    }

    fn add(&mut self, to: ProcessId, bytes: u64) -> u64 {
        self.last += 1;
        self.casts.insert(self.last, Cast { to, bytes, key: None });
        let sum = self.all.entry(to).or_default();
        sum.casts += 1;
        sum.bytes += bytes;
        self.last
    }

    fn remove(&mut self, cast: u64) {
        let Some(Cast { to, bytes, .. }) = self.casts.remove(&cast) else { return };
        if let Some(sum) = self.all.get_mut(&to) {
            sum.casts -= 1;
            sum.bytes -= bytes;
            if sum.casts == 0 {
                self.all.remove(&to);
            }
        }
    }

    /// It waits there. False if it may not wait any more.
    fn waits(&mut self, cast: u64, peer: &Arc<Peer>, key: u64) -> bool {
        if let Some(cast) = self.casts.get_mut(&cast) {
            cast.key = Some((Arc::downgrade(peer), key));
        }
        !self.is_over
    }
}

/// Waits for room for one.
struct Owed {
    desk: Weak<Desk>,
    cast: u64,
    to: Capability,
    name: &'static str,
    /// Of an answer: what is told if it can't go.
    ticket: Option<ReplyTicket>,
}

impl Outcome for Owed {
    fn reply(&self, _: Encoded<'_>) {}

    fn sent(&self) {
        self.over();
    }

    fn fail(&self, failure: Failure) {
        self.over();
        if let Some(desk) = self.desk.upgrade()
            && let Some(router) = desk.router.upgrade()
        {
            desk.did_not_go(&router, &self.to, self.name, (self.ticket, failure.cause));
        }
    }
}

impl Owed {
    fn over(&self) {
        if let Some(desk) = self.desk.upgrade() {
            desk.lock().owing.remove(self.cast);
        }
    }
}

/// What an answer keeps here while it waits.
fn bytes_of(answer: &Answer) -> u64 {
    let bytes = answer.result.as_ref().map_or(0, |bytes| bytes.len() as u64);
    bytes + answer.descriptors.len() as u64 * DESCRIPTOR_BYTES
}

impl Desk {
    /// Gives an answer to the desk of another process. One that can't go there is told as a failure.
    pub(super) fn owe_answer(self: &Arc<Desk>, router: &Arc<Router>, to: &Capability, answer: &Answer) {
        let ticket = answer.result.is_ok().then_some(answer.ticket);
        self.owe(router, to, (which::<Clerk, Answer>(), answer), (bytes_of(answer), ticket));
    }

    /// Tells the desk of another process something small.
    pub(super) fn owe_small<M: ProcMessage>(
        self: &Arc<Desk>,
        router: &Arc<Router>,
        to: &Capability,
        message: (Which, &M),
    ) {
        self.owe(router, to, message, (0, None));
    }

    fn owe<M: ProcMessage>(
        self: &Arc<Desk>,
        router: &Arc<Router>,
        to: &Capability,
        (which, message): (Which, &M),
        (bytes, ticket): (u64, Option<ReplyTicket>),
    ) {
        let has_room = self.lock().owing.has_room(to.process(), bytes);
        if !has_room {
            return self.did_not_go(router, to, which.name, (ticket, Cause::Full));
        }
        let mut owed = None;
        let deadline = Some(Instant::now() + router.ask_timeout());
        let put = dispatch::tell_with(to, which, message, || {
            let cast = self.lock().owing.add(to.process(), bytes);
            owed = Some(cast);
            let waits = Owed { desk: Arc::downgrade(self), cast, to: *to, name: which.name, ticket };
            Waiting { tag: Waiter::Outcome(Arc::new(waits)), deadline }
        });
        match (put, owed) {
            (Ok(Some((peer, key))), Some(cast)) => {
                let may_wait = self.lock().owing.waits(cast, &peer, key);
                if !may_wait {
                    self.take_back(router, [(cast, peer, key)]);
                }
            }
            (Ok(_), _) => {}
            (Err(cause), _) => self.did_not_go(router, to, which.name, (ticket, cause)),
        }
    }

    fn did_not_go(
        self: &Arc<Desk>,
        router: &Arc<Router>,
        to: &Capability,
        name: &'static str,
        (answer, cause): (Option<ReplyTicket>, Cause),
    ) {
        match (answer, &cause) {
            (Some(ticket), Cause::TooLarge { .. } | Cause::Encode(_) | Cause::Full) => {
                let result = Err(Failure::failed(cause));
                let answer = Answer { ticket, result, descriptors: Vec::new() };
                self.owe_answer(router, to, &answer);
            }
            _ => {
                let letter = DeadLetter::new(Some(to.id()), Some(name), cause);
                router.bury(letter, || None);
            }
        }
    }

    /// This process stops: in a moment it waits for nobody's desk any more.
    pub(super) fn stop_owing(self: &Arc<Desk>) {
        let router = self.router.clone();
        let Some(arbiter) = router.upgrade().and_then(|router| router.arbiter()) else { return };
        let desk = Arc::downgrade(self);
        arbiter.spawn(async move {
            tokio::time::sleep(STOP_WAIT).await;
            let (Some(desk), Some(router)) = (desk.upgrade(), router.upgrade()) else { return };
            let mut state = desk.lock();
            state.owing.is_over = true;
            let casts = state.owing.casts.iter();
            let all = casts.filter_map(|(cast, owed)| {
                let (peer, key) = owed.key.as_ref()?;
                Some((*cast, peer.upgrade()?, *key))
            });
            let all: Vec<_> = all.collect();
            drop(state);
            desk.take_back(&router, all);
        });
    }

    /// What has not begun to leave does not leave any more.
    fn take_back(&self, router: &Router, casts: impl IntoIterator<Item = (u64, Arc<Peer>, u64)>) {
        let mut lost = 0;
        for (cast, peer, key) in casts {
            if peer.with(|connection| connection.withdraw(key)) {
                self.lock().owing.remove(cast);
                lost += 1;
            }
        }
        if lost > 0 {
            let cause = Cause::Stopping(router.identity().name.clone());
            router.bury(DeadLetter { count: lost, ..DeadLetter::new(None, None, cause) }, || None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ProcessId = ProcessId(1);
    const OTHER: ProcessId = ProcessId(2);

    #[test]
    fn m3_what_is_owed_to_one_process_has_a_limit_and_is_none_of_anothers() {
        let mut owing = Owing::default();
        let casts: Vec<_> = (0..MAX_OWED).map(|_| owing.add(ONE, 0)).collect();
        assert!(!owing.has_room(ONE, 0) && owing.has_room(OTHER, 0));
        owing.remove(casts[7]);
        owing.remove(casts[7]);
        assert!(owing.has_room(ONE, 0), "once gives one place");
        owing.add(ONE, 0);
        assert!(!owing.has_room(ONE, 0));
        casts.into_iter().for_each(|cast| owing.remove(cast));
        assert_eq!(owing.all[&ONE].casts, 1);
    }

    #[test]
    fn m3_answers_are_counted_by_their_bytes_and_one_may_be_larger() {
        let mut owing = Owing::default();
        assert!(owing.has_room(ONE, 10 * MAX_OWED_BYTES), "nothing else is owed");
        let large = owing.add(ONE, 10 * MAX_OWED_BYTES);
        assert!(!owing.has_room(ONE, 1) && owing.has_room(ONE, 0), "what is small goes on");
        owing.remove(large);
        owing.add(ONE, MAX_OWED_BYTES - 1);
        assert!(owing.has_room(ONE, 1) && !owing.has_room(ONE, 2));
    }
}
