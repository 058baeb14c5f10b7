//! What chaos does to this deployment, and the pipes that go through it.

use std::io;

use super::Deployment;
use crate::process::event::Killed;
use crate::runtime::broker::Life;
use crate::runtime::disturb::{Disturbance, FarEnd};
use crate::runtime::introduction::{self, Part};

impl Deployment {
    pub(in crate::runtime) fn disturb(&mut self, disturbance: Disturbance) {
        match disturbance {
            Disturbance::Signal { process, life, signal, reply } => {
                let planned = self.plan.process(process.as_str()).map(|planned| planned.id);
                let living = planned.and_then(|id| self.living.get(&id));
                let meant = living.filter(|living| life.is_none_or(|life| life == living.incarnation));
                if let Some(living) = meant.filter(|_| signal.0 == libc::SIGKILL) {
                    // Or else its death would look as if the kernel had wanted memory.
                    living.worker.doom(Killed::Chaos);
                }
                let signalled = meant.filter(|living| living.worker.signal(signal).is_ok());
                // Who asked may have gone.
                let _ = reply.send(signalled.map(|living| living.incarnation));
            }
            Disturbance::Interpose { interposer, reply } => {
                let is_free = self.interposer.is_none();
                if is_free {
                    self.interposer = Some(interposer);
                }
                let _ = reply.send(is_free);
            }
            Disturbance::StepAside => self.interposer = None,
        }
    }

    /// The two parts of a pipe, directly between the two or through whoever stands there.
    pub(super) fn pipe_between(&self, left: Life, right: Life) -> io::Result<(Part, Part)> {
        let (left_name, right_name) = (self.name(left.0), self.name(right.0));
        let Some(interposer) = self.interposer.as_ref().filter(|it| it.wants(&left_name, &right_name)) else {
            return introduction::pipe(&self.plan, left.0, right.0);
        };
        let (to_left, to_right, [left_socket, right_socket]) =
            introduction::pipe_through(&self.plan, left.0, right.0)?;
        let left = FarEnd { process: left_name, socket: left_socket };
        let right = FarEnd { process: right_name, socket: right_socket };
        interposer.stand_between(left, right);
        Ok((to_left, to_right))
    }
}
