//! The keys that each table of a topology knows.

/// At the top.
pub(super) const TOPOLOGY: &[&str] = &["name", "restart", "defaults", "process"];

/// In `[defaults]`, and in each process too.
pub(super) const SETTINGS: &[&str] = &[
    "program",
    "build",
    "env",
    "restart",
    "shutdown",
    "start_deadline",
    "ask_timeout",
    "max_message_bytes",
    "mailbox",
];

/// In `[process.NAME]`, beside [`SETTINGS`].
pub(super) const PROCESS: &[&str] = &["replicas", "significant", "args", "actor"];

/// In `actor.NAME`.
pub(super) const ACTOR: &[&str] = &["type", "args"];

/// In `restart`.
pub(super) const RESTART: &[&str] = &["policy", "strategy", "intensity", "period", "backoff"];

/// In `restart.backoff`.
pub(super) const BACKOFF: &[&str] = &["min", "max"];

/// In `mailbox`.
pub(super) const MAILBOX: &[&str] = &["messages", "bytes"];

/// Keys that the design has and the runtime has not yet. They are refused: what a file grants or limits must hold.
pub(super) const NOT_YET: &[&str] = &["limits", "sandbox", "group", "delivery"];
