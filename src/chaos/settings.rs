//! What may happen, how often, and to whom.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The shortest pause between two faults: more would measure the injector.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// How long processes may take to come back after the last fault, if nothing else is said: the longest backoff by
/// default is 5 s, and a start has 30 s.
const SETTLE: Duration = Duration::from_secs(30);

/// Faults to inject: see the [module](super).
///
/// Each kind of fault has a weight; a kind of weight 2 happens twice as often as one of weight 1. Whoever names no kind
/// gets kills and stops.
#[derive(Clone, Debug)]
pub struct Chaos {
    pub(super) seed: u64,
    pub(super) pause: Span<Duration>,
    pub(super) kinds: Vec<(u32, Kind)>,
    pub(super) only: BTreeSet<String>,
    pub(super) spared: BTreeSet<String>,
    pub(super) settle: Duration,
}

/// From the least to the most, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span<T> {
    pub(super) least: T,
    pub(super) most: T,
}

impl<T: Copy + Ord> Span<T> {
    /// The wrong way round is meant the other way round.
    fn of(range: RangeInclusive<T>) -> Span<T> {
        let (start, end) = (*range.start(), *range.end());
        Span { least: start.min(end), most: start.max(end) }
    }
}

/// A kind of fault, with what it needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Kill,
    Stop { lasts: Span<Duration> },
    Stall { lasts: Span<Duration> },
    Cut { after_bytes: Span<u64> },
    Delay { by: Span<Duration>, lasts: Span<Duration> },
}

impl Kind {
    pub(super) fn is_of_pipes(self) -> bool {
        !matches!(self, Kind::Kill | Kind::Stop { .. })
    }
}

impl Chaos {
    /// Kills and stops every 0.5 to 2 s, until something else is said. The seed decides everything that is random.
    pub fn new(seed: u64) -> Chaos {
        Chaos {
            seed,
            pause: Span::of(Duration::from_millis(500)..=Duration::from_secs(2)),
            kinds: Vec::new(),
            only: BTreeSet::new(),
            spared: BTreeSet::new(),
            settle: SETTLE,
        }
    }

    /// The pause between two faults; at least a millisecond.
    #[must_use]
    pub fn every(mut self, pause: RangeInclusive<Duration>) -> Chaos {
        let Span { least, most } = Span::of(pause);
        self.pause = Span { least: least.max(SHORTEST_PAUSE), most: most.max(SHORTEST_PAUSE) };
        self
    }

    /// A process is killed (SIGKILL).
    #[must_use]
    pub fn kill(self, weight: u32) -> Chaos {
        self.with(weight, Kind::Kill)
    }

    /// A process is stopped (SIGSTOP) and goes on (SIGCONT) after so long.
    #[must_use]
    pub fn stop(self, weight: u32, lasts: RangeInclusive<Duration>) -> Chaos {
        self.with(weight, Kind::Stop { lasts: Span::of(lasts) })
    }

    /// Nothing passes a pipe, in either direction, for so long.
    #[must_use]
    pub fn stall(self, weight: u32, lasts: RangeInclusive<Duration>) -> Chaos {
        self.with(weight, Kind::Stall { lasts: Span::of(lasts) })
    }

    /// A pipe breaks after so many more bytes in one direction, within a frame as likely as not. One that carries
    /// fewer does not break.
    #[must_use]
    pub fn cut(self, weight: u32, after_bytes: RangeInclusive<u64>) -> Chaos {
        self.with(weight, Kind::Cut { after_bytes: Span::of(after_bytes) })
    }

    /// What passes a pipe arrives later `by` so much, in both directions, and for so long.
    #[must_use]
    pub fn delay(self, weight: u32, by: RangeInclusive<Duration>, lasts: RangeInclusive<Duration>) -> Chaos {
        self.with(weight, Kind::Delay { by: Span::of(by), lasts: Span::of(lasts) })
    }

    /// Hits these processes and no others. A name means all replicas of a process, too.
    #[must_use]
    pub fn only<S: Into<String>>(mut self, processes: impl IntoIterator<Item = S>) -> Chaos {
        self.only.extend(processes.into_iter().map(Into::into));
        self
    }

    /// Leaves these processes alone. A name means all replicas of a process, too.
    #[must_use]
    pub fn spare<S: Into<String>>(mut self, processes: impl IntoIterator<Item = S>) -> Chaos {
        self.spared.extend(processes.into_iter().map(Into::into));
        self
    }

    /// How long processes may take to be ready again after the last fault; 30 s, if nothing else is said.
    #[must_use]
    pub fn settle_within(mut self, time: Duration) -> Chaos {
        self.settle = time;
        self
    }

    fn with(mut self, weight: u32, kind: Kind) -> Chaos {
        self.kinds.retain(|(_, known)| std::mem::discriminant(known) != std::mem::discriminant(&kind));
        if weight > 0 {
            self.kinds.push((weight, kind));
        }
        self
    }

    /// What may happen: kills and stops, if nothing was said.
    pub(super) fn kinds(&self) -> Vec<(u32, Kind)> {
        if !self.kinds.is_empty() {
            return self.kinds.clone();
        }
        let lasts = Span::of(Duration::from_millis(50)..=Duration::from_millis(500));
        vec![(1, Kind::Kill), (1, Kind::Stop { lasts })]
    }
}
