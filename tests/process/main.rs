//! Real processes under real signals: how workers are born, speak, die and leave nothing behind.
//!
//! Without libtest, because the workers are this program started again, and a worker must take over before
//! anything else runs (H26). The stories run one after the other, since each counts the descriptors and children
//! of this process; each ends with as many as it began with. They signal only what they started.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A test; clippy knows only those with libtest.

use libtest_mimic::{Arguments, Trial};

mod births;
#[path = "../common/cgroups.rs"]
mod cgroups;
mod deaths;
mod lines;
mod orphans;
mod records;
mod roles;
mod stage;

fn main() -> std::process::ExitCode {
    roles::play_raw();
    match procession::process::bootstrap::take_over() {
        Ok(Some(takeover)) => roles::play(takeover),
        Ok(None) => {}
        Err(error) => error.exit(),
    }
    // tokio's own pipe for signals is made once in a process, and must not look like a story's leak.
    drop(tokio::runtime::Builder::new_current_thread().enable_all().build());
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let stories: Vec<Trial> =
        [births::stories(), deaths::stories(), lines::stories(), orphans::stories(), records::stories()]
            .into_iter()
            .flatten()
            .collect();
    libtest_mimic::run(&arguments, stories).exit_code()
}
