//! The `blob` workload: bytes of growing sizes that another process gets, in a blob that is handed over, and through a
//! bare socketpair.

use serde_json::{Map, json};

use crate::comparison;
use crate::cores::Placement;
use crate::part::Task;
use crate::subjects::{Setting, Subject};
use crate::workloads::{Comparison, Options, Outcome};

/// Sizes in MiB.
const SIZES: [u64; 6] = [1, 4, 16, 64, 256, 1024];
const QUICK_SIZES: [u64; 2] = [1, 64];

/// How much longer the largest may take than the smallest, for a cost that does not depend on the size.
const CONSTANT: f64 = 1.5;

const SUBJECTS: &[(&str, Subject)] =
    &[("procession", Subject::Procession(Setting::Defaults)), ("limit", Subject::Socketpair)];

/// Rounds where none are said: a large one takes long through a socketpair.
const ROUNDS: usize = 3;

/// The figures at the top are those of the largest size.
pub(crate) fn run(options: Options) -> Outcome {
    let sizes = if options.quick { QUICK_SIZES.as_slice() } else { SIZES.as_slice() };
    let rounds = options.rounds.or(Some(if options.quick { 1 } else { ROUNDS }));
    let (mut told, mut by_size, mut costs) = (Map::new(), Map::new(), Vec::new());
    for size in sizes {
        let comparison = Comparison {
            task: Task::HandOver(size << 20),
            placement: Placement::TwoCores,
            unit: "µs",
            subjects: SUBJECTS,
            targets: &[],
        };
        let value = comparison::run(&comparison, Options { rounds, ..options })?;
        for (name, _) in SUBJECTS {
            told.insert((*name).into(), value[name].clone());
        }
        costs.extend(value["procession"].as_f64());
        by_size.insert(format!("{size} MiB"), value);
    }
    let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let growth = costs.iter().copied().fold(0.0, f64::max) / least;
    let verdict = if growth <= CONSTANT { "met" } else { "NOT MET" };
    let target =
        format!("procession: the dearest size must cost at most {CONSTANT} x the cheapest: {verdict}");
    told.insert("unit".into(), json!("µs"));
    told.insert("growth".into(), json!(growth));
    told.insert("targets".into(), json!([target]));
    told.insert("sizes".into(), by_size.into());
    Ok(told.into())
}
