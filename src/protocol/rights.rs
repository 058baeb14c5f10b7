//! What root and workers say to one another about the right to send.

use serde::{Deserialize, Serialize};

use crate::id::{ProcessId, Slot};

/// Why an address gives no right to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Denial {
    /// Its seal is wrong: it was made up or changed, or is of another run of the topology.
    #[error("its seal is wrong")]
    NoRight,
    /// Its owner took it back.
    #[error("its owner took it back")]
    Revoked,
}

/// What the topology lets one process send to one actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Who sends.
    pub from: ProcessId,
    /// To which actor of the process that is told this.
    pub to: Slot,
    /// These messages and no other, by their identities, sorted.
    pub messages: Vec<u32>,
}

/// Addresses of one process that may be revoked for all its lives; the root keeps them and tells each life. 16 bytes
/// each, so a welcome has room for far more than are ever taken back one by one.
pub const MAX_REVOKED: usize = 1 << 16;
