//! How a process becomes a worker: the first thing that `Program::run` does, and the last that it does again.
//!
//! Not for starting actors, which the runtime does with the [`Welcome`].

use std::ffi::CString;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::control::{self, ControlEvent, ControlLane, ControlThread, End, Output, THREAD_NAME};
use super::{handling, logs, panics};
use crate::codec::shape::Protocol;
use crate::id::{BuildId, ProcessName};
use crate::protocol::control::{Preamble, Refusal, ToRoot, ToWorker, Welcome};
use crate::protocol::control_frames::{self, ControlError, Decoder};
use crate::protocol::keeping::KeptState;
use crate::sys::environment::{self, BadMark, Mark};
use crate::sys::exit::{exit_in_order, exit_now};
use crate::sys::socket::{self, Wait};
use crate::sys::wake::Wake;
use crate::sys::{executable, signals};

/// Why a process that was started as a worker can't become one.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// `PROCESSION_WORKER` says something unreadable.
    #[error(transparent)]
    Mark(#[from] BadMark),
    /// The root ended before this worker could begin.
    #[error("the root ended before this worker began")]
    RootGone,
    /// The root's preamble or welcome can't be read; the root was told.
    #[error("the root's greeting: {0}")]
    Greeting(#[from] ControlError),
    /// Its first frame is no welcome, or what follows is not what the welcome announces; the root was told.
    #[error("the root's first frames are no welcome and the states that it announces")]
    NoWelcome,
    /// This worker can't be what it is meant to be; the root was told.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The kernel said no.
    #[error("the worker could not {doing}: {error}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}

/// The code with which a process ends that could not become a worker: `EX_SOFTWARE` of `sysexits.h`.
pub const BOOTSTRAP_CODE: i32 = 70;

impl BootstrapError {
    /// Says on stderr what is wrong, where the root finds it among the last lines, and ends the process.
    pub fn exit(self) -> ! {
        eprintln!("procession: {self}");
        exit_now(BOOTSTRAP_CODE)
    }
}

/// How long an orderly end may take: flushing what was said, then exit handlers.
const LEAVE_GRACE: Duration = Duration::from_secs(2);

/// How much of it flushing may take.
const FLUSH_GRACE: Duration = Duration::from_secs(1);

/// A worker that knows who it is and does not serve its control pipe yet.
#[derive(Debug)]
pub struct Takeover {
    welcome: Welcome,
    states: Vec<KeptState>,
    build: BuildId,
    control: OwnedFd,
    decoder: Decoder<ToWorker, OwnedFd>,
}

/// Becomes a worker, if the process was started as one; `None` if it was not.
///
/// Removes the mark from the environment (so it must run before there are other threads), greets the root, and
/// waits for the welcome, which the root wrote before this process ran. What is wrong is told the root as a
/// [`Refusal`] where that is possible.
///
/// SIGINT keeps its default: Ctrl-C does not reach a worker, whose process group is its own (H28), so one that
/// comes was meant for it.
pub fn take_over() -> Result<Option<Takeover>, BootstrapError> {
    let present = Mark::present();
    environment::remove_mark();
    let Some(mark) = present? else { return Ok(None) };
    let control = mark.claim().map_err(io("take its control pipe"))?;
    if nix::unistd::getppid().as_raw() != mark.root {
        return Err(BootstrapError::RootGone);
    }
    let build = executable::build_id().map_err(io("read its own executable"))?;
    send_all(&control, &Preamble::ours())?;
    let mut decoder = Decoder::new();
    let Greeting { welcome, page, states } = match read_greeting(&control, &mut decoder, build) {
        Ok(greeting) => greeting,
        Err(error) => {
            refuse(&control, &error);
            return Err(error);
        }
    };
    set_title(&welcome.name);
    if let Some(page) = page {
        // Without one, this process works, and less is known of its death.
        let _ = handling::publish(page.as_fd());
    }
    Ok(Some(Takeover { welcome, states, build, control, decoder }))
}

/// What the root wrote before this process ran.
struct Greeting {
    welcome: Welcome,
    /// The memory of the status page.
    page: Option<OwnedFd>,
    states: Vec<KeptState>,
}

fn read_greeting(
    control: &OwnedFd,
    decoder: &mut Decoder<ToWorker, OwnedFd>,
    build: BuildId,
) -> Result<Greeting, BootstrapError> {
    let (welcome, descriptors) = match read_frame(control, decoder)? {
        (ToWorker::Welcome(welcome), descriptors) => (admit(*welcome, build)?, descriptors),
        _ => return Err(BootstrapError::NoWelcome),
    };
    let mut states = Vec::new();
    for _ in 0..welcome.states {
        match read_frame(control, decoder)?.0 {
            ToWorker::State(state) => states.push(state),
            _ => return Err(BootstrapError::NoWelcome),
        }
    }
    Ok(Greeting { welcome, page: descriptors.into_iter().next(), states })
}

fn read_frame(
    control: &OwnedFd,
    decoder: &mut Decoder<ToWorker, OwnedFd>,
) -> Result<(ToWorker, Vec<OwnedFd>), BootstrapError> {
    let mut buffer = Vec::new();
    loop {
        if let Some(frame) = decoder.poll_message()? {
            return Ok(frame);
        }
        match control::read_once(control.as_fd(), &mut buffer, decoder, Wait::Yes) {
            Ok(true) => {}
            Ok(false) => return Err(BootstrapError::RootGone),
            Err(error) if socket::is_peer_gone(&error) => return Err(BootstrapError::RootGone),
            Err(error) => return Err(io("read its control pipe")(error)),
        }
    }
}

/// A worker that is meant to be the root's own executable must be it, to the file (H30).
fn admit(welcome: Welcome, worker: BuildId) -> Result<Welcome, BootstrapError> {
    match welcome.build {
        Some(root) if root != worker => Err(Refusal::Build { root, worker }.into()),
        _ => Ok(welcome),
    }
}

fn refuse(control: &OwnedFd, error: &BootstrapError) {
    let refusal = match error {
        BootstrapError::Refused(refusal) => refusal.clone(),
        other => Refusal::Handshake(other.to_string()),
    };
    let mut bytes = Vec::new();
    if control_frames::encode_into(&ToRoot::Refused(refusal), 0, &mut bytes).is_ok() {
        // If the root is gone, nobody needs to be told.
        let _ = send_all(control, &bytes);
    }
}

fn send_all(control: &OwnedFd, mut bytes: &[u8]) -> Result<(), BootstrapError> {
    while !bytes.is_empty() {
        match socket::send(control.as_fd(), bytes, Wait::Yes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if socket::is_peer_gone(&error) => return Err(BootstrapError::RootGone),
            Err(error) => return Err(io("write to its control pipe")(error)),
        }
    }
    Ok(())
}

/// What `ps -o comm` and `top` show: the kernel keeps the first 15 bytes.
fn set_title(name: &ProcessName) {
    if let Ok(name) = CString::new(name.as_str()) {
        // A nicety: nothing depends on it.
        let _ = nix::sys::prctl::set_name(&name);
    }
}

impl Takeover {
    /// Who this worker is.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// What was kept of its actors, at most one state for each.
    pub fn take_states(&mut self) -> Vec<KeptState> {
        std::mem::take(&mut self.states)
    }

    /// Tells the root the messages of this program, unless it knows them (T-3).
    ///
    /// # Errors
    /// They are more than a frame can have, or the root is gone.
    pub fn tell_shapes(&mut self, protocol: impl FnOnce() -> Protocol) -> Result<(), BootstrapError> {
        let Welcome { build, known_builds, .. } = &self.welcome;
        // Where the root knows not even its own, it compares nothing.
        if build.is_some() || known_builds.is_empty() || known_builds.contains(&self.build) {
            return Ok(());
        }
        let protocol = serde_json::to_string(&protocol()).unwrap_or_default();
        let mut bytes = Vec::new();
        let told = ToRoot::Shapes { build: self.build, protocol };
        if let Err(error) = control_frames::encode_into(&told, 0, &mut bytes) {
            let error =
                BootstrapError::Refused(Refusal::Handshake(format!("the shapes of its messages: {error}")));
            refuse(&self.control, &error);
            return Err(error);
        }
        send_all(&self.control, &bytes)
    }

    /// The executable that runs here, as [`Ready`](crate::protocol::control::Ready) reports it.
    pub fn build(&self) -> BuildId {
        self.build
    }

    /// Starts the control thread, the panic hook and, unless the program has set a subscriber of its own, the
    /// logs. `on_event` runs on the control thread and must not block.
    ///
    /// Nothing is written before the first `Ready` or `Refused` that is sent.
    pub fn start<F>(self, on_event: F) -> Result<(Welcome, ControlLane), BootstrapError>
    where
        F: FnMut(ControlEvent) + Send + 'static,
    {
        let lane = ControlLane::new(Wake::new().map_err(io("make a pipe"))?);
        let thread = ControlThread {
            control: self.control,
            terminations: signals::notices(libc::SIGTERM).map_err(io("watch for SIGTERM"))?,
            decoder: self.decoder,
            shared: lane.shared.clone(),
            on_event,
            output: Output::default(),
            end: End::default(),
        };
        std::thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || thread.run())
            .map_err(io("start its control thread"))?;
        panics::report_to(lane.clone());
        logs::send_to(lane.clone());
        Ok((self.welcome, lane))
    }
}

/// Ends the worker in order: everything said is written to the root, exit handlers run, and a hang on the way
/// ends after two seconds with the same code. Not to be called from the control thread's callback.
pub fn leave(lane: &ControlLane, code: i32) -> ! {
    lane.end_at(Instant::now() + LEAVE_GRACE, code);
    lane.flush(FLUSH_GRACE);
    // What can't be written to a pipe that nobody reads is lost either way.
    let _ = io::stdout().flush();
    exit_in_order(code)
}

/// Ends the worker at once, after what was said is written to the root: whatever else there is may be broken.
pub fn die(lane: &ControlLane, code: i32) -> ! {
    lane.end_at(Instant::now() + LEAVE_GRACE, code);
    lane.flush(FLUSH_GRACE);
    exit_now(code)
}

fn io(doing: &'static str) -> impl Fn(io::Error) -> BootstrapError {
    move |error| BootstrapError::Io { doing, error }
}
