//! The `procession` command, as people and shells meet it: real processes, real signals, real files.
//!
//! Without libtest, because the programs of the topologies are this program started again, and a worker must take
//! over before anything else runs (H26). The stories signal only what they started, and wait for what the command
//! says, never for time.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A test; clippy knows only those with libtest.

use libtest_mimic::{Arguments, Trial};

mod builds;
mod calls;
mod chaos;
mod checks;
mod endings;
mod logs;
mod roles;
mod signals;
mod stage;
mod usage;

fn main() -> std::process::ExitCode {
    // A worker never comes past this line, nor does a program that was asked what it hosts.
    let _not_a_worker = roles::program().serve();
    let arguments = Arguments::from_args();
    let stories: Vec<Trial> = [
        builds::stories(),
        calls::stories(),
        chaos::stories(),
        checks::stories(),
        endings::stories(),
        logs::stories(),
        signals::stories(),
        usage::stories(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&arguments, stories).exit_code()
}
