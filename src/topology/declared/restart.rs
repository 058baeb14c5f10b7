//! When and how a process is started again, as it is declared: each part may be left to the defaults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::supervision::{Backoff, Intensity, Policy, Strategy};

/// What is said about restarts of a process, of all processes, or of the topology.
///
/// Policy and backoff belong to what is restarted: a process, an actor, or a group as a member of what is around it.
/// Strategy, intensity and period belong to a group. Said for a process, its replicas become a group of their own, with
/// a budget of its own; said for the topology or a group, they hold for its members together; said in the defaults, for
/// every group that says nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    pub(in crate::topology) policy: Option<Policy>,
    pub(in crate::topology) strategy: Option<Strategy>,
    pub(in crate::topology) intensity: Option<u32>,
    pub(in crate::topology) period: Option<Duration>,
    pub(in crate::topology) backoff_min: Option<Duration>,
    pub(in crate::topology) backoff_max: Option<Duration>,
}

impl Restart {
    /// Everything left to the defaults.
    pub fn new() -> Restart {
        Restart::default()
    }

    /// When a process is started again.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Restart {
        self.policy = Some(policy);
        self
    }

    /// Who is started again together.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Restart {
        self.strategy = Some(strategy);
        self
    }

    /// How many restarts in how long are too many.
    #[must_use]
    pub fn intensity(mut self, intensity: Intensity) -> Restart {
        self.intensity = Some(intensity.restarts);
        self.period = Some(intensity.period);
        self
    }

    /// How long to wait before a restart.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Restart {
        self.backoff_min = Some(backoff.min);
        self.backoff_max = Some(backoff.max);
        self
    }

    /// What is said here, and where nothing is, what is said there.
    pub(in crate::topology) fn or(&self, other: &Restart) -> Restart {
        Restart {
            policy: self.policy.or(other.policy),
            strategy: self.strategy.or(other.strategy),
            intensity: self.intensity.or(other.intensity),
            period: self.period.or(other.period),
            backoff_min: self.backoff_min.or(other.backoff_min),
            backoff_max: self.backoff_max.or(other.backoff_max),
        }
    }

    /// Whether anything is said that belongs to a group.
    pub(in crate::topology) fn speaks_of_a_group(&self) -> bool {
        self.part_of_a_group().is_some()
    }

    /// The first part that is said and belongs to a group.
    pub(in crate::topology) fn part_of_a_group(&self) -> Option<&'static str> {
        let parts = [
            ("strategy", self.strategy.is_some()),
            ("intensity", self.intensity.is_some()),
            ("period", self.period.is_some()),
        ];
        parts.into_iter().find(|(_, said)| *said).map(|(part, _)| part)
    }

    /// Whether anything is said that belongs to a process.
    pub(in crate::topology) fn speaks_of_a_process(&self) -> bool {
        self.policy.is_some() || self.backoff_min.is_some() || self.backoff_max.is_some()
    }
}

impl From<Policy> for Restart {
    fn from(policy: Policy) -> Restart {
        Restart::new().policy(policy)
    }
}

impl From<Strategy> for Restart {
    fn from(strategy: Strategy) -> Restart {
        Restart::new().strategy(strategy)
    }
}

impl From<Intensity> for Restart {
    fn from(intensity: Intensity) -> Restart {
        Restart::new().intensity(intensity)
    }
}

impl From<Backoff> for Restart {
    fn from(backoff: Backoff) -> Restart {
        Restart::new().backoff(backoff)
    }
}
