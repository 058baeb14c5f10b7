//! Stays with one worker from its start until it is reaped: reads and writes its control pipe, reads its lines,
//! waits for its end. Root side; started by the launcher as a local task.
//!
//! ```text
//!                 +-- control pipe --> frames --+
//!                 |   (violation: kill)         |
//!  the attendant -+-- stdout, stderr -> lines --+--> all over --> Exited, once and last
//!                 +-- queue --> control pipe    |
//!                 +-- start deadline: kill      |
//!                 +-- pidfd --> reaped, time ---+
//! ```
//!
//! When it is reaped and its control pipe was read to the end, its peers may know (`Died`). What it had started may take longer.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::birth::{Birth, Verdict};
use super::cgroup::{Kills, OutOfMemory};
use super::event::{Death, Killed, Report, Stream, Telling, Violation, WorkerEvent};
use super::launcher::{Outgoing, Worker};
use super::orphans::Estate;
use super::programs::{Programs, Unfit};
use super::scratch;
use super::status::{self, Status};
use super::stdio::{Lines, Rest};
use crate::id::{Exit, Incarnation, ProcessId, Signal};
use crate::protocol::control::{PanicReport, ToRoot};
use crate::protocol::control_frames::{ControlError, Decoder};
use crate::sys::pidfd::{Child, Pidfd, Reaped};
use crate::sys::socket::{self, Wait};
use crate::sys::status_page::Reader;

/// How long the pipes of a dead worker may stay open, in the hands of something that it started and that left its
/// process group (H29): what a dying process group needs to let go on a busy machine.
pub(super) const DRAIN_DEADLINE: Duration = Duration::from_millis(500);

/// How long a worker may live without its control pipe: the time from closing descriptors to being dead.
const CLOSED_GRACE: Duration = Duration::from_secs(1);

/// How long what a dead worker has left waits until its peers were told.
const TELLING: Duration = Duration::from_millis(100);

/// How many reads the last sweep makes: more than a socket's buffer can hold, so that only somebody who goes on
/// writing to a dead worker's pipe is cut off.
const SWEEP_READS: usize = 1024;

/// The three pipes of a worker, our ends.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) control: AsyncFd<OwnedFd>,
    pub(super) stdout: AsyncFd<OwnedFd>,
    pub(super) stderr: AsyncFd<OwnedFd>,
}

/// How a worker begins.
#[derive(Debug)]
pub(super) struct Start {
    /// What it is told first.
    pub(super) greeting: Outgoing,
    /// What it is told later.
    pub(super) queue: mpsc::Receiver<Outgoing>,
    /// When.
    pub(super) at: Instant,
    /// How long it may take to be ready.
    pub(super) deadline: Duration,
}

#[derive(Debug)]
pub(super) struct Attendant {
    process: ProcessId,
    incarnation: Incarnation,
    pidfd: Arc<Pidfd>,
    killed: Arc<OnceLock<Killed>>,
    kills: Kills,
    page: Arc<Reader>,
    events: mpsc::Sender<Report>,
    path: PathBuf,
    programs: Programs,
    birth: RefCell<Birth>,
    last_panic: RefCell<Option<PanicReport>>,
    /// Set at the worker's death to the time when its pipes are given up.
    end: watch::Sender<Option<Instant>>,
}

/// How the control pipe ended.
struct ControlEnd {
    torn: bool,
}

impl Attendant {
    pub(super) fn new(
        (process, incarnation): (ProcessId, Incarnation),
        path: PathBuf,
        worker: &Worker,
        events: mpsc::Sender<Report>,
        programs: Programs,
        kills: Kills,
    ) -> Attendant {
        let birth = RefCell::new(Birth::new(process, incarnation, path.clone()));
        let (pidfd, page) = (Arc::clone(&worker.pidfd), Arc::clone(&worker.page));
        let killed = Arc::clone(&worker.killed);
        let last_panic = RefCell::default();
        Attendant {
            process,
            incarnation,
            pidfd,
            killed,
            kills,
            page,
            events,
            path,
            programs,
            birth,
            last_panic,
            end: watch::channel(None).0,
        }
    }

