//! Until when calls of ours may wait. Most wait equally long, so that each ends after those before it: these stand in a
//! queue, which costs less than a heap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

/// Deadlines with the keys of their calls, earliest first. Those of calls that have ended stay until they are found.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// Each no earlier than the one before it.
    queue: VecDeque<(Instant, u64)>,
    /// Those that were earlier than the last in the queue, and those that were set apart.
    others: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Deadlines {
    #[inline]
    pub(super) fn push(&mut self, deadline: Instant, key: u64) {
        match self.queue.back() {
            Some((last, _)) if *last > deadline => self.others.push(Reverse((deadline, key))),
            _ => self.queue.push_back((deadline, key)),
        }
    }

    /// One that says nothing of those that come: an exception.
    pub(super) fn push_apart(&mut self, deadline: Instant, key: u64) {
        self.others.push(Reverse((deadline, key)));
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.others.len()
    }

    #[inline]
    pub(super) fn first(&self) -> Option<(Instant, u64)> {
        let (queued, other) = (self.queue.front().copied(), self.others.peek().map(|Reverse(other)| *other));
        match (queued, other) {
            (Some(queued), Some(other)) => Some(queued.min(other)),
            (queued, other) => queued.or(other),
        }
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<(Instant, u64)> {
        let first = self.first()?;
        match self.queue.front() {
            Some(queued) if *queued == first => self.queue.pop_front(),
            _ => self.others.pop().map(|Reverse(other)| other),
        }
    }

    pub(super) fn retain(&mut self, keeps: impl Fn(u64) -> bool) {
        self.queue.retain(|(_, key)| keeps(*key));
        self.others.retain(|Reverse((_, key))| keeps(*key));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_come_earliest_first_in_whatever_order_they_were_made(
            steps in proptest::collection::vec((0_u64..50, any::<bool>(), 0_u64..5), 0..200),
        ) {
            let begin = Instant::now();
            let (mut deadlines, mut model) = (Deadlines::default(), Vec::new());
            for (key, (after, pops, spared)) in steps.into_iter().enumerate() {
                let (deadline, key) = (begin + Duration::from_millis(after), key as u64);
                match spared {
                    4 => deadlines.push_apart(deadline, key),
                    _ => deadlines.push(deadline, key),
                }
                model.push((deadline, key));
                model.sort_unstable();
                if pops {
                    prop_assert_eq!(deadlines.first(), model.first().copied());
                    prop_assert_eq!(deadlines.pop(), Some(model.remove(0)));
                }
                if spared == 0 {
                    deadlines.retain(|key| key % 3 != 0);
                    model.retain(|(_, key)| key % 3 != 0);
                }
                prop_assert_eq!(deadlines.len(), model.len());
            }
            while let Some(first) = deadlines.pop() {
                prop_assert_eq!(first, model.remove(0));
            }
            prop_assert!(model.is_empty());
        }
    }
}
