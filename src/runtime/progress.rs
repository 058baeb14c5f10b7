//! Whether a worker makes progress: a pure decision from what is seen of it (P-3).
//!
//! "Alive" and "makes progress" are two facts. That the arbiter turns is seen on the worker's page and costs nobody
//! anything; only one that seems to stand still is probed, where its control thread answers for the first fact and a
//! task on its arbiter for the second (H51).
//!
//! ```text
//!  Moving --no progress for half the time--> Probed --for all of it--> Hung --progress--> Moving
//!    |  ^------- progress, an answer ----------'                         ^
//!    '---------- stopped by a signal for all of the time ----------------'
//! ```
//!
//! Time in which the thread wanted to run and others did does not count, so a machine with busy cores is no hang; nor
//! does time in a debugger.

use std::time::{Duration, Instant};

use crate::sys::proc::State;
use crate::topology::{Hang, OnHang};

/// What is seen of a worker at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// How its first thread, the arbiter, is.
    pub(super) state: State,
    /// How long that has run.
    pub(super) ran: Duration,
    /// How long it has wanted to run and could not.
    pub(super) queued: Duration,
    /// Whether it waits for something to do.
    pub(super) parked: bool,
    /// Changes whenever it begins or ends something.
    pub(super) moved: u64,
}

/// In what way a worker hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HangKind {
    /// A signal has stopped it (SIGSTOP): none of its threads runs.
    Stopped,
    /// Its arbiter runs and runs: an endless loop, or a computation that belongs elsewhere.
    Looping,
    /// Its arbiter waits for something within a handler: a lock, a sleep, a blocking call.
    Blocked,
}

impl HangKind {
    /// One word, as the JSON log has it.
    pub fn as_str(self) -> &'static str {
        match self {
            HangKind::Stopped => "stopped",
            HangKind::Looping => "looping",
            HangKind::Blocked => "blocked",
        }
    }
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Ask it whether it is alive and makes progress.
    Probe(u64),
    /// It hangs, since so long; `alive`: whether its control thread has answered.
    Hung { kind: HangKind, stalled: Duration, alive: bool },
    /// It makes progress again, after so long.
    Recovered { stalled: Duration },
    /// Make it leave a core.
    Abort,
    /// Kill it; one that is just leaving a core may be spared, as long as `spares_core`.
    Kill { spares_core: bool },
}

/// The state of one life.
///
/// Order of calls: [`handle_sample`](Self::handle_sample) whenever [`poll_timeout`](Self::poll_timeout) says so, the
/// other inputs when they come, and after each [`poll`](Self::poll) until it gives nothing.
#[derive(Debug)]
pub(super) struct Progress {
    hang: Hang,
    next_sample: Instant,
    /// The last sample that differed from the one before in what makes progress.
    moved: Mark,
    /// Since when it is seen to be stopped.
    stopped: Option<Instant>,
    probe: Option<Probe>,
    probes: u64,
    /// It was said to hang; since when it does.
    hung: Option<Instant>,
    kill_at: Option<Instant>,
    /// Until when the kernel may take the time to write a core of it.
    core_until: Option<Instant>,
    acts: Vec<Act>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    ran: Duration,
    queued: Duration,
    moved: u64,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    number: u64,
    sent: Instant,
    alive: bool,
}

/// So often within the time after which a process hangs it is looked at.
const SAMPLES: u32 = 4;

/// Not more often than this, whatever the time is, and not more rarely, since events should not be told long after.
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(2500);

/// How long a process may take to leave its core before it is looked after, and how long to wait again while it does.
pub(super) const ABORT_GRACE: Duration = Duration::from_secs(5);

/// How long it may take to leave its core at all: some gigabytes to a slow disk. Whoever receives cores here and does not
/// end must not keep a process that is dead to everybody from being restarted.
pub(super) const CORE_GRACE: Duration = Duration::from_secs(60);

impl Progress {
    pub(super) fn new(hang: Hang, now: Instant) -> Progress {
        let moved = Mark { at: now, ran: Duration::ZERO, queued: Duration::ZERO, moved: u64::MAX };
        Progress {
            hang,
            next_sample: now + interval(hang.after),
            moved,
            stopped: None,
            probe: None,
            probes: 0,
            hung: None,
            kill_at: None,
            core_until: None,
            acts: Vec::new(),
        }
    }

