//! The worker's end of its control pipe: a small thread of its own, so that stop, introductions and post-mortems
//! work while a handler hogs the arbiter.
//!
//! Not for data pipes, which live on the arbiter. Started by [`Takeover::start`](super::bootstrap::Takeover::start);
//! the runtime gives the callback and holds the [`ControlLane`].
//!
//! The thread ends with the process, and ends the process when nobody else does in time:
//!
//! ```text
//!  Serving --end-of-file--> RootGone ----ROOT_GONE_GRACE----> _exit(129)
//!     |   \--SIGTERM------> Terminating --TERMINATE_GRACE---> _exit(143)
//!     |                          \--------second SIGTERM----> _exit(143)
//!     \-----leave(code)---> Leaving -----LEAVE_GRACE--------> _exit(code)
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::lane::Shared;
pub use super::lane::{ControlLane, LaneError};
use super::scratch::READ_BYTES;
use crate::protocol::control::ToWorker;
use crate::protocol::control_frames::Decoder;
use crate::sys::exit::exit_now;
use crate::sys::room::Room;
use crate::sys::slice;
use crate::sys::socket::{self, Wait};

/// What the control thread tells the rest of the worker. The callback runs on the control thread and must not
/// block.
#[derive(Debug)]
pub enum ControlEvent {
    /// The root says something, with the descriptors it sent along.
    Frame(ToWorker, Vec<OwnedFd>),
    /// The root is gone. The process ends by itself [`ROOT_GONE_GRACE`] from now, whatever the arbiter does (H21).
    RootGone,
    /// SIGTERM: stop in order. The process ends by itself with code 143 [`TERMINATE_GRACE`] from now, or with the
    /// second SIGTERM.
    Terminate,
}

/// How long a worker may take to stop once its root is gone: enough to flush a file, and half of the second
/// after which P-2 promises that no worker is left.
pub const ROOT_GONE_GRACE: Duration = Duration::from_millis(500);

/// How long a worker may take to stop after SIGTERM, if the sender does not lose patience first: below the 10 s
/// after which process managers commonly send SIGKILL.
pub const TERMINATE_GRACE: Duration = Duration::from_secs(8);

/// Ended because the root was gone: what a shell shows for SIGHUP, which is the like.
pub const ROOT_GONE_CODE: i32 = 128 + libc::SIGHUP;

/// Ended by SIGTERM without having stopped in order: what a shell shows for it.
pub const TERMINATED_CODE: i32 = 128 + libc::SIGTERM;

/// The thread's name, as `top -H` and panic messages show it.
pub(super) const THREAD_NAME: &str = "procession-ctl";

/// Reads of one turn, so that a root that floods does not keep the thread from SIGTERM.
const READS_A_TURN: usize = 16;

/// The thread's state. Everything it waits for is a descriptor.
pub(super) struct ControlThread<F> {
    pub(super) control: OwnedFd,
    pub(super) terminations: OwnedFd,
    pub(super) decoder: Decoder<ToWorker, OwnedFd>,
    pub(super) shared: Arc<Shared>,
    pub(super) on_event: F,
    pub(super) output: Output,
    pub(super) end: End,
}

/// Bytes that are being written (H11).
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    written: usize,
}

/// What is known of the end.
#[derive(Debug, Default)]
pub(super) struct End {
    root_gone: bool,
    terminated: bool,
    /// When the process ends by this thread, and with what code: the earliest that was set.
    at: Option<(Instant, i32)>,
}

/// What is ready.
struct Turn {
    control: bool,
    wake: bool,
    terminations: bool,
}

impl<F: FnMut(ControlEvent)> ControlThread<F> {
    /// Serves until the process ends.
    pub(super) fn run(mut self) -> ! {
        // If the callback panics, no one serves this process any more: then it ends, visibly, at once.
        let _abort = AbortOnUnwind;
        // Where that is forbidden, the root is heard later.
        let _ = slice::shorten();
        // Frames that came together with the welcome.
        self.hand_on();
        // Not filled with zeroes: a page that nothing was read into is none.
        let mut buffer = Vec::new();
        loop {
            self.write();
            self.end_in_time();
            let turn = self.wait();
            if turn.terminations {
                self.handle_terminations();
            }
            if turn.wake {
                self.shared.wake.clear();
            }
            if turn.control {
                self.read(&mut buffer);
            }
        }
    }

    fn wait(&self) -> Turn {
        let mut interest = PollFlags::POLLIN;
        interest.set(PollFlags::POLLOUT, self.output.is_pending());
        let mut fds = vec![
            PollFd::new(self.shared.wake.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.terminations.as_fd(), PollFlags::POLLIN),
        ];
        if !self.end.root_gone {
            fds.push(PollFd::new(self.control.as_fd(), interest));
        }
        // An interruption looks like nothing ready, which it is.
        let _ = poll(&mut fds, self.timeout());
        let ready = |index: usize| fds.get(index).is_some_and(|fd| fd.any() == Some(true));
        Turn { wake: ready(0), terminations: ready(1), control: ready(2) }
    }

