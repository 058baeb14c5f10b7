//! Streams that were made in the future of an asynchronous handler, and whose they are.
//!
//! What a handler makes before it returns is its actor's, since its thread says for whom it works. Its future runs by itself
//! or within its actor, and says nothing; but the task that answers is the one that made the stream, and who waits for
//! that answer knows for which actor it is.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use tokio::task::Id;

use super::made::Life;
use crate::id::{ProcessId, Slot};
use crate::process::handling::LifeNumber;

/// Below this many it is not worth looking for those that are no more.
const SWEEP_FROM: usize = 64;

struct Unbound {
    made: Vec<(Id, Weak<Life>)>,
    /// The number at which those that are no more are looked for.
    sweep_at: usize,
}

thread_local! {
    static UNBOUND: RefCell<Unbound> = const { RefCell::new(Unbound { made: Vec::new(), sweep_at: SWEEP_FROM }) };
}

/// This task made a stream, outside of any handler.
pub(super) fn note(life: &Arc<Life>) {
    let Some(task) = tokio::task::try_id() else { return };
    // A thread that is being torn down answers nobody.
    let _ = UNBOUND.try_with(|unbound| {
        let mut unbound = unbound.borrow_mut();
        if unbound.made.len() >= unbound.sweep_at {
            unbound.made.retain(|(_, life)| life.strong_count() > 0);
            unbound.sweep_at = SWEEP_FROM.max(2 * unbound.made.len());
        }
        unbound.made.push((task, Arc::downgrade(life)));
    });
}

/// The handler whose future is this task, or part of it, answers: what it made is its actor's.
pub(in crate::address) fn bind_made_by(
    task: Option<Id>,
    (slot, number): (Slot, LifeNumber),
    asker: Option<ProcessId>,
) {
    let made_any = UNBOUND.try_with(|unbound| !unbound.borrow().made.is_empty()).unwrap_or_default();
    let Some(task) = task.filter(|_| made_any) else { return };
    let its = UNBOUND.try_with(|unbound| {
        let made = &mut unbound.borrow_mut().made;
        made.extract_if(.., |(by, _)| *by == task).filter_map(|(_, life)| life.upgrade()).collect::<Vec<_>>()
    });
    for life in its.into_iter().flatten() {
        life.bind(slot, number, asker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted() -> usize {
        UNBOUND.with(|unbound| unbound.borrow().made.len())
    }

    #[test]
    fn m3_streams_that_are_no_more_are_forgotten() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let set = tokio::task::LocalSet::new();
        let made = set.spawn_local(async {
            let kept = Arc::<Life>::default();
            note(&kept);
            for _ in 0..10 * SWEEP_FROM {
                note(&Arc::default());
            }
            assert!(noted() <= SWEEP_FROM, "{}", noted());
            let task = tokio::task::try_id();
            bind_made_by(task, (Slot(7), LifeNumber::default()), Some(ProcessId(3)));
            (kept.asker(), noted())
        });
        assert_eq!(runtime.block_on(set.run_until(made)).expect("no panic"), (Some(ProcessId(3)), 0));
    }
}
