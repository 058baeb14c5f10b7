//! A program: the actors that it can host, and its life as root or worker.

use std::ffi::OsStr;
use std::future::Future as _;
use std::rc::Rc;
use std::time::Duration;

use super::describe::{self, Description};
use super::error::{Error, Result};
use super::handle::Root;
use super::host::{Factories, TypedFactory};
use super::registered::{self, Registered, Used};
use super::root_thread::RootThread;
use super::spawn::Spawn;
use super::worker;
use crate::address::ProcActor;
use crate::process::bootstrap;
use crate::sys::slice;

/// A program whose processes host actors.
///
/// The same program runs as root, where the closure given to [`run`](Program::run) deploys a topology, and as worker,
/// where `run` never returns. So everything that `main` does before `run` is done in every worker, too: call it
/// first.
#[derive(Default)]
pub struct Program {
    factories: Factories,
    duplicate: Option<&'static str>,
    uses: Vec<Used>,
}

impl Program {
    /// A program without actors, which can deploy other programs.
    pub fn new() -> Program {
        Program::default()
    }

    /// Registers an actor type. A process can host only registered ones; a topology that asks it for another is
    /// refused before anything starts.
    #[must_use]
    pub fn actor<A: Spawn>(mut self) -> Program {
        // Nobody else has it before it runs.
        let previous = Rc::get_mut(&mut self.factories)
            .and_then(|all| all.insert(A::TYPE_NAME, Box::new(TypedFactory::<A>::default())));
        if previous.is_some() {
            self.duplicate = Some(A::TYPE_NAME);
        }
        self
    }

    /// Says that this program sends to actors of this type, which others host. Their messages are then compared with those
    /// of the other programs of a topology, as the messages of registered actors are, and of all to whose addresses these
    /// have room in their arguments and messages (T-3). Needed only for addresses that are made from names in code.
    #[must_use]
    pub fn uses<A: ProcActor>(mut self) -> Program {
        self.uses.push(Used::of::<A>());
        self
    }

    /// As worker: hosts actors until the process ends; never returns. As root: runs `main` on an actix system,
    /// then stops whatever is still deployed, in order.
    ///
    /// SIGINT and SIGTERM stop the topology in order; then `main` is dropped where it waits, and this returns
    /// [`Error::Interrupted`]. A second signal kills what is left. With `--describe` as its only argument, the program
    /// prints what it hosts and ends.
    ///
    /// # Errors
    /// Those of `main`, and what keeps the runtime from starting.
    pub fn run<T, E>(
        self,
        main: impl AsyncFnOnce(Root) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E>
    where
        E: From<Error>,
    {
        self.become_worker();
        if let Some(name) = self.duplicate {
            return Err(Error::DuplicateType(name).into());
        }
        self.describe_if_asked();
        crate::process::logs::init_if_none();
        crate::process::panics::remember();
        let thread = RootThread::start(self.registered(), self.uses)?;
        // Where that is forbidden, actors of the root are woken later.
        let _ = slice::shorten();
        let system = actix::System::with_tokio_rt(worker::tokio_runtime);
        let result = system.block_on(async {
            let entered = thread.enter()?;
            crate::address::serve(entered.router());
            let mut main = Box::pin(main(thread.root()));
            let result = tokio::select! {
                biased;
                signal = thread.interrupted() => Err(Error::Interrupted(signal).into()),
                result = std::future::poll_fn(|context| main.as_mut().poll(context)) => match thread.signalled() {
                    // `main` saw the end before this did.
                    Some(signal) => Err(Error::Interrupted(signal).into()),
                    None => result,
                },
            };
            drop(main);
            thread.shutdown().await;
            // Requests of other threads end, too.
            let _ = tokio::time::timeout(CLOSE_GRACE, entered.router().close()).await;
            Ok(result)
        });
        // Also when `main` panics: nothing that was deployed outlives this call.
        drop(thread);
        crate::process::logs::flush();
        result.map_err(|error: Error| E::from(error))?
    }

    /// As worker: as [`run`](Program::run). Started in any other way, it says how it is meant to be used: for
    /// programs that others deploy.
    ///
    /// # Errors
    /// When it is not a worker.
    pub fn serve(self) -> Result<()> {
        self.become_worker();
        self.describe_if_asked();
        Err(Error::other(
            "this program hosts actors for others: name it as `program = ...` in a topology and start that with \
             `procession up`; `--describe` shows what it hosts",
        ))
    }

    /// Never returns in a worker.
    fn become_worker(&self) {
        match bootstrap::take_over() {
            Ok(Some(mut takeover)) => {
                let protocol = || registered::protocol(&self.registered(), &self.uses);
                if let Err(error) = takeover.tell_shapes(protocol) {
                    error.exit();
                }
                worker::live(&self.factories, self.duplicate, takeover)
            }
            Ok(None) => {}
            Err(error) => error.exit(),
        }
    }

    fn describe_if_asked(&self) {
        let mut args = std::env::args_os().skip(1);
        if args.next().as_deref() == Some(OsStr::new(describe::FLAG)) && args.next().is_none() {
            let printed = Description::new(&self.registered()).print();
            crate::sys::exit::exit_in_order(i32::from(printed.is_err()));
        }
    }

    fn registered(&self) -> Vec<Registered> {
        self.factories.values().map(|factory| factory.registered()).collect()
    }
}

/// How long connections may take to close when every worker is dead already.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("actors", &self.factories.keys()).finish()
    }
}
