//! Addresses that travel: they work wherever they arrive, keep order from hand to hand, and have a text form.
//!
//! Without libtest, because the workers are this program started again (H26). The stories run one after the other, and wait
//! for facts, never for time.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A test; clippy knows only those with libtest.

use libtest_mimic::Arguments;
use peak_alloc::PeakAlloc;

#[macro_use]
#[path = "../common/messages.rs"]
mod messages;
#[path = "../common/clerks.rs"]
#[allow(dead_code)] // Two programs share them.
mod clerks;
#[path = "../common/played.rs"]
mod played;

mod costs;
mod handing;
mod order;
mod text;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

fn main() -> std::process::ExitCode {
    // What a process makes once must not look like a story's leak; a worker never comes past this line.
    clerks::program().run(async |_| -> procession::Result<()> { Ok(()) }).unwrap();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let stories = [handing::stories(), order::stories(), text::stories(), costs::stories()];
    libtest_mimic::run(&arguments, stories.into_iter().flatten().collect()).exit_code()
}
