//! The streams that a process gives: whose each is, and what those may who ask for it.
//!
//! ```text
//!  offer --> Offered --claim--> Claimed --its end, cancel, the death of its consumer--> gone
//!               |                 | ^
//!               |^                | '-' claim, by whom it was sent on to: one hand further
//!               ||                '--passed: it was sent on, and nobody has claimed it yet--.
//!               |'--------------------------------------------------------------------------'
//!               '--unclaimed-----------------------------------------------------------> gone
//! ```
//!
//! - S-1 a stream is one consumer's: who got it last, from hand to hand, and of those the first to say so.
//! - S-2 a consumer has at most [`MOST_PULLS`] pulls of one stream under way, as many as an honest one makes.
//! - S-3 what all pulls under way may be answered with is bounded: past [`MOST_PULLED_BYTES`] each gets [`LEAST_BYTES`].
//! - S-4 at most [`MOST_STREAMS`], and of those at most [`MOST_OF_ONE`] on account of one other process: of who has them, or,
//!   until somebody has, of who asked for them.

use rustc_hash::FxHashMap;

use super::{Credit, Pull, StreamId};
use crate::id::{Incarnation, ProcessId};
use crate::protocol::responders::proof;

/// Streams that a process may have given and not ended.
pub const MOST_STREAMS: usize = 64 << 10;

/// Of those, what one peer that asks for streams and never pulls can make it keep: others get theirs all the same.
pub const MOST_OF_ONE: usize = 16 << 10;

/// A consumer pulls two batches at a time ([`Credit`]).
pub const MOST_PULLS: u32 = 2;

/// What all consumers together may be owed: a process that pulls much of many streams and reads nothing costs no more.
pub const MOST_PULLED_BYTES: u64 = 64 << 20;

/// What a pull gets where others have pulled so much already.
pub const LEAST_BYTES: u32 = 4 << 10;

/// Who asks: that life of a process, or, with none, this process.
pub type Consumer = Option<(ProcessId, Incarnation)>;

/// The streams of one process, as the head of this file has them. What yields the items is `S`.
#[derive(Debug)]
pub struct Shelf<S> {
    /// Keys are made of it.
    secret: u128,
    last: u64,
    entries: FxHashMap<u64, Entry<S>>,
    /// How many are on account of each process that has any.
    accounts: FxHashMap<ProcessId, usize>,
    pulled_bytes: u64,
}

#[derive(Debug)]
struct Entry<S> {
    source: S,
    /// Whose it is, and through how many hands it came there; nobody's yet.
    owner: Option<(u32, Consumer)>,
    /// Whose it counts as; none is this process.
    account: Option<ProcessId>,
    pulls: u32,
}

/// Why somebody gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It has ended, or was dropped.
    #[error("this stream is over")]
    Over,
    /// It was sent on, and is somebody else's.
    #[error("this stream was sent on")]
    Another,
    /// A key that this process did not make.
    #[error("it asked for a stream by a key that nobody gave it")]
    Guess,
    /// There are too many (S-4).
    #[error("there are {MOST_STREAMS} streams already, or {MOST_OF_ONE} for one process")]
    Many,
    /// More than an honest consumer ever asks for.
    #[error("it pulled a stream more than {MOST_PULLS} times at once")]
    Crowd,
}

impl Wrong {
    /// Whether no honest process does it.
    pub fn is_violation(self) -> bool {
        matches!(self, Wrong::Guess | Wrong::Crowd)
    }
}

impl<S: Clone> Shelf<S> {
    /// An empty one; the secret is random.
    pub fn new(secret: u128) -> Shelf<S> {
        let (entries, accounts) = Default::default();
        Shelf { secret, last: 0, entries, accounts, pulled_bytes: 0 }
    }

    /// A number that was not given before, and its key.
    pub fn next_key(&mut self) -> (u64, u128) {
        self.last += 1;
        (self.last, proof(self.secret, self.last))
    }

    /// Whether this process made that key for that number.
    pub fn is_ours(&self, number: u64, key: u128) -> bool {
        proof(self.secret, number) == key
    }

