//! Order over a hand-over, decided: which ways to actors are held, and who is answered when.
//!
//! One for each process. What happens on the wire is drawn in `process::routing`, which does what this decides, and the
//! simulated world of the tests does so as well. A **way** is a channel to an actor by which something may be under way. A
//! **hold** is one address that was read and of which its giver has not said yet that what it had sent there has arrived. Its
//! **places** are where it keeps what this process sends: in the queue of a channel, or at the gate of an actor that lives
//! here. **Those who ask** were given the address by this process in turn, while it held the way itself and had none: they
//! are answered once it does not.
//!
//! A mark says how many holds there were when the address was written, its **stamp**, and whoever asks gives it back: what
//! was held only later is not waited for. Else two that tell one another of the same actor would wait for one another.
//!
//! - O-1 A hold has the places that it was given until it ends, and ends once.
//! - O-2 A channel that is opened while a way is held bears every hold of it.
//! - O-3 Who asks is answered when every hold is over that the stamp counts, and waits for no later one. Stamps rise with
//!   what is known of others, so nobody waits for himself, over any number of hands.

use rustc_hash::FxHashMap;

use crate::id::{ProcessId, Slot};

/// Hand-overs that one process may wait for at a time; for more of them order is not kept. Each is a place in a queue and a
/// request, and an address that is handed over a thousand times a second is settled in less than a millisecond.
pub const MAX_HOLDS: usize = 4096;

/// An actor, whichever life of it.
pub type Whom = (ProcessId, Slot);

/// Names a hold, for as long as its process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(u64);

