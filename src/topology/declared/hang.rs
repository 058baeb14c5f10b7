//! What to do with a process that makes no progress.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What becomes of a process whose actors have made no progress for a while (P-3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnHang {
    /// It is told and logged, with what it was handling, and nothing more: a handler may take its time on purpose.
    #[default]
    Log,
    /// It is also killed, and restarted as its policy says.
    Kill,
    /// It is also aborted, which leaves a core where the system keeps them; and killed, if that does not end it.
    Abort,
}

/// When a process counts as hung, and what becomes of it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hang {
    /// How long it may handle one message, with others waiting or not, or be stopped by a signal.
    pub after: Duration,
    /// What becomes of it.
    pub then: OnHang,
}

/// Longer than any handler that does not wait for something, and than a machine with busy cores keeps a thread waiting.
pub const DEFAULT_HANG_AFTER: Duration = Duration::from_secs(10);

impl Default for Hang {
    fn default() -> Self {
        Hang { after: DEFAULT_HANG_AFTER, then: OnHang::default() }
    }
}
