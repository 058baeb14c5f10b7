//! The `latency` workload: requests at a fixed rate, timed from when each was due, beside the closed loop, which asks
//! only when the last one was answered and so hides what a stall delays.

use serde_json::{Map, json};

use crate::comparison;
use crate::cores::Placement;
use crate::part::Task;
use crate::subjects::{Setting, Subject};
use crate::workloads::{Comparison, Options, Outcome};

/// Requests a second: one that leaves time to sleep between two requests, and one that hardly does.
const RATES: [u32; 2] = [1_000, 10_000];

const SUBJECTS: &[(&str, Subject)] = &[
    ("procession", Subject::Procession(Setting::Defaults)),
    ("procession_no_polling", Subject::Procession(Setting::NoPolling)),
    ("limit", Subject::Socketpair),
    ("actix_arbiters", Subject::ActixArbiters),
];

/// The figures at the top are 99th percentiles at the higher rate.
pub(crate) fn run(options: Options) -> Outcome {
    let compared = |task| {
        let comparison =
            Comparison {
                task, placement: Placement::TwoCores, unit: "µs", subjects: SUBJECTS, targets: &[]
            };
        comparison::run(
            &comparison,
            Options { rounds: options.rounds.or(options.quick.then_some(1)), ..options },
        )
    };
    let mut told = Map::new();
    let mut rates = Map::new();
    for rate in RATES {
        let value = compared(Task::Rate(rate))?;
        for (name, _) in SUBJECTS {
            told.insert((*name).into(), value[name].clone());
        }
        rates.insert(rate.to_string(), value);
    }
    told.insert("unit".into(), json!("µs"));
    told.insert("rates".into(), rates.into());
    told.insert("closed_loop".into(), compared(Task::Ask)?);
    Ok(told.into())
}
