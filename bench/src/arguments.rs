//! The command line.

use std::path::PathBuf;

use clap::Parser;
use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::peers::Present;
use crate::workloads::{Options, WORKLOADS, Workload};

#[derive(Parser, Debug)]
#[command(about = "Measures Procession beside the limits of the machine and its peers")]
pub(crate) struct Arguments {
    /// What to measure; everything if nothing is named
    #[arg(value_parser = PossibleValuesParser::new(WORKLOADS.iter().map(named)))]
    pub(crate) workloads: Vec<String>,
    /// Few and short rounds, to see that it works
    #[arg(long)]
    pub(crate) quick: bool,
    /// One JSON object instead of tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Others, too, where they can do the task: Python's multiprocessing, iceoryx2, remoc, tarpc,
    /// ractor_cluster, kameo and zenoh, which are compiled then
    #[arg(long)]
    pub(crate) peers: bool,
    /// Draws the figures into this folder, an SVG for each workload
    #[arg(long, value_name = "DIR")]
    pub(crate) plots: Option<PathBuf>,
    /// How often everybody takes a turn
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) rounds: Option<u16>,
}

/// With hyphens, as arguments are, or with the underscores of the JSON.
fn named(workload: &Workload) -> PossibleValue {
    let value = PossibleValue::new(workload.name);
    match workload.name {
        "ask_one_core" => value.alias("ask-one-core"),
        "root_killed" => value.alias("root-killed"),
        "fan_in" => value.alias("fan-in"),
        "down_halting" => value.alias("down-halting"),
        _ => value,
    }
}

impl Arguments {
    /// Whether a workload was asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.workloads.is_empty() || self.workloads.iter().any(|wanted| wanted.replace('-', "_") == name)
    }

    pub(crate) fn options(&self, peers: Present) -> Options {
        Options { quick: self.quick, peers, rounds: self.rounds.map(usize::from) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("procession-bench").chain(words.split_whitespace()))
    }

    #[test]
    fn workloads_are_named_or_all_run() {
        let some = parse("ask tell --quick --json --rounds 5").expect("arguments");
        assert!(some.wants("ask") && some.wants("tell") && !some.wants("ask64"));
        assert!(some.json && some.options(Present::default()).quick);
        assert_eq!(some.options(Present::default()).rounds, Some(5));
        for Workload { name, .. } in WORKLOADS {
            assert!(parse(&name.replace('_', "-")).expect("with hyphens").wants(name));
        }
        let all = parse("").expect("arguments");
        assert!(WORKLOADS.iter().all(|workload| all.wants(workload.name)));
        assert!(
            !all.json
                && !all.options(Present::default()).quick
                && all.options(Present::default()).rounds.is_none()
        );
    }

    #[test]
    fn mistakes_are_told() {
        assert!(parse("asks").is_err());
        assert!(parse("--rounds 0").is_err());
    }
}
