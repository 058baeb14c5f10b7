//! The faults of a seed, in order. Without I/O: what is done about each is the driver's.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::settings::{Chaos, Kind, Span};
use crate::id::ProcessName;
use crate::supervision::Dice;

/// One fault that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, from the beginning.
    pub at: Duration,
    /// To whom.
    pub process: ProcessName,
    /// What.
    pub fault: Fault,
}

/// What is done to a process, or to one of its pipes.
///
/// Which pipe is told by a number, `pick`: of the pipes that the process has then, by the names of their other ends, the
/// one at `pick` modulo their count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Fault {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT after so long.
    Stop {
        /// How long it stands.
        #[serde(rename = "lasts_ms", serialize_with = "millis")]
        lasts: Duration,
    },
    /// Nothing passes the pipe.
    Stall {
        /// Which pipe.
        #[serde(skip)]
        pick: u32,
        /// For how long.
        #[serde(rename = "lasts_ms", serialize_with = "millis")]
        lasts: Duration,
    },
    /// The pipe breaks.
    Cut {
        /// Which pipe.
        #[serde(skip)]
        pick: u32,
        /// After so many more bytes.
        after_bytes: u64,
        /// Counted in this direction.
        direction: Direction,
    },
    /// What passes the pipe is late.
    Delay {
        /// Which pipe.
        #[serde(skip)]
        pick: u32,
        /// By so much.
        #[serde(rename = "by_ms", serialize_with = "millis")]
        by: Duration,
        /// For how long.
        #[serde(rename = "lasts_ms", serialize_with = "millis")]
        lasts: Duration,
    },
}

/// A direction of a pipe, as the process sees it that is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// What it sends.
    Out,
    /// What it is sent.
    In,
}

pub(super) fn millis<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Hundredths are more than a scheduler keeps.
    serializer.serialize_f64((time.as_secs_f64() * 100_000.0).round() / 100.0)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kill => f.write_str("killed"),
            Fault::Stop { lasts } => write!(f, "stopped for {lasts:.0?}"),
            Fault::Stall { lasts, .. } => write!(f, "a pipe stalled for {lasts:.0?}"),
            Fault::Cut { after_bytes, direction, .. } => {
                let bytes = if *direction == Direction::Out { "sent" } else { "received" };
                write!(f, "a pipe to be cut once it has {bytes} {after_bytes} bytes more")
            }
            Fault::Delay { by, lasts, .. } => write!(f, "a pipe {by:.0?} late for {lasts:.0?}"),
        }
    }
}

/// The faults of a [`Chaos`] on these processes, without end. Equal settings and names give equal faults.
#[derive(Clone, Debug)]
pub struct Script {
    dice: Dice,
    pause: Span<Duration>,
    kinds: Vec<(u32, Kind)>,
    targets: Vec<ProcessName>,
    at: Duration,
}

impl Chaos {
    /// What would be done to processes of these names. Nothing, if none of them may be hit.
    pub fn script<'a>(&self, processes: impl IntoIterator<Item = &'a ProcessName>) -> Script {
        let mut targets: Vec<ProcessName> =
            processes.into_iter().filter(|process| self.may_hit(process)).cloned().collect();
        targets.sort();
        targets.dedup();
        let (dice, at) = (Dice::new(self.seed), Duration::ZERO);
        Script { dice, pause: self.pause, kinds: self.kinds(), targets, at }
    }

    /// Whether a process is one of those that are hit.
    pub fn may_hit(&self, process: &ProcessName) -> bool {
        let named = |name: &String| is_meant(name, process.as_str());
        (self.only.is_empty() || self.only.iter().any(named)) && !self.spared.iter().any(named)
    }
}

/// A process by its name, or `api-3` by `api`.
pub(super) fn is_meant(name: &str, process: &str) -> bool {
    let replica = process.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
    name == process
        || replica.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

impl Iterator for Script {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.targets.is_empty() {
            return None;
        }
        let pause = self.time(self.pause);
        self.at += pause;
        let kind = self.kind()?;
        let target = self.below(self.targets.len() as u64);
        let process = self.targets[usize::try_from(target).ok()?].clone();
        let fault = self.fault(kind);
        Some(Step { at: self.at, process, fault })
    }
}

impl Script {
    fn kind(&mut self) -> Option<Kind> {
        let total: u64 = self.kinds.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut left = self.below(total);
        for (weight, kind) in &self.kinds {
            match left.checked_sub(u64::from(*weight)) {
                Some(rest) => left = rest,
                None => return Some(*kind),
            }
        }
        None
    }

    fn fault(&mut self, kind: Kind) -> Fault {
        // Always drawn, so that a kind that needs more does not change which numbers the next fault gets.
        let (pick, coin) = (self.below(u64::from(u32::MAX)), self.below(2));
        let pick = u32::try_from(pick).unwrap_or(0);
        match kind {
            Kind::Kill => Fault::Kill,
            Kind::Stop { lasts } => Fault::Stop { lasts: self.time(lasts) },
            Kind::Stall { lasts } => Fault::Stall { pick, lasts: self.time(lasts) },
            Kind::Cut { after_bytes: Span { least, most } } => {
                let after_bytes = least + self.below((most - least).saturating_add(1));
                let direction = if coin == 0 { Direction::Out } else { Direction::In };
                Fault::Cut { pick, after_bytes, direction }
            }
            Kind::Delay { by, lasts } => Fault::Delay { pick, by: self.time(by), lasts: self.time(lasts) },
        }
    }

