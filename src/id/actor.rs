//! Which actor.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::process::{Incarnation, ProcessId};

/// The place of an actor in its process.
///
/// Actors of the topology have the slots 0 .. n in the order declared, in every life of their process; actors
/// that a process exports while it runs have slots from [`Slot::FIRST_DYNAMIC`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot(pub u32);

impl Slot {
    /// The first slot that is not declared by the topology.
    pub const FIRST_DYNAMIC: Slot = Slot(1 << 31);

    /// Where no actor lives: what a process itself does for those that it is connected with.
    pub const SERVICE: Slot = Slot(u32::MAX);

    /// Whether an actor of the topology lives here.
    pub fn is_declared(self) -> bool {
        self < Self::FIRST_DYNAMIC
    }
}

/// Which actor: a name, not a right. The right to send to it is a [`Capability`](super::Capability).
///
/// `incarnation` is [`Incarnation::ANY`] for an address that follows its actor through restarts, and a life of
/// the process for one that is pinned or that names an actor outside the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActorId {
    /// The process that owns the actor.
    pub process: ProcessId,
    /// The life of that process that is meant.
    pub incarnation: Incarnation,
    /// The place in that process.
    pub slot: Slot,
}

impl ActorId {
    /// The address of a declared actor, whichever life it is in.
    pub fn declared(process: ProcessId, slot: Slot) -> ActorId {
        ActorId { process, incarnation: Incarnation::ANY, slot }
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.process)?;
        if self.incarnation != Incarnation::ANY {
            write!(f, "#{}", self.incarnation)?;
        }
        match self.slot.is_declared() {
            true => write!(f, "/{}", self.slot.0),
            false => write!(f, "/+{}", self.slot.0 - Slot::FIRST_DYNAMIC.0),
        }
    }
}
