//! More than one answer, as programs meet it: streams across processes, answers by others, descriptors, one trace.
//!
//! Without libtest, because the workers are this program started again (H26). The stories run one after the other;
//! they wait for facts, never for time.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A test; clippy knows only those with libtest.

use libtest_mimic::Arguments;

#[macro_use]
#[path = "../common/handlers.rs"]
mod handlers;
#[macro_use]
#[path = "../common/messages.rs"]
mod messages;
#[path = "../common/bare.rs"]
mod bare;
#[path = "../common/played.rs"]
mod played;

mod actors;
mod answering;
mod flowing;
mod hostile;
mod impostor;
mod memory;
mod seen;
mod stage;
mod stopping;
mod tracing;
mod whose;

fn main() -> std::process::ExitCode {
    impostor::play();
    // What a process makes once must not look like a story's leak; a worker never comes past this line.
    actors::program().run(async |_| -> procession::Result<()> { Ok(()) }).unwrap();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let stories = [
        flowing::stories(),
        stopping::stories(),
        whose::stories(),
        memory::stories(),
        answering::stories(),
        tracing::stories(),
        hostile::stories(),
        seen::stories(),
    ];
    libtest_mimic::run(&arguments, stories.into_iter().flatten().collect()).exit_code()
}
