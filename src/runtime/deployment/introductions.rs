//! What the broker decided, said to the processes that it is about.

use std::os::fd::OwnedFd;
use std::time::Instant;

use super::Deployment;
use crate::id::{Capability, Incarnation, ProcessId};
use crate::process::launcher;
use crate::protocol::control::{Peer, ToWorker};
use crate::runtime::broker::{Life, Say};
use crate::runtime::introduction::Part;

impl Deployment {
    /// A process shows the address of somebody in another, to be introduced: by its seal the root knows that it was given.
    pub(super) fn introduction(&mut self, asker: Life, target: &Capability, broken: Option<Incarnation>) {
        let process = target.process();
        // What does not exist is told as that, since the numbers of processes are no secret.
        let exists = process.is_root() || self.plan.process_by_id(process).is_some();
        match self.revoked.check(&self.keys, target) {
            Err(why) if exists => {
                let (by, process) = (self.name(asker.0), self.name(process));
                tracing::warn!(target: "procession", %by, %process, %why, "an address gives no right to be introduced");
                self.answer(asker, ToWorker::Denied { target: *target, why });
            }
            _ => self.broker.request(asker, process, broken, Instant::now()),
        }
    }

    pub(super) fn say(&mut self, say: Say) {
        match say {
            Say::Introduce(left, right) => match self.pipe_between(left, right) {
                Ok((to_left, to_right)) => {
                    let handed = self.introduce(left, right, to_left) & self.introduce(right, left, to_right);
                    if !handed {
                        self.broker.retry(left, right, Instant::now());
                    }
                }
                Err(error) => {
                    tracing::error!(target: "procession", %error, "no pipe for an introduction, trying again: raise the limit of open files");
                    self.broker.retry(left, right, Instant::now());
                }
            },
            Say::Unreachable(to, process, why) => {
                self.word(to, ToWorker::Unreachable { process, why });
            }
            Say::Down(to, (process, incarnation), exit, cursor) => {
                let cursor = cursor.map(|cursor| *cursor);
                self.word(to, ToWorker::Down { process, incarnation, exit, cursor });
            }
        }
    }

    /// Somebody there waits for it, or must know it.
    pub(super) fn word(&mut self, to: ProcessId, word: ToWorker) {
        let incarnation = if to.is_root() {
            Some(Incarnation::FIRST)
        } else {
            self.living.get(&to).map(|living| living.incarnation)
        };
        if let Some(incarnation) = incarnation {
            self.answer((to, incarnation), word);
        }
    }

    fn introduce(&self, to: Life, (process, incarnation): Life, part: Part) -> bool {
        let peer = Peer { process, incarnation, name: self.name(process) };
        // Behind what it must know first.
        !self.owes(to) && self.hand(to.0, ToWorker::Introduce { peer, medium: part.medium }, part.descriptors)
    }

    /// False if the process lives and its control pipe is full. One that is dead needs no word, and its death tells
    /// the others.
    pub(super) fn hand(&self, to: ProcessId, frame: ToWorker, descriptors: Vec<OwnedFd>) -> bool {
        if to.is_root() {
            if let Some(ToWorker::Answer { number, answer }) = self.router.handle_control(frame, descriptors)
            {
                self.asks.handle_answer(number, answer);
            }
            return true;
        }
        let Some(living) = self.living.get(&to) else { return true };
        !matches!(living.worker.send(&frame, descriptors), Err(launcher::SendError::Full))
    }
}
