//! What must hold, and what is aimed at.

use std::collections::BTreeMap;

/// A demand on one figure.
pub(crate) struct Target {
    /// Whose figure.
    pub(crate) of: &'static str,
    /// All of these.
    pub(crate) must: &'static [Bound],
    /// And better still.
    pub(crate) aim: &'static [Bound],
}

/// How large a figure may be, or has to be.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// At most this.
    Most(f64),
    /// At least this.
    Least(f64),
    /// At most so many times the figure of another.
    MostTimes(f64, &'static str),
    /// At least so many times the figure of another.
    LeastTimes(f64, &'static str),
}

use Bound::{Least, LeastTimes, Most, MostTimes};

pub(crate) const ASK: &[Target] = &[
    Target { of: "procession_no_polling", must: &[MostTimes(1.1, "limit")], aim: &[MostTimes(1.0, "limit")] },
    Target { of: "procession", must: &[Most(8.0), MostTimes(0.2, "limit")], aim: &[Most(5.0)] },
    Target { of: "procession_shared", must: &[Most(2.5)], aim: &[Most(1.5)] },
];

pub(crate) const ASK_ONE_CORE: &[Target] =
    &[Target { of: "procession", must: &[MostTimes(1.1, "limit")], aim: &[MostTimes(1.0, "limit")] }];

pub(crate) const ASK64: &[Target] = &[
    Target { of: "procession", must: &[Least(2.0)], aim: &[LeastTimes(1.0, "actix_arbiters")] },
    Target { of: "procession_shared", must: &[Least(2.0)], aim: &[Least(4.0)] },
];

pub(crate) const TELL: &[Target] = &[
    Target { of: "procession", must: &[Least(10.0)], aim: &[Least(21.0)] },
    Target { of: "procession_shared", must: &[Least(10.0)], aim: &[Least(21.0)] },
];

pub(crate) const PAYLOAD: &[Target] = &[
    Target { of: "procession", must: &[LeastTimes(1.0, "limit"), Least(4.0)], aim: &[Least(30.0)] },
    Target { of: "procession_blob", must: &[LeastTimes(1.0, "limit"), Least(4.0)], aim: &[Least(30.0)] },
];

pub(crate) const SPAWN: &[Target] = &[Target { of: "procession", must: &[Most(5.0)], aim: &[Most(2.5)] }];

pub(crate) const RESTART: &[Target] = &[Target { of: "procession", must: &[Most(8.0)], aim: &[Most(4.0)] }];

pub(crate) const DOWN: &[Target] = &[
    Target { of: "procession", must: &[Most(5.0)], aim: &[Most(2.0)] },
    Target { of: "procession.root_p99", must: &[Most(5.0)], aim: &[Most(2.0)] },
];

pub(crate) const STOP: &[Target] = &[Target { of: "procession", must: &[Most(1000.0)], aim: &[Most(500.0)] }];

pub(crate) const IDLE: &[Target] = &[
    Target { of: "procession", must: &[Most(2.5)], aim: &[Most(1.5)] },
    // What prints as 0.0 %.
    Target { of: "procession.cpu_percent", must: &[Most(0.05)], aim: &[Most(0.05)] },
];

pub(crate) const FAN_IN: &[Target] = &[];

pub(crate) const CONTROL: &[Target] = &[Target { of: "procession", must: &[Most(10.0)], aim: &[Most(2.0)] }];

impl Bound {
    /// Whether it holds; `None` where what it is compared with was not measured.
    fn holds(self, value: f64, figures: &BTreeMap<String, f64>) -> Option<bool> {
        Some(match self {
            Most(limit) => value <= limit,
            Least(limit) => value >= limit,
            MostTimes(times, other) => value <= times * figures.get(other)?,
            LeastTimes(times, other) => value >= times * figures.get(other)?,
        })
    }

    fn words(self) -> String {
        match self {
            Most(limit) => format!("at most {limit}"),
            Least(limit) => format!("at least {limit}"),
            MostTimes(times, other) => format!("at most {times} x {other}"),
            LeastTimes(times, other) => format!("at least {times} x {other}"),
        }
    }
}

/// What a demand says, and whether it is met: one line.
pub(crate) fn verdict(target: &Target, figures: &BTreeMap<String, f64>) -> String {
    let said = |bounds: &[Bound]| {
        let words: Vec<String> = bounds.iter().map(|bound| bound.words()).collect();
        let Some(value) = figures.get(target.of) else {
            return format!("{}: not measured", words.join(", "));
        };
        let held: Option<Vec<bool>> = bounds.iter().map(|bound| bound.holds(*value, figures)).collect();
        let verdict = match held {
            None => "not measured",
            Some(all) if all.iter().all(|held| *held) => "met",
            Some(_) => "NOT MET",
        };
        format!("{}: {verdict}", words.join(", "))
    };
    format!("{}: must be {}; aim {}", target.of, said(target.must), said(target.aim))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demand_is_met_or_not_or_can_not_be_told() {
        let figures = BTreeMap::from([("procession".to_owned(), 5.0), ("limit".to_owned(), 4.0)]);
        let told = |must| verdict(&Target { of: "procession", must, aim: &[Least(6.0)] }, &figures);
        assert_eq!(
            told(&[Most(5.0), MostTimes(1.25, "limit")]),
            "procession: must be at most 5, at most 1.25 x limit: met; aim at least 6: NOT MET"
        );
        assert!(told(&[Most(5.0), MostTimes(1.1, "limit")]).contains("limit: NOT MET"));
        assert!(told(&[LeastTimes(1.0, "actix")]).contains("actix: not measured"));
    }
}
