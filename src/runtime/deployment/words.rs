//! What workers say on their control pipes, and what the root makes of it.

use std::sync::Arc;

use super::Deployment;
use crate::id::ProcessId;
use crate::process::event::Killed;
use crate::process::logs;
use crate::process::text::cut;
use crate::protocol::control::ToRoot;
use crate::runtime::broker::Life;
use crate::runtime::event::Event;
use crate::topology::OnViolation;

/// What a worker says of another is cut there: it is shown to people and kept by those who listen.
const MAX_REASON_BYTES: usize = 1 << 10;

impl Deployment {
    pub(super) fn frame(&mut self, life: Life, frame: ToRoot) {
        let (process, incarnation) = life;
        let name = self.name(process);
        match frame {
            ToRoot::Ready(_) => self.ready(life),
            // The launcher keeps it as the failure of the death that follows.
            ToRoot::Refused(_) => {}
            ToRoot::Introduce { target, broken } => self.introduction(life, &target, broken),
            ToRoot::Revoke { seal, is_of_this_life } => {
                self.revoked.add(process, seal, is_of_this_life);
                self.names_revoked(process);
            }
            ToRoot::Blame { process, incarnation, reason } => {
                self.accuse(life, (process, incarnation), reason);
            }
            ToRoot::Ask(ask) => self.asked(life, ask),
            ToRoot::Letters(said) => self.letters(life, said),
            ToRoot::Keep(keep) => self.keep(life, keep),
            ToRoot::Log(record) => logs::relay_record(&name, incarnation, &record),
            ToRoot::Panic(mut report) => {
                self.name_senders(report.handling.as_mut_slice());
                self.tell(Event::Panicked { process: name, incarnation, report: Arc::new(report) });
            }
            // Its attendant has compared them.
            ToRoot::Shapes { .. } => {}
            ToRoot::Finish { .. } => self.broker.leaving(process),
            ToRoot::Alive { number } => self.alive(life, number),
            ToRoot::Progress { number } => self.progressed(life, number),
            ToRoot::Names(said) => self.names_said(life, said),
        }
    }

    /// A process says that its peer broke the protocol of their pipe. What the root itself saw is certain; a worker may
    /// be mistaken, or lie, so its word kills only where the topology says so (H59).
    fn accuse(&mut self, by: Life, accused: Life, reason: String) {
        let reason = cut(reason, MAX_REASON_BYTES);
        if !self.broker.accuse(by, accused) {
            let (by, process) = (self.name(by.0), self.name(accused.0));
            tracing::warn!(target: "procession", %by, %process, reason, "a process blames another to which it has no pipe");
            return;
        }
        let policy = self.plan.process_by_id(accused.0).map(|planned| planned.on_violation);
        let is_certain = by.0.is_root() || policy == Some(OnViolation::Kill);
        if let Some(living) = self.living.get(&accused.0).filter(|_| is_certain) {
            living.worker.doom(Killed::Violation);
        }
        let killed = is_certain && self.kill_life(accused);
        self.blamed(accused, by.0, reason, killed);
    }

    pub(super) fn blamed(
        &mut self,
        (process, incarnation): Life,
        by: ProcessId,
        reason: String,
        killed: bool,
    ) {
        let count = self.violations.entry(process).or_default();
        *count += 1;
        let (count, process, by) = (*count, self.name(process), self.name(by));
        self.tell(Event::Blamed { process, incarnation, by, reason, count, killed });
    }
}
