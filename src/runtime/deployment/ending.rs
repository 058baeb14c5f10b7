//! What the engine notes on the way, how a deployment ended, and who is told.

use super::Deployment;
use crate::id::{Exit, ProcessId, ProcessName};
use crate::process::failure::LaunchFailure;
use crate::protocol::control::Unreachable;
use crate::runtime::error::{Error, Result};
use crate::runtime::event::Event;
use crate::runtime::launching;
use crate::supervision::{ChildId, NotRestarted, Note, Outcome};

/// How a deployment ended, for all who wait.
#[derive(Clone, Debug)]
pub(in crate::runtime) struct Ending {
    pub(in crate::runtime) outcome: Outcome,
    /// The process that decided it, and why it did not start.
    pub(in crate::runtime) process: Option<ProcessName>,
    pub(in crate::runtime) failure: Option<LaunchFailure>,
}

impl Ending {
    pub(in crate::runtime) fn result(&self) -> Result<Exit> {
        let process = || self.process.clone().unwrap_or_else(|| launching::name_of(None, ProcessId::ROOT));
        match self.outcome {
            Outcome::Stopped => Ok(Exit::Code(0)),
            Outcome::Completed { exit, .. } => Ok(exit),
            Outcome::GaveUp { restarts, period, .. } => {
                Err(Error::GaveUp { process: process(), restarts, period })
            }
            Outcome::StartFailed { .. } => match &self.failure {
                Some(failure) => Err(Error::Start { process: process(), failure: Box::new(failure.clone()) }),
                None => Err(Error::Ended),
            },
        }
    }
}

impl Deployment {
    pub(super) fn note(&mut self, note: Note) {
        match note {
            Note::AllStarted => {
                self.tell(Event::Running { processes: self.plan.processes.len() });
                if let Some(started) = self.started.take() {
                    let _ = started.send(Ok(()));
                }
            }
            Note::Restarting { child, delay, restarts, budget_left, .. } => {
                let process = self.name(self.process_of(child));
                self.tell(Event::Restarting { process, delay, restarts, budget_left });
            }
            Note::NotRestarted { child, why } => {
                let why = match why {
                    NotRestarted::Temporary => "it is temporary",
                    NotRestarted::EndedNormally => "it ended normally",
                    // Perhaps to start again together: then whoever waits for it waits on.
                    NotRestarted::GroupStopping => return,
                };
                self.stays_down(child, why);
            }
            Note::GroupNotRestarted { group, .. } => {
                for child in self.engine.children_in(group) {
                    self.stays_down(child, "its group ended and is not restarted");
                }
            }
            Note::StoppedByHand { child } => self.stays_down(child, "it was stopped by hand"),
            Note::AddFailed { child } => {
                self.stays_down(child, "it did not come up");
                self.removed(self.process_of(child));
            }
            Note::Removed { child } => {
                self.stays_down(child, "it was removed");
                self.removed(self.process_of(child));
            }
            Note::StartDeadlinePassed { .. } => {}
            Note::GroupGaveUp { child, restarts, period, .. } => {
                let process = self.name(self.process_of(child));
                let why = format!(
                    "{process} failed, and its group was restarted {restarts} times within {period:?}"
                );
                self.tell(Event::StaysDown { process, why });
            }
            Note::Ending(outcome) => {
                self.broker.ending();
                self.refuse_the_waiting();
                let why = self.describe(outcome);
                self.tell(Event::Stopping { why });
            }
        }
    }

    /// Whoever waits for this process learns that there will be no next life.
    fn stays_down(&mut self, child: ChildId, why: &str) {
        let process = self.process_of(child);
        let exit = self.last_exits.get(&process).copied().unwrap_or(Exit::Code(0));
        self.broker.gone(process, Unreachable::Ended(exit));
        self.names.directory.handle_gone(process);
        self.tell(Event::StaysDown { process: self.name(process), why: why.to_owned() });
    }

    pub(super) fn end(&mut self, outcome: Outcome) {
        let process = outcome.child().map(|child| self.process_of(child));
        let failure = process.and_then(|process| self.failures.get(&process).cloned());
        let ending = Ending { outcome, process: process.map(|process| self.name(process)), failure };
        for planned in &self.plan.processes {
            let exit = self.last_exits.get(&planned.id).map(|exit| Unreachable::Ended(*exit));
            self.broker.gone(planned.id, exit.unwrap_or(Unreachable::Stopping));
        }
        let failed = ending.result().map_or(true, |exit| !exit.is_success());
        self.tell(Event::Ended { why: self.describe(outcome), failed });
        self.ending = Some(ending);
    }

    /// Tells those who wait for the end. Apart from the end itself, so that the signal that caused it is known to them
    /// first.
    pub(in crate::runtime) fn announce(self) {
        let Some(ending) = self.ending else { return };
        if let Some(started) = self.started {
            let _ = started.send(ending.result().and(Err(Error::Ended)));
        }
        self.ended.send_replace(Some(ending));
    }

    fn describe(&self, outcome: Outcome) -> String {
        let name = |child| self.name(self.process_of(child));
        match outcome {
            Outcome::Stopped => "as asked".to_owned(),
            Outcome::Completed { child, exit } => format!("{} {exit}", name(child)),
            Outcome::StartFailed { child } => format!("{} could not start", name(child)),
            Outcome::GaveUp { child, restarts, period } => {
                format!("{} failed too often: {restarts} restarts within {period:?}", name(child))
            }
        }
    }
}
