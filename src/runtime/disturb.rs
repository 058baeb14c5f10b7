//! What [`chaos`](crate::chaos) may do to a running topology: signal a process that this root started, and stand
//! between two processes that are given a pipe. For nobody else.

use std::os::fd::OwnedFd;

use tokio::sync::oneshot;

use super::error::{Error, Result};
use super::handle::Running;
use super::root_thread::Command;
use crate::id::{Incarnation, ProcessName, Signal};

/// One end of a pipe that goes through somebody.
#[derive(Debug)]
pub(crate) struct FarEnd {
    pub(crate) process: ProcessName,
    /// The other end of what that process was given.
    pub(crate) socket: OwnedFd,
}

/// Who stands between processes. Called on the root's thread, so nothing here may block.
pub(crate) trait Interpose: Send {
    /// Whether the pipe between these two is to go through it.
    fn wants(&self, left: &ProcessName, right: &ProcessName) -> bool;

    /// Passes on what either end sends until one of them ends. What it drops is a pipe that broke.
    fn stand_between(&self, left: FarEnd, right: FarEnd);
}

/// What is done to a deployment.
pub(crate) enum Disturbance {
    /// A process is sent a signal through its pidfd, if it lives, and if it is in this life where one is named. The
    /// reply is the life that got it.
    Signal {
        process: ProcessName,
        life: Option<Incarnation>,
        signal: Signal,
        reply: oneshot::Sender<Option<Incarnation>>,
    },
    /// Pipes that are made from now on go through somebody. The reply says whether that place was free.
    Interpose { interposer: Box<dyn Interpose>, reply: oneshot::Sender<bool> },
    /// Pipes that are made from now on are direct again.
    StepAside,
}

impl Running {
    /// As [`Disturbance::Signal`].
    pub(crate) async fn signal(
        &self,
        process: &ProcessName,
        life: Option<Incarnation>,
        signal: Signal,
    ) -> Result<Option<Incarnation>> {
        let (reply, done) = oneshot::channel();
        self.disturb(Disturbance::Signal { process: process.clone(), life, signal, reply }).await?;
        done.await.map_err(|_| Error::Ended)
    }

    /// As [`Disturbance::Interpose`].
    pub(crate) async fn interpose(&self, interposer: Box<dyn Interpose>) -> Result<bool> {
        let (reply, done) = oneshot::channel();
        self.disturb(Disturbance::Interpose { interposer, reply }).await?;
        done.await.map_err(|_| Error::Ended)
    }

    /// As [`Disturbance::StepAside`]. A topology that has ended has no pipes.
    pub(crate) async fn step_aside(&self) {
        let _ = self.disturb(Disturbance::StepAside).await;
    }

    async fn disturb(&self, disturbance: Disturbance) -> Result<()> {
        let command = Command::Disturb { deployment: self.number, disturbance };
        self.commands.send(command).await.map_err(|_| Error::Ended)
    }
}
