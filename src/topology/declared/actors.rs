//! What can be said of one actor, and of all actors of a process.

use serde::{Deserialize, Serialize};

use super::restart::Restart;
use crate::protocol::{Delivery, OnPanic};
use crate::supervision::{AutoShutdown, Shutdown};

/// What one actor says of itself. Nothing said is nothing here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::topology) struct ActorSettings {
    pub(in crate::topology) restart: Restart,
    pub(in crate::topology) shutdown: Option<Shutdown>,
    pub(in crate::topology) significant: bool,
    pub(in crate::topology) panic: Option<OnPanic>,
    pub(in crate::topology) delivery: Option<Delivery>,
    pub(in crate::topology) attempts: Option<u32>,
}

/// What is said of the actors of a process: of each that says nothing else, and of the group that they are.
///
/// Strategy, intensity, period and `auto_shutdown` belong to the group; all else to each actor.
///
/// ```
/// use procession::supervision::{AutoShutdown, Policy, Strategy};
/// use procession::topology::{Actors, Process};
///
/// Process::new("worker").actors(
///     Actors::new()
///         .restart(Strategy::OneForAll)
///         .restart(Policy::Transient)
///         .auto_shutdown(AutoShutdown::AllSignificant),
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actors {
    pub(in crate::topology) restart: Restart,
    pub(in crate::topology) auto_shutdown: Option<AutoShutdown>,
    pub(in crate::topology) shutdown: Option<Shutdown>,
    pub(in crate::topology) delivery: Option<Delivery>,
    pub(in crate::topology) attempts: Option<u32>,
}

impl Actors {
    /// Everything left to the defaults.
    pub fn new() -> Actors {
        Actors::default()
    }

    /// When and how actors are restarted within their process: a `Policy`, a `Backoff`, a `Strategy`, an `Intensity`,
    /// or a whole [`Restart`]. Parts said in several calls add up.
    #[must_use]
    pub fn restart(mut self, restart: impl Into<Restart>) -> Actors {
        self.restart = restart.into().or(&self.restart);
        self
    }

    /// Whether the process ends, in order and with code 0, because its significant actors did. The default is with the
    /// first of them.
    #[must_use]
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Actors {
        self.auto_shutdown = Some(auto_shutdown);
        self
    }

    /// How each is stopped.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Actors {
        self.shutdown = Some(shutdown);
        self
    }

    /// How messages are delivered to each.
    #[must_use]
    pub fn delivery(mut self, delivery: Delivery) -> Actors {
        self.delivery = Some(delivery);
        self
    }

    /// How often a message that kills its actor is delivered at least once until it goes to the dead letters.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Actors {
        self.attempts = Some(attempts);
        self
    }

    /// What is said here, and where nothing is, what is said there.
    pub(in crate::topology) fn or(&self, other: &Actors) -> Actors {
        Actors {
            restart: self.restart.or(&other.restart),
            auto_shutdown: self.auto_shutdown.or(other.auto_shutdown),
            shutdown: self.shutdown.or(other.shutdown),
            delivery: self.delivery.or(other.delivery),
            attempts: self.attempts.or(other.attempts),
        }
    }
}
