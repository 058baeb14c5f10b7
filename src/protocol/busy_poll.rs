//! Whether a process waits for messages awake.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whether the thread of a process's actors looks at its pipes for a while before it sleeps.
///
/// To wake a sleeping core takes tens of microseconds, several times what the rest of a message costs. The price of
/// not sleeping is processor time while a reply is awaited; a process without traffic never polls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BusyPoll {
    /// Never: each wait is a sleep.
    Off,
    /// While it spares sleeps, and while no other thread wants the core.
    #[default]
    Auto,
    /// Always for this time after traffic, whatever it gains. Timers of the process may be that late.
    For(Duration),
}

/// A thread that polls looks at nothing else, its timers included.
pub const MAX_BUSY_POLL: Duration = Duration::from_millis(10);
