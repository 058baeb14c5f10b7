//! How many restarts are too many: a group's sliding window, and the pace of the whole topology.
//!
//! The window decides when a group gives up (OTP's `add_restart`). The pace never gives up anything; it only
//! delays restarts, so that many groups which fail together do not keep the machine busy with nothing but births.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::spec::Intensity;

/// The most restarts a window remembers; a larger intensity is taken as this one. More than this within a period is
/// no supervision any more, and memory has to have a bound.
pub const MAX_INTENSITY: u32 = 4096;

/// Restarts of the whole topology within a second: a birth costs a few milliseconds of processor time, so that this
/// many leave the machine to those that live. The others wait their turn.
pub const MAX_RESTARTS_PER_SECOND: usize = 50;

/// The span in which [`MAX_RESTARTS_PER_SECOND`] are counted.
const PACE_PERIOD: Duration = Duration::from_secs(1);

/// The restarts of one group within its period.
#[derive(Debug)]
pub(super) struct Window {
    limit: u32,
    period: Duration,
    restarts: VecDeque<Instant>,
}

impl Window {
    pub(super) fn new(intensity: Intensity) -> Window {
        Window {
            limit: intensity.restarts.min(MAX_INTENSITY),
            period: intensity.period,
            restarts: VecDeque::new(),
        }
    }

    /// Counts a restart; false if it is one too many, and then it is not counted.
    #[must_use]
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        while self.restarts.front().is_some_and(|restart| self.is_past(*restart, now)) {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= self.limit as usize {
            return false;
        }
        self.restarts.push_back(now);
        true
    }

    /// Restarts within the period that ends now.
    pub(super) fn used(&self, now: Instant) -> u32 {
        let past = self.restarts.iter().take_while(|restart| self.is_past(**restart, now)).count();
        u32::try_from(self.restarts.len() - past).expect("at most MAX_INTENSITY")
    }

    /// Restarts that the period ending now still allows.
    pub(super) fn left(&self, now: Instant) -> u32 {
        self.limit - self.used(now)
    }

    pub(super) fn period(&self) -> Duration {
        self.period
    }

    /// Forgets everything: the group starts a new life.
    pub(super) fn clear(&mut self) {
        self.restarts.clear();
    }

    /// A restart exactly one period ago still counts, as in OTP.
    fn is_past(&self, restart: Instant, now: Instant) -> bool {
        now.saturating_duration_since(restart) > self.period
    }
}

/// The births of the last second, over the whole topology.
#[derive(Debug, Default)]
pub(super) struct Pace {
    births: VecDeque<Instant>,
}

impl Pace {
    /// Counts a birth, or says when there will be room for it (always later than now).
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Instant> {
        while self.births.front().is_some_and(|birth| now.saturating_duration_since(*birth) >= PACE_PERIOD) {
            self.births.pop_front();
        }
        match self.births.front() {
            Some(oldest) if self.births.len() >= MAX_RESTARTS_PER_SECOND => Err(*oldest + PACE_PERIOD),
            _ => {
                self.births.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_slides() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut window = Window::new(Intensity { restarts: 2, period: 10 * second });
        assert!(window.admit(start) && window.admit(start + 5 * second));
        assert!(!window.admit(start + 10 * second), "the first still counts at exactly one period");
        assert_eq!((window.used(start + 11 * second), window.left(start + 11 * second)), (1, 1));
        assert!(window.admit(start + 11 * second));
    }

    #[test]
    fn no_restarts_allowed_means_none() {
        let now = Instant::now();
        assert!(!Window::new(Intensity { restarts: 0, period: Duration::from_secs(9) }).admit(now));
        assert_eq!(
            Window::new(Intensity { restarts: u32::MAX, period: Duration::MAX }).left(now),
            MAX_INTENSITY
        );
    }

    #[test]
    fn the_pace_makes_room_after_a_second() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        for _ in 0..MAX_RESTARTS_PER_SECOND {
            assert_eq!(pace.admit(start), Ok(()));
        }
        assert_eq!(pace.admit(start), Err(start + PACE_PERIOD));
        assert_eq!(pace.admit(start + PACE_PERIOD), Ok(()));
    }
}
