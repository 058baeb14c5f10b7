//! What the engine notes of the actors, and what their process is told of it.

use std::rc::Rc;

use super::driver::{Host, Kept, Stage};
use super::life::PANIC_CODE;
use crate::supervision::{ChildId, NotRestarted, Note, Outcome};

impl Host {
    pub(super) fn note(&self, note: Note) {
        match note {
            Note::AllStarted => {
                self.stage.send_replace(Stage::Up);
            }
            Note::Restarting { child, delay, restarts, budget_left, .. } => {
                let Some(kept) = self.kept(child) else { return };
                tracing::warn!(
                    target: "procession", actor = %kept.start.name, ?delay, restarts, budget_left,
                    "an actor ended and is started anew"
                );
            }
            // It may be started again with the others.
            Note::NotRestarted { why: NotRestarted::GroupStopping, .. } => {}
            Note::NotRestarted { child, .. } | Note::StoppedByHand { child } => {
                if let Some(kept) = self.kept(child) {
                    kept.hosted.bury();
                }
            }
            Note::AddFailed { child } => {
                if let Some(kept) = self.forget(child)
                    && let Some(added) = kept.added.take()
                {
                    let _ = added.send(Err(kept.failure()));
                }
            }
            Note::Removed { child } => drop(self.forget(child)),
            Note::GroupGaveUp { child, restarts, period, .. } => {
                let name = self.kept(child).map(|kept| kept.start.name.to_string()).unwrap_or_default();
                tracing::error!(
                    target: "procession", actor = %name, restarts, ?period,
                    "an actor ends too often; its process ends"
                );
            }
            Note::Ending(outcome) => self.ending(outcome),
            // There are neither groups nor deadlines of starts here.
            Note::GroupNotRestarted { .. } | Note::StartDeadlinePassed { .. } => {}
        }
    }

    /// The actors go down together. Where that was not asked for, the process drains first, and then has them stopped.
    fn ending(&self, outcome: Outcome) {
        let code = match outcome {
            Outcome::Stopped => None,
            Outcome::Completed { .. } => Some(0),
            Outcome::StartFailed { .. } | Outcome::GaveUp { .. } => Some(PANIC_CODE),
        };
        let mut state = self.state.borrow_mut();
        state.ending = true;
        let Some(code) = code.filter(|_| *self.stage.borrow() == Stage::Up) else { return };
        state.waits_for_drain = true;
        drop(state);
        (self.orders.end)(code);
    }

    /// No actor lives, and none will.
    pub(super) fn over(&self, outcome: Outcome) {
        let actors: Vec<Rc<Kept>> = self.state.borrow().actors.values().cloned().collect();
        for kept in &actors {
            kept.hosted.bury();
            if let Some(added) = kept.added.take() {
                let _ = added.send(Err(kept.failure()));
            }
            kept.removed.take();
        }
        let failed = outcome.child().and_then(|child| self.kept(child));
        self.stage.send_replace(Stage::Over(failed.map(|kept| kept.failure())));
    }

    /// An actor is in the tree no more: its place is free.
    fn forget(&self, child: ChildId) -> Option<Rc<Kept>> {
        let kept = self.state.borrow_mut().actors.remove(&child)?;
        kept.hosted.bury();
        self.router.registry().remove(kept.start.slot);
        self.keeper.forget(kept.start.slot);
        for waits in kept.removed.take() {
            let _ = waits.send(());
        }
        Some(kept)
    }
}