    /// Everything until the worker is dead, drained and reported.
    pub(super) async fn attend(
        self,
        child: Child,
        exit: AsyncFd<Arc<Pidfd>>,
        pipes: Pipes,
        start: Start,
        estate: Estate,
    ) {
        let Pipes { control: pipe, stdout, stderr } = pipes;
        let Start { greeting, queue, at: started, deadline: start_deadline } = start;
        let dying = async {
            let ((reaped, died), control) = tokio::join!(self.reap(child, exit), self.listen(&pipe));
            let cursor = status::read(self.process, &self.page).cursor;
            let (telling, told) = Telling::new();
            self.report(WorkerEvent::Died(reaped.exit, cursor, telling)).await;
            // Before this thread looks for what it has left, which does not wait for ever for who tells.
            let _ = tokio::time::timeout(TELLING, told).await;
            let_woken_run();
            (reaped, died, control, estate.sweep(self.pidfd.pid(), died).await)
        };
        let (dead, unsent_frames, stdout, stderr, ()) = tokio::join!(
            dying,
            self.write(&pipe, greeting, queue),
            self.lines(Stream::Stdout).relay(stdout, self.end.subscribe()),
            self.lines(Stream::Stderr).relay(stderr, self.end.subscribe()),
            self.watch_start(started + start_deadline, start_deadline),
        );
        self.programs.leave(self.process);
        // Whoever hears of the death finds its descriptors closed.
        drop(pipe);
        let (Reaped { exit, resources }, died, control, orphans) = dead;
        let Rest { last: last_stderr, lost, drained } = stderr;
        let Status { handling, cursor, .. } = status::read(self.process, &self.page);
        let out_of_memory = self.out_of_memory(exit);
        let death = Box::new(Death {
            pid: self.pidfd.pid(),
            exit,
            panic: self.last_panic.into_inner().filter(|_| may_be_by_panic(exit)),
            handling,
            cursor,
            failure: self.birth.into_inner().failure(exit, &last_stderr),
            uptime: died - started,
            resources,
            killed: self.killed.get().copied(),
            out_of_memory,
            orphans,
            restarts: self.incarnation.0.saturating_sub(1),
            budget_left: None,
            last_stderr,
            lost_lines: stdout.lost + lost,
            unsent_frames,
            torn: control.torn,
            drained: stdout.drained && drained,
        });
        // If nobody listens any more, the root itself is ending.
        let _ = self.events.send((self.process, self.incarnation, WorkerEvent::Exited(death))).await;
    }

    fn lines(&self, stream: Stream) -> Lines {
        let (process, incarnation) = (self.process, self.incarnation);
        Lines { process, incarnation, stream, events: self.events.clone() }
    }

    /// Waits for the end, and gives the pipes their deadline.
    async fn reap(&self, mut child: Child, exit: AsyncFd<Arc<Pidfd>>) -> (Reaped, Instant) {
        let reaped = loop {
            // Readiness of a registered descriptor fails only when the runtime shuts down, which drops this task.
            let Ok(mut ready) = exit.readable().await else { std::future::pending().await };
            match child.try_reap() {
                Ok(Some(reaped)) => break reaped,
                Ok(None) => ready.clear_ready(),
                // Somebody else took the exit status: SIGCHLD is ignored, or a library waits for any child.
                Err(_) => break Reaped::unknown(),
            }
        };
        let died = Instant::now();
        self.end.send_replace(Some(died + DRAIN_DEADLINE));
        (reaped, died)
    }

    /// The kernel kills with SIGKILL; so do others, but not without a trace of want of memory.
    fn out_of_memory(&self, exit: Exit) -> Option<OutOfMemory> {
        let is_kill = matches!(exit, Exit::Signal { signal: Signal(libc::SIGKILL), .. });
        if is_kill && self.killed.get().is_none() { self.kills.since() } else { None }
    }

    /// Reads the control pipe until its end, until a violation, or until its dead worker's last word.
    async fn listen(&self, control: &AsyncFd<OwnedFd>) -> ControlEnd {
        let mut decoder = Decoder::new();
        let mut dead = std::pin::pin!(died(self.end.subscribe()));
        loop {
            let received = tokio::select! {
                biased;
                received = receive(control, &mut decoder) => received,
                () = &mut dead => return self.sweep(control, &mut decoder).await,
            };
            match received {
                Err(error) if socket::is_peer_gone(&error) => {} // What it had written comes next (H9).
                Err(_) => return self.closed(&mut decoder).await,
                Ok(0) => return self.closed(&mut decoder).await,
                Ok(_) => {
                    if self.hand_on(&mut decoder).await.is_err() {
                        return ControlEnd { torn: false };
                    }
                }
            }
        }
    }

