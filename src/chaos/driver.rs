//! Does what the script says, when it says so, and watches what comes of it. On a thread of its own.
//!
//! ```text
//!  caller --start--> thread "procession-chaos": wait until all are ready
//!                        | fault by fault: signals by way of the root's thread, orders to the relays
//!                        | time is over, caller has enough, or the topology has ended
//!                        v
//!                    all that stands goes on, pipes are calm --> wait until all are ready again --> Report
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::relay::{Gate, Order, Relays, gate};
use super::report::{Ended, Injected, Outcome, Report, Restarted};
use super::script::{Fault, Step};
use super::settings::Chaos;
use crate::id::{Incarnation, ProcessName, Signal};
use crate::runtime::{Error, Event, Events, ProcessStatus, Running};

/// Why there is no chaos.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChaosError {
    /// None of the topology's processes may be hit.
    #[error("no process of the topology may be hit: {names} were named, and there are {known}")]
    Nobody {
        /// What was said.
        names: String,
        /// The processes.
        known: String,
    },
    /// Another chaos has the pipes of this topology.
    #[error("another chaos goes on in this topology: wait until it has ended")]
    Another,
    /// The topology has ended.
    #[error("the topology is not running any more")]
    Ended,
    /// There is no thread for it.
    #[error("could not start the thread of the chaos: {0}")]
    Thread(io::Error),
}

impl From<ChaosError> for Error {
    fn from(error: ChaosError) -> Error {
        match error {
            ChaosError::Ended => Error::Ended,
            other => Error::other(other),
        }
    }
}

/// A chaos that goes on. Dropping it ends it: what was stopped goes on, pipes are calm.
#[derive(Debug)]
pub struct Rampage {
    enough: Option<oneshot::Sender<()>>,
    report: oneshot::Receiver<Report>,
}

impl Rampage {
    /// Waits until its time is over and the topology has settled. Cancel safe, but a dropped future that owned it ends it.
    pub async fn finish(&mut self) -> Report {
        // The thread gives one before it ends, whatever happens.
        (&mut self.report).await.unwrap_or_default()
    }

    /// Ends the faults now; the report comes when the topology has settled.
    pub async fn enough(mut self) -> Report {
        drop(self.enough.take());
        self.finish().await
    }
}

impl Chaos {
    /// Injects faults for so long, waits until the topology has settled, and reports.
    ///
    /// # Errors
    /// When it can't begin, see [`ChaosError`]. What becomes of the topology is no error but in the report.
    ///
    /// Dropped while it waits, it ends.
    pub async fn run(&self, running: &Running, lasts: Duration) -> Result<Report, ChaosError> {
        Ok(self.start(running, lasts).await?.finish().await)
    }

    /// As [`run`](Self::run), and returns as soon as pipes that are made go through it, if faults of pipes are on. The
    /// first fault comes after every process is ready.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn start(&self, running: &Running, lasts: Duration) -> Result<Rampage, ChaosError> {
        let names: Vec<ProcessName> = running
            .processes()
            .await
            .map_err(|_| ChaosError::Ended)?
            .into_iter()
            .map(|process| process.name)
            .collect();
        if !names.iter().any(|name| self.may_hit(name)) {
            return Err(self.nobody(&names));
        }
        let events = running.events();
        let arrivals = match self.kinds().iter().any(|(_, kind)| kind.is_of_pipes()) {
            false => None,
            true => {
                let (gate, arrivals) = gate(self.clone());
                self.stand_in(running, gate).await?;
                Some(arrivals)
            }
        };
        let (enough, had_enough) = oneshot::channel();
        let (tell, report) = oneshot::channel();
        let (chaos, running) = (self.clone(), running.clone());
        let thread = std::thread::Builder::new().name("procession-chaos".to_owned()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            let relays = Rc::new(Relays::default());
            tokio::task::LocalSet::new().block_on(&runtime, async {
                let relaying = async {
                    if let Some(arrivals) = arrivals {
                        Rc::clone(&relays).run(arrivals).await;
                    }
                };
                let steps = chaos.script(&names);
                let report = Report { seed: chaos.seed, ..Report::default() };
                let known = Known { report, ..Known::default() };
                let driver = Driver { running, events, relays: &relays, known, standing: Vec::new() };
                let driving = async {
                    let report = driver.drive(steps, lasts, had_enough, chaos.settle).await;
                    // Nobody need want it.
                    let _ = tell.send(report);
                };
                tokio::join!(relaying, driving);
            });
        });
        thread.map_err(ChaosError::Thread)?;
        Ok(Rampage { enough: Some(enough), report })
    }

    async fn stand_in(&self, running: &Running, gate: Gate) -> Result<(), ChaosError> {
        match running.interpose(Box::new(gate)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ChaosError::Another),
            Err(_) => Err(ChaosError::Ended),
        }
    }

    fn nobody(&self, known: &[ProcessName]) -> ChaosError {
        let listed = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        let names = match (self.only.is_empty(), self.spared.is_empty()) {
            (false, true) => listed(&self.only),
            (false, false) => format!("{}, without {}", listed(&self.only), listed(&self.spared)),
            (true, _) => format!("all without {}", listed(&self.spared)),
        };
        let known = known.iter().map(ProcessName::as_str).collect::<Vec<_>>().join(", ");
        ChaosError::Nobody { names, known }
    }
}

