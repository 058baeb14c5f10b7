//! Asks of this process that are answered by others than those who were asked.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::AbortHandle;

use super::{Desk, desk, random};
use crate::codec::Encoded;
use crate::codec::descriptor::Carried;
use crate::id::{Incarnation, ProcessId};
use crate::process::routing::{Outcome, Router};
use crate::protocol::responders::{Answer, Place, ReplyTicket};
use crate::protocol::wire::{Cause, Failure};

/// Somebody waits; or, of an ask of an actor of this process, will wait as soon as the handler has returned.
pub(super) struct Ask {
    outcome: Option<Arc<dyn Outcome>>,
    /// What came before.
    early: Option<Answer>,
    /// Who has the responder.
    holder: Option<(ProcessId, Incarnation)>,
    runs_out: Option<AbortHandle>,
}

impl Ask {
    fn new(outcome: Option<Arc<dyn Outcome>>) -> Ask {
        Ask { outcome, early: None, holder: None, runs_out: None }
    }

    pub(super) fn is_of(&self, process: ProcessId, life: Incarnation) -> bool {
        self.holder == Some((process, life))
    }

    fn tell(mut self, answer: Answer) {
        let Some(outcome) = self.outcome.take() else { return };
        match answer.result {
            Ok(bytes) => {
                let descriptors = answer.descriptors.into_iter();
                let descriptors = descriptors.map(|descriptor| Carried::from(descriptor.0)).collect();
                outcome.reply(Encoded { bytes: (&bytes[..]).into(), descriptors });
            }
            Err(failure) => outcome.fail(failure),
        }
    }

    pub(super) fn fail(mut self, failure: &Failure) {
        if let Some(outcome) = self.outcome.take() {
            outcome.fail(failure.clone());
        }
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        if let Some(runs_out) = self.runs_out.take() {
            runs_out.abort();
        }
    }
}

/// A place for the answer to an ask of an actor of this process.
pub(in crate::address) fn reserve() -> Result<Place, String> {
    let desk = desk().ok_or("a responder can be sent within `Program::run` alone")?;
    let router = desk.router.upgrade().ok_or("the runtime of this process has ended")?;
    let encoded = router.desk().ok_or("this process has no desk")?;
    let key = random().map_err(|error| format!("no random key for a responder: {error}"))?;
    let mut state = desk.lock();
    state.last += 1;
    let ticket = ReplyTicket::Kept { number: state.last, key };
    state.asks.insert(ticket, Ask::new(None));
    Ok(Place { desk: encoded.to_vec().into(), ticket })
}

/// Says who waits for the answer at that place; nobody, if none.
pub(in crate::address) fn bind(ticket: ReplyTicket, outcome: Option<Arc<dyn Outcome>>) {
    let Some(desk) = desk() else { return };
    let mut state = desk.lock();
    let (Some(ask), Some(outcome)) = (state.asks.get_mut(&ticket), outcome) else {
        state.asks.remove(&ticket);
        return;
    };
    ask.outcome = Some(outcome);
    let Some(early) = ask.early.take() else {
        drop(state);
        return desk.forget_in_time(ticket);
    };
    let ask = state.asks.remove(&ticket);
    drop(state);
    if let Some(ask) = ask {
        ask.tell(early);
    }
}

/// Gives a place back at which nobody waits.
pub(in crate::address) fn release(ticket: ReplyTicket) {
    let Some(desk) = desk() else { return };
    let mut state = desk.lock();
    if state.asks.get(&ticket).is_some_and(|ask| ask.outcome.is_none()) {
        state.asks.remove(&ticket);
    }
}

impl Desk {
    /// That process, or, with none, this one, has the responder.
    pub(in crate::address) fn hold(self: &Arc<Desk>, ticket: ReplyTicket, process: Option<ProcessId>) {
        let Some(router) = self.router.upgrade() else { return };
        let holder = match process {
            Some(process) => match router.connected_life(process) {
                Some(life) => Some((process, life)),
                None => return,
            },
            None => None,
        };
        self.take_over(&router, ticket);
        let mut state = self.lock();
        let Some(ask) = state.asks.get_mut(&ticket) else { return };
        ask.holder = holder;
        drop(state);
        if let Some((process, life)) = holder {
            self.watch(&router, process, life);
        }
    }

    /// An ask of another process's actor is waited for here from now on, if that can be proved.
    fn take_over(self: &Arc<Desk>, router: &Router, ticket: ReplyTicket) {
        let ReplyTicket::Call { process, incarnation, correlation, proof } = ticket else { return };
        let Some(peer) = router.connection_with(process, incarnation) else { return };
        let Some((outcome, deadline)) = peer.take_out(correlation, proof) else { return };
        self.lock().asks.insert(ticket, Ask::new(Some(outcome)));
        self.run_out(ticket, deadline);
    }

    fn run_out(self: &Arc<Desk>, ticket: ReplyTicket, deadline: Option<Instant>) {
        let arbiter = self.router.upgrade().and_then(|router| router.arbiter());
        let (Some(arbiter), Some(deadline)) = (arbiter, deadline) else { return };
        let desk = Arc::downgrade(self);
        let runs_out = arbiter.spawn(async move {
            tokio::time::sleep_until(deadline.into()).await;
            let ask = desk.upgrade().and_then(|desk| desk.lock().asks.remove(&ticket));
            if let Some(ask) = ask {
                ask.fail(&Failure::unknown(Cause::TimedOut));
            }
        });
        if let Some(ask) = self.lock().asks.get_mut(&ticket) {
            ask.runs_out = Some(runs_out.abort_handle());
        }
    }

    /// Who waits in this process keeps the time; its place is given back some time after it has gone.
    fn forget_in_time(self: &Arc<Desk>, ticket: ReplyTicket) {
        let Some(router) = self.router.upgrade() else { return };
        let (Some(arbiter), often) = (router.arbiter(), router.ask_timeout()) else { return };
        let desk = Arc::downgrade(self);
        let runs_out = arbiter.spawn(async move {
            loop {
                tokio::time::sleep(often).await;
                let Some(desk) = desk.upgrade() else { return };
                let mut state = desk.lock();
                let Some(ask) = state.asks.get(&ticket) else { return };
                if ask.outcome.as_ref().is_none_or(|outcome| Arc::strong_count(outcome) == 1) {
                    state.asks.remove(&ticket);
                    return;
                }
            }
        });
        if let Some(ask) = self.lock().asks.get_mut(&ticket) {
            ask.runs_out = Some(runs_out.abort_handle());
        }
    }

    /// The answer; a second one, or one without proof, finds nobody.
    pub(in crate::address) fn answer(self: &Arc<Desk>, answer: Answer) {
        let ticket = answer.ticket;
        if let Some(router) = self.router.upgrade() {
            self.take_over(&router, ticket);
        }
        let mut state = self.lock();
        match state.asks.get_mut(&ticket) {
            Some(ask) if ask.outcome.is_none() => {
                ask.early.get_or_insert(answer);
            }
            Some(_) => {
                let ask = state.asks.remove(&ticket);
                drop(state);
                if let Some(ask) = ask {
                    ask.tell(answer);
                }
            }
            None => {
                drop(state);
                tracing::debug!(target: "procession", "an answer to an ask that nobody waits for");
            }
        }
    }
}
