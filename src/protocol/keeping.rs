//! State of actors across their lives, as control messages carry it.
//!
//! The root holds one state for each actor, the newest that it was given, and gives it to the next life of the actor's
//! process behind the welcome. It never looks inside.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::control::MAX_CONTROL_FRAME_BYTES;
use crate::id::Slot;

/// The most that a topology may allow. A state is one control frame with room to spare, and what else is said to the
/// root waits while one is written.
pub const MAX_SNAPSHOT_BYTES: u32 = MAX_CONTROL_FRAME_BYTES / 2;

/// A worker asks the root to keep the state of one of its actors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// The actor.
    pub slot: Slot,
    /// Counts what was asked for this actor in this life of its process, from 1; the answer names it.
    pub number: u64,
    /// What to keep.
    pub what: Keeping,
}

/// What to keep of an actor. Each takes the place of what was kept before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keeping {
    /// For every life from now on.
    Snapshot(Bytes),
    /// For the next life alone.
    Handover(Bytes),
    /// Nothing any more.
    Nothing,
}

impl Keeping {
    /// How much it is.
    pub fn bytes(&self) -> usize {
        match self {
            Keeping::Snapshot(state) | Keeping::Handover(state) => state.len(),
            Keeping::Nothing => 0,
        }
    }
}

/// What was kept of an actor: comes behind the welcome of its process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptState {
    /// The actor.
    pub slot: Slot,
    /// Its state.
    pub state: Bytes,
    /// Whether it is a snapshot, for later lives, too.
    pub is_snapshot: bool,
}

/// Why the root does not keep a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum KeepRefusal {
    /// It is larger than the topology allows.
    #[error("the state is larger than the snapshot limit of {limit} bytes")]
    TooLarge {
        /// What is allowed.
        limit: u64,
    },
    /// The process has no such actor, or not any more.
    #[error("the actor was removed, and nothing is kept for it")]
    NoActor,
}
