//! Starts workers. Root side.
//!
//! Mechanics only: nothing is restarted, retried or judged here. The runtime's supervisor calls [`launch`], hears
//! [`Report`]s and decides. What stays with a worker from its start until it is reaped is the attendant, a
//! local task.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::attendant::{Attendant, Pipes, Start};
use super::cgroup::{self, Cgroup, Kills, Place};
use super::event::{Killed, Report};
use super::failure::{Errno, LaunchFailure};
use super::orphans::{Adopting, Estate, LifeMark};
use super::programs::Programs;
use crate::codec::EncodeError;
use crate::id::{Incarnation, ProcessId, Signal};
use crate::protocol::control::{Preamble, ToWorker, Welcome};
use crate::protocol::control_frames;
use crate::protocol::keeping::KeptState;
use crate::sys::environment::{self, MAX_DEPTH, Mark};
use crate::sys::pidfd::Pidfd;
use crate::sys::spawn::{self, CONTROL_DESCRIPTOR, Order, SpawnError, Spawned};
use crate::sys::status_page::Reader;
use crate::sys::{executable, readiness, socket};

/// What to start, and as whom.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The executable.
    pub program: Program,
    /// Its arguments, without the zeroth, which is the name of the process.
    pub arguments: Vec<OsString>,
    /// Changes to the root's environment, which the worker otherwise inherits: `None` removes.
    pub environment: Vec<(OsString, Option<OsString>)>,
    /// Everything that it needs to know of itself. For [`Program::Deployer`], [`launch`] fills in `build`.
    pub welcome: Welcome,
    /// What was kept of its actors.
    pub states: Vec<KeptState>,
    /// How long it may take until it is ready.
    pub start_deadline: Duration,
    /// Whether it gets a control group of its own, where this root may make one.
    pub cgroup: bool,
    /// The programs that it must agree with.
    pub programs: Programs,
}

/// Which executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The one that runs here, even if its file was replaced meanwhile (H30).
    Deployer,
    /// The one at this path; no search in `PATH`.
    Path(PathBuf),
}

/// Starts a worker.
///
/// Returns when the kernel executes the program or has said why not; everything later comes as events. Must be
/// called within a tokio [`LocalSet`](tokio::task::LocalSet), on a thread that lives as long as the workers shall:
/// the kernel kills a worker when the *thread* that started it ends (H20).
///
/// Never blocks on a worker. If the event channel is full, the worker's frames wait in its own process and its
/// lines are counted instead of kept; [`Exited`](super::event::WorkerEvent::Exited) is never lost. If the channel is
/// closed, the worker is killed and reaped.
///
/// # Errors
/// Those variants of [`LaunchFailure`] that say "known at once". Then no event comes.
pub fn launch(launch: Launch, events: mpsc::Sender<Report>) -> Result<Worker, LaunchFailure> {
    let depth = check_depth()?;
    let Launch { program, arguments, environment, mut welcome, states, start_deadline, cgroup, programs } =
        launch;
    let (file, path) = match program {
        Program::Path(path) => (path.clone(), path),
        Program::Deployer => (PathBuf::from(executable::SELF), executable::path()),
    };
    if file == Path::new(executable::SELF) {
        welcome.build = Some(executable::build_id().map_err(resources("read its own executable"))?);
    }
    // A worker of the root's own build has nothing to tell.
    let programs = if welcome.build.is_some() { Programs::default() } else { programs };
    welcome.known_builds = programs.known();
    welcome.states = u32::try_from(states.len()).unwrap_or(u32::MAX);
    let (process, incarnation, name) = (welcome.process, welcome.incarnation, welcome.name.clone());
    let (page, memory) = Reader::create().map_err(resources("make a status page"))?;
    let page = Arc::new(page);
    let greeting = Outgoing { bytes: greeting(states, welcome)?, descriptors: vec![memory] };
    let (ours, theirs) = socket::pair().map_err(resources("make a control pipe"))?;
    let mut estate = estate(process, incarnation, cgroup);
    let folder = estate.cgroup.as_ref().and_then(|cgroup| cgroup.open().ok());
    let order = Order {
        program: &file,
        title: name.as_str(),
        arguments: &arguments,
        environment: &worker_environment(environment, depth + 1, &estate.mark),
        control: theirs.as_fd(),
        group: folder.as_ref().map(AsFd::as_fd),
        mark: estate.mark.number(),
    };
    let started = Instant::now();
    let Spawned { child, stdout, stderr } = spawn::spawn(&order).map_err(|error| failure(error, &path))?;
    drop(theirs);
    let watched = |fd: OwnedFd| readiness::watch_readable(fd).map_err(resources("watch a pipe"));
    // From here on, an error drops the child, which kills and reaps it.
    let pipes = Pipes {
        control: readiness::watch(ours).map_err(resources("watch a pipe"))?,
        stdout: watched(stdout)?,
        stderr: watched(stderr)?,
    };
    let exit = readiness::watch_process(Arc::clone(child.pidfd())).map_err(resources("watch a process"))?;
    let (outgoing, queue) = mpsc::channel(OUTGOING_FRAMES);
    let worker = Worker { pidfd: Arc::clone(child.pidfd()), page, killed: Arc::default(), outgoing };
    let start = Start { greeting, queue, at: started, deadline: start_deadline };
    let place = Place::of(worker.pid());
    estate.begin(worker.pid(), &place);
    let kills = Kills::until_now(&place);
    let attendant = Attendant::new((process, incarnation), path, &worker, events, programs, kills);
    tokio::task::spawn_local(attendant.attend(child, exit, pipes, start, estate));
    Ok(worker)
}

