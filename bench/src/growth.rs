//! The `growth` workload: what a message costs when there are more processes, and more actors in one; and what an
//! address and a connection take in memory.

use serde_json::{Map, Value, json};

use crate::comparison::spread_of;
use crate::cores::Placement;
use crate::part::{Failure, Part, Reading, Task, Work};
use crate::subjects::{Setting, Subject};
use crate::workloads::{Options, Outcome};

/// Processes, the root among them.
const PROCESSES: [u16; 4] = [2, 10, 50, 200];
const QUICK_PROCESSES: [u16; 2] = [2, 10];

/// Actors in one process.
const ACTORS: [u32; 4] = [1, 100, 10_000, 100_000];
const QUICK_ACTORS: [u32; 2] = [1, 1_000];

/// How much more a message may cost than with the fewest.
const FLAT: f64 = 1.5;

/// Rounds where none are said: each part is long by itself.
const ROUNDS: usize = 3;

pub(crate) fn run(options: Options) -> Outcome {
    let (processes, actors) = match options.quick {
        true => (QUICK_PROCESSES.as_slice(), QUICK_ACTORS.as_slice()),
        false => (PROCESSES.as_slice(), ACTORS.as_slice()),
    };
    let among_processes: Vec<_> =
        processes.iter().map(|count| (u32::from(*count), Task::AmongProcesses(*count))).collect();
    let among_actors: Vec<_> = actors.iter().map(|count| (*count, Task::AmongActors(*count))).collect();
    let (processes, actors) = (steps(&among_processes, options)?, steps(&among_actors, options)?);
    let worst = ["ask64_ns", "tell_ns"]
        .iter()
        .flat_map(|cost| [&processes, &actors].map(|steps| growth(steps, cost)));
    let worst = worst.fold(f64::NAN, f64::max);
    let last = |steps: &[(u32, Map<String, Value>)], what: &str| {
        steps.last().and_then(|(_, step)| step.get(what).cloned())
    };
    let verdict = if worst <= FLAT { "met" } else { "NOT MET" };
    Ok(json!({
        "procession": worst,
        "unit": "x",
        "targets": [format!("procession: a message must cost at most {FLAT} x as much as among the fewest: {verdict}")],
        "address_bytes": last(&actors, "address_bytes"),
        "actor_bytes": last(&actors, "actor_bytes"),
        "connection_kib": last(&processes, "connection_kib"),
        "processes": by_count(processes),
        "actors": by_count(actors),
    }))
}

type Steps = Vec<(u32, Map<String, Value>)>;

/// The figures of each step: the middle of its rounds.
fn steps(tasks: &[(u32, Task)], options: Options) -> Result<Steps, Failure> {
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { ROUNDS });
    let mut readings: Vec<Vec<Reading>> = vec![Vec::new(); tasks.len()];
    for _ in 0..rounds {
        for ((_, task), readings) in tasks.iter().zip(&mut readings) {
            let subject = Subject::Procession(Setting::Defaults);
            let work = Work { task: *task, placement: Placement::Anywhere, quick: options.quick };
            readings.push(Part::new(subject, work).run()?);
        }
    }
    let steps = tasks.iter().zip(readings).map(|((count, _), readings)| (*count, middles(&readings)));
    Ok(steps.collect())
}

fn middles(readings: &[Reading]) -> Map<String, Value> {
    let names = readings.iter().flat_map(|reading| reading.details.keys());
    let mut middles = Map::new();
    for name in names {
        let values = readings.iter().filter_map(|reading| reading.details.get(name).copied()).collect();
        middles.insert(name.clone(), json!(spread_of(values).map(|(_, middle, _)| middle)));
    }
    middles
}

/// The highest cost of a step over that of the first.
fn growth(steps: &Steps, cost: &str) -> f64 {
    let costs: Vec<f64> = steps.iter().filter_map(|(_, step)| step.get(cost)?.as_f64()).collect();
    let most = costs.iter().copied().fold(f64::NAN, f64::max);
    costs.first().map_or(f64::NAN, |first| most / first)
}

fn by_count(steps: Steps) -> Map<String, Value> {
    steps.into_iter().map(|(count, step)| (count.to_string(), Value::Object(step))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_the_worst_step_over_the_first() {
        let step = |cost: f64| middles(&[Reading::new(0.0).with("tell_ns", cost)]);
        let steps = vec![(1, step(10.0)), (2, step(25.0)), (3, step(20.0))];
        assert_eq!(growth(&steps, "tell_ns"), 2.5);
        assert!(growth(&steps, "ask64_ns").is_nan());
    }
}
