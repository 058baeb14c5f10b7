//! Starts a program as a child with exactly four descriptors: stdin is `/dev/null`, stdout and stderr are pipes,
//! and [`CONTROL_DESCRIPTOR`] is one end of a socketpair.
//!
//! Written by hand instead of with `std::process::Command`, because the child must have its control pipe at a
//! fixed number, and Command's own error pipe may hold just that number. Called by the launcher; what the child
//! does between fork and exec is in the module `child` below.

use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::sys::stat::Mode;

use super::pidfd::Child;

mod child;

/// Where a worker finds its end of the control pipe: the first number after stdin, stdout and stderr.
pub const CONTROL_DESCRIPTOR: RawFd = 3;

/// What to start.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The executable; no search in `PATH`.
    pub program: &'a Path,
    /// The zeroth argument, which `ps` shows.
    pub title: &'a str,
    /// The other arguments.
    pub arguments: &'a [OsString],
    /// The whole environment.
    pub environment: &'a [(OsString, OsString)],
    /// Becomes [`CONTROL_DESCRIPTOR`] in the child. The caller's is to be closed after the start (H8).
    pub control: BorrowedFd<'a>,
    /// The folder of the control group (cgroup2) in which the child shall be. A group that does not take it is no failure.
    pub group: Option<BorrowedFd<'a>>,
    /// Becomes the child's limit of file locks, which no kernel since 2.4 looks at, and which all inherit that it starts:
    /// so they are known by it, dead ones too.
    pub mark: u64,
}

/// A child that executes its program.
#[derive(Debug)]
pub struct Spawned {
    /// Its owner: drop kills.
    pub child: Child,
    /// The reading end of its stdout, non-blocking (a description that nobody shares with us).
    pub stdout: OwnedFd,
    /// Likewise of its stderr.
    pub stderr: OwnedFd,
}

/// Why there is no child.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// A string holds a zero byte.
    #[error("{0} holds a zero byte")]
    ZeroByte(String),
    /// The kernel refused something before or after the fork.
    #[error("could not {doing}: {error}")]
    Setup {
        /// What was tried.
        doing: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
    /// The kernel refused to execute the program.
    #[error("can't be executed: {0}")]
    Exec(io::Error),
}

/// Starts a program. Returns when the kernel executes it, or has said why not (H27).
///
/// The child leads a process group of its own (H28) and is killed when the *thread* that calls this ends (H20),
/// so call it from one that lives as long as the child shall. Its signal mask is empty and all dispositions are
/// the default, whatever this process ignores.
pub fn spawn(order: &Order<'_>) -> Result<Spawned, SpawnError> {
    let strings = Strings::new(order.program, order.title, order.arguments, order.environment)?;
    let null = null(OFlag::O_RDONLY)?;
    let (stdout, child_stdout) = pipe()?;
    let (stderr, child_stderr) = pipe()?;
    let (report, child_report) = pipe()?;
    // All above the child's four, so that no dup2 there can hit one that is still needed.
    let descriptors = [null, child_stdout, child_stderr, child_report].map(raise);
    let [null, child_stdout, child_stderr, child_report] = descriptors;
    let (null, child_stdout) = (null?, child_stdout?);
    let (child_stderr, child_report) = (child_stderr?, child_report?);
    let control = raised(&order.control)?;
    let group = order.group.as_ref().map(raised).transpose()?;
    let mut plan = child::Plan {
        program: strings.program.as_ptr(),
        arguments: strings.arguments.pointers.as_ptr(),
        environment: strings.environment.pointers.as_ptr(),
        stdin: null.as_raw_fd(),
        stdout: child_stdout.as_raw_fd(),
        stderr: child_stderr.as_raw_fd(),
        control: control.as_raw_fd(),
        report: child_report.as_raw_fd(),
        group: group.as_ref().map_or(-1, AsRawFd::as_raw_fd),
        born_in_group: false,
        parent: nix::unistd::getpid().as_raw(),
        mark: Some(order.mark),
    };
    let child = with_signals_blocked(|| child::start(&mut plan));
    // Our copies must go, or the pipes would never end (H8).
    drop((null, child_stdout, child_stderr, child_report, control, group));
    // What the child said says more than that it is gone.
    await_exec(report)?;
    let child = child?;
    for fd in [&stdout, &stderr] {
        fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(setup("make a pipe non-blocking"))?;
    }
    Ok(Spawned { child, stdout, stderr })
}

