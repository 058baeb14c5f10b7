//! What to supervise and how: OTP's child specifications, for processes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::ProcessName;

/// When a child that ended is started again (OTP's restart types).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Always.
    #[default]
    Permanent,
    /// Only after an abnormal end: any exit but code 0.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Asked over the control pipe; after this long SIGTERM; [`TERMINATE_GRACE`] later SIGKILL.
    Timeout(Duration),
    /// SIGKILL at once.
    BrutalKill,
    /// Asked over the control pipe, and waited for without end.
    Infinity,
}

/// Between SIGTERM and SIGKILL: long enough for an exit handler, short enough for a person who waits.
pub const TERMINATE_GRACE: Duration = Duration::from_secs(1);

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown::Timeout(Duration::from_secs(5))
    }
}

/// One process to supervise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildSpec {
    /// What it is called.
    pub name: ProcessName,
    /// When it is started again.
    pub policy: Policy,
    /// How long to wait before that.
    pub backoff: Backoff,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Whether the whole topology ends, in order, when this child ends and is not restarted.
    ///
    /// A significant child is work to be done: a normal end is never followed by a restart, even if it is permanent
    /// (which OTP forbids); an abnormal end follows the policy.
    pub significant: bool,
    /// From the start of the process to its readiness; then it is killed and counts as failed.
    pub start_deadline: Duration,
}

impl ChildSpec {
    /// A permanent child with the defaults.
    pub fn new(name: ProcessName) -> ChildSpec {
        ChildSpec {
            name,
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSpec {
    /// Who restarts with whom.
    pub strategy: Strategy,
    /// When the group gives up, which counts as a failure of the group in the group above it.
    pub intensity: Intensity,
    /// Processes and groups, in start order.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// A process.
    Child(ChildSpec),
    /// A group with a strategy and an intensity of its own.
    Group(GroupSpec),
}