    /// Takes what a dead worker had written. Asks the kernel itself, because the runtime may hear of the death
    /// before it hears of the bytes. A pipe that still does not end is held by somebody else, and given up.
    async fn sweep(&self, control: &AsyncFd<OwnedFd>, decoder: &mut Decoder<ToRoot, OwnedFd>) -> ControlEnd {
        for _ in 0..SWEEP_READS {
            match read(control.get_ref(), decoder) {
                Err(error) if socket::is_peer_gone(&error) => {}
                Ok(bytes) if bytes > 0 => {
                    if self.hand_on(decoder).await.is_err() {
                        return ControlEnd { torn: false };
                    }
                }
                _ => break,
            }
        }
        ControlEnd { torn: decoder.handle_end().is_err() }
    }

    /// Hands on every message that is whole. An error ends the conversation.
    async fn hand_on(&self, decoder: &mut Decoder<ToRoot, OwnedFd>) -> Result<(), ()> {
        loop {
            let message = decoder.poll_message();
            if decoder.is_greeted() {
                self.birth.borrow_mut().handle_greeting();
            }
            let (frame, descriptors) = match message {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(()),
                Err(error) => return self.violated(error.into()).await,
            };
            if let ToRoot::Panic(report) = &frame {
                self.last_panic.replace(Some(report.clone()));
            }
            let verdict = self.birth.borrow_mut().handle_frame(&frame);
            match verdict {
                Verdict::Pass
                    if self.programs.compare()
                        && matches!(frame, ToRoot::Shapes { .. } | ToRoot::Ready(_)) =>
                {
                    self.compare(frame).await?;
                }
                // Nobody asked for them.
                Verdict::Pass if matches!(frame, ToRoot::Shapes { .. }) => {}
                Verdict::Pass => self.report(WorkerEvent::Frame(frame, descriptors)).await,
                Verdict::Violation(violation) => return self.violated(violation).await,
            }
        }
    }

    /// A worker tells its messages, or is ready: among those of other programs only if they mean the same (T-3).
    async fn compare(&self, frame: ToRoot) -> Result<(), ()> {
        let (programs, process, path) = (self.programs.clone(), self.process, self.path.clone());
        // It may take a while, and looks at types with code of users.
        let compared = tokio::task::spawn_blocking(move || {
            let compared = match &frame {
                ToRoot::Shapes { build, protocol } => programs.learn(*build, protocol).map_err(Err),
                ToRoot::Ready(ready) => programs.join(process, path, ready.build).map_err(Ok),
                _ => Ok(()),
            };
            (compared, frame)
        });
        let untold = "it is of a program that the root does not know";
        match compared.await {
            Ok((Ok(()), ToRoot::Shapes { .. })) => Ok(()),
            Ok((Ok(()), frame)) => {
                self.report(WorkerEvent::Frame(frame, Vec::new())).await;
                Ok(())
            }
            Ok((Err(Ok(Unfit::Differs { mismatch, other })), _)) => {
                self.birth.borrow_mut().handle_mismatch(mismatch, other);
                self.kill(Killed::Shapes);
                Err(())
            }
            Ok((Err(Ok(Unfit::Untold)), _)) => self.unfit(untold.to_owned()).await,
            Ok((Err(Err(why)), _)) => self.unfit(why).await,
            Err(panicked) => self.unfit(panicked.to_string()).await,
        }
    }

    async fn unfit(&self, why: String) -> Result<(), ()> {
        self.birth.borrow_mut().handle_unfit();
        self.violated(Violation::Shapes(why)).await
    }

    async fn violated(&self, violation: Violation) -> Result<(), ()> {
        self.birth.borrow_mut().handle_violation(&violation);
        self.kill(Killed::Violation);
        self.report(WorkerEvent::Violation(violation)).await;
        Err(())
    }

    /// The pipe ended. So does the worker, usually; one that lives on can't be reached any more.
    async fn closed(&self, decoder: &mut Decoder<ToRoot, OwnedFd>) -> ControlEnd {
        let torn = matches!(decoder.handle_end(), Err(ControlError::Torn { .. }));
        let dead = tokio::time::timeout(CLOSED_GRACE, died(self.end.subscribe())).await;
        if dead.is_err() {
            // The error only says that the conversation is over, which it is.
            let _ = self.violated(Violation::Closed).await;
        }
        ControlEnd { torn }
    }