/// Starts a program that lives on when this one dies, and reads `input`. It leads a process group of its own, and has nothing
/// else of ours: no output, no environment, no descriptor.
pub fn spawn_to_outlive(
    program: &Path,
    arguments: &[OsString],
    input: &OwnedFd,
) -> Result<Child, SpawnError> {
    let title = program.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let strings = Strings::new(program, title, arguments, &[])?;
    let nothing = raised(&null(OFlag::O_RDWR)?)?;
    let input = raised(input)?;
    let (report, child_report) = pipe()?;
    let child_report = raise(child_report)?;
    let mut plan = child::Plan {
        program: strings.program.as_ptr(),
        arguments: strings.arguments.pointers.as_ptr(),
        environment: strings.environment.pointers.as_ptr(),
        stdin: input.as_raw_fd(),
        stdout: nothing.as_raw_fd(),
        stderr: nothing.as_raw_fd(),
        control: nothing.as_raw_fd(),
        report: child_report.as_raw_fd(),
        group: -1,
        born_in_group: false,
        parent: nix::unistd::getpid().as_raw(),
        mark: None,
    };
    let child = with_signals_blocked(|| child::start(&mut plan));
    drop((nothing, input, child_report));
    await_exec(report)?;
    child
}

fn null(how: OFlag) -> Result<OwnedFd, SpawnError> {
    nix::fcntl::open("/dev/null", how | OFlag::O_CLOEXEC, Mode::empty()).map_err(setup("open /dev/null"))
}

/// Waits until the child's end of the report pipe is closed: by exec, or after a report of what failed. A child
/// that failed is killed and reaped by whoever holds it.
fn await_exec(report: OwnedFd) -> Result<(), SpawnError> {
    let mut bytes = Vec::new();
    std::fs::File::from(report)
        .take(child::REPORT_BYTES as u64)
        .read_to_end(&mut bytes)
        .map_err(|error| SpawnError::Setup { doing: "hear from the new process", error })?;
    match bytes.first_chunk() {
        None => Ok(()),
        Some(report) => {
            let (stage, error) = child::read_report(*report);
            Err(match stage {
                child::Stage::Exec => SpawnError::Exec(error),
                stage => SpawnError::Setup { doing: stage.doing(), error },
            })
        }
    }
}

/// The child must not run a handler of ours between fork and exec: it would act on our descriptors.
fn with_signals_blocked<T>(run: impl FnOnce() -> Result<T, SpawnError>) -> Result<T, SpawnError> {
    let mut before = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))
        .map_err(setup("block signals"))?;
    let result = run();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None).map_err(setup("unblock signals"))?;
    result
}

fn pipe() -> Result<(OwnedFd, OwnedFd), SpawnError> {
    let (reader, writer) = io::pipe().map_err(|error| SpawnError::Setup { doing: "make a pipe", error })?;
    Ok((reader.into(), writer.into()))
}

/// Instead of the given one, which is closed.
fn raise(fd: OwnedFd) -> Result<OwnedFd, SpawnError> {
    raised(&fd)
}

/// The same description at a number above the child's four.
#[allow(unsafe_code)]
fn raised(fd: &impl std::os::fd::AsFd) -> Result<OwnedFd, SpawnError> {
    use std::os::fd::FromRawFd;
    let number = fcntl(fd.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(CONTROL_DESCRIPTOR + 1))
        .map_err(setup("duplicate a descriptor"))?;
    // SAFETY: F_DUPFD_CLOEXEC has just opened this number for this call alone, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn setup(doing: &'static str) -> impl Fn(nix::Error) -> SpawnError {
    move |errno| SpawnError::Setup { doing, error: errno.into() }
}

/// Everything that exec reads, laid out before the fork, since nothing may be allocated after it (H24).
struct Strings {
    program: CString,
    arguments: Array,
    environment: Array,
}

/// A null-terminated array of C strings, and the strings it points to.
struct Array {
    pointers: Vec<*const libc::c_char>,
    _strings: Vec<CString>,
}

impl Strings {
    fn new(
        program: &Path,
        title: &str,
        arguments: &[OsString],
        environment: &[(OsString, OsString)],
    ) -> Result<Strings, SpawnError> {
        let c_string = |bytes: &[u8], what: &dyn Fn() -> String| {
            CString::new(bytes).map_err(|_| SpawnError::ZeroByte(what()))
        };
        let program = c_string(program.as_os_str().as_bytes(), &|| "the path".to_owned())?;
        let all = std::iter::once(OsStr::new(title)).chain(arguments.iter().map(OsStr::new));
        let arguments = all
            .enumerate()
            .map(|(index, argument)| c_string(argument.as_bytes(), &|| format!("argument {index}")))
            .collect::<Result<_, _>>()?;
        let environment = environment
            .iter()
            .map(|(key, value)| {
                let pair = [key.as_bytes(), b"=", value.as_bytes()].concat();
                c_string(&pair, &|| format!("the environment variable {}", key.display()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Strings { program, arguments: Array::new(arguments), environment: Array::new(environment) })
    }
}

impl Array {
    fn new(strings: Vec<CString>) -> Array {
        let end = std::iter::once(std::ptr::null());
        let pointers = strings.iter().map(|string| string.as_ptr()).chain(end).collect();
        // The strings own heap buffers, which stay where they are when the vector moves.
        Array { pointers, _strings: strings }
    }
}
