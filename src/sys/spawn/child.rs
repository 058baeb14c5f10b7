//! What happens in the child between fork and exec.
//!
//! Another thread of the parent may have held any lock at the moment of the fork, the allocator's included; here
//! it is held for ever. So this file makes plain system calls on numbers and pointers that were laid out before,
//! allocates nothing, panics nowhere, and leaves by exec or `_exit` (H24). It may share our memory, so it writes to nothing but its
//! stack and `errno`.

use std::io;
use std::os::fd::RawFd;

use super::super::exit::exit_now;
use super::super::pidfd::Child;
use super::super::slice;
use super::{CONTROL_DESCRIPTOR, SpawnError};

use sharing::Born;

mod sharing;

/// Everything that the child needs, as numbers and pointers. All descriptors are above [`CONTROL_DESCRIPTOR`].
pub(super) struct Plan {
    pub(super) program: *const libc::c_char,
    pub(super) arguments: *const *const libc::c_char,
    pub(super) environment: *const *const libc::c_char,
    pub(super) stdin: RawFd,
    pub(super) stdout: RawFd,
    pub(super) stderr: RawFd,
    pub(super) control: RawFd,
    pub(super) report: RawFd,
    /// The folder of its control group; negative if there is none.
    pub(super) group: RawFd,
    /// Whether it need not enter it.
    pub(super) born_in_group: bool,
    pub(super) parent: i32,
    /// None lives on when its parent dies, and bears no mark.
    pub(super) mark: Option<u64>,
}

/// How far a child came that failed.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub(super) enum Stage {
    Group = 1,
    DeathSignal,
    Descriptors,
    Signals,
    Exec,
}

impl Stage {
    pub(super) fn doing(self) -> &'static str {
        match self {
            Stage::Group => "give the new process a group of its own",
            Stage::DeathSignal => "tie the new process to the life of this one",
            Stage::Descriptors => "give the new process its descriptors",
            Stage::Signals => "reset the signals of the new process",
            Stage::Exec => "execute the program",
        }
    }
}

/// A report is a stage and an errno, both as native i32; less than `PIPE_BUF`, so it is written whole.
pub(super) const REPORT_BYTES: usize = 8;

pub(super) fn read_report(report: [u8; REPORT_BYTES]) -> (Stage, io::Error) {
    let [a, b, c, d, e, f, g, h] = report;
    let stage = [Stage::Group, Stage::DeathSignal, Stage::Descriptors, Stage::Signals]
        .into_iter()
        .find(|stage| *stage as i32 == i32::from_ne_bytes([a, b, c, d]));
    (stage.unwrap_or(Stage::Exec), io::Error::from_raw_os_error(i32::from_ne_bytes([e, f, g, h])))
}

/// Makes the child, which follows the plan. All signals must be blocked.
#[allow(unsafe_code)]
pub(super) fn start(plan: &mut Plan) -> Result<Child, SpawnError> {
    let setup = |doing| move |error| SpawnError::Setup { doing, error };
    if let Some(Born { pid, pidfd }) = sharing::start(plan) {
        return Ok(Child::own(pid, pidfd));
    }
    // SAFETY: the child calls nothing but `follow`, which keeps to async-signal-safe calls and never returns. Its
    // copy of `plan` points into the child's copy of the memory that the caller holds during this call.
    match unsafe { libc::fork() } {
        -1 => Err(setup("fork")(io::Error::last_os_error())),
        0 => follow(plan),
        pid => Child::adopt(pid).map_err(|error| {
            // No pidfd, so nobody would own it. Its pid is still its own, since only we could reap it, except if it is gone: then
            // somebody else has taken its exit status.
            if error.raw_os_error() != Some(libc::ESRCH) {
                // SAFETY: both take integers, and waitpid accepts a null status.
                unsafe {
                    libc::kill(pid, libc::SIGKILL);
                    libc::waitpid(pid, std::ptr::null_mut(), 0);
                }
            }
            setup("open a descriptor for the new process")(error)
        }),
    }
}

fn follow(plan: &Plan) -> ! {
    let stage = match prepare(plan) {
        Ok(()) => {
            execute(plan);
            Stage::Exec
        }
        Err(stage) => stage,
    };
    report(plan, stage);
    exit_now(127)
}

