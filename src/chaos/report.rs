//! What was done, and what came of it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::script::{Fault, millis};
use crate::id::{Incarnation, ProcessName};

/// What a chaos did to a topology. Its `Display` is for people, its serialised form for programs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The seed that gives the same faults again, with the same settings and processes.
    pub seed: u64,
    /// How long faults were injected.
    #[serde(rename = "took_ms", serialize_with = "millis")]
    pub took: Duration,
    /// Each fault, in order; of more than [`MAX_FAULTS`](Self::MAX_FAULTS), the first.
    pub faults: Vec<Injected>,
    /// Processes that were killed.
    pub kills: u32,
    /// Processes that were stopped, and went on.
    pub stops: u32,
    /// Pipes that were stalled.
    pub stalls: u32,
    /// Pipes that were told to break.
    pub cuts: u32,
    /// Of these, pipes that carried as many bytes and broke.
    pub pipes_cut: u32,
    /// Pipes that were made late.
    pub delays: u32,
    /// Faults that found nobody: a process that was not alive, or had no pipe.
    pub missed: u32,
    /// Lives that ended unasked, before or after they were ready, the killed ones included.
    pub deaths: u32,
    /// How long it took from each kill until the process was ready again.
    pub restarts: Vec<Restarted>,
    /// Lives that were said to have broken the protocol: with faults that no peer is to blame for, there should be none.
    pub blamed: u32,
    /// How the topology ended, if it did meanwhile.
    pub ended: Option<Ended>,
    /// How long it took from the last fault until every process was ready, or down for good.
    #[serde(rename = "settled_ms", serialize_with = "optional_millis")]
    pub settled: Option<Duration>,
    /// Processes that were neither when the time for that was over.
    pub unsettled: Vec<ProcessName>,
}

/// A fault, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Injected {
    /// When it was injected, from the beginning.
    #[serde(rename = "at_ms", serialize_with = "millis")]
    pub at: Duration,
    /// Whom it hit.
    pub process: ProcessName,
    /// What it was.
    #[serde(flatten)]
    pub fault: Fault,
    /// Whether it hit.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What became of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// This life of the process got it.
    Hit {
        /// Which.
        incarnation: Incarnation,
    },
    /// The pipe to this process got it.
    HitPipe {
        /// Whose is the other end.
        peer: ProcessName,
    },
    /// The process did not live.
    NotAlive,
    /// The process had no pipe that goes through the chaos.
    NoPipe,
}

/// A process that was killed and came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Restarted {
    /// Which.
    pub process: ProcessName,
    /// The life that is ready.
    pub incarnation: Incarnation,
    /// From the kill until then.
    #[serde(rename = "after_ms", serialize_with = "millis")]
    pub after: Duration,
}

/// The end of a topology.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// How.
    pub why: String,
    /// Whether that is a failure.
    pub failed: bool,
}

fn optional_millis<S: serde::Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => millis(time, serializer),
        None => serializer.serialize_none(),
    }
}

impl Report {
    /// Faults that are kept one by one: some hours of them at the fastest pace that makes sense. All are counted.
    pub const MAX_FAULTS: usize = 100_000;

    pub(super) fn note(&mut self, injected: Injected) {
        let count = match (&injected.outcome, injected.fault) {
            (Outcome::NotAlive | Outcome::NoPipe, _) => &mut self.missed,
            (_, Fault::Kill) => &mut self.kills,
            (_, Fault::Stop { .. }) => &mut self.stops,
            (_, Fault::Stall { .. }) => &mut self.stalls,
            (_, Fault::Cut { .. }) => &mut self.cuts,
            (_, Fault::Delay { .. }) => &mut self.delays,
        };
        *count += 1;
        if self.faults.len() < Report::MAX_FAULTS {
            self.faults.push(injected);
        }
    }

    /// Such a part of the restarts took at most so long: 0.5 is the median. None, if nobody came back.
    pub fn restart_quantile(&self, part: f64) -> Option<Duration> {
        let mut times: Vec<Duration> = self.restarts.iter().map(|restart| restart.after).collect();
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let index = (part.clamp(0.0, 1.0) * last as f64).ceil() as usize;
        times.get(index).copied()
    }

