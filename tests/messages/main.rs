//! Programs as their users write them: actors in processes, messages between them, and every promise about both.
//!
//! Without libtest, because the workers are this program started again (H26). The stories run one after the other;
//! each ends without a child, and with as many descriptors as it began with. They wait for facts, never for time.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A test; clippy knows only those with libtest.

use libtest_mimic::Arguments;
use procession::topology::Transport;

#[path = "../common/cgroups.rs"]
mod cgroups;
#[macro_use]
#[path = "../common/handlers.rs"]
mod handlers;
#[macro_use]
#[path = "../common/messages.rs"]
mod messages;
#[path = "../common/played.rs"]
mod played;
#[path = "../common/transports.rs"]
mod transports;

mod actors;
mod addresses;
mod at_least_once;
mod carrying;
mod casts;
mod delivery;
mod faults;
mod founder;
mod groups;
mod hangs;
mod innocents;
mod letters;
mod linking;
mod lives;
mod local;
mod postmortem;
mod roots;
mod run_time;
mod sending;
mod stage;
mod states;
mod watching;
mod watchmen;
mod windows;

fn main() -> std::process::ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some(roots::ROLE) {
        return roots::play(&args.next().unwrap(), args.next().as_deref().unwrap_or_default());
    }
    // What a process makes once must not look like a story's leak; a worker never comes past this line.
    actors::program().run(async |_| -> procession::Result<()> { Ok(()) }).unwrap();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let stories = [
        sending::stories(),
        addresses::stories(),
        delivery::stories(),
        carrying::stories(),
        casts::stories(),
        windows::stories(),
        local::stories(),
        faults::stories(),
        at_least_once::stories(),
        // What a pipe is made of must make no difference; the stories above run over what `auto` chooses.
        transports::over(Transport::Socket, delivery::stories),
        transports::over(Transport::Socket, windows::stories),
        transports::over(Transport::Socket, faults::stories),
        watching::stories(),
        transports::over(Transport::Socket, at_least_once::stories),
        innocents::stories(),
        linking::stories(),
        letters::stories(),
        lives::stories(),
        groups::stories(),
        postmortem::stories(),
        states::stories(),
        hangs::stories(),
        run_time::stories(),
        roots::stories(),
    ];
    libtest_mimic::run(&arguments, stories.into_iter().flatten().collect()).exit_code()
}