const SIGKILL: Signal = Signal(libc::SIGKILL);
const SIGSTOP: Signal = Signal(libc::SIGSTOP);
const SIGCONT: Signal = Signal(libc::SIGCONT);

/// What was seen.
#[derive(Default)]
struct Known {
    report: Report,
    /// Who was killed, in which life and when, and is not ready again.
    killed: BTreeMap<ProcessName, (Incarnation, Instant)>,
    /// Who stays down for good.
    down: BTreeSet<ProcessName>,
}

/// A life that stands, until then.
struct Standing {
    process: ProcessName,
    incarnation: Incarnation,
    until: Instant,
}

struct Driver<'a> {
    running: Running,
    events: Events,
    relays: &'a Relays,
    known: Known,
    standing: Vec<Standing>,
}

/// Why the faults ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Time,
    Enough,
    Ended,
}

impl Driver<'_> {
    async fn drive(
        mut self,
        steps: impl Iterator<Item = Step>,
        lasts: Duration,
        mut enough: oneshot::Receiver<()>,
        settle: Duration,
    ) -> Report {
        let over = tokio::select! {
            over = self.wait_for_all() => over,
            _ = &mut enough => Over::Enough,
        };
        let began = Instant::now();
        let over = match over {
            Over::Time => self.rage(steps, began, lasts, &mut enough).await,
            over => over,
        };
        self.known.report.took = began.elapsed();
        self.relays.calm();
        self.go_on(None).await;
        self.running.step_aside().await;
        if over != Over::Ended {
            self.settle(settle).await;
        }
        self.known.report.pipes_cut = self.relays.cut_count();
        self.known.report
    }

    /// Fault by fault.
    async fn rage(
        &mut self,
        steps: impl Iterator<Item = Step>,
        began: Instant,
        lasts: Duration,
        enough: &mut oneshot::Receiver<()>,
    ) -> Over {
        let mut steps = steps.take_while(|step| step.at < lasts).peekable();
        loop {
            let next = steps.peek().map_or(lasts, |step| step.at);
            let wake = self.standing.iter().map(|standing| standing.until).chain([began + next]).min();
            tokio::select! {
                // What is seen first is true first: a process that is ready again can be hit.
                biased;
                _ = &mut *enough => return Over::Enough,
                event = self.events.next() => {
                    if self.known.see(event, Instant::now()) { return Over::Ended }
                }
                () = tokio::time::sleep_until(wake.unwrap_or(began).into()) => {
                    self.go_on(Some(Instant::now())).await;
                    if began.elapsed() < next { continue }
                    match steps.next() {
                        Some(step) => self.inject(step, began).await,
                        None => return Over::Time,
                    }
                }
            }
        }
    }

    async fn inject(&mut self, step: Step, began: Instant) {
        let Step { process, fault, .. } = step;
        let at = began.elapsed();
        let pipe = |hit: Option<ProcessName>| hit.map_or(Outcome::NoPipe, |peer| Outcome::HitPipe { peer });
        let outcome = match fault {
            Fault::Kill => {
                let now = Instant::now();
                let hit = self.hit(&process, SIGKILL).await;
                if let Some(incarnation) = hit {
                    self.known.killed.insert(process.clone(), (incarnation, now));
                }
                life(hit)
            }
            Fault::Stop { lasts } => {
                let hit = self.hit(&process, SIGSTOP).await;
                if let Some(incarnation) = hit {
                    self.stand(process.clone(), incarnation, Instant::now() + lasts);
                }
                life(hit)
            }
            Fault::Stall { pick, lasts } => pipe(self.relays.order(&process, pick, Order::Stall(lasts))),
            Fault::Delay { pick, by, lasts } => {
                pipe(self.relays.order(&process, pick, Order::Delay(by, lasts)))
            }
            Fault::Cut { pick, after_bytes, direction } => {
                pipe(self.relays.order(&process, pick, Order::Cut { after_bytes, direction }))
            }
        };
        tracing::info!(target: "procession", %process, "chaos: {fault}: {outcome:?}");
        self.known.report.note(Injected { at, process, fault, outcome });
    }

    /// One that stands already stands for as long as the longer of the two says.
    fn stand(&mut self, process: ProcessName, incarnation: Incarnation, until: Instant) {
        let same =
            |standing: &&mut Standing| standing.process == process && standing.incarnation == incarnation;
        match self.standing.iter_mut().find(same) {
            Some(standing) => standing.until = standing.until.max(until),
            None => self.standing.push(Standing { process, incarnation, until }),
        }
    }

    /// Lets those go on that have stood long enough; all of them, if no time is given.
    async fn go_on(&mut self, now: Option<Instant>) {
        let (stand, go): (Vec<_>, Vec<_>) = std::mem::take(&mut self.standing)
            .into_iter()
            .partition(|standing| now.is_some_and(|now| now < standing.until));
        self.standing = stand;
        for Standing { process, incarnation, .. } in go {
            self.signal(&process, Some(incarnation), SIGCONT).await;
        }
    }

    /// As `signal`, of a life that was not killed before: the kernel takes signals to the dead, until they are reaped.
    async fn hit(&self, process: &ProcessName, signal: Signal) -> Option<Incarnation> {
        let hit = self.signal(process, None, signal).await?;
        let killed = self.known.killed.get(process).map(|(incarnation, _)| *incarnation);
        Some(hit).filter(|hit| Some(*hit) != killed)
    }

    /// The life that got it, if one did.
    async fn signal(
        &self,
        process: &ProcessName,
        life: Option<Incarnation>,
        signal: Signal,
    ) -> Option<Incarnation> {
        // A topology that has ended says so by an event, too.
        self.running.signal(process, life, signal).await.ok().flatten()
    }

    async fn settle(&mut self, settle: Duration) {
        let since = Instant::now();
        match tokio::time::timeout(settle, self.wait_for_all()).await {
            Ok(Over::Ended) => {}
            Ok(_) => self.known.report.settled = Some(since.elapsed()),
            Err(_) => {
                let waited_for = self.running.processes().await.unwrap_or_default();
                let waited_for = waited_for.into_iter().filter(|process| self.known.is_awaited(process));
                self.known.report.unsettled = waited_for.map(|process| process.name).collect();
            }
        }
    }

    /// Until every process is ready or stays down, or the topology has ended.
    async fn wait_for_all(&mut self) -> Over {
        loop {
            // Asked for after each event, because a listener that lags misses some.
            let Ok(processes) = self.running.processes().await else { return self.wait_for_end().await };
            if !processes.iter().any(|process| self.known.is_awaited(process)) {
                return Over::Time;
            }
            if self.known.see(self.events.next().await, Instant::now()) {
                return Over::Ended;
            }
        }
    }

    /// It is over, and how is about to be said.
    async fn wait_for_end(&mut self) -> Over {
        while !self.known.see(self.events.next().await, Instant::now()) {}
        Over::Ended
    }
}

