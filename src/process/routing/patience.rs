//! How long one giver of addresses may keep others waiting.
//!
//! What is sent to an actor whose address was just read waits for its giver's answer (see `handover`). An honest one answers as
//! soon as what it had sent has arrived. One that never answers, or is always late, must not stop what this process sends to
//! whomever it names: so each hand-over may take a [`GRACE`], and what is longer is taken from a [`CREDIT`] of its giver, which
//! comes back ten times as slowly as it was used.

use std::time::{Duration, Instant};

/// What every hand-over may take: far more than the answer to a question, whatever the machine does beside it.
const GRACE: Duration = Duration::from_secs(1);

/// What the hand-overs of one giver may take beyond that, in all: as long as one may, so that an honest one whose receiver is
/// stuck once is waited for as long as that is worth.
const CREDIT: Duration = super::HANDOVER_WAIT.saturating_sub(GRACE);

/// Its credit comes back in so many times the time.
const REGAIN: u32 = 10;

/// Hand-overs of one giver that are waited for at a time: a part of what the process has room for, so that others have some.
pub(super) const MOST_OF_ONE: usize = 1024;

/// How often it is said that a giver is late, at most.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// What one giver has used.
#[derive(Debug, Default)]
pub(super) struct Patience {
    waiting: usize,
    used: Duration,
    /// Up to when its lateness was counted.
    counted: Option<Instant>,
    /// Up to when its credit was given back.
    regained: Option<Instant>,
    said: Option<Instant>,
}

impl Patience {
    /// A hand-over begins: how long it is waited for. None if too many of this giver wait.
    pub(super) fn begin(&mut self, now: Instant) -> Option<Duration> {
        if self.waiting >= MOST_OF_ONE {
            return None;
        }
        let regained = self.regained.map_or(Duration::ZERO, |from| now.saturating_duration_since(from));
        self.used = self.used.saturating_sub(regained / REGAIN);
        self.regained = self.regained.max(Some(now));
        self.waiting += 1;
        Some(GRACE + CREDIT.saturating_sub(self.used))
    }

    /// One that had begun then is over. What several take at the same time counts once.
    pub(super) fn end(&mut self, began: Instant, now: Instant) {
        self.waiting = self.waiting.saturating_sub(1);
        let late_from = began + GRACE;
        let from = self.counted.map_or(late_from, |counted| counted.max(late_from));
        self.used += now.saturating_duration_since(from);
        self.counted = self.counted.max(Some(now));
    }

    /// Whether now is a time to say that it is late.
    pub(super) fn is_worth_saying(&mut self, now: Instant) -> bool {
        let is = self.said.is_none_or(|said| now.saturating_duration_since(said) >= SAY_EVERY);
        if is {
            self.said = Some(now);
        }
        is
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn m2_a_giver_that_is_late_is_waited_for_once_and_then_little_more_than_the_grace() {
        let (mut patience, start) = (Patience::default(), Instant::now());
        assert_eq!(patience.begin(start), Some(seconds(10.0)));
        let late = start + seconds(10.0);
        patience.end(start, late);
        // A tenth of the time comes back.
        assert_eq!(patience.begin(late), Some(seconds(2.0)));
        let later = late + seconds(2.0);
        patience.end(late, later);
        let rested = later + seconds(20.0);
        assert_eq!(patience.begin(rested), Some(seconds(3.2)));
        patience.end(rested, rested);
        assert_eq!(patience.begin(rested + seconds(1000.0)), Some(seconds(10.0)));
    }

    #[test]
    fn a2_one_that_answers_in_time_keeps_its_credit_however_much_it_gives() {
        let (mut patience, mut now) = (Patience::default(), Instant::now());
        // One is always under way.
        let mut before = now;
        patience.begin(now);
        for _ in 0..1000 {
            now += seconds(0.5);
            assert_eq!(patience.begin(now), Some(seconds(10.0)));
            patience.end(before, now);
            before = now;
        }
    }

    #[test]
    fn a2_what_is_late_at_the_same_time_counts_once() {
        let (mut patience, start) = (Patience::default(), Instant::now());
        (0..MOST_OF_ONE).for_each(|_| assert!(patience.begin(start).is_some()));
        assert_eq!(patience.begin(start), None, "others have room");
        let late = start + seconds(4.0);
        (0..MOST_OF_ONE).for_each(|_| patience.end(start, late));
        assert_eq!(patience.begin(late), Some(seconds(7.4)));
        assert!(patience.is_worth_saying(late) && !patience.is_worth_saying(late + seconds(0.5)));
        assert!(patience.is_worth_saying(late + seconds(1.0)));
    }
}