    /// When to look at the process next.
    pub(super) fn poll_timeout(&self) -> Instant {
        self.kill_at.map_or(self.next_sample, |kill_at| kill_at.min(self.next_sample))
    }

    /// The process was looked at.
    pub(super) fn handle_sample(&mut self, sample: Sample, now: Instant) {
        self.next_sample = now + interval(self.hang.after);
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill(now);
        }
        match sample.state {
            State::Stopped => return self.handle_stopped(now),
            // It will be reported as dead, or goes on when its debugger lets it.
            State::Dead | State::Traced => return self.progressed(sample, now),
            State::Running | State::Waiting => {}
        }
        if self.stopped.take().is_some() {
            // The time for which it could do nothing was the signal's.
            return self.progressed(sample, now);
        }
        if sample.parked || sample.moved != self.moved.moved {
            return self.progressed(sample, now);
        }
        let queued = sample.queued.saturating_sub(self.moved.queued);
        let stalled = (now - self.moved.at).saturating_sub(queued);
        if self.hung.is_none() && self.probe.is_none() && stalled >= self.hang.after / 2 {
            self.probe(now);
        }
        let Some(probe) = self.probe else { return };
        // A machine that could not even look in time gives the answer its time, too.
        if stalled < self.hang.after || now - probe.sent < interval(self.hang.after) {
            return;
        }
        let ran = sample.ran.saturating_sub(self.moved.ran);
        let loops = ran >= stalled / 2 || (sample.state == State::Running && ran >= stalled / 4);
        let kind = if loops { HangKind::Looping } else { HangKind::Blocked };
        self.hangs(kind, self.moved.at, probe.alive, now);
    }

    /// Its control thread has answered.
    pub(super) fn handle_alive(&mut self, number: u64) {
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.number == number) {
            probe.alive = true;
        }
    }

    /// Its arbiter has answered.
    pub(super) fn handle_progress(&mut self, number: u64, now: Instant) {
        if self.probe.is_some_and(|probe| probe.number == number) {
            self.moved.at = now;
            // What it had run and waited until now is not known; the next sample tells.
            self.moved.moved = u64::MAX;
            self.recovered(now);
        }
    }

    /// What to do next.
    pub(super) fn poll(&mut self) -> Option<Act> {
        if self.acts.is_empty() { None } else { Some(self.acts.remove(0)) }
    }

    fn handle_stopped(&mut self, now: Instant) {
        let since = *self.stopped.get_or_insert(now);
        if now - since >= self.hang.after {
            self.hangs(HangKind::Stopped, since, false, now);
        }
    }

    fn probe(&mut self, now: Instant) {
        self.probes += 1;
        self.probe = Some(Probe { number: self.probes, sent: now, alive: false });
        self.acts.push(Act::Probe(self.probes));
    }

    fn hangs(&mut self, kind: HangKind, since: Instant, alive: bool, now: Instant) {
        if self.hung.is_some() {
            return;
        }
        self.hung = Some(since);
        self.acts.push(Act::Hung { kind, stalled: now - since, alive });
        match self.hang.then {
            OnHang::Log => {}
            OnHang::Kill => self.kill(now),
            OnHang::Abort => {
                self.core_until = Some(now + CORE_GRACE);
                self.kill_at = Some(now + ABORT_GRACE);
                self.acts.push(Act::Abort);
            }
        }
    }

    /// Again and again, since one that leaves a core may be spared for a while.
    fn kill(&mut self, now: Instant) {
        let until = *self.core_until.get_or_insert(now + CORE_GRACE);
        self.kill_at = Some(now + ABORT_GRACE);
        self.acts.push(Act::Kill { spares_core: now < until });
    }

    fn progressed(&mut self, sample: Sample, now: Instant) {
        self.moved = Mark { at: now, ran: sample.ran, queued: sample.queued, moved: sample.moved };
        self.recovered(now);
    }

    fn recovered(&mut self, now: Instant) {
        self.probe = None;
        if let Some(since) = self.hung.take() {
            self.acts.push(Act::Recovered { stalled: now - since });
        }
    }
}

fn interval(after: Duration) -> Duration {
    (after / SAMPLES).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests;
