//! Peers that send anything at all: damaged, cut, repeated and reordered frames, lies of every kind, random bytes; and
//! processes that do so to a real deployment (X-1, H6, H7, H59).
//!
//! Without libtest, because the hostile workers are this program started again (H26), and because what a case may
//! allocate is counted for the whole process, so that the cases run one after the other.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A test; clippy knows only those with libtest.

use libtest_mimic::{Arguments, Trial};
use peak_alloc::PeakAlloc;

#[path = "../../fuzz/bodies/chunks.rs"]
mod chunks;
#[path = "../../fuzz/bodies/connection.rs"]
mod connection;
#[path = "../../fuzz/bodies/control.rs"]
mod control;
#[path = "../../fuzz/bodies/pipe_reader.rs"]
mod pipe_reader;
#[path = "../common/played.rs"]
mod played;

mod control_frames;
mod damage;
mod dice;
mod lies;
mod memory;
mod program;
mod recorded;
mod violators;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

fn main() -> std::process::ExitCode {
    program::play_hostile();
    // What a process makes once must not look like a story's leak; a worker never comes past this line.
    program::program().run(async |_| -> procession::Result<()> { Ok(()) }).unwrap();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let trials: [Vec<Trial>; 5] =
        [damage::trials(), lies::trials(), control_frames::trials(), dice::trials(), violators::stories()];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}

/// A test of this process alone.
fn trial(name: &'static str, run: fn()) -> Trial {
    Trial::test(name, move || {
        run();
        Ok(())
    })
}
