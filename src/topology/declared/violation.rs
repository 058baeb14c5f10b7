//! What to do with a process that breaks the protocol.

use serde::{Deserialize, Serialize};

/// What becomes of a process that another worker accuses of having broken the protocol of their data pipe (X-1, H59).
///
/// What the root sees itself, on its own pipes, is certain, and always ends the process that did it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnViolation {
    /// It is told, logged and counted, and nothing more: the accuser may be the one that is broken.
    #[default]
    Report,
    /// It is also killed, and restarted as its policy says.
    Kill,
}
