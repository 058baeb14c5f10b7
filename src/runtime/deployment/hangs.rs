//! Workers that do not answer: looked at from here, without a wake of those that have nothing to do (P-3).

use std::collections::BTreeMap;
use std::time::Instant;

use super::Deployment;
use crate::id::{Incarnation, ProcessId, Signal};
use crate::process::event::Killed;
use crate::process::launcher::Worker;
use crate::process::{orphans, status};
use crate::protocol::control::ToWorker;
use crate::runtime::broker::Life;
use crate::runtime::event::Event;
use crate::runtime::progress::{Act, HangKind, Progress, Sample};
use crate::sys::proc::{self, State};
use crate::topology::{Hang, OnHang};

/// The workers that are ready and were not asked to end.
#[derive(Debug, Default)]
pub(super) struct Hangs(BTreeMap<ProcessId, (Incarnation, Hang, Progress)>);

impl Hangs {
    pub(super) fn begin(&mut self, (process, incarnation): Life, hang: Hang) {
        self.0.insert(process, (incarnation, hang, Progress::new(hang, Instant::now())));
    }

    pub(super) fn end(&mut self, process: ProcessId) {
        self.0.remove(&process);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.0.values().map(|(.., progress)| progress.poll_timeout()).min()
    }

    fn of(&mut self, (process, incarnation): Life) -> Option<&mut Progress> {
        let (life, _, progress) = self.0.get_mut(&process)?;
        (*life == incarnation).then_some(progress)
    }
}

impl Deployment {
    /// Looks at those whose time it is.
    pub(super) fn look_for_hangs(&mut self, now: Instant) {
        let due = self.hangs.0.iter().filter(|(_, (.., progress))| progress.poll_timeout() <= now);
        let due: Vec<Life> = due.map(|(process, (incarnation, ..))| (*process, *incarnation)).collect();
        if !due.is_empty() {
            orphans::reap_dead();
        }
        for life in due {
            let sample = match self.living.get(&life.0) {
                Some(living) if living.incarnation == life.1 => sample(&living.worker),
                _ => return self.hangs.end(life.0),
            };
            if let Some(progress) = self.hangs.of(life) {
                progress.handle_sample(sample, now);
            }
            self.act_on_hang(life);
        }
    }

    /// The control thread of a worker has answered a probe.
    pub(super) fn alive(&mut self, life: Life, number: u64) {
        if let Some(progress) = self.hangs.of(life) {
            progress.handle_alive(number);
        }
    }

    /// The arbiter of a worker has answered a probe.
    pub(super) fn progressed(&mut self, life: Life, number: u64) {
        if let Some(progress) = self.hangs.of(life) {
            progress.handle_progress(number, Instant::now());
        }
        self.act_on_hang(life);
    }

    fn act_on_hang(&mut self, life: Life) {
        while let Some(act) = self.hangs.of(life).and_then(Progress::poll) {
            self.act(life, act);
        }
    }

    fn act(&mut self, life: Life, act: Act) {
        let (process, incarnation) = (self.name(life.0), life.1);
        let Some(living) = self.living.get(&life.0) else { return };
        let worker = &living.worker;
        match act {
            Act::Probe(number) => {
                // One whose pipe is full has not read for long, and is not expected to answer.
                let _ = worker.send(&ToWorker::Probe { number }, None);
            }
            Act::Hung { kind, stalled, alive } => {
                let mut handling = status::read(life.0, worker.page()).handling;
                self.name_senders(&mut handling);
                let then = self.hangs.0.get(&life.0).map_or(OnHang::Log, |(_, hang, _)| hang.then);
                self.tell(Event::Hung { process, incarnation, kind, handling, stalled, alive, then });
            }
            Act::Recovered { stalled } => self.tell(Event::Recovered { process, incarnation, stalled }),
            Act::Abort => {
                self.broker.leaving(life.0);
                if let Err(error) = abort(worker) {
                    tracing::error!(target: "procession", %process, %error, "can't abort the process");
                }
            }
            Act::Kill { spares_core: true } if proc::dumps_core(worker.pid()) => {}
            Act::Kill { .. } => {
                worker.doom(Killed::Hung);
                self.kill_life(life);
            }
        }
    }
}

/// What leaves a core; one that a signal has stopped must run to die of it.
fn abort(worker: &Worker) -> std::io::Result<()> {
    worker.doom(Killed::Hung);
    worker.signal(Signal(libc::SIGABRT))?;
    worker.signal(Signal(libc::SIGCONT))
}

fn sample(worker: &Worker) -> Sample {
    let pid = worker.pid();
    // A worker that is not reaped yet has its number, and one that is will be reported at once.
    let state = proc::stat(pid).map_or(State::Dead, |stat| stat.state);
    let turns = proc::turns(pid).unwrap_or_default();
    let page = worker.page().look();
    let arbiter = worker.page().moves_of(pid.unsigned_abs());
    Sample {
        state,
        ran: turns.ran,
        queued: turns.queued,
        parked: page.parked,
        moved: page.turns.wrapping_add(arbiter),
    }
}

impl HangKind {
    /// As the sentence for people has it.
    pub(in crate::runtime) fn in_words(self) -> &'static str {
        match self {
            HangKind::Stopped => "is stopped by a signal",
            HangKind::Looping => "runs without an end to what it handles",
            HangKind::Blocked => "waits within what it handles",
        }
    }
}
