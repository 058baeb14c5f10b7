//! What the engine tells its driver: start this, stop that, note this, and at last how it all ended.
//!
//! Data only. The engine fills these in; the runtime carries them out and shows the notes.

use std::fmt;
use std::time::Duration;

use crate::id::{Exit, Incarnation};

/// The number of a child: from 0 its place in the depth-first start order of the declared tree; those that are added
/// later follow, and no number is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId(pub u32);

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "child {}", self.0)
    }
}

/// The number of a group: its place in the depth-first order of the tree; 0 is the topology itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

impl GroupId {
    /// The group that holds everything.
    pub const TOP: GroupId = GroupId(0);
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}", self.0)
    }
}

/// What the driver has to do next, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a process. Answer with `handle_ready`, `handle_start_failure` or `handle_exit` of this incarnation.
    Start {
        /// Which child.
        child: ChildId,
        /// Which life of it: the one after the last.
        incarnation: Incarnation,
    },
    /// Urge a process to end. Its death is awaited as `handle_exit`; one that is dead already needs nothing.
    Stop {
        /// Which child.
        child: ChildId,
        /// Which life of it.
        incarnation: Incarnation,
        /// How hard.
        step: StopStep,
    },
    /// Tell whoever listens.
    Note(Note),
    /// All is over: no process lives, and nothing follows.
    Ended(Outcome),
}

/// How hard a child is urged to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopStep {
    /// Over the control pipe: close intake, drain, exit.
    Ask,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// One event of a topology's life, for logs and listeners; nothing has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Every child was ready once: the deployment succeeded.
    AllStarted,
    /// A child failed, and the strategy of its group brings back whom it must.
    Restarting {
        /// Whose end it was. In a group above the child's own, the child that brought the lower group down.
        child: ChildId,
        /// The group whose budget pays.
        group: GroupId,
        /// From now to the first start.
        delay: Duration,
        /// Restarts of that group within its period, this one included.
        restarts: u32,
        /// How many more it has within the period.
        budget_left: u32,
    },
    /// A child ended and stays down.
    NotRestarted {
        /// Which.
        child: ChildId,
        /// Why.
        why: NotRestarted,
    },
    /// A child was not ready in time; it is killed and counts as one that failed to start.
    StartDeadlinePassed {
        /// Which.
        child: ChildId,
        /// Which life of it.
        incarnation: Incarnation,
    },
    /// A group needed more restarts than it has: it stops its members and fails in the group above it.
    GroupGaveUp {
        /// Which group.
        group: GroupId,
        /// The child whose failure was one too many.
        child: ChildId,
        /// How many restarts the period had already seen.
        restarts: u32,
        /// The period in which they are counted.
        period: Duration,
    },
    /// A group ended and stays down.
    GroupNotRestarted {
        /// Which.
        group: GroupId,
        /// Why.
        why: NotRestarted,
    },
    /// A child is in the tree no more: it was discarded or removed, or it is temporary, was added, and ended.
    Removed {
        /// Which.
        child: ChildId,
    },
    /// A child that was added did not come up at its first start, and is in the tree no more; nothing else follows.
    AddFailed {
        /// Which.
        child: ChildId,
    },
    /// A child was stopped as an operator asked, and stays down until it is restarted or removed.
    StoppedByHand {
        /// Which.
        child: ChildId,
    },
    /// The topology goes down, in order; the same outcome comes as [`Action::Ended`] when the last process is gone.
    Ending(Outcome),
}

/// Why a child or group that ended stays down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRestarted {
    /// It is temporary.
    Temporary,
    /// It ended normally, and it is transient or significant. A group that its `auto_shutdown` ended, ended normally.
    EndedNormally,
    /// It ended of itself before its turn came, while its group was being stopped.
    GroupStopping,
}

/// How a topology ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As asked.
    Stopped,
    /// Significant members ended, as `auto_shutdown` says, or the last child that there was, and nothing is to be restarted.
    Completed {
        /// Which.
        child: ChildId,
        /// How; it need not be a success.
        exit: Exit,
    },
    /// A child never came up, at the first start of the topology, or where it is significant, as is every group that
    /// holds it, and not to be restarted.
    StartFailed {
        /// Which.
        child: ChildId,
    },
    /// The topology needed more restarts than it has, or a significant group did that is not to be restarted.
    GaveUp {
        /// The child whose failure was one too many.
        child: ChildId,
        /// How many restarts the period had already seen.
        restarts: u32,
        /// The period in which they are counted.
        period: Duration,
    },
}

impl Outcome {
    /// Whose end it was, unless it was asked for.
    pub fn child(self) -> Option<ChildId> {
        match self {
            Outcome::Stopped => None,
            Outcome::Completed { child, .. }
            | Outcome::StartFailed { child }
            | Outcome::GaveUp { child, .. } => Some(child),
        }
    }
}

/// Why the tree was not changed as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The caller's mistake: the tree has no such child, or no such group.
    #[error("there is no such child or group")]
    Unknown,
    /// It is on its way down or up already, by itself or with its group; wait for it.
    #[error("the child is being stopped or started with its group already")]
    Underway,
    /// Its group is down: it waits to be started by the group above, or has ended for good.
    #[error("the group is down")]
    GroupDown,
    /// What lives can't be removed; stop it first, or discard it.
    #[error("the child lives or will be started; stop it first")]
    Alive,
    /// The topology ends or has ended; deploy it again.
    #[error("the topology is stopping or has stopped")]
    Stopping,
}