/// What is to be swept when the worker is dead. The first worker of this root has what dead roots have left swept, too.
fn estate(process: ProcessId, incarnation: Incarnation, wanted: bool) -> Estate {
    static SWEPT: AtomicBool = AtomicBool::new(false);
    let cgroup = if wanted { Cgroup::make(process, incarnation) } else { None };
    if cgroup.is_some() && !SWEPT.swap(true, Ordering::Relaxed) {
        tokio::task::spawn_local(cgroup::sweep_stale());
    }
    Estate { mark: LifeMark::new(process, incarnation), cgroup, adopting: Adopting::begin(), living: None }
}

/// A worker must have become one before it may be a root in turn, and roots do not nest for ever (H25).
fn check_depth() -> Result<u32, LaunchFailure> {
    if !matches!(Mark::present(), Ok(None)) {
        return Err(LaunchFailure::BeforeTakeOver);
    }
    match environment::depth() {
        depth if depth >= MAX_DEPTH => Err(LaunchFailure::TooDeep { depth }),
        depth => Ok(depth),
    }
}

/// What the worker reads first. The kernel holds it until it does.
fn greeting(states: Vec<KeptState>, welcome: Welcome) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Preamble::ours().to_vec();
    control_frames::encode_into(&ToWorker::Welcome(Box::new(welcome)), 1, &mut bytes)?;
    for state in states {
        control_frames::encode_into(&ToWorker::State(state), 0, &mut bytes)?;
    }
    Ok(bytes)
}

/// The root's own environment, changed as asked, with the marks of a worker.
fn worker_environment(
    changes: Vec<(OsString, Option<OsString>)>,
    depth: u32,
    life: &LifeMark,
) -> Vec<(OsString, OsString)> {
    let mark = Mark { descriptor: CONTROL_DESCRIPTOR, root: nix::unistd::getpid().as_raw() };
    let marks = [
        (environment::WORKER.into(), Some(mark.to_value().into())),
        (environment::DEPTH.into(), Some(depth.to_string().into())),
        (environment::LIFE.into(), Some(life.value())),
    ];
    let mut all: std::collections::BTreeMap<_, _> = std::env::vars_os().collect();
    for (key, value) in changes.into_iter().chain(marks) {
        match value {
            Some(value) => all.insert(key, value),
            None => all.remove(&key),
        };
    }
    all.into_iter().collect()
}