    /// Whether all that was hit came back: the topology runs, or ended as it was meant to, every process is ready or down
    /// by its own policy, and nobody was blamed.
    pub fn is_survived(&self) -> bool {
        self.unsettled.is_empty()
            && self.blamed == 0
            && !self.ended.as_ref().is_some_and(|ended| ended.failed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "chaos of seed {} for {:.1?}:", self.seed, self.took)?;
        let counts = [
            (self.kills, "killed", "process", "processes"),
            (self.stops, "stopped for a while", "process", "processes"),
            (self.stalls, "stalled for a while", "pipe", "pipes"),
            (self.cuts, "told to break", "pipe", "pipes"),
            (self.delays, "late for a while", "pipe", "pipes"),
        ];
        for (count, what, one, many) in counts.into_iter().filter(|(count, ..)| *count > 0) {
            writeln!(f, "  {count} {} {what}", if count == 1 { one } else { many })?;
        }
        if self.cuts > 0 {
            writeln!(f, "  {} of them carried enough to break", self.pipes_cut)?;
        }
        if self.missed > 0 {
            writeln!(f, "  {} faults found nobody alive, or no pipe", self.missed)?;
        }
        writeln!(
            f,
            "  {} lives ended unasked, {} of the killed came back",
            self.deaths,
            self.restarts.len()
        )?;
        if let (Some(median), Some(slow), Some(most)) =
            (self.restart_quantile(0.5), self.restart_quantile(0.99), self.restart_quantile(1.0))
        {
            writeln!(
                f,
                "  ready again after {median:.1?} (median), {slow:.1?} (99 of 100), {most:.1?} (slowest)"
            )?;
        }
        if self.blamed > 0 {
            writeln!(f, "  {} times a process was said to have broken the protocol", self.blamed)?;
        }
        match (&self.ended, self.settled) {
            (Some(ended), _) => write!(f, "  the topology ended: {}", ended.why),
            (None, Some(time)) => {
                write!(f, "  all were ready, or down for good, {time:.1?} after the last fault")
            }
            (None, None) => {
                let names: Vec<&str> = self.unsettled.iter().map(ProcessName::as_str).collect();
                write!(f, "  not ready in time after the last fault: {}", names.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> ProcessName {
        ProcessName::new(name).expect("a name")
    }

    fn report() -> Report {
        let mut report = Report { seed: 7, took: Duration::from_secs(2), ..Report::default() };
        let at = Duration::from_millis(5);
        let (fault, outcome) = (Fault::Kill, Outcome::Hit { incarnation: Incarnation(3) });
        report.note(Injected { at, process: name("left"), fault, outcome });
        let fault = Fault::Stall { pick: 9, lasts: Duration::from_micros(1500) };
        let outcome = Outcome::HitPipe { peer: name("right") };
        report.note(Injected { at, process: name("left"), fault, outcome });
        report.note(Injected { at, process: name("left"), fault, outcome: Outcome::NoPipe });
        for after in [4, 1, 3, 2] {
            let after = Duration::from_millis(after);
            report.restarts.push(Restarted { process: name("left"), incarnation: Incarnation(4), after });
        }
        report
    }

    #[test]
    fn a_report_reads_as_sentences_and_as_an_object() {
        let mut report = report();
        report.settled = Some(Duration::from_millis(12));
        let words = report.to_string();
        for line in [
            "chaos of seed 7 for 2.0s:",
            "  1 process killed",
            "  1 pipe stalled for a while",
            "  1 faults found nobody alive, or no pipe",
            "  ready again after 3.0ms (median), 4.0ms (99 of 100), 4.0ms (slowest)",
            "  all were ready, or down for good, 12.0ms after the last fault",
        ] {
            assert!(words.lines().any(|found| found == line), "{line:?} is not in {words}");
        }
        let object = serde_json::to_value(&report).expect("an object");
        assert_eq!((&object["seed"], &object["kills"], &object["missed"]), (&7.into(), &1.into(), &1.into()));
        assert_eq!(object["settled_ms"], 12.0);
        let stall = &object["faults"][1];
        let expected = serde_json::json!({
            "at_ms": 5.0, "process": "left", "kind": "stall", "lasts_ms": 1.5, "outcome": "hit_pipe", "peer": "right",
        });
        assert_eq!(*stall, expected);
    }

    #[test]
    fn what_did_not_come_back_is_not_survived() {
        assert!(report().is_survived());
        let unsettled = Report { unsettled: vec![name("left")], ..report() };
        assert!(
            !unsettled.is_survived()
                && unsettled.to_string().contains("not ready in time after the last fault: left")
        );
        let ended = |failed| Report { ended: Some(Ended { why: "as asked".to_owned(), failed }), ..report() };
        assert!(ended(false).is_survived() && !ended(true).is_survived());
        assert!(!Report { blamed: 1, ..report() }.is_survived());
    }

    #[test]
    fn quantiles_are_of_what_was_measured() {
        assert_eq!(Report::default().restart_quantile(0.5), None);
        assert_eq!(report().restart_quantile(0.0), Some(Duration::from_millis(1)));
        assert_eq!(report().restart_quantile(1.0), Some(Duration::from_millis(4)));
    }
}
