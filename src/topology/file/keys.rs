//! The keys that each table of a topology knows.

/// At the top.
pub(super) const TOPOLOGY: &[&str] =
    &["name", "restart", "auto_shutdown", "defaults", "process", "group", "namespace"];

/// In `[namespace.NAME]`.
pub(super) const NAMESPACE: &[&str] = &["register", "lookup", "most"];

/// In `[defaults]`, and in each process too.
pub(super) const SETTINGS: &[&str] = &[
    "program",
    "build",
    "env",
    "restart",
    "shutdown",
    "start_deadline",
    "ask_timeout",
    "busy_poll",
    "max_message_bytes",
    "mailbox",
    "reply_budget",
    "pipe_buffer",
    "on_violation",
    "transport",
    "panic",
    "actors",
    "hang",
    "snapshot_limit",
];

/// In `[process.NAME]`, beside [`SETTINGS`].
pub(super) const PROCESS: &[&str] = &["replicas", "significant", "args", "actor", "may_send"];

/// In `[group.NAME]`.
pub(super) const GROUP: &[&str] = &["restart", "significant", "auto_shutdown", "process", "group"];

/// In `actor.NAME`.
pub(super) const ACTOR: &[&str] =
    &["type", "args", "restart", "shutdown", "significant", "panic", "delivery", "attempts"];

/// In `actors`.
pub(super) const ACTORS: &[&str] = &["restart", "auto_shutdown", "shutdown", "delivery", "attempts"];

/// In `hang`.
pub(super) const HANG: &[&str] = &["after", "then"];

/// In `restart`.
pub(super) const RESTART: &[&str] = &["policy", "strategy", "intensity", "period", "backoff"];

/// In `restart.backoff`.
pub(super) const BACKOFF: &[&str] = &["min", "max"];

/// In `mailbox`.
pub(super) const MAILBOX: &[&str] = &["messages", "bytes"];

/// Keys that the design has and the runtime has not yet. They are refused: what a file grants or limits must hold.
pub(super) const NOT_YET: &[&str] = &["limits", "sandbox"];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A table that lists a key the reader does not read would suggest what is then refused.
    #[test]
    fn every_key_that_is_suggested_is_read() {
        let tables = [
            ("", TOPOLOGY),
            ("defaults.", SETTINGS),
            ("process.a.", SETTINGS),
            ("process.a.", PROCESS),
            ("process.a.actor.b.", ACTOR),
            ("group.a.", GROUP),
            ("namespace.a.", NAMESPACE),
            ("group.a.group.b.process.c.", PROCESS),
            ("restart.", RESTART),
            ("defaults.restart.backoff.", BACKOFF),
            ("process.a.mailbox.", MAILBOX),
            ("defaults.actors.", ACTORS),
            ("process.a.hang.", HANG),
        ];
        for (table, known) in tables {
            for key in known {
                let read = super::super::read(&format!("{table}{key} = 1979-05-27"), Path::new("t.toml"));
                let unknown =
                    read.findings.iter().find(|finding| finding.message.contains("there is no key"));
                assert_eq!(unknown, None, "{table}{key}");
            }
        }
    }

    #[test]
    fn every_key_is_in_the_documentation() {
        let page = include_str!("../../../docs/TOPOLOGY.md");
        let tables =
            [TOPOLOGY, SETTINGS, PROCESS, GROUP, NAMESPACE, ACTOR, ACTORS, RESTART, BACKOFF, MAILBOX, HANG];
        for key in tables.into_iter().flatten() {
            assert!(page.contains(&format!("`{key}`")), "docs/TOPOLOGY.md does not tell of `{key}`");
        }
    }
}
