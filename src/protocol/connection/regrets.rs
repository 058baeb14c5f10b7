//! Whether channels are closed too early: a sender with more addresses than it keeps channels, that uses them in turn, opens one
//! for each message just after it was closed.
//!
//! Remembers whom the closed ones led to, as bits of a table. Others that fall on the same bit are taken for them, which is why the table
//! is emptied before that happens often.

use std::hash::BuildHasher;

use rustc_hash::FxBuildHasher;

use crate::id::Capability;

/// Bits of the table: 256 KiB, made when the first channel is closed for want of use.
const BITS_LOG2: u32 = 21;

/// With so many bits set the table is emptied: one in eight of those that were never there seems to have been.
const FULL: usize = 1 << (BITS_LOG2 - 3);

#[derive(Debug, Default)]
pub(super) struct Regrets {
    bits: Vec<u64>,
    set: usize,
    /// Since the last judgement.
    opened: usize,
    opened_again: usize,
}

impl Regrets {
    /// A channel is closed, since nobody seems to use it.
    pub(super) fn note_closed(&mut self, target: &Capability) {
        if self.bits.is_empty() || self.set >= FULL {
            self.bits.clear();
            self.bits.resize(1 << (BITS_LOG2 - u64::BITS.ilog2()), 0);
            self.set = 0;
        }
        let (word, bit) = place(target);
        let word = &mut self.bits[word];
        self.set += usize::from(*word & bit == 0);
        *word |= bit;
    }

    pub(super) fn note_opened(&mut self, target: &Capability) {
        let (word, bit) = place(target);
        self.opened += 1;
        self.opened_again += usize::from(self.bits.get(word).is_some_and(|word| word & bit != 0));
    }

    /// How many channels since the last judgement.
    pub(super) fn opened(&self) -> usize {
        self.opened
    }

    /// Whether more than a quarter of those that were opened since the last time had been closed before.
    pub(super) fn prevail(&mut self) -> bool {
        let (opened, again) = (std::mem::take(&mut self.opened), std::mem::take(&mut self.opened_again));
        4 * again > opened
    }
}

fn place(target: &Capability) -> (usize, u64) {
    // An actor has one channel, by whatever right it was opened. The lower bits are the better ones.
    let bit = FxBuildHasher.hash_one((target.process(), target.slot())) % (1 << BITS_LOG2);
    let word = usize::try_from(bit / u64::from(u64::BITS)).expect("far fewer");
    (word, 1 << (bit % u64::from(u64::BITS)))
}
