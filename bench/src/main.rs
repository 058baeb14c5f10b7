//! Measurements beside the limits and the peers, in one run on one machine.
//!
//! `procession-bench [WORKLOADS] [--quick] [--json]`. Without workloads it runs all. With `--json` it prints
//! one object: `{ "workloads": { NAME: { ... } } }`. Workloads and who takes part in them: [`workloads::WORKLOADS`].

mod arguments;
mod blob;
mod comparison;
mod cores;
mod drive;
mod growth;
mod latency;
mod metronome;
mod orphans;
mod other_end;
mod part;
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
use serde_json::{Map, json};

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
    let options = arguments.options();
    let mut out = std::io::stdout();
    let mut measured = Map::new();
    for workload in WORKLOADS.iter().filter(|workload| arguments.wants(workload.name)) {
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
        writeln!(out, "{:#}", json!({ "workloads": measured }))?;
    }
    Ok(())
}

fn play(part: &Part) -> Result<(), Box<dyn Error>> {
    if let Some(reading) = subjects::play(part)? {
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&reading)?)?;
    }
    Ok(())
}