    async fn report(&self, event: WorkerEvent) {
        if self.events.send((self.process, self.incarnation, event)).await.is_err() {
            self.kill(Killed::Asked);
        }
    }

    /// Writes the greeting and then the queue, until the worker is dead or reads no more. How many frames were
    /// not written whole.
    async fn write(
        &self,
        control: &AsyncFd<OwnedFd>,
        greeting: Outgoing,
        mut queue: mpsc::Receiver<Outgoing>,
    ) -> usize {
        let mut unsent = 0;
        let writing = async {
            send_all(control, greeting.bytes, greeting.descriptors).await?;
            while let Some(Outgoing { bytes, descriptors }) = queue.recv().await {
                unsent = 1;
                send_all(control, bytes, descriptors).await?;
                unsent = 0;
            }
            io::Result::Ok(())
        };
        tokio::select! {
            biased;
            () = died(self.end.subscribe()) => {}
            _ = writing => {}
        }
        queue.close();
        while queue.try_recv().is_ok() {
            unsent += 1;
        }
        unsent
    }

    /// Kills a worker that is not ready in time.
    async fn watch_start(&self, at: Instant, deadline: Duration) {
        let mut ready = std::pin::pin!(died(self.end.subscribe()));
        tokio::select! {
            biased;
            () = &mut ready => {}
            () = tokio::time::sleep_until(at) => {
                if self.birth.borrow_mut().handle_deadline(deadline) {
                    self.kill(Killed::StartDeadline);
                }
            }
        }
    }

    fn kill(&self, why: Killed) {
        let _ = self.killed.set(why);
        // It fails only for a process of another user; then its end is waited for all the same.
        let _ = self.pidfd.signal(Signal(libc::SIGKILL));
    }
}

/// Whether a process that ended so may have been ended by a panic: Rust's own code for one, or the abort that follows
/// one in a place that must not panic.
fn may_be_by_panic(exit: Exit) -> bool {
    match exit {
        Exit::Code(code) => code == PANIC_CODE,
        Exit::Signal { signal, .. } => signal == Signal(libc::SIGABRT),
    }
}

/// With what Rust's own runtime ends a process that panicked.
const PANIC_CODE: i32 = 101;

/// How long the root keeps its processor at least after it has given it up.
const BETWEEN_YIELDS: Duration = Duration::from_millis(5);

/// Whom a death's word has woken, the kernel may have put behind this thread: it goes first. Not for each of many deaths,
/// since on a busy machine that takes as long as a turn of all others.
fn let_woken_run() {
    thread_local! {
        static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    if LAST.get().is_none_or(|last| last.elapsed() >= BETWEEN_YIELDS) {
        std::thread::yield_now();
        LAST.set(Some(Instant::now()));
    }
}

/// Comes back when the worker is reaped.
async fn died(mut end: watch::Receiver<Option<Instant>>) {
    // The sender lives in the attendant, which outlives all of its parts.
    let _ = end.wait_for(Option::is_some).await;
}

/// How many bytes; 0 is end-of-file.
async fn receive(control: &AsyncFd<OwnedFd>, decoder: &mut Decoder<ToRoot, OwnedFd>) -> io::Result<usize> {
    control.async_io(Interest::READABLE, |control: &OwnedFd| read(control, decoder)).await
}

fn read(control: &OwnedFd, decoder: &mut Decoder<ToRoot, OwnedFd>) -> io::Result<usize> {
    scratch::with(|buffer| {
        let room = socket::MAX_DESCRIPTORS;
        let received = socket::recv_with_descriptors(control.as_fd(), buffer, room, Wait::No)?;
        decoder.handle_bytes(&buffer[..received.bytes], received.descriptors, received.truncated);
        Ok(received.bytes)
    })
}

/// Writes all of it; the descriptors go with the first byte.
async fn send_all(
    control: &AsyncFd<OwnedFd>,
    bytes: Vec<u8>,
    mut descriptors: Vec<OwnedFd>,
) -> io::Result<()> {
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let along: Vec<_> = descriptors.iter().map(OwnedFd::as_fd).collect();
        let send = |fd: &OwnedFd| socket::send_with_descriptors(fd.as_fd(), rest, &along, Wait::No);
        let sent = control.async_io(Interest::WRITABLE, send).await?;
        descriptors.clear();
        rest = &rest[sent..];
    }
    Ok(())
}
