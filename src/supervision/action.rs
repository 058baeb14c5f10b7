//! What the engine tells its driver: start this, stop that, note this, and at last how it all ended.
//!
//! Data only. The engine fills these in; the runtime carries them out and shows the notes.

use std::fmt;
use std::time::Duration;

use crate::id::{Exit, Incarnation};

/// The number of a child: its place in the depth-first start order of the tree, from 0.
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
    /// The topology goes down, in order; the same outcome comes as [`Action::Ended`] when the last process is gone.
    Ending(Outcome),
}

/// Why a child that ended stays down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRestarted {
    /// It is temporary.
    Temporary,
    /// It ended normally, and it is transient or significant.
    EndedNormally,
    /// It ended of itself before its turn came, while its group was being stopped.
    GroupStopping,
}

/// How a topology ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As asked.
    Stopped,
    /// A significant child ended, or the last child that there was, and nothing is to be restarted.
    Completed {
        /// Which.
        child: ChildId,
        /// How; it need not be a success.
        exit: Exit,
    },
    /// A child never came up, at the first start of the topology, or where it is significant and never restarted.
    StartFailed {
        /// Which.
        child: ChildId,
    },
    /// The topology needed more restarts than it has.
    GaveUp {
        /// The child whose failure was one too many.
        child: ChildId,
        /// How many restarts the period had already seen.
        restarts: u32,
        /// The period in which they are counted.
        period: Duration,
    },
}

/// Why an operator's restart was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestartRefused {
    /// The caller's mistake: the tree has no such child.
    #[error("there is no such child")]
    Unknown,
    /// It is on its way down or up already, by itself or with its group; wait for it.
    #[error("the child is being stopped or started with its group already")]
    Underway,
    /// The topology ends or has ended; deploy it again.
    #[error("the topology is stopping or has stopped")]
    Stopping,
}