/// Becomes what a worker is before its program runs.
#[allow(unsafe_code)]
fn prepare(plan: &Plan) -> Result<(), Stage> {
    let check = |result: i32, stage: Stage| if result < 0 { Err(stage) } else { Ok(()) };
    // SAFETY: all of these take integers, or pointers to plain data on the stack, and are async-signal-safe; openat reads a
    // literal, write is told of one byte that is there, and both refuse a negative descriptor. The descriptors were open
    // in the parent at the fork, and all are above CONTROL_DESCRIPTOR, so that no dup2 closes a source of a later one.
    unsafe {
        check(libc::setpgid(0, 0), Stage::Group)?;
        if let Some(mark) = plan.mark {
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), Stage::DeathSignal)?;
            if libc::getppid() != plan.parent {
                // The parent died before the line above, so its death will not be signalled.
                exit_now(127);
            }
            // Before it can start anything. What does not take the mark is found by others.
            let mut locks = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            if libc::getrlimit(libc::RLIMIT_LOCKS, &raw mut locks) == 0 {
                locks.rlim_cur = mark.min(locks.rlim_max);
                libc::setrlimit(libc::RLIMIT_LOCKS, &raw const locks);
            }
        }
        if !plan.born_in_group {
            let flags = libc::O_WRONLY | libc::O_CLOEXEC;
            let entrance = libc::openat(plan.group, c"cgroup.procs".as_ptr(), flags);
            libc::write(entrance, c"0".as_ptr().cast(), 1);
        }
        check(libc::dup2(plan.stdin, 0), Stage::Descriptors)?;
        check(libc::dup2(plan.stdout, 1), Stage::Descriptors)?;
        check(libc::dup2(plan.stderr, 2), Stage::Descriptors)?;
        check(libc::dup2(plan.control, CONTROL_DESCRIPTOR), Stage::Descriptors)?;
    }
    // Where that is forbidden, it could not be shortened either.
    let _ = slice::restore();
    close_others_on_exec(plan.report);
    reset_signals().map_err(|()| Stage::Signals)
}

/// Whatever the root holds without close-on-exec, by its own fault or a library's, ends here.
#[allow(unsafe_code)]
fn close_others_on_exec(report: RawFd) {
    let first = CONTROL_DESCRIPTOR.unsigned_abs() + 1;
    let report = report.unsigned_abs();
    let close_range = |from: u32, to: u32, flags: u32| {
        // SAFETY: close_range takes integers; the child owns no Rust value whose descriptor it would take away,
        // since it never returns to code that knows one.
        unsafe { libc::syscall(libc::SYS_close_range, from, to, flags) == 0 }
    };
    if close_range(first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) {
        return;
    }
    // Linux 5.10 knows the call without that flag: close all but the report, which is close-on-exec by itself.
    let below = report <= first || close_range(first, report - 1, 0);
    if below && close_range(report + 1, u32::MAX, 0) {
        return;
    }
    // A filter of system calls that forbids it: one by one, as far as the table can reach.
    // SAFETY: sysconf takes an integer and is async-signal-safe on Linux; fcntl takes integers.
    unsafe {
        let end = i32::try_from(libc::sysconf(libc::_SC_OPEN_MAX)).unwrap_or(DESCRIPTORS_AT_MOST);
        for fd in CONTROL_DESCRIPTOR + 1..end.clamp(0, DESCRIPTORS_AT_MOST) {
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}

/// Where the slow way of closing gives up: the kernel's usual upper limit of one process (`fs.nr_open`).
const DESCRIPTORS_AT_MOST: i32 = 1 << 20;

/// Default dispositions (a root that ignores SIGPIPE or SIGHUP must not pass that on), then an empty mask.
///
/// By the kernel's own call: the C library's `sigaction` takes a lock for SIGABRT (glibc 2.41), which is the parent's where the
/// two share their memory, and which a thread of the parent may hold that aborts just now. It would also refuse the
/// signals that the library keeps for itself; the next program sets those as it needs.
#[allow(unsafe_code)]
fn reset_signals() -> Result<(), ()> {
    // SAFETY: an action of zeroes is SIG_DFL without flags, and as long as the kernel reads on any processor; it is told the
    // size of its own set of signals. The dispositions are this child's alone (no CLONE_SIGHAND). A refusal is of a number
    // whose disposition can't be changed (SIGKILL, SIGSTOP). sigset_t is plain data for which zeroes are valid, and
    // sigemptyset and sigprocmask are async-signal-safe and take no lock.
    unsafe {
        let default = [0_u64; KERNEL_ACTION_WORDS];
        for signal in 1..=LAST_SIGNAL {
            let old = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), old, KERNEL_SET_BYTES);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        match libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) {
            0 => Ok(()),
            _ => Err(()),
        }
    }
}

/// A handler, flags, a restorer where there is one, and a set of signals.
const KERNEL_ACTION_WORDS: usize = 4;

/// The kernel's set of signals: 64 of them.
const KERNEL_SET_BYTES: usize = 8;

/// Real-time signals included.
const LAST_SIGNAL: i32 = 64;

#[allow(unsafe_code)]
fn execute(plan: &Plan) {
    // SAFETY: the three pointers lead to null-terminated C strings and null-terminated arrays of such, which the
    // caller of `start` holds; execve only reads them, and returns only if it failed.
    unsafe { libc::execve(plan.program, plan.arguments, plan.environment) };
}

#[allow(unsafe_code)]
fn report(plan: &Plan, stage: Stage) {
    // SAFETY: errno is this thread's; the buffer is on the stack and as long as said. If the parent does not read
    // any more, there is nobody to tell.
    unsafe {
        let numbers = [stage as i32, *libc::__errno_location()];
        libc::write(plan.report, numbers.as_ptr().cast(), REPORT_BYTES);
    }
}
