//! How long to wait before a restart, and the small generator that spreads the waits.
//!
//! Exponential with jitter: the n-th failure in a row waits a random time between `min * 2^n` and twice that,
//! both capped so that the wait is never shorter than `min`, never longer than `max`, and still spread when it has
//! reached `max`: children that fell together do not come back in step (H46).

use std::time::{Duration, Instant};

use super::spec::Backoff;

/// More doublings than any sensible pair of `min` and `max` has; keeps the shift within its type.
const MAX_DOUBLINGS: u32 = 30;

/// No wait is longer, whatever `max` says: what is not tried for a day was stopped, not delayed.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Failures in a row of one child or group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    failures: u32,
}

impl Row {
    /// Counts a failure of what was up since `up_since` (none: it never came up), and says how long to wait.
    ///
    /// What was up for a whole `period` starts a new row.
    pub(super) fn next_delay(
        &mut self,
        backoff: Backoff,
        period: Duration,
        up_since: Option<Instant>,
        now: Instant,
        dice: &mut Dice,
    ) -> Duration {
        if up_since.is_some_and(|since| now.saturating_duration_since(since) >= period) {
            self.failures = 0;
        }
        let doublings = self.failures.min(MAX_DOUBLINGS);
        self.failures = self.failures.saturating_add(1);
        let longest = backoff.min.saturating_mul(2 << doublings).min(backoff.max).min(LONGEST_WAIT);
        let shortest = (longest / 2).max(backoff.min).min(longest);
        shortest + dice.up_to(longest - shortest)
    }
}

/// A seeded generator (splitmix64): the same seed gives the same waits, which a replay needs. Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice { state: seed }
    }

    /// Any number.
    pub(crate) fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A span between nothing and `most`, in steps of a 2^32nd of it.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        let share = u32::try_from(self.roll() >> 32).expect("32 bits are left");
        let nanos = (most.as_nanos() * u128::from(share)) >> 32;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(50);
    const MAX: Duration = Duration::from_secs(5);
    const PERIOD: Duration = Duration::from_secs(30);

    fn delays(backoff: Backoff, count: usize) -> Vec<Duration> {
        let (mut row, mut dice, now) = (Row::default(), Dice::new(7), Instant::now());
        (0..count).map(|_| row.next_delay(backoff, PERIOD, None, now, &mut dice)).collect()
    }

    #[test]
    fn the_wait_doubles_from_min_to_max_and_stays_between_them() {
        for (n, delay) in (0u32..).zip(delays(Backoff { min: MIN, max: MAX }, 40)) {
            let longest = MIN.saturating_mul(2u32.saturating_pow(n + 1)).min(MAX);
            assert!(delay >= longest / 2 && delay <= longest, "failure {n} waits {delay:?} of {longest:?}");
        }
    }

    #[test]
    fn waits_at_the_top_still_differ() {
        let top = delays(Backoff { min: MIN, max: MAX }, 40).split_off(20);
        assert!(top.iter().any(|delay| *delay != top[0]));
    }

    #[test]
    fn no_minimum_means_no_wait_and_a_maximum_below_the_minimum_wins() {
        assert_eq!(delays(Backoff { min: Duration::ZERO, max: MAX }, 3), vec![Duration::ZERO; 3]);
        assert!(delays(Backoff { min: MAX, max: MIN }, 9).into_iter().all(|delay| delay <= MIN));
        assert!(
            delays(Backoff { min: Duration::MAX, max: Duration::MAX }, 3)
                .into_iter()
                .all(|d| d <= LONGEST_WAIT)
        );
    }

    #[test]
    fn a_whole_period_of_readiness_starts_a_new_row() {
        let backoff = Backoff { min: MIN, max: MAX };
        let (mut row, mut dice, start) = (Row::default(), Dice::new(1), Instant::now());
        for _ in 0..10 {
            row.next_delay(backoff, PERIOD, None, start, &mut dice);
        }
        let almost = start + PERIOD - Duration::from_nanos(1);
        assert!(row.next_delay(backoff, PERIOD, Some(start), almost, &mut dice) > MAX / 4);
        assert!(row.next_delay(backoff, PERIOD, Some(start), start + PERIOD, &mut dice) <= MIN * 2);
    }
}