    fn time(&mut self, Span { least, most }: Span<Duration>) -> Duration {
        least + self.dice.up_to(most - least)
    }

    /// A number below a limit; 0 if that is 0. Not quite even, by less than anybody could see.
    fn below(&mut self, limit: u64) -> u64 {
        self.dice.roll() % limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn names(names: &[&str]) -> Vec<ProcessName> {
        names.iter().map(|name| ProcessName::new(name).expect("a name")).collect()
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn everything(seed: u64) -> Chaos {
        Chaos::new(seed)
            .every(ms(50)..=ms(300))
            .kill(3)
            .stop(1, ms(10)..=ms(20))
            .stall(1, ms(10)..=ms(20))
            .cut(1, 5..=5000)
            .delay(1, ms(1)..=ms(9), ms(10)..=ms(20))
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_whatever_the_order_of_the_names() {
        let of = |seed, processes: &[&str]| -> Vec<Step> {
            everything(seed).script(&names(processes)).take(500).collect()
        };
        assert_eq!(of(7, &["a", "b", "c"]), of(7, &["c", "a", "b", "a"]));
        assert_ne!(of(7, &["a", "b", "c"]), of(8, &["a", "b", "c"]));
    }

    #[test]
    fn faults_keep_their_pauses_spans_and_weights_and_hit_everybody() {
        let mut kinds = BTreeMap::new();
        let mut hit = BTreeMap::new();
        let mut last = Duration::ZERO;
        for step in everything(1).script(&names(&["a", "b", "c", "d"])).take(7000) {
            assert!((ms(50)..=ms(300)).contains(&(step.at - last)), "{step:?} after {last:?}");
            last = step.at;
            let kind = match step.fault {
                Fault::Kill => "kill",
                Fault::Stop { lasts } => {
                    assert!((ms(10)..=ms(20)).contains(&lasts));
                    "stop"
                }
                Fault::Stall { .. } => "stall",
                Fault::Cut { after_bytes, .. } => {
                    assert!((5..=5000).contains(&after_bytes));
                    "cut"
                }
                Fault::Delay { .. } => "delay",
            };
            *kinds.entry(kind).or_insert(0_u32) += 1;
            *hit.entry(step.process).or_insert(0_u32) += 1;
        }
        assert!((2850..=3150).contains(&kinds["kill"]), "three of seven: {kinds:?}");
        assert!(kinds.len() == 5 && kinds.values().all(|count| *count > 850), "{kinds:?}");
        assert!(hit.len() == 4 && hit.values().all(|count| *count > 1600), "{hit:?}");
    }

    #[test]
    fn only_those_that_are_meant_are_hit() {
        let all = names(&["api", "api-1", "api-2", "api-x", "apis", "db"]);
        let hit = |chaos: Chaos| -> Vec<String> {
            all.iter().filter(|process| chaos.may_hit(process)).map(ToString::to_string).collect()
        };
        assert_eq!(hit(Chaos::new(1).only(["api"])), ["api", "api-1", "api-2"]);
        assert_eq!(hit(Chaos::new(1).only(["api"]).spare(["api-1"])), ["api", "api-2"]);
        assert_eq!(hit(Chaos::new(1).spare(["api", "db"])), ["api-x", "apis"]);
        assert_eq!(Chaos::new(1).only(["nobody"]).script(&all).next(), None);
    }

    #[test]
    fn whoever_names_no_kind_gets_kills_and_stops_and_a_weight_of_nothing_takes_one_away() {
        let kinds = |chaos: Chaos| {
            let faults = chaos.script(&names(&["a"])).take(200).map(|step| step.fault);
            let (kills, others): (Vec<_>, Vec<_>) = faults.partition(|fault| *fault == Fault::Kill);
            (kills.len(), others.iter().filter(|fault| matches!(fault, Fault::Stop { .. })).count())
        };
        let (kills, stops) = kinds(Chaos::new(3));
        assert!(kills > 60 && stops > 60 && kills + stops == 200, "{kills} {stops}");
        assert_eq!(kinds(Chaos::new(3).kill(1).stop(1, ms(1)..=ms(2)).stop(0, ms(1)..=ms(2))), (200, 0));
    }

    #[test]
    #[allow(clippy::reversed_empty_ranges)] // What is shown to be turned.
    fn spans_the_wrong_way_round_are_turned_and_no_pause_is_none() {
        let chaos = Chaos::new(1).every(ms(20)..=ms(10)).cut(1, 9..=3);
        let steps: Vec<Step> = chaos.script(&names(&["a"])).take(100).collect();
        let times: Vec<Duration> = steps.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        assert!(times.iter().all(|pause| (ms(10)..=ms(20)).contains(pause)), "{times:?}");
        let next = Chaos::new(1).every(ms(0)..=ms(0)).script(&names(&["a"])).next().expect("a fault");
        assert_eq!(next.at, ms(1));
    }
}
