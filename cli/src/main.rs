//! The `procession` command: checks, draws and runs topologies of programs that it knows nothing of.
//!
//! It hosts no actors. Everything it does goes through the public API of the library; what is here is the part that
//! speaks with people and shells: arguments, messages, streams and exit codes.

mod arguments;
mod build;
mod call;
mod catalog;
mod chaos;
mod check;
mod code;
mod console;
mod failure;
mod findings;
mod graph;
mod log;
mod output;
mod prepare;
mod source;
mod summary;
mod up;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Cli, Command};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return arguments::refuse(&error),
    };
    let done = match cli.command {
        Command::Up(up) => up::run(&up),
        Command::Chaos(chaos) => chaos::run(&chaos),
        Command::Call(call) => call::run(&call),
        Command::Check(check) => check::run(&check),
        Command::Graph(graph) => graph::run(&graph),
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            failure.show();
            failure.code()
        }
    }
}
