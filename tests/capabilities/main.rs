//! The right to send: addresses that can't be guessed, edited or replayed, that are narrowed and revoked, and edges of a
//! topology that carry some messages alone.
//!
//! Without libtest, because the workers, the hostile one too, are this program started again (H26). The stories run one
//! after the other, and wait for facts, never for time.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A test; clippy knows only those with libtest.

use libtest_mimic::Arguments;

#[macro_use]
#[path = "../common/messages.rs"]
mod messages;
#[path = "../common/clerks.rs"]
#[allow(dead_code)] // Two programs share them.
mod clerks;
#[path = "../common/played.rs"]
mod played;

mod edges;
mod guesser;
mod guessing;
mod json;
mod narrowing;
mod opening;
mod revoking;

fn main() -> std::process::ExitCode {
    guesser::play();
    // What a process makes once must not look like a story's leak; a worker never comes past this line.
    clerks::program().run(async |_| -> procession::Result<()> { Ok(()) }).unwrap();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let stories =
        [narrowing::stories(), revoking::stories(), edges::stories(), guessing::stories(), json::stories()];
    libtest_mimic::run(&arguments, stories.into_iter().flatten().collect()).exit_code()
}