fn life(hit: Option<Incarnation>) -> Outcome {
    hit.map_or(Outcome::NotAlive, |incarnation| Outcome::Hit { incarnation })
}

impl Known {
    /// Whether it is one that is not ready and will be. One that was killed is not ready before its next life is: the
    /// root may not know of the death yet.
    fn is_awaited(&self, process: &ProcessStatus) -> bool {
        !self.down.contains(&process.name) && (!process.ready || self.killed.contains_key(&process.name))
    }

    /// Takes an event in; whether it was the last.
    fn see(&mut self, event: Option<Event>, now: Instant) -> bool {
        match event {
            Some(Event::Ready { process, incarnation, .. }) => {
                if let Some((killed, when)) = self.killed.get(&process).copied()
                    && incarnation > killed
                {
                    self.killed.remove(&process);
                    let after = now.saturating_duration_since(when);
                    self.report.restarts.push(Restarted { process, incarnation, after });
                }
            }
            // A group that gave up is started anew by the one above it.
            Some(Event::Started { process, .. }) => {
                self.down.remove(&process);
            }
            Some(Event::Exited { asked: false, .. } | Event::StartFailed { .. }) => self.report.deaths += 1,
            Some(Event::Blamed { .. }) => self.report.blamed += 1,
            Some(Event::StaysDown { process, .. }) => {
                self.killed.remove(&process);
                self.down.insert(process);
            }
            Some(Event::Ended { why, failed }) => {
                self.report.ended = Some(Ended { why, failed });
                return true;
            }
            None => return true,
            Some(_) => {}
        }
        false
    }
}
