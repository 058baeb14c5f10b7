//! Counts keys. Several tallies share a large set of keys when their senders divide it by a hash, for which there is
//! [`owner`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{BuildHasher, BuildHasherDefault};

use procession::prelude::*;
use rustc_hash::{FxHashMap, FxHasher};

/// Adds to the counts of some keys.
#[derive(Message, Serialize, Deserialize, Debug, Clone)]
#[rtype(result = "()")]
pub struct Count(pub Vec<(String, u64)>);

/// What was counted so far, with the most frequent keys.
#[derive(Message, Serialize, Deserialize, Debug, Clone)]
#[rtype(result = "Totals")]
pub struct Total {
    /// How many of the most frequent keys to tell.
    pub top: usize,
}

/// What a tally has counted.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// The sum of all counts.
    pub total: u64,
    /// How many keys there are.
    pub distinct: u64,
    /// The most frequent keys, by count, those of one count by key.
    pub top: Vec<(String, u64)>,
}

impl Totals {
    /// Adds what another tally has counted; the two must not share a key.
    pub fn merge(&mut self, other: Totals, top: usize) {
        self.total += other.total;
        self.distinct += other.distinct;
        self.top.extend(other.top);
        self.top.sort_by(|(left, left_count), (right, right_count)| {
            right_count.cmp(left_count).then_with(|| left.cmp(right))
        });
        self.top.truncate(top);
    }
}

/// Which of `tallies` owns a key. The same in every process of one build.
pub fn owner(key: &str, tallies: usize) -> usize {
    // The high bits, since a tally's own table goes by the low ones of the same hash.
    let hash = BuildHasherDefault::<FxHasher>::default().hash_one(key) >> 32;
    usize::try_from(hash).unwrap_or(0) % tallies.max(1)
}

/// Counts keys.
#[derive(ProcActor, Debug, Default)]
#[proc_actor(messages(Count, Total))]
pub struct Tally {
    counts: FxHashMap<Box<str>, u64>,
    total: u64,
}

impl Actor for Tally {
    type Context = Context<Self>;
}

impl Spawn for Tally {
    type Args = ();

    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Tally::default())
    }
}

impl Handler<Count> for Tally {
    type Result = ();

    fn handle(&mut self, Count(counts): Count, _: &mut Context<Self>) {
        for (key, count) in counts {
            self.total += count;
            *self.counts.entry(key.into()).or_default() += count;
        }
    }
}

impl Handler<Total> for Tally {
    type Result = MessageResult<Total>;

    fn handle(&mut self, Total { top }: Total, _: &mut Context<Self>) -> MessageResult<Total> {
        // A heap of the best so far, the worst of them on top, so that a large table is walked once and not sorted.
        let mut best: BinaryHeap<(Reverse<u64>, &str)> = BinaryHeap::with_capacity(top + 1);
        for (key, count) in &self.counts {
            best.push((Reverse(*count), key));
            if best.len() > top {
                best.pop();
            }
        }
        let top = best.into_sorted_vec().into_iter().map(|(Reverse(count), key)| (key.to_owned(), count));
        MessageResult(Totals { total: self.total, distinct: self.counts.len() as u64, top: top.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
        pairs.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect()
    }

    #[test]
    fn totals_come_by_count_and_then_by_key() {
        let system = actix_system();
        system.block_on(async {
            let tally = Tally::default().start();
            tally.send(Count(counts(&[("b", 2), ("c", 1), ("a", 2)]))).await.expect("alive");
            tally.send(Count(counts(&[("c", 4), ("d", 1)]))).await.expect("alive");
            let totals = tally.send(Total { top: 3 }).await.expect("alive");
            assert_eq!((totals.total, totals.distinct), (10, 4));
            assert_eq!(totals.top, counts(&[("c", 5), ("a", 2), ("b", 2)]));
        });
    }

    #[test]
    fn merging_keeps_the_order() {
        let mut left = Totals { total: 3, distinct: 2, top: counts(&[("b", 2), ("c", 1)]) };
        left.merge(Totals { total: 4, distinct: 2, top: counts(&[("a", 2), ("d", 2)]) }, 3);
        assert_eq!((left.total, left.distinct), (7, 4));
        assert_eq!(left.top, counts(&[("a", 2), ("b", 2), ("d", 2)]));
    }

    #[test]
    fn every_key_has_one_owner() {
        let owners: std::collections::BTreeSet<usize> =
            (0..100).map(|number| owner(&number.to_string(), 3)).collect();
        assert_eq!(owners, [0, 1, 2].into());
        assert_eq!(owner("x", 0), 0);
    }

    fn actix_system() -> procession::actix::SystemRunner {
        System::new()
    }
}
