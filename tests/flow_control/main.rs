//! Flow control, as programs meet it: full pipes, floods, large results, stopped processes, blocked threads.
//!
//! Without libtest, because the workers are this program started again (H26). The stories run one after the other;
//! they wait for facts, never for time.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A test; clippy knows only those with libtest.

use libtest_mimic::Arguments;
use procession::topology::Transport;

#[macro_use]
#[path = "../common/messages.rs"]
mod messages;
#[path = "../common/played.rs"]
mod played;
#[path = "../common/transports.rs"]
mod transports;

mod actors;
mod deadlines;
mod deadlocks;
mod ends;
mod floods;
mod latency;
mod replies;
mod slow;
mod stage;

fn main() -> std::process::ExitCode {
    // What a process makes once must not look like a story's leak; a worker never comes past this line.
    actors::program().run(async |_| -> procession::Result<()> { Ok(()) }).unwrap();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let stories = [
        deadlines::stories(),
        deadlocks::stories(),
        ends::stories(),
        floods::stories(),
        latency::stories(),
        replies::stories(),
        slow::stories(),
        // Those above run over what `auto` chooses: memory that is shared.
        transports::over(Transport::Socket, deadlocks::stories),
        transports::over(Transport::Socket, ends::stories),
        transports::over(Transport::Socket, latency::stories),
        transports::over(Transport::Socket, replies::stories),
    ];
    libtest_mimic::run(&arguments, stories.into_iter().flatten().collect()).exit_code()
}
