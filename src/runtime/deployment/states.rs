//! The states that actors keep with the root, and give to their next lives.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Deployment;
use crate::id::{ProcessId, Slot};
use crate::protocol::control::ToWorker;
use crate::protocol::keeping::{Keep, KeepRefusal, Keeping, KeptState};
use crate::runtime::broker::Life;

/// The newest state of each actor: at most one, of at most `snapshot_limit` bytes, for each actor of the plan.
#[derive(Debug, Default)]
pub(super) struct States(BTreeMap<(ProcessId, Slot), Held>);

#[derive(Debug)]
struct Held {
    state: Bytes,
    /// Else it is for the next life alone.
    is_snapshot: bool,
}

impl States {
    pub(super) fn keep(&mut self, process: ProcessId, slot: Slot, what: Keeping) {
        let (state, is_snapshot) = match what {
            Keeping::Snapshot(state) => (state, true),
            Keeping::Handover(state) => (state, false),
            Keeping::Nothing => return self.forget(process, slot),
        };
        self.0.insert((process, slot), Held { state, is_snapshot });
    }

    /// What was kept of the actors of a process.
    pub(super) fn of(&self, process: ProcessId) -> Vec<KeptState> {
        let all = self.0.range((process, Slot(0))..=(process, Slot(u32::MAX)));
        let kept = |((_, slot), Held { state, is_snapshot }): (&(ProcessId, Slot), &Held)| KeptState {
            slot: *slot,
            state: state.clone(),
            is_snapshot: *is_snapshot,
        };
        all.map(kept).collect()
    }

    /// A life has come to be: what was handed over to it alone is used up.
    pub(super) fn begun(&mut self, process: ProcessId) {
        self.0.retain(|(of, _), held| *of != process || held.is_snapshot);
    }

    /// A process was removed.
    pub(super) fn forget_all(&mut self, process: ProcessId) {
        self.0.retain(|(of, _), _| *of != process);
    }

    /// An actor was removed, or wants it so.
    pub(super) fn forget(&mut self, process: ProcessId, slot: Slot) {
        self.0.remove(&(process, slot));
    }
}

impl Deployment {
    /// A worker asks to keep the state of one of its actors.
    pub(super) fn keep(&mut self, life: Life, Keep { slot, number, what }: Keep) {
        let refused = self.refusal(life.0, slot, &what);
        if refused.is_none() {
            self.states.keep(life.0, slot, what);
        }
        self.answer(life, ToWorker::Kept { slot, number, refused });
    }

    fn refusal(&self, process: ProcessId, slot: Slot, what: &Keeping) -> Option<KeepRefusal> {
        let Some(planned) = self.plan.process_by_id(process) else { return Some(KeepRefusal::NoActor) };
        let limit = planned.snapshot_limit;
        match planned.actors.binary_search_by_key(&slot, |actor| actor.slot).is_ok() {
            false => Some(KeepRefusal::NoActor),
            true if what.bytes() as u64 > limit => Some(KeepRefusal::TooLarge { limit }),
            true => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn the_newest_is_kept_and_a_handover_goes_to_one_life() {
        let mut states = States::default();
        let (left, right) = (ProcessId(1), ProcessId(2));
        states.keep(left, Slot(0), Keeping::Snapshot(bytes("old")));
        states.keep(left, Slot(0), Keeping::Snapshot(bytes("new")));
        states.keep(left, Slot(1), Keeping::Handover(bytes("handed")));
        states.keep(right, Slot(0), Keeping::Handover(bytes("other")));
        let of = |states: &States, process| -> Vec<(u32, Bytes)> {
            states.of(process).into_iter().map(|kept| (kept.slot.0, kept.state)).collect()
        };
        assert_eq!(of(&states, left), [(0, bytes("new")), (1, bytes("handed"))]);
        states.begun(left);
        assert_eq!(of(&states, left), [(0, bytes("new"))]);
        assert_eq!(of(&states, right), [(0, bytes("other"))]);
        states.keep(left, Slot(0), Keeping::Nothing);
        assert_eq!(of(&states, left), []);
    }
}