impl HoldId {
    /// As it travels. A process that has held four thousand million times counts no more: then all that is held is waited for.
    fn stamp(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

/// What one process knows of the ways that it has, and of those that are held. `P` is a place, `W` who asks.
#[derive(Debug)]
pub struct Handovers<P, W> {
    /// How many channels lead there.
    ways: FxHashMap<Whom, u32>,
    /// Those that are not over, in the order in which they began.
    held: FxHashMap<Whom, Vec<HoldId>>,
    holds: FxHashMap<HoldId, Hold<P, W>>,
    last: u64,
}

#[derive(Debug)]
struct Hold<P, W> {
    whom: Whom,
    places: Vec<P>,
    asking: Vec<W>,
}

/// What is left of a hold that is over.
#[derive(Debug, PartialEq, Eq)]
pub struct Over<P, W> {
    /// Where what waited may go on.
    pub places: Vec<P>,
    /// Who is answered.
    pub asking: Vec<W>,
}

impl<P, W> Default for Handovers<P, W> {
    fn default() -> Self {
        Handovers {
            ways: FxHashMap::default(),
            held: FxHashMap::default(),
            holds: FxHashMap::default(),
            last: 0,
        }
    }
}

impl<P, W> Handovers<P, W> {
    /// A channel was opened. Gives the holds that it must bear, to be [put](Handovers::put) there before anything is sent.
    pub fn opened(&mut self, whom: Whom) -> Vec<HoldId> {
        *self.ways.entry(whom).or_default() += 1;
        self.held.get(&whom).cloned().unwrap_or_default()
    }

    /// A channel leads there no more.
    pub fn closed(&mut self, whom: Whom) {
        if let Some(ways) = self.ways.get_mut(&whom) {
            *ways -= 1;
            if *ways == 0 {
                self.ways.remove(&whom);
            }
        }
    }

    /// Whether something may be under way there: the mark of an address that leaves this process, with the last hold that is
    /// not over, or 0.
    pub fn stamp(&self, whom: Whom) -> Option<u32> {
        match self.held.get(&whom).and_then(|holds| holds.last()) {
            Some(hold) => Some(hold.stamp()),
            None => self.ways.contains_key(&whom).then_some(0),
        }
    }

    /// The places of what is held there and is not counted by a stamp, oldest first: who asks with it stands before them.
    pub fn places_after(&self, whom: Whom, stamp: u32) -> impl Iterator<Item = &P> {
        let holds = self.held.get(&whom).into_iter().flatten();
        let later = holds.filter(move |hold| hold.stamp() > stamp);
        later.filter_map(|hold| self.holds.get(hold)).flat_map(|hold| &hold.places)
    }

    /// A marked address was read: the way is held until its giver has answered. None if as many are held as may be.
    pub fn begin(&mut self, whom: Whom) -> Option<HoldId> {
        if self.holds.len() >= MAX_HOLDS {
            return None;
        }
        self.last += 1;
        let hold = HoldId(self.last);
        self.held.entry(whom).or_default().push(hold);
        self.holds.insert(hold, Hold { whom, places: Vec::new(), asking: Vec::new() });
        Some(hold)
    }

    /// A hold keeps what is sent in this place.
    ///
    /// # Errors
    /// It is over: the place is to be released.
    pub fn put(&mut self, hold: HoldId, place: P) -> Result<(), P> {
        match self.holds.get_mut(&hold) {
            Some(hold) => {
                hold.places.push(place);
                Ok(())
            }
            None => Err(place),
        }
    }

    /// Somebody who was given the address with this stamp by this process, which has no channel there, asks whether all has
    /// arrived.
    ///
    /// # Errors
    /// It has: this process has sent nothing, and holds nothing that the stamp counts.
    pub fn ask(&mut self, whom: Whom, stamp: u32, who: W) -> Result<(), W> {
        let last = self.held.get(&whom).and_then(|holds| holds.iter().rfind(|hold| hold.stamp() <= stamp));
        match last.and_then(|hold| self.holds.get_mut(hold)) {
            Some(hold) => {
                hold.asking.push(who);
                Ok(())
            }
            None => Err(who),
        }
    }

    /// How many are not over.
    pub fn held(&self) -> usize {
        self.holds.len()
    }

    /// The giver has answered, or can't any more.
    pub fn end(&mut self, hold: HoldId) -> Over<P, W> {
        let Some(Hold { whom, places, mut asking }) = self.holds.remove(&hold) else {
            return Over { places: Vec::new(), asking: Vec::new() };
        };
        if let Some(holds) = self.held.get_mut(&whom) {
            holds.retain(|other| *other != hold);
            if let Some(earlier) = holds.iter().rfind(|other| **other < hold)
                && let Some(earlier) = self.holds.get_mut(earlier)
            {
                earlier.asking.append(&mut asking);
            }
            if holds.is_empty() {
                self.held.remove(&whom);
            }
        }
        Over { places, asking }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const C: Whom = (ProcessId(3), Slot(0));

    #[test]
    fn a2_a_channel_that_is_opened_bears_what_is_held_and_an_end_is_one() {
        let mut handovers = Handovers::<u32, ()>::default();
        assert_eq!(handovers.stamp(C), None);
        let (one, two) = (handovers.begin(C).expect("room"), handovers.begin(C).expect("room"));
        assert_eq!(handovers.stamp(C), Some(2));
        assert_eq!(handovers.opened(C), [one, two]);
        assert_eq!((handovers.put(one, 1), handovers.put(two, 2)), (Ok(()), Ok(())));
        assert_eq!(handovers.end(one).places, [1]);
        assert_eq!(handovers.put(one, 3), Err(3), "it is over");
        assert!(handovers.end(one).places.is_empty());
        assert_eq!(handovers.end(two).places, [2]);
        assert!(handovers.stamp(C) == Some(0) && handovers.opened(C).is_empty());
        handovers.closed(C);
        handovers.closed(C);
        handovers.closed(C);
        assert_eq!(handovers.stamp(C), None);
    }

    #[test]
    fn a2_who_asks_is_answered_when_nothing_is_held_any_more() {
        let mut handovers = Handovers::<(), u32>::default();
        assert_eq!(handovers.ask(C, 9, 1), Err(1));
        let (one, two) = (handovers.begin(C).expect("room"), handovers.begin(C).expect("room"));
        assert_eq!(handovers.ask(C, 2, 2), Ok(()));
        let three = handovers.begin(C).expect("room");
        assert!(handovers.end(two).asking.is_empty(), "the first is still held");
        assert_eq!(handovers.end(one).asking, [2], "the third came later");
        assert_eq!(handovers.ask(C, 2, 3), Err(3), "what it asks for is over");
        assert_eq!(handovers.ask(C, 3, 4), Ok(()));
        assert_eq!(handovers.end(three).asking, [4]);
    }

    #[test]
    fn a2_who_asks_stands_before_what_was_held_later() {
        let mut handovers = Handovers::<char, ()>::default();
        let (one, two) = (handovers.begin(C).expect("room"), handovers.begin(C).expect("room"));
        handovers.put(one, 'a').expect("held");
        handovers.put(two, 'b').expect("held");
        let after = |handovers: &Handovers<char, ()>, stamp| handovers.places_after(C, stamp).next().copied();
        assert_eq!([0, 1, 2].map(|stamp| after(&handovers, stamp)), [Some('a'), Some('b'), None]);
        handovers.end(one);
        assert_eq!(after(&handovers, 0), Some('b'));
    }

    #[test]
    fn m3_only_so_many_are_held_at_a_time() {
        let mut handovers = Handovers::<(), ()>::default();
        let all: Vec<_> = (0..MAX_HOLDS).map(|_| handovers.begin(C).expect("room")).collect();
        assert_eq!(handovers.begin(C), None);
        handovers.end(all[7]);
        assert!(handovers.begin(C).is_some());
    }
}
