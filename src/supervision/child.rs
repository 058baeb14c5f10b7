//! Where one child is in its life.
//!
//! Only the state and its chart; the engine moves a child along the arrows.

use std::time::Instant;

use super::action::{ChildId, StopStep};
use super::spec::ChildSpec;
use super::tree::Place;
use crate::id::{Exit, Incarnation};

/// Where a child is in its life.
///
/// ```text
///          turn came            due              ready          ended, stays down
///   Idle ───────────▶ BackingOff ───▶ Starting ────────▶ Ready ──────────────────▶ Ended
///    ▲                    ▲               │                │
///    │                    │               └─────┬──────────┘
///    │                    │                     ▼ urged
///    └── to rest ─────────┴── to restart ── Stopping
/// ```
///
/// Beside these: a failure of `Starting`, `Ready` or a `Stopping` that missed its start leads to `BackingOff`
/// where one is restarted, and to `Idle` where several are and each waits for its turn. When its group is
/// stopped, `BackingOff` and `Ended` fall back to `Idle`. An operator brings `Ended` to `BackingOff`, and by way of
/// `Stopping` whatever lives to `Ended`. A temporary child whose turn comes a second time goes from `Idle` to `Ended`. What is due at once passes through
/// `BackingOff` within one call.
///
/// There is a process in `Starting`, `Ready` and `Stopping`, and in no other phase (promise P-6 rests on this).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No process; its turn comes, if at all, with its group.
    Idle,
    /// No process; it is started by itself at this time.
    BackingOff {
        /// When.
        until: Instant,
    },
    /// Started and not yet ready.
    Starting {
        /// When it is killed; none if the deadline lies beyond what the clock can say.
        deadline: Option<Instant>,
    },
    /// At work.
    Ready {
        /// Since when.
        since: Instant,
    },
    /// Urged to end.
    Stopping {
        /// How hard so far.
        step: StopStep,
        /// When the next step is due.
        deadline: Option<Instant>,
        /// What follows its end.
        then: AfterStop,
    },
    /// No process; it ended, or was stopped, and will not be started again in this life of its group.
    Ended,
}

/// What follows when a child that is being stopped has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterStop {
    /// Nothing: its group is being stopped.
    Rest,
    /// A new life: an operator asked for it.
    Restart,
    /// Nothing, until an operator asks for a new life, or its group is restarted: an operator stopped it.
    Down,
    /// What follows a failed start: it missed its deadline.
    Fail,
}

impl Phase {
    /// Whether there is a process.
    pub fn is_alive(self) -> bool {
        matches!(self, Phase::Starting { .. } | Phase::Ready { .. } | Phase::Stopping { .. })
    }

    /// When something has to happen if nothing else does.
    pub(super) fn timer(self) -> Option<Instant> {
        match self {
            Phase::BackingOff { until } => Some(until),
            Phase::Starting { deadline } | Phase::Stopping { deadline, .. } => deadline,
            Phase::Idle | Phase::Ready { .. } | Phase::Ended => None,
        }
    }
}

/// A child as a person or a tool sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildState {
    /// Where it is in its life.
    pub phase: Phase,
    /// Its last life; [`Incarnation::ANY`] if it had none yet.
    pub incarnation: Incarnation,
    /// How often it was started after the first time, for whatever reason.
    pub restarts: u32,
    /// How many more failures its group forgives within the period.
    pub budget_left: u32,
    /// How its last life that ended did so.
    pub last_exit: Option<Exit>,
}

/// A child as the engine holds it.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) id: ChildId,
    pub(super) spec: ChildSpec,
    pub(super) place: Place,
    pub(super) phase: Phase,
    pub(super) incarnation: Incarnation,
    pub(super) last_exit: Option<Exit>,
    pub(super) origin: Origin,
    /// Removed as soon as it has no process.
    pub(super) discarded: bool,
}

/// How a child came into the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was there from the beginning.
    Declared,
    /// It was added, and was never ready: if it does not come up it is removed, and that is nobody's failure.
    OnTrial,
    /// It was added, and was ready once.
    Added,
}

impl Child {
    pub(super) fn declared(id: ChildId, spec: ChildSpec, place: Place) -> Child {
        let (phase, incarnation, last_exit) = (Phase::Idle, Incarnation::ANY, None);
        Child { id, spec, place, phase, incarnation, last_exit, origin: Origin::Declared, discarded: false }
    }

    pub(super) fn added(id: ChildId, spec: ChildSpec, place: Place) -> Child {
        Child { origin: Origin::OnTrial, ..Child::declared(id, spec, place) }
    }

    /// Whether it was started before: then the next start is a restart.
    pub(super) fn has_lived(&self) -> bool {
        self.incarnation != Incarnation::ANY
    }

    /// Whether its next death removes it: it was discarded, or, as in OTP, it is temporary and was added. Significant
    /// ones stay, because an outcome may name them.
    pub(super) fn leaves_with_its_death(&self) -> bool {
        let added = self.origin != Origin::Declared && !self.spec.significant;
        self.discarded || (added && self.spec.policy == super::spec::Policy::Temporary)
    }
}
