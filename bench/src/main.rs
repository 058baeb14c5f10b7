//! Measurements beside the limits and the peers, in one run on one machine.
//!
//! `procession-bench [WORKLOADS] [--quick] [--json]`. Without workloads it runs all. With `--json` it prints
//! one object: `{ "workloads": { NAME: { ... } } }`. To add a workload: a module with a `run` function, and a
//! line in [`WORKLOADS`].

mod pipes;
mod report;

use std::error::Error;
use std::io::Write;

use clap::Parser;
use serde_json::{Map, Value, json};

/// What a workload is told.
#[derive(Clone, Copy, Debug)]
struct Options {
    /// Fewer repetitions: to see that it works, not to publish.
    quick: bool,
}

type Outcome = Result<Value, Box<dyn Error>>;

/// A name, and what measures it.
type Workload = (&'static str, fn(Options) -> Outcome);

/// Each workload.
const WORKLOADS: &[Workload] = &[("pipes", pipes::run)];

#[derive(Parser, Debug)]
#[command(about = "Measures Procession beside the limits of the machine and its peers")]
struct Arguments {
    /// What to measure; everything if nothing is named
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(WORKLOADS.iter().map(|(name, _)| *name)))]
    workloads: Vec<String>,
    /// Few repetitions, to see that it works
    #[arg(long)]
    quick: bool,
    /// One JSON object instead of tables
    #[arg(long)]
    json: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    // A child of a workload plays its part and nothing else.
    if let Some(part) = pipes::child() {
        return part;
    }
    let arguments = Arguments::parse();
    let options = Options { quick: arguments.quick };
    let mut measured = Map::new();
    for (name, run) in WORKLOADS {
        if arguments.workloads.is_empty() || arguments.workloads.iter().any(|wanted| wanted == name) {
            measured.insert((*name).into(), run(options)?);
        }
    }
    let mut out = std::io::stdout();
    match arguments.json {
        true => writeln!(out, "{:#}", json!({ "workloads": measured }))?,
        false => {
            for (name, value) in &measured {
                writeln!(out, "{}", report::table(name, value))?;
            }
        }
    }
    Ok(())
}
