//! Names and groups that are given at run time: actors in several processes that register, look up, join, leave and die.
//!
//! Without libtest, because the workers are this program started again (H26). The stories run one after the other; each
//! ends without a child, and with as many descriptors as it began with. They wait for facts, never for time.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A test; clippy knows only those with libtest.

use libtest_mimic::Arguments;

#[macro_use]
#[path = "../common/handlers.rs"]
mod handlers;
#[macro_use]
#[path = "../common/messages.rs"]
mod messages;
#[path = "../common/played.rs"]
mod played;

mod actors;
mod addresses;
mod members;
mod names;
mod replicas;
mod rerouting;
mod routing;
mod stage;
mod starting;

fn main() -> std::process::ExitCode {
    // What a process makes once must not look like a story's leak; a worker never comes past this line.
    actors::program().run(async |_| -> procession::Result<()> { Ok(()) }).unwrap();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let stories = [
        names::stories(),
        starting::stories(),
        members::stories(),
        replicas::stories(),
        routing::stories(),
        rerouting::stories(),
        addresses::stories(),
    ];
    libtest_mimic::run(&arguments, stories.into_iter().flatten().collect()).exit_code()
}
