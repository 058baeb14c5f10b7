//! Asks of this process that are answered by others than those who were asked.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::AbortHandle;

use super::{Desk, State, clerk, desk};
use crate::address::target::Target;
use crate::codec::descriptor::Carried;
use crate::codec::{self, Encoded};
use crate::id::{Incarnation, ProcessId};
use crate::process::routing::{Handed, Outcome, Router, reading};
use crate::protocol::responders::{Answer, Hold, Lost, Place, Released, ReplyTicket};
use crate::protocol::streams::Consumer;
use crate::protocol::wire::{Cause, Failure};

/// Somebody waits; or, of an ask of an actor of this process, will wait as soon as the handler has returned.
pub(super) struct Ask {
    outcome: Option<Arc<dyn Outcome>>,
    /// What came before, and from whom.
    early: Option<(Answer, Consumer)>,
    /// Who has the responder, and through how many hands it went there, once that was said.
    holder: Option<(u32, Consumer)>,
    runs_out: Option<AbortHandle>,
}

impl Ask {
    fn new(outcome: Option<Arc<dyn Outcome>>) -> Ask {
        Ask { outcome, early: None, holder: None, runs_out: None }
    }

    pub(super) fn is_of(&self, process: ProcessId, life: Incarnation) -> bool {
        matches!(self.holder, Some((_, Some(holder))) if holder == (process, life))
    }

