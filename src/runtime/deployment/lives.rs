//! Births, stops and deaths of workers: what the engine decided, done; what became of it, told the engine.

use std::sync::Arc;
use std::time::Instant;

use super::{Deployment, Living};
use crate::id::{Exit, Incarnation, ProcessId};
use crate::process::event::Death;
use crate::process::launcher;
use crate::protocol::control::{Cursor, ToWorker};
use crate::runtime::broker::Life;
use crate::runtime::event::Event;
use crate::runtime::launching;
use crate::supervision::{ChildId, StopStep};

impl Deployment {
    pub(super) fn launch(&mut self, child: ChildId, incarnation: Incarnation) {
        let plan = Arc::clone(&self.plan);
        let planned =
            plan.process_by_id(self.process_of(child)).expect("the engine's children are the plan's");
        let last_exit = self.last_exits.get(&planned.id).copied();
        let states = self.states.of(planned.id);
        let (known, programs) = ((&*plan, &self.keys), &self.programs);
        let mut launch = launching::launch(known, planned, incarnation, last_exit, states, programs);
        launch.welcome.names.extend(self.started_by(planned.id));
        launch.welcome.revoked = self.revoked.for_next_life(planned.id);
        let process = planned.name.clone();
        match launcher::launch(launch, self.reports.clone()) {
            Ok(worker) => {
                let pid = worker.pid();
                let living =
                    Living { worker, incarnation, since: Instant::now(), ready: false, asked_to_end: false };
                self.living.insert(planned.id, living);
                self.tell(Event::Started { process, incarnation, pid });
            }
            Err(failure) => {
                self.failures.insert(planned.id, failure.clone());
                let (failure, death) = (Arc::new(failure), None);
                self.tell(Event::StartFailed { process, incarnation, failure, death });
                self.engine.handle_start_failure(child, incarnation, Instant::now());
            }
        }
    }

    pub(super) fn urge(&mut self, child: ChildId, incarnation: Incarnation, step: StopStep) {
        let process = self.process_of(child);
        self.broker.leaving(process);
        self.hangs.end(process);
        let grace_ms = self.plan.process_by_id(process).map(|planned| planned.child.shutdown);
        let grace_ms = grace_ms.map_or(0, launching::grace_ms);
        let Some(living) = self.living.get_mut(&process) else { return };
        if living.incarnation != incarnation {
            return;
        }
        living.asked_to_end = true;
        let done = match step {
            StopStep::Ask => match living.worker.send(&ToWorker::Stop { grace_ms }, None) {
                // Whoever does not read its control pipe is asked by signal.
                Err(launcher::SendError::Full) => living.worker.terminate(),
                _ => Ok(()),
            },
            StopStep::Terminate => living.worker.terminate(),
            StopStep::Kill => living.worker.kill(),
        };
        if let Err(error) = done {
            tracing::error!(target: "procession", process = %self.name(process), %error, "can't signal the process");
        }
    }

    /// Kills a process as if it had died by itself: its restart policy decides what follows. False if that life is over.
    pub(super) fn kill_life(&mut self, (process, incarnation): Life) -> bool {
        let Some(living) = self.living.get(&process).filter(|living| living.incarnation == incarnation)
        else {
            return false;
        };
        if let Err(error) = living.worker.kill() {
            tracing::error!(target: "procession", process = %self.name(process), %error, "can't kill the process");
            return false;
        }
        self.broker.leaving(process);
        true
    }

    pub(super) fn ready(&mut self, life: Life) {
        let (process, incarnation) = life;
        let Some(living) = self.living.get_mut(&process) else { return };
        living.ready = true;
        let (after, asked_to_end) = (living.since.elapsed(), living.asked_to_end);
        self.states.begun(process);
        self.tell(Event::Ready { process: self.name(process), incarnation, after });
        self.introduce_to_letters(process);
        // One that was told to stop before it was ready takes nothing in, and may take its time.
        if !asked_to_end {
            self.broker.ready(life);
            self.names_ready(life);
            let planned = self.plan.process_by_id(process);
            planned.into_iter().for_each(|planned| self.hangs.begin(life, planned.hang));
        }
        self.engine.handle_ready(self.child_of(process), incarnation, Instant::now());
        self.added_is_ready(process);
    }

    /// A worker is dead. Its peers hear of it at once: what it has started may take time to die, its log record as long as
    /// its reader takes, and the next birth some milliseconds.
    pub(super) async fn died(&mut self, life: Life, exit: Exit, cursor: &Cursor) {
        self.hangs.end(life.0);
        self.broker.down(life, exit, Some(cursor));
        self.names.directory.handle_down(life);
        self.say_at_once().await;
    }

    /// Nothing is left of a worker.
    pub(super) fn exited(&mut self, process: ProcessId, incarnation: Incarnation, mut death: Death) {
        let name = self.name(process);
        let asked = self.living.remove(&process).is_some_and(|living| living.asked_to_end);
        self.name_senders(&mut death.handling);
        if let Some(panic) = &mut death.panic {
            self.name_senders(panic.handling.as_mut_slice());
        }
        let state = self.engine.state(self.child_of(process), Instant::now());
        death.budget_left = state.map(|state| state.budget_left);
        let exit = death.exit;
        self.last_exits.insert(process, exit);
        let (failure, death) = (death.failure.clone(), Arc::new(death));
        match failure {
            Some(failure) if !asked => {
                self.failures.insert(process, failure.clone());
                let (failure, death) = (Arc::new(failure), Some(death));
                self.tell(Event::StartFailed { process: name, incarnation, failure, death });
            }
            _ => self.tell(Event::Exited { process: name, incarnation, death, asked }),
        }
        self.forget_letters(process);
        self.engine.handle_exit(self.child_of(process), incarnation, exit, Instant::now());
        self.starter_is_gone((process, incarnation));
    }
}