    /// Puts a stream there for whoever claims it first. It was asked for by that process, or, with none, by this one.
    ///
    /// # Errors
    /// There are too many.
    pub fn offer(&mut self, source: S, asker: Option<ProcessId>) -> Result<StreamId, Wrong> {
        if self.entries.len() >= MOST_STREAMS {
            return Err(Wrong::Many);
        }
        self.charge(None, asker)?;
        let (number, key) = self.next_key();
        self.entries.insert(number, Entry { source, owner: None, account: asker, pulls: 0 });
        Ok(StreamId { number, key, hand: 0 })
    }

    /// One that counted as this one's is now that one's.
    fn charge(&mut self, before: Option<ProcessId>, after: Option<ProcessId>) -> Result<(), Wrong> {
        if before == after {
            return Ok(());
        }
        if let Some(process) = after {
            let count = self.accounts.entry(process).or_default();
            if *count >= MOST_OF_ONE {
                return Err(Wrong::Many);
            }
            *count += 1;
        }
        if let Some(process) = before
            && let Some(count) = self.accounts.get_mut(&process)
        {
            *count -= 1;
            if *count == 0 {
                self.accounts.remove(&process);
            }
        }
        Ok(())
    }

    fn remove(&mut self, number: u64) -> Option<S> {
        let entry = self.entries.remove(&number)?;
        // To be nobody's is always possible.
        let _ = self.charge(entry.account, None);
        Some(entry.source)
    }

    fn entry(&mut self, stream: StreamId) -> Result<&mut Entry<S>, Wrong> {
        if !self.is_ours(stream.number, stream.key) {
            return Err(Wrong::Guess);
        }
        self.entries.get_mut(&stream.number).ok_or(Wrong::Over)
    }

    /// The entry, if it is this consumer's (S-1).
    fn owned(&mut self, stream: StreamId, consumer: Consumer) -> Result<&mut Entry<S>, Wrong> {
        let entry = self.entry(stream)?;
        if entry.owner == Some((stream.hand, consumer)) { Ok(entry) } else { Err(Wrong::Another) }
    }

    /// The stream is this consumer's now. Returns what it is.
    ///
    /// # Errors
    /// Another has it, who was given it as late or later; or it has too many.
    pub fn claim(&mut self, stream: StreamId, consumer: Consumer) -> Result<S, Wrong> {
        let entry = self.entry(stream)?;
        let is_older = |(hand, owner)| hand < stream.hand || (hand, owner) == (stream.hand, consumer);
        if !entry.owner.is_none_or(is_older) {
            return Err(Wrong::Another);
        }
        let (before, after) = (entry.account, consumer.map(|(process, _)| process));
        self.charge(before, after)?;
        let entry = self.entry(stream)?;
        entry.account = after;
        entry.owner = Some((stream.hand, consumer));
        Ok(entry.source.clone())
    }

    /// Its consumer has sent it on: it is whose who claims it next.
    ///
    /// # Errors
    /// See [`Wrong`].
    pub fn pass(&mut self, stream: StreamId, consumer: Consumer) -> Result<S, Wrong> {
        let entry = self.owned(stream, consumer)?;
        entry.owner = None;
        Ok(entry.source.clone())
    }

    /// A pull begins: of what, and for how much at most. [`finish`](Self::finish) ends it. Who pulls claims, too.
    ///
    /// # Errors
    /// See [`Wrong`].
    pub fn begin(&mut self, pull: &Pull, consumer: Consumer) -> Result<(S, Pull), Wrong> {
        let left = MOST_PULLED_BYTES.saturating_sub(self.pulled_bytes);
        self.claim(pull.stream, consumer)?;
        let entry = self.owned(pull.stream, consumer)?;
        if entry.pulls >= MOST_PULLS {
            return Err(Wrong::Crowd);
        }
        entry.pulls += 1;
        let source = entry.source.clone();
        let Credit { items, bytes } = Credit { items: pull.items, bytes: pull.bytes }.bounded();
        let bytes = bytes.min(u32::try_from(left).unwrap_or(u32::MAX).max(LEAST_BYTES));
        self.pulled_bytes += u64::from(bytes);
        Ok((source, Pull { items, bytes, ..*pull }))
    }

    /// What [`begin`](Self::begin) gave has its batch, which may be the last.
    pub fn finish(&mut self, pull: &Pull, is_last: bool) {
        self.pulled_bytes -= u64::from(pull.bytes);
        if let Some(entry) = self.entries.get_mut(&pull.stream.number) {
            entry.pulls -= 1;
            if is_last {
                self.remove(pull.stream.number);
            }
        }
    }

