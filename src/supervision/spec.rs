//! What to supervise and how: OTP's child specifications, for processes and for the actors within one alike.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{ChildName, GroupName};

/// When a child that ended is started again (OTP's restart types).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Always.
    #[default]
    Permanent,
    /// Only after an abnormal end: of a process any exit but code 0, of an actor a panic.
    Transient,
    /// Never.
    Temporary,
}

/// Who is restarted when one child of a group ends and its policy asks for a restart (OTP's strategies).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The child that ended.
    #[default]
    OneForOne,
    /// Every child of the group: the others are stopped in reverse order, then all are started in order.
    OneForAll,
    /// The child that ended and those started after it.
    RestForOne,
}

/// How long to wait before a restart: doubled with each restart in a row from `min` to `max`, with jitter.
///
/// The n-th restart in a row waits a random time between `min * 2^(n-1)` and twice that, and never longer than `max`.
/// A child that was ready for a whole period of its group starts again from `min`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// The shortest wait before the first restart; zero restarts at once.
    pub min: Duration,
    /// Never longer than this.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { min: Duration::from_millis(50), max: Duration::from_secs(5) }
    }
}

/// How many restarts a group may need in how long before it gives up upward (OTP's intensity and period).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intensity {
    /// Restarts allowed within `period`; 0 gives up at the first.
    pub restarts: u32,
    /// The sliding span in which they are counted.
    pub period: Duration,
}

impl Default for Intensity {
    fn default() -> Self {
        Intensity { restarts: 5, period: Duration::from_secs(30) }
    }
}

/// How a child is asked to stop (OTP's shutdown values).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shutdown {
    /// A process is asked over the control pipe; after this long SIGTERM; [`TERMINATE_GRACE`] later SIGKILL. An actor
    /// is asked to stop when it has handled what is in its mailbox, and after this long ended where it waits.
    Timeout(Duration),
    /// SIGKILL at once; an actor is ended where it waits.
    BrutalKill,
    /// Asked, and waited for without end.
    Infinity,
}

/// Between SIGTERM and SIGKILL: long enough for an exit handler, short enough for a person who waits.
pub const TERMINATE_GRACE: Duration = Duration::from_secs(1);

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown::Timeout(Duration::from_secs(5))
    }
}

/// When a group ends by itself, in order, because its significant members did (OTP's `auto_shutdown`).
///
/// Only the end of a significant member that is not restarted counts. A group that ends so ended normally, whatever
/// the ends of its members were; what follows is said by the group above it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoShutdown {
    /// It does not.
    #[default]
    Never,
    /// With the first significant member that ends.
    AnySignificant,
    /// With the last significant member that ends.
    AllSignificant,
}

/// One process, or one actor in a process, to supervise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildSpec {
    /// What it is called.
    pub name: ChildName,
    /// When it is started again.
    pub policy: Policy,
    /// How long to wait before that.
    pub backoff: Backoff,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Whether its end, where it is not restarted, counts for the [`AutoShutdown`] of its group.
    ///
    /// A significant child is work to be done: a normal end is never followed by a restart, even if it is permanent
    /// (which OTP forbids); an abnormal end follows the policy.
    pub significant: bool,
    /// From the start to readiness; then it is killed and counts as failed.
    pub start_deadline: Duration,
}

impl ChildSpec {
    /// A permanent child with the defaults.
    pub fn new(name: impl Into<ChildName>) -> ChildSpec {
        ChildSpec {
            name: name.into(),
            policy: Policy::default(),
            backoff: Backoff::default(),
            shutdown: Shutdown::default(),
            significant: false,
            start_deadline: DEFAULT_START_DEADLINE,
        }
    }
}

/// Generous: a cold start from disk on a loaded machine takes a second, a hung one for ever.
pub const DEFAULT_START_DEADLINE: Duration = Duration::from_secs(10);

/// Children that fail together or alone, in start order; groups nest.
///
/// In the group above it a group is a member like any other, with a policy and significance of its own: it ended
/// normally where its [`auto_shutdown`](GroupSpec::auto_shutdown) ended it, and failed where it gave up. Of the
/// topmost group `policy`, `backoff` and `significant` mean nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSpec {
    /// What it is called, if it was given a name.
    pub name: Option<GroupName>,
    /// When the group is started again by the one above it.
    pub policy: Policy,
    /// How long to wait before that; unsaid, as the child that brought it down says.
    pub backoff: Option<Backoff>,
    /// Whether its end, where it is not restarted, counts for the `auto_shutdown` of the group above.
    pub significant: bool,
    /// Whether the ends of significant members end the group.
    pub auto_shutdown: AutoShutdown,
    /// Who restarts with whom.
    pub strategy: Strategy,
    /// When the group gives up, which counts as a failure of the group in the group above it.
    pub intensity: Intensity,
    /// Children and groups, in start order.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// A process or an actor.
    Child(ChildSpec),
    /// A group with a strategy and an intensity of its own.
    Group(GroupSpec),
}
