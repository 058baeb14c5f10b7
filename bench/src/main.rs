//! Measurements beside the limits and the peers, in one run on one machine.
//!
//! `procession-bench [WORKLOADS] [--quick] [--json]`. Without workloads it runs all. With `--json` it prints
//! one object: `{ "workloads": { NAME: { ... } } }`. Workloads and who takes part in them: [`workloads::WORKLOADS`].

mod arguments;
mod awake;
mod blob;
mod comparison;
mod drive;
mod growth;
mod latency;
mod metronome;
mod orphans;
mod other_end;
mod part;
mod peers;
mod pipes;
mod plots;
mod processes;
mod report;
mod ring;
mod subjects;
mod targets;
mod workloads;

use std::error::Error;
use std::io::Write;

use clap::Parser;
use serde_json::{Map, Value};

use procession_bench_clock::cores;

use arguments::Arguments;
use part::Part;
use workloads::{Kind, Options, Outcome, WORKLOADS};

fn main() -> Result<(), Box<dyn Error>> {
    // Another process of a measurement plays its part and nothing else.
    if let Some(part) = pipes::child() {
        return part;
    }
    if let Some(part) = Part::of_this_process() {
        return play(&part?);
    }
    let arguments = Arguments::parse();
    let wanted: Vec<_> = WORKLOADS.iter().filter(|workload| arguments.wants(workload.name)).collect();
    let tasks: Vec<_> = wanted.iter().filter_map(|workload| workload.task()).collect();
    let asked_for = if arguments.peers { tasks.as_slice() } else { &[] };
    let (present, absent) = peers::gather(asked_for, &mut std::io::stderr())?;
    let options = arguments.options(present);
    let mut out = std::io::stdout();
    let mut measured = Map::new();
    for workload in wanted {
        let value = match &workload.kind {
            Kind::Compared(comparison) => comparison::run(comparison, options),
            Kind::Own(run) => run(options),
        }?;
        if !arguments.json {
            writeln!(out, "{}", report::table(workload.name, &value))?;
        }
        if let Some(folder) = &arguments.plots {
            plots::draw(folder, workload.name, &value)?;
        }
        measured.insert(workload.name.into(), value);
    }
    if arguments.json {
        let mut told = Map::from_iter([("workloads".to_owned(), measured.into())]);
        if !absent.is_empty() {
            let absent: Map<_, _> = absent.into_iter().map(|(name, why)| (name.into(), why.into())).collect();
            told.insert("absent".into(), absent.into());
        }
        writeln!(out, "{:#}", Value::Object(told))?;
    }
    Ok(())
}

fn play(part: &Part) -> Result<(), Box<dyn Error>> {
    if let Some(reading) = subjects::play(part)? {
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&reading)?)?;
    }
    Ok(())
}
