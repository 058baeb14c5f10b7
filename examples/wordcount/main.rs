//! Counts the words of all files below a folder, in many processes: one reads, some split, some count, the root
//! merges.
//!
//! `cargo run --release --example wordcount -- DIR [--workers N] [--counters M] [--json]`
//!
//! The same from a file: `cargo run --release --bin procession -- up examples/wordcount/topology.toml`

#![allow(clippy::print_stdout)] // What it shows, it prints.

mod job;
mod splitter;

use std::path::PathBuf;

use clap::Parser;
use procession::prelude::*;
use procession_actors::files::{Files, FilesArgs};
use procession_actors::tally::Tally;

use self::job::{Crew, Job, count};
use self::splitter::Splitter;

/// Counts words: maximal runs of ASCII letters and digits, lower-cased.
#[derive(Parser)]
struct Options {
    /// The folder; all regular files below it are read.
    dir: PathBuf,
    /// Processes that split bytes into words.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    workers: u32,
    /// Processes that own the counts, each those of some words.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=256))]
    counters: u32,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn main() -> procession::Result<()> {
    let program = Program::new().actor::<Files>().actor::<Splitter>().actor::<Tally>().actor::<Job>();
    program.run(async |root| {
        let Options { dir, workers, counters, json } = Options::parse();
        let names = |base: &str, count| (1..=count).map(|n| format!("{base}-{n}")).collect::<Vec<_>>();
        let (splitters, tallies) = (names("splitter", workers), names("tally", counters));
        let crew = Crew {
            files: ProcAddr::named("files"),
            splitters: splitters.iter().map(|name| ProcAddr::named(name)).collect(),
            tallies: tallies.iter().map(|name| ProcAddr::named(name)).collect(),
        };
        // No process of a count may be restarted: what it had counted would be gone, and the sum wrong.
        let counting = |base| Process::new(base).restart(Policy::Temporary).significant(true);
        let receivers = splitters.iter().map(|name| ProcRecipient::named(name)).collect();
        let topology = Topology::new("wordcount")
            .process(counting("tally").replicas(counters).actor::<Tally>("tally", ()))
            .process(
                counting("splitter").replicas(workers).actor::<Splitter>("splitter", crew.tallies.clone()),
            )
            .process(counting("reader").actor::<Files>("files", FilesArgs { receivers }));
        let running = root.deploy(topology).await?;
        let processes = running.plan().processes.len() + 1;
        let summary = count(dir, &crew, processes).await?;
        running.shutdown().await?;
        summary.print(json);
        Ok(())
    })
}