    /// Until the end, rounded up so as not to wake just before it.
    fn timeout(&self) -> PollTimeout {
        match self.earliest_end() {
            None => PollTimeout::NONE,
            Some((at, _)) => {
                let left = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            }
        }
    }

    fn earliest_end(&self) -> Option<(Instant, i32)> {
        self.end.at.into_iter().chain(self.shared.end()).min()
    }

    fn end_in_time(&mut self) {
        if let Some((at, code)) = self.earliest_end()
            && at <= Instant::now()
        {
            exit_now(code);
        }
    }

    fn handle_terminations(&mut self) {
        let mut notices = [0; 16];
        let count = socket::recv(self.terminations.as_fd(), &mut notices, Wait::No).unwrap_or(0);
        for _ in 0..count {
            if self.end.terminated {
                exit_now(TERMINATED_CODE);
            }
            self.end.terminated = true;
            self.end_by(TERMINATE_GRACE, TERMINATED_CODE);
            (self.on_event)(ControlEvent::Terminate);
        }
    }

    fn end_by(&mut self, grace: Duration, code: i32) {
        let at = (Instant::now() + grace, code);
        self.end.at = Some(self.end.at.map_or(at, |before| before.min(at)));
    }

    /// Takes what is there, so much a turn.
    fn read(&mut self, buffer: &mut Vec<u8>) {
        for _ in 0..READS_A_TURN {
            match read_once(self.control.as_fd(), buffer, &mut self.decoder, Wait::No) {
                Ok(true) => self.hand_on(),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(error) if socket::is_peer_gone(&error) => {} // What was written comes next (H9).
                Ok(false) | Err(_) => self.root_gone(),
            }
            if self.end.root_gone {
                return;
            }
        }
    }

    fn hand_on(&mut self) {
        loop {
            match self.decoder.poll_message() {
                Ok(Some((frame, descriptors))) => (self.on_event)(ControlEvent::Frame(frame, descriptors)),
                Ok(None) => return,
                Err(error) => {
                    // The lane is of no use any more, and stderr still reaches whoever looks after the root.
                    eprintln!("procession: the root's control pipe: {error}; this worker stops");
                    return self.root_gone();
                }
            }
        }
    }

    /// Stop, then exit (H21). The deadline is set before the callback runs.
    fn root_gone(&mut self) {
        if !self.end.root_gone {
            self.end.root_gone = true;
            self.end_by(ROOT_GONE_GRACE, ROOT_GONE_CODE);
            self.output = Output::default();
            self.shared.close();
            (self.on_event)(ControlEvent::RootGone);
        }
    }

    /// Writes what fits.
    fn write(&mut self) {
        while !self.end.root_gone {
            if !self.output.is_pending() {
                self.output.refill(&self.shared);
                if !self.output.is_pending() {
                    return;
                }
            }
            match self.output.write(self.control.as_fd()) {
                Ok(()) => {}
                // A root that is gone is found by reading, after what it said last.
                Err(_) => return,
            }
        }
    }
}

impl Output {
    fn is_pending(&self) -> bool {
        self.written < self.bytes.len()
    }

    fn refill(&mut self, shared: &Shared) {
        self.bytes.clear();
        self.written = 0;
        shared.next_portion(&mut self.bytes);
    }

    fn write(&mut self, control: BorrowedFd<'_>) -> std::io::Result<()> {
        self.written += socket::send(control, &self.bytes[self.written..], Wait::No)?;
        Ok(())
    }
}

/// Ends the process when a panic leaves the control thread.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        std::process::abort();
    }
}

/// Reads once from the control pipe, by way of this buffer, and hands what came to the decoder; false at end-of-file.
pub(super) fn read_once(
    control: BorrowedFd<'_>,
    buffer: &mut Vec<u8>,
    decoder: &mut Decoder<ToWorker, OwnedFd>,
    wait: Wait,
) -> std::io::Result<bool> {
    buffer.clear();
    // Not filled with zeroes: a page that nothing was read into is none.
    buffer.reserve(READ_BYTES);
    let mut rooms = [Room::Append(buffer, READ_BYTES), Room::none()];
    let received = socket::recv_into(control, &mut rooms, socket::MAX_DESCRIPTORS, wait)?;
    if received.bytes == 0 {
        return Ok(false);
    }
    decoder.handle_bytes(buffer, received.descriptors, received.truncated);
    Ok(true)
}
