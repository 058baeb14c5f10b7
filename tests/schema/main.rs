//! The same message on both sides: programs that differ, what a program says of itself, and messages as JSON.
//!
//! Another program is a copy of this one, which plays another role: its file is another, so its build is (H30). Without
//! libtest, because the workers are this program started again (H26). The stories run one after the other.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A test; clippy knows only those with libtest.

use libtest_mimic::Arguments;

mod actors;
mod described;
mod json;
#[path = "../common/played.rs"]
mod played;
mod programs;
mod stage;

fn main() -> std::process::ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some(stage::PLAY) {
        let role = args.next().unwrap_or_default();
        return match actors::program(&role).serve() {
            Ok(()) => std::process::ExitCode::SUCCESS,
            Err(error) => panic!("{error}"),
        };
    }
    // What a process makes once must not look like a story's leak; a worker never comes past this line.
    actors::program("same").run(async |_| -> procession::Result<()> { Ok(()) }).unwrap();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let stories = [programs::stories(), described::stories(), json::stories()];
    libtest_mimic::run(&arguments, stories.into_iter().flatten().collect()).exit_code()
}
