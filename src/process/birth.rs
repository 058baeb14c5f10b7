//! Whether a worker has become what it was started as, and if not, why. Pure: the attendant tells it what it
//! sees.
//!
//! ```text
//!  Silent --greeting--> Greeted -(Shapes--> Told)-Ready--> Ready
//!     |                    |
//!     +----- violation, refusal, deadline: the first one stays ----> Failed
//! ```

use std::path::PathBuf;
use std::time::Duration;

use super::event::Violation;
use super::failure::{LaunchFailure, NotProcession};
use crate::codec::shape::Mismatch;
use crate::id::{Exit, Incarnation, ProcessId};
use crate::protocol::control::{PreambleError, Refusal, ToRoot};
use crate::protocol::control_frames::ControlError;

#[derive(Debug)]
pub(super) struct Birth {
    process: ProcessId,
    incarnation: Incarnation,
    path: PathBuf,
    state: State,
}

#[derive(Debug)]
enum State {
    Silent,
    Greeted,
    /// It has told its messages, before it is ready.
    Told,
    Ready,
    Failed(Cause),
}

#[derive(Debug)]
enum Cause {
    NotProcession(NotProcession),
    Version(u16),
    Refused(Refusal),
    Violation(Violation),
    Deadline(Duration),
    Shapes(Box<Mismatch>, PathBuf),
}

/// What to do with a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Violation(Violation),
}

impl Birth {
    pub(super) fn new(process: ProcessId, incarnation: Incarnation, path: PathBuf) -> Birth {
        Birth { process, incarnation, path, state: State::Silent }
    }

    /// Its preamble came.
    pub(super) fn handle_greeting(&mut self) {
        if let State::Silent = self.state {
            self.state = State::Greeted;
        }
    }

    /// A frame came.
    pub(super) fn handle_frame(&mut self, frame: &ToRoot) -> Verdict {
        let started = matches!(self.state, State::Ready | State::Failed(_));
        match frame {
            ToRoot::Ready(_) | ToRoot::Refused(_) if started => {
                return Verdict::Violation(Violation::SecondStart(kind(frame)));
            }
            ToRoot::Ready(ready) => {
                let (process, incarnation) = (ready.process, ready.incarnation);
                if (process, incarnation) != (self.process, self.incarnation) {
                    return Verdict::Violation(Violation::Identity { process, incarnation });
                }
                self.state = State::Ready;
            }
            ToRoot::Refused(refusal) => self.state = State::Failed(Cause::Refused(refusal.clone())),
            ToRoot::Shapes { .. } if !matches!(self.state, State::Greeted) => {
                return Verdict::Violation(Violation::SecondStart(kind(frame)));
            }
            ToRoot::Shapes { .. } => self.state = State::Told,
            _ if !started => return Verdict::Violation(Violation::FirstFrame(kind(frame))),
            _ => {}
        }
        Verdict::Pass
    }

    /// It did something that it may not do.
    pub(super) fn handle_violation(&mut self, violation: &Violation) {
        let cause = match (&self.state, violation) {
            (State::Ready | State::Failed(_), _) => return,
            (_, Violation::Control(ControlError::Preamble(PreambleError::Version { theirs }))) => {
                Cause::Version(*theirs)
            }
            (State::Silent, Violation::Closed) => Cause::NotProcession(NotProcession::Closed),
            (State::Silent, _) => Cause::NotProcession(NotProcession::Garbage),
            (State::Greeted | State::Told, violation) => Cause::Violation(violation.clone()),
        };
        self.state = State::Failed(cause);
    }

    /// It said that it is ready before it had told what it must tell first.
    pub(super) fn handle_unfit(&mut self) {
        self.state = State::Greeted;
    }

    /// It is ready, and can't be: its messages are not those of another program.
    pub(super) fn handle_mismatch(&mut self, mismatch: Box<Mismatch>, other: PathBuf) {
        self.state = State::Failed(Cause::Shapes(mismatch, other));
    }

    /// Its time to start is up. Whether that matters.
    pub(super) fn handle_deadline(&mut self, deadline: Duration) -> bool {
        let cause = match self.state {
            State::Ready | State::Failed(_) => return false,
            State::Silent => Cause::NotProcession(NotProcession::Silent(deadline)),
            State::Greeted | State::Told => Cause::Deadline(deadline),
        };
        self.state = State::Failed(cause);
        true
    }

    /// It is dead: why was it never ready?
    pub(super) fn failure(self, exit: Exit, last_stderr: &[String]) -> Option<LaunchFailure> {
        let (path, last_stderr) = (self.path, last_stderr.to_vec());
        let ended = NotProcession::Ended(exit);
        Some(match self.state {
            State::Ready => return None,
            // Killed before it could say anything, which any program may be.
            State::Silent if matches!(exit, Exit::Signal { .. }) => {
                LaunchFailure::DiedBeforeReady { exit, last_stderr }
            }
            State::Silent => LaunchFailure::NotProcession { path, why: ended, last_stderr },
            State::Greeted | State::Told => LaunchFailure::DiedBeforeReady { exit, last_stderr },
            State::Failed(Cause::NotProcession(why)) => {
                LaunchFailure::NotProcession { path, why, last_stderr }
            }
            State::Failed(Cause::Version(theirs)) => LaunchFailure::Version { path, theirs },
            State::Failed(Cause::Shapes(mismatch, other)) => LaunchFailure::Shapes { path, mismatch, other },
            State::Failed(Cause::Refused(refusal)) => LaunchFailure::Refused(refusal),
            State::Failed(Cause::Violation(violation)) => LaunchFailure::Violation { violation, last_stderr },
            State::Failed(Cause::Deadline(deadline)) => {
                LaunchFailure::StartDeadline { deadline, last_stderr }
            }
        })
    }
}

/// What a frame is called in messages to people.
fn kind(frame: &ToRoot) -> &'static str {
    match frame {
        ToRoot::Ready(_) => "Ready",
        ToRoot::Refused(_) => "Refused",
        ToRoot::Introduce { .. } => "Introduce",
        ToRoot::Revoke { .. } => "Revoke",
        ToRoot::Keep(_) => "Keep",
        ToRoot::Ask(_) => "Ask",
        ToRoot::Letters(_) => "Letters",
        ToRoot::Log(_) => "Log",
        ToRoot::Panic(_) => "Panic",
        ToRoot::Blame { .. } => "Blame",
        ToRoot::Finish { .. } => "Finish",
        ToRoot::Alive { .. } => "Alive",
        ToRoot::Progress { .. } => "Progress",
        ToRoot::Shapes { .. } => "Shapes",
        ToRoot::Names(_) => "Names",
    }
}
