//! Rounds of a comparison: the subjects take turns, because neighbours on the machine disturb some rounds, and a
//! figure is the one in the middle of its rounds.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::awake::Awake;
use crate::cores::Placement;
use crate::part::{Failure, Part, Reading, Work};
use crate::subjects::Subject;
use crate::targets;
use crate::workloads::{Comparison, Options, Outcome};

/// Rounds of a run that is to be published; odd, so that one is in the middle.
const ROUNDS: usize = 7;

/// Rounds of a quick run.
const QUICK_ROUNDS: usize = 3;

pub(crate) fn run(comparison: &Comparison, options: Options) -> Outcome {
    let rounds = options.rounds.unwrap_or(if options.quick { QUICK_ROUNDS } else { ROUNDS });
    let peers = options.peers.for_task(comparison.task, comparison.placement);
    let peers = peers.map(|peer| (peer.name, peer.subject));
    let subjects: Vec<(&str, Subject)> = comparison.subjects.iter().copied().chain(peers).collect();
    let mut readings: BTreeMap<&str, Vec<Reading>> = BTreeMap::new();
    let mut failed: BTreeMap<&str, String> = BTreeMap::new();
    let _awake = (comparison.placement == Placement::Awake).then(Awake::keep).transpose()?;
    for _ in 0..rounds {
        for (name, subject) in &subjects {
            match part(comparison, *subject, options).run() {
                Ok(reading) => readings.entry(name).or_default().push(reading),
                // Somebody else's program may fail at what it is asked; the others go on.
                Err(why) if matches!(subject, Subject::Program(_) | Subject::Python) => {
                    failed.insert(name, why.to_string());
                }
                Err(why) => return Err(why),
            }
        }
    }
    let names = subjects.iter().map(|(name, _)| *name);
    let readings: Vec<_> = names.filter_map(|name| Some((name, readings.remove(name)?))).collect();
    let mut told = summary(comparison, rounds, &readings)?;
    if !failed.is_empty() {
        told["failed"] = json!(failed);
    }
    Ok(told)
}

fn part(comparison: &Comparison, subject: Subject, options: Options) -> Part {
    let Comparison { task, placement, .. } = *comparison;
    Part::new(subject, Work { task, placement, quick: options.quick })
}

/// The object of the workload: the figures as plain numbers, and what explains them beside them.
fn summary(
    comparison: &Comparison,
    rounds: usize,
    readings: &[(&str, Vec<Reading>)],
) -> Result<Value, Failure> {
    let mut told = Map::new();
    let (mut figures, mut spread, mut details) = (BTreeMap::new(), Map::new(), Map::new());
    for (name, readings) in readings {
        let values = readings.iter().map(|reading| reading.value).collect();
        let (least, middle, most) = spread_of(values).ok_or("no round was measured")?;
        told.insert((*name).into(), json!(middle));
        figures.insert((*name).to_owned(), middle);
        spread.insert((*name).into(), json!([least, most]));
        let more = details_of(readings);
        for (detail, value) in &more {
            figures.extend(value.as_f64().map(|value| (format!("{name}.{detail}"), value)));
        }
        if !more.is_empty() {
            details.insert((*name).into(), Value::Object(more));
        }
    }
    told.insert("unit".into(), comparison.unit.into());
    told.insert("rounds".into(), rounds.into());
    if let (Some(ours), Some(limit)) = (figures.get("procession"), figures.get("limit")) {
        told.insert("ratio_to_limit".into(), json!(ours / limit));
    }
    told.insert("spread".into(), spread.into());
    if !details.is_empty() {
        told.insert("details".into(), details.into());
    }
    let verdicts = comparison.targets.iter().map(|target| targets::verdict(target, &figures));
    told.insert("targets".into(), verdicts.collect::<Vec<_>>().into());
    Ok(told.into())
}

/// The least, the one in the middle, and the most.
pub(crate) fn spread_of(mut values: Vec<f64>) -> Option<(f64, f64, f64)> {
    values.sort_unstable_by(f64::total_cmp);
    Some((*values.first()?, values[values.len() / 2], *values.last()?))
}

/// The one in the middle of each detail.
fn details_of(readings: &[Reading]) -> Map<String, Value> {
    let mut all: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (name, value) in readings.iter().flat_map(|reading| &reading.details) {
        all.entry(name).or_default().push(*value);
    }
    let middles =
        all.into_iter().filter_map(|(name, values)| Some((name.to_owned(), json!(spread_of(values)?.1))));
    middles.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::Task;

    #[test]
    fn figures_are_plain_numbers_and_the_rest_is_beside_them() {
        let comparison = Comparison {
            task: Task::Ask,
            placement: Placement::TwoCores,
            unit: "µs",
            subjects: &[],
            targets: targets::ASK,
        };
        let readings = [
            ("procession", vec![Reading::new(3.0).with("p99", 9.0), Reading::new(1.0), Reading::new(2.0)]),
            ("limit", vec![Reading::new(8.0), Reading::new(4.0), Reading::new(4.0)]),
        ];
        let told = summary(&comparison, 3, &readings).expect("a summary");
        assert_eq!(told["procession"], 2.0);
        assert_eq!(told["limit"], 4.0);
        assert_eq!(told["ratio_to_limit"], 0.5);
        assert_eq!(told["unit"], "µs");
        assert_eq!(told["rounds"], 3);
        assert_eq!(told["spread"], json!({ "procession": [1.0, 3.0], "limit": [4.0, 8.0] }));
        assert_eq!(told["details"], json!({ "procession": { "p99": 9.0 } }));
        assert_eq!(told["targets"].as_array().map(Vec::len), Some(3));
    }
}