fn failure(error: SpawnError, path: &Path) -> LaunchFailure {
    match error {
        SpawnError::ZeroByte(what) => LaunchFailure::ZeroByte { path: path.to_owned(), what },
        SpawnError::Setup { doing, error } => resources(doing)(error),
        SpawnError::Exec(error) => {
            LaunchFailure::NotExecutable { path: path.to_owned(), errno: Errno::of(&error) }
        }
    }
}

fn resources(doing: &'static str) -> impl Fn(std::io::Error) -> LaunchFailure {
    move |error| LaunchFailure::Resources { doing, errno: Errno::of(&error) }
}

/// A running worker, as its owner in the root holds it. Dropping it kills the worker: never an orphan (P-2).
#[derive(Debug)]
pub struct Worker {
    pub(super) pidfd: Arc<Pidfd>,
    pub(super) page: Arc<Reader>,
    pub(super) killed: Arc<OnceLock<Killed>>,
    outgoing: mpsc::Sender<Outgoing>,
}

/// A frame on its way to a worker.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    pub(super) descriptors: Vec<OwnedFd>,
}

/// Why a frame was not accepted for a worker. The descriptors that were to go along is closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It is dead or dying, and `Exited` is on its way.
    #[error("the worker is gone")]
    Gone,
    /// It has not read its control pipe for long: its control thread is stopped.
    #[error("the worker does not read its control pipe, and {OUTGOING_FRAMES} frames wait for it")]
    Full,
    /// The frame can't be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Frames that may wait for a worker: an introduction or two for each peer, and a stop. A worker whose control
/// thread runs empties them at once.
pub const OUTGOING_FRAMES: usize = 1024;

impl Worker {
    /// Its number with the kernel.
    pub fn pid(&self) -> i32 {
        self.pidfd.pid()
    }

    /// What it says of itself.
    pub fn page(&self) -> &Reader {
        &self.page
    }

    /// How many frames wait for it.
    pub fn waiting(&self) -> usize {
        OUTGOING_FRAMES - self.outgoing.capacity()
    }

    /// Hands a frame to the worker's writer, with the one or two descriptors that go along. Never blocks.
    pub fn send(
        &self,
        frame: &ToWorker,
        descriptors: impl IntoIterator<Item = OwnedFd>,
    ) -> Result<(), SendError> {
        let descriptors: Vec<OwnedFd> = descriptors.into_iter().collect();
        let mut bytes = Vec::new();
        let count = u8::try_from(descriptors.len()).unwrap_or(u8::MAX);
        control_frames::encode_into(frame, count, &mut bytes)?;
        self.outgoing.try_send(Outgoing { bytes, descriptors }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Gone,
        })
    }

    /// Sends a signal, to the process itself. One that is dead already is no error.
    pub fn signal(&self, signal: Signal) -> std::io::Result<()> {
        self.pidfd.signal(signal)
    }

    /// Asks the worker to end: its control thread stops it in order (SIGTERM).
    pub fn terminate(&self) -> std::io::Result<()> {
        self.signal(Signal(libc::SIGTERM))
    }

    /// Says why the worker is about to be killed or aborted: the first reason holds.
    pub fn doom(&self, why: Killed) {
        let _ = self.killed.set(why);
    }

    /// Ends the worker (SIGKILL). What it has started follows when it is reaped.
    pub fn kill(&self) -> std::io::Result<()> {
        self.doom(Killed::Asked);
        self.signal(Signal(libc::SIGKILL))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It fails only for a process of another user, which a set-uid worker would be, and which its attendant
        // still hears of.
        let _ = self.kill();
    }
}
