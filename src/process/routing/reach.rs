//! What this process has learnt about reaching others, besides its connections with them. Both parts are bounded by those
//! that live, or by a number, however many come and go (M-3).

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::id::{Incarnation, ProcessId};

/// So many unreachable processes are remembered. One more than that, and the first is believed to be reachable until the
/// root says otherwise once more.
const MOST_UNREACHABLE: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Reach {
    /// The life of a process with which a connection was lost, until the next introduction or until it is known to be dead.
    broken: FxHashMap<ProcessId, Incarnation>,
    /// Processes of which the root last said that they can't be reached. Numbers are given in rising order, so the first
    /// are the oldest.
    unreachable: BTreeSet<ProcessId>,
}

impl Reach {
    pub(super) fn broken(&self, process: ProcessId) -> Option<Incarnation> {
        self.broken.get(&process).copied()
    }

    pub(super) fn is_unreachable(&self, process: ProcessId) -> bool {
        self.unreachable.contains(&process)
    }

    pub(super) fn introduced(&mut self, process: ProcessId) {
        self.broken.remove(&process);
        self.unreachable.remove(&process);
    }

    pub(super) fn handle_unreachable(&mut self, process: ProcessId) {
        self.broken.remove(&process);
        self.unreachable.insert(process);
        if self.unreachable.len() > MOST_UNREACHABLE {
            self.unreachable.pop_first();
        }
    }

    /// A connection with this life was lost, and its process is not known to be dead.
    pub(super) fn lost(&mut self, process: ProcessId, incarnation: Incarnation) {
        self.broken.insert(process, incarnation);
    }

    /// The root knows that this life is over, so nothing has to be said of it.
    pub(super) fn down(&mut self, process: ProcessId, incarnation: Incarnation) {
        if self.broken.get(&process) == Some(&incarnation) {
            self.broken.remove(&process);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m3_what_is_known_of_processes_that_come_and_go_is_bounded() {
        let (mut reach, first) = (Reach::default(), Incarnation::FIRST);
        for process in (1..100_000).map(ProcessId) {
            reach.lost(process, first);
            assert_eq!(reach.broken(process), Some(first));
            // The news of its death, or that there is none any more; or both.
            match process.0 % 3 {
                0 => reach.down(process, first),
                1 => reach.handle_unreachable(process),
                _ => {
                    reach.down(process, Incarnation(7));
                    assert_eq!(reach.broken(process), Some(first), "of another life");
                    reach.introduced(process);
                }
            }
            assert_eq!(reach.broken(process), None);
            assert_eq!(reach.is_unreachable(process), process.0 % 3 == 1);
        }
        assert!(reach.broken.is_empty() && reach.unreachable.len() == MOST_UNREACHABLE);
    }
}