    /// Its consumer wants no more. Returns what is to be dropped.
    ///
    /// # Errors
    /// See [`Wrong`].
    pub fn cancel(&mut self, stream: StreamId, consumer: Consumer) -> Result<Option<S>, Wrong> {
        self.owned(stream, consumer)?;
        Ok(self.remove(stream.number))
    }

    /// It was offered for so long; what is to be dropped, if nobody has claimed it.
    pub fn unclaimed(&mut self, stream: StreamId) -> Option<S> {
        let entry = self.entry(stream).ok()?;
        if entry.owner.is_some() { None } else { self.remove(stream.number) }
    }

    /// A process has died, with all that it had.
    pub fn gone(&mut self, process: ProcessId, life: Incarnation) -> Vec<S> {
        let is_its = |entry: &Entry<S>| matches!(entry.owner, Some((_, Some(of))) if of == (process, life));
        let its: Vec<_> =
            self.entries.iter().filter(|(_, entry)| is_its(entry)).map(|(number, _)| *number).collect();
        its.into_iter().filter_map(|number| self.remove(number)).collect()
    }

    /// There are to be no more.
    pub fn clear(&mut self) -> Vec<S> {
        self.accounts.clear();
        self.entries.drain().map(|(_, entry)| entry.source).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Consumer = None;
    const THEM: Consumer = Some((ProcessId(2), Incarnation(1)));
    const OTHERS: Consumer = Some((ProcessId(3), Incarnation(1)));

    fn pull(stream: StreamId) -> Pull {
        Pull { stream, items: 10, bytes: 100 }
    }

    #[test]
    fn x1_keys_are_not_guessed_edited_or_used_for_another_stream() {
        let mut shelf = Shelf::new(7);
        let (one, two) = (shelf.offer('1', None).expect("room"), shelf.offer('2', None).expect("room"));
        let swapped = StreamId { key: two.key, ..one };
        let edited = StreamId { key: one.key ^ 1, ..one };
        let unknown = StreamId { number: 900, ..one };
        for guess in [swapped, edited, unknown, StreamId { number: 0, key: 0, hand: 0 }] {
            assert_eq!(shelf.claim(guess, THEM), Err(Wrong::Guess));
            assert_eq!(shelf.begin(&pull(guess), THEM), Err(Wrong::Guess));
            assert_eq!(shelf.cancel(guess, THEM), Err(Wrong::Guess));
        }
        assert!(Wrong::Guess.is_violation() && shelf.len() == 2);
    }

    #[test]
    fn s1_a_stream_is_whose_it_was_last_and_nobody_elses() {
        let mut shelf = Shelf::new(7);
        let stream = shelf.offer('1', None).expect("room");
        // Before it was claimed it is nobody's.
        assert_eq!(shelf.cancel(stream, THEM), Err(Wrong::Another));
        assert_eq!(shelf.claim(stream, THEM), Ok('1'));
        assert_eq!(shelf.claim(stream, OTHERS), Err(Wrong::Another));
        assert_eq!(shelf.cancel(stream, OTHERS), Err(Wrong::Another));
        let on = StreamId { hand: 1, ..stream };
        assert_eq!(shelf.claim(on, US), Ok('1'));
        // What the former owner says late is of no consequence.
        assert_eq!(shelf.claim(stream, THEM), Err(Wrong::Another));
        assert_eq!(shelf.begin(&pull(stream), THEM), Err(Wrong::Another));
        assert!(shelf.gone(ProcessId(2), Incarnation(1)).is_empty());
        assert!(shelf.begin(&pull(on), US).is_ok());
        assert_eq!(shelf.cancel(on, US), Ok(Some('1')));
        assert_eq!(shelf.cancel(on, US), Err(Wrong::Over));
        assert!(!Wrong::Over.is_violation() && !Wrong::Another.is_violation());
    }

    #[test]
    fn s2_more_pulls_than_anybody_needs_are_refused() {
        let mut shelf = Shelf::new(7);
        let stream = shelf.offer('1', None).expect("room");
        let (_, first) = shelf.begin(&pull(stream), THEM).expect("one");
        shelf.begin(&pull(stream), THEM).expect("two");
        assert_eq!(shelf.begin(&pull(stream), THEM), Err(Wrong::Crowd));
        shelf.finish(&first, false);
        let (_, last) = shelf.begin(&pull(stream), THEM).expect("two again");
        shelf.finish(&last, true);
        assert!(shelf.is_empty());
        assert_eq!(shelf.begin(&pull(stream), THEM), Err(Wrong::Over));
    }

    #[test]
    fn s3_what_all_may_be_owed_is_bounded() {
        let mut shelf = Shelf::new(7);
        let (mut granted, mut begun) = (0, Vec::new());
        for _ in 0..100 {
            let stream = shelf.offer('1', None).expect("room");
            shelf.claim(stream, THEM).expect("offered");
            let all = Pull { stream, items: u32::MAX, bytes: u32::MAX };
            let (_, pull) = shelf.begin(&all, THEM).expect("a pull");
            granted += u64::from(pull.bytes);
            begun.push(pull);
        }
        assert!(granted <= MOST_PULLED_BYTES + 100 * u64::from(LEAST_BYTES), "{granted}");
        begun.iter().for_each(|pull| shelf.finish(pull, true));
        assert_eq!((shelf.pulled_bytes, shelf.len()), (0, 0));
    }

    #[test]
    fn s1_one_that_was_passed_on_is_whose_who_claims_it_and_nobodys_for_too_long() {
        let mut shelf = Shelf::new(7);
        let stream = shelf.offer('1', None).expect("room");
        let on = StreamId { hand: 1, ..stream };
        assert_eq!(shelf.pass(stream, THEM), Err(Wrong::Another), "nobody has it yet");
        assert_eq!(shelf.claim(stream, THEM), Ok('1'));
        assert_eq!(shelf.pass(stream, OTHERS), Err(Wrong::Another));
        assert_eq!(shelf.pass(stream, THEM), Ok('1'));
        // It dies with nobody, and waits for whom it was sent to.
        assert!(shelf.gone(ProcessId(2), Incarnation(1)).is_empty());
        assert_eq!(shelf.claim(on, OTHERS), Ok('1'));
        assert_eq!(shelf.unclaimed(stream), None);
        // Who was given it and had it before the word of that came has it.
        assert_eq!(shelf.pass(stream, THEM), Err(Wrong::Another));
        assert_eq!(shelf.pass(on, OTHERS), Ok('1'));
        assert_eq!(shelf.unclaimed(stream), Some('1'));
        assert_eq!((shelf.pass(on, OTHERS), shelf.len()), (Err(Wrong::Over), 0));
        assert!(shelf.accounts.is_empty());
    }

    #[test]
    fn s4_so_many_and_no_more() {
        let mut shelf = Shelf::new(7);
        assert!((0..MOST_STREAMS).all(|_| shelf.offer('1', None).is_ok()));
        assert_eq!(shelf.offer('1', None), Err(Wrong::Many));
        assert_eq!(shelf.clear().len(), MOST_STREAMS);
        let stream = shelf.offer('1', None).expect("room");
        assert_eq!(shelf.unclaimed(stream), Some('1'));
    }

    #[test]
    fn s4_one_process_gets_so_many_and_leaves_room_for_others() {
        let mut shelf = Shelf::new(7);
        let [they, others] = [Some(ProcessId(2)), Some(ProcessId(3))];
        // Claimed or not.
        for at in 0..MOST_OF_ONE {
            let stream = shelf.offer('1', they).expect("room");
            if at % 2 == 0 {
                shelf.claim(stream, THEM).expect("it asked");
            }
        }
        assert_eq!(shelf.offer('1', they), Err(Wrong::Many));
        let stream = shelf.offer('2', others).expect("room for others");
        assert_eq!(shelf.claim(stream, THEM), Err(Wrong::Many), "neither by asking another for theirs");
        assert!(shelf.begin(&pull(stream), THEM).is_err_and(|wrong| !wrong.is_violation()));
        assert_eq!(shelf.claim(stream, OTHERS), Ok('2'));
        assert_eq!(shelf.cancel(stream, OTHERS), Ok(Some('2')));
        // Each that ends makes room for one.
        assert_eq!(shelf.gone(ProcessId(2), Incarnation(1)).len(), MOST_OF_ONE / 2);
        let stream = shelf.offer('1', they).expect("room again");
        assert_eq!((shelf.unclaimed(stream), shelf.accounts.len()), (Some('1'), 1));
        assert_eq!(shelf.clear().len(), MOST_OF_ONE / 2);
        assert!(shelf.accounts.is_empty());
    }
}