    fn tell(mut self, answer: Answer, by: Consumer) {
        let Some(outcome) = self.outcome.take() else { return };
        match answer.result {
            Ok(bytes) => {
                let descriptors = answer.descriptors.into_iter();
                let descriptors = descriptors.map(|descriptor| Carried::from(descriptor.0)).collect();
                // Who answers gives the addresses that are in it, not who was asked.
                let from = by.map(|(process, _)| process);
                reading(from, || outcome.reply(Encoded { bytes: (&bytes[..]).into(), descriptors }));
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
    let mut state = desk.lock();
    let (number, key) = state.shelf.next_key();
    let ticket = ReplyTicket::Kept { number, key };
    state.asks.insert(ticket, Ask::new(None));
    Ok(Place { desk: encoded.to_vec().into(), ticket, hand: 0 })
}

/// Says who waits for the answer at that place; nobody, if none.
pub(in crate::address) fn bind(ticket: ReplyTicket, outcome: Option<Arc<dyn Outcome>>) {
    if let Some(desk) = desk() {
        desk.waits(ticket, outcome);
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

/// Who asked waits no longer.
pub(in crate::address) fn give_up(ticket: ReplyTicket) {
    if let Some(desk) = desk() {
        desk.forget(ticket);
    }
}

/// Who asked waits until then, instead of what was said before.
pub(in crate::address) fn extend(ticket: ReplyTicket, deadline: Instant) {
    if let Some(desk) = desk() {
        desk.run_out(ticket, Some(deadline));
    }
}

impl State {
    /// Takes out an ask that is to fail. If its handler has not returned, who waits will hear so then.
    pub(super) fn end(&mut self, ticket: ReplyTicket, why: &Failure) -> Option<Ask> {
        let ask = self.asks.get_mut(&ticket)?;
        if ask.outcome.is_some() {
            return self.asks.remove(&ticket);
        }
        let answer = Answer { ticket, result: Err(why.clone()), descriptors: Vec::new() };
        ask.early.get_or_insert((answer, None));
        None
    }
}

impl Desk {
    /// That process, or, with none, this one, has the responder.
    pub(in crate::address) fn hold(self: &Arc<Desk>, hold: Hold, process: Option<ProcessId>) {
        let Hold { ticket, hand, life } = hold;
        let Some(router) = self.router.upgrade() else { return };
        // That life, which may be over, and its connection with it: then its end is told at once.
        let holder = process.map(|process| (process, life));
        self.take_over(&router, ticket);
        let mut state = self.lock();
        let Some(ask) = state.asks.get_mut(&ticket) else {
            drop(state);
            return self.tell_released(ticket, holder);
        };
        // What a former holder says late is of no consequence.
        if ask.holder.is_some_and(|(last, _)| last > hand) {
            return;
        }
        ask.holder = Some((hand, holder));
        drop(state);
        if let Some((process, life)) = holder {
            self.watch(&router, process, life);
        }
    }

    /// Who was given the responder has ended. If it had said that it has it, or somebody after it did, that counts.
    pub(in crate::address) fn lost(self: &Arc<Desk>, lost: Lost) {
        let Lost { ticket, hand, holder, failure } = lost;
        let Some(router) = self.router.upgrade() else { return };
        self.take_over(&router, ticket);
        let mut state = self.lock();
        let Some(ask) = state.asks.get_mut(&ticket) else { return };
        if ask.holder.is_some_and(|(last, _)| last >= hand) {
            return;
        }
        if let Some((process, life)) = holder {
            // What it has sent, perhaps the answer, is read first, if it is connected with this process.
            ask.holder = Some((hand, holder));
            drop(state);
            if self.try_watch(&router, process, life).is_ok() {
                return;
            }
            state = self.lock();
        }
        let ended = state.end(ticket, &failure);
        drop(state);
        if let Some(ask) = ended {
            ask.fail(&failure);
        }
    }

    /// An ask of another process's actor is waited for here from now on, if that can be proved.
    fn take_over(self: &Arc<Desk>, router: &Router, ticket: ReplyTicket) {
        let ReplyTicket::Call { process, incarnation, correlation, proof } = ticket else { return };
        if self.lock().asks.contains_key(&ticket) {
            return;
        }
        let Some(peer) = router.proved((process, incarnation), correlation, proof) else { return };
        // First, so that who changes the deadline meanwhile finds it.
        self.lock().asks.insert(ticket, Ask::new(None));
        match peer.take_out(correlation) {
            Some((outcome, deadline)) => {
                self.run_out(ticket, deadline);
                self.waits(ticket, Some(outcome));
            }
            None => self.waits(ticket, None),
        }
    }

    /// Somebody, or nobody, waits for this answer.
    fn waits(self: &Arc<Desk>, ticket: ReplyTicket, outcome: Option<Arc<dyn Outcome>>) {
        let handed = outcome.as_ref().map_or(Handed::Gone, |outcome| outcome.hand_over(ticket));
        let mut state = self.lock();
        let Handed::Waits(deadline) = handed else {
            drop(state);
            self.forget(ticket);
            return;
        };
        let Some(ask) = state.asks.get_mut(&ticket) else { return };
        ask.outcome = outcome;
        let Some((early, by)) = ask.early.take() else {
            drop(state);
            if deadline.is_some() {
                self.run_out(ticket, deadline);
            }
            return;
        };
        let ask = state.asks.remove(&ticket);
        drop(state);
        if let Some(ask) = ask {
            ask.tell(early, by);
        }
    }

    /// Ends the wait for that answer at that time; never, with none.
    fn run_out(self: &Arc<Desk>, ticket: ReplyTicket, deadline: Option<Instant>) {
        let arbiter = self.router.upgrade().and_then(|router| router.arbiter());
        let (Some(arbiter), Some(deadline)) = (arbiter, deadline) else { return };
        let desk = Arc::downgrade(self);
        let runs_out = arbiter.spawn(async move {
            tokio::time::sleep_until(deadline.into()).await;
            if let Some(desk) = desk.upgrade()
                && let Some(ask) = desk.forget(ticket)
            {
                ask.fail(&Failure::unknown(Cause::TimedOut));
            }
        });
        let mut state = self.lock();
        let before = match state.asks.get_mut(&ticket) {
            Some(ask) => ask.runs_out.replace(runs_out.abort_handle()),
            None => Some(runs_out.abort_handle()),
        };
        if let Some(before) = before {
            before.abort();
        }
    }

    /// Nobody waits there any more; whoever has the responder is told.
    fn forget(self: &Arc<Desk>, ticket: ReplyTicket) -> Option<Ask> {
        let ask = self.lock().asks.remove(&ticket)?;
        if let Some((_, holder)) = ask.holder {
            self.tell_released(ticket, holder);
        }
        Some(ask)
    }

    fn tell_released(self: &Arc<Desk>, ticket: ReplyTicket, holder: Consumer) {
        let Some((process, life)) = holder else { return self.released(ticket) };
        let peer = self.router.upgrade().and_then(|router| router.connection_with(process, life));
        let target = peer.and_then(|peer| codec::decode::<Target>(&peer.desk()?).ok());
        if let Some(target) = target {
            clerk::tell(&target, Released(ticket), |desk, Released(ticket)| desk.released(ticket));
        }
    }

    /// The answer; a second one, or one without proof, finds nobody.
    pub(in crate::address) fn answer(self: &Arc<Desk>, answer: Answer, process: Option<ProcessId>) {
        let ticket = answer.ticket;
        if let Some(router) = self.router.upgrade() {
            self.take_over(&router, ticket);
        }
        let by = self.consumer(process).ok().flatten();
        let mut state = self.lock();
        match state.asks.get_mut(&ticket) {
            Some(ask) if ask.outcome.is_none() => {
                ask.early.get_or_insert((answer, by));
            }
            Some(_) => {
                let ask = state.asks.remove(&ticket);
                drop(state);
                let Some(ask) = ask else { return };
                // Of two copies the other one has it still.
                if let Some((_, holder)) = ask.holder.filter(|(_, holder)| *holder != by) {
                    self.tell_released(ticket, holder);
                }
                ask.tell(answer, by);
            }
            None => {
                drop(state);
                tracing::debug!(target: "procession", "an answer to an ask that nobody waits for");
            }
        }
    }

    /// The runtime has ended: so has every ask.
    pub(super) fn end_asks(&self, why: &Failure) {
        let all = std::mem::take(&mut self.lock().asks);
        all.into_values().for_each(|ask| ask.fail(why));
    }

    /// Whether an honest process may show that ticket. Of a call it may: its connection, and what proved it, may be gone.
    pub(super) fn may_be_ours(&self, ticket: ReplyTicket) -> bool {
        match ticket {
            ReplyTicket::Kept { number, key } => self.lock().shelf.is_ours(number, key),
            ReplyTicket::Call { .. } => true,
            ReplyTicket::Nobody => false,
        }
    }
}
