//! Reads what a process and the defaults share.

use super::keys;
use super::reader::{Node, Reader};
use crate::protocol::BusyPoll;
use crate::supervision::{Policy, Shutdown, Strategy};
use crate::topology::declared::{OnViolation, Restart, Settings, Transport};

/// The words for policies, as `supervision` serialises them.
pub(super) const POLICIES: [(&str, Policy); 3] =
    [("permanent", Policy::Permanent), ("transient", Policy::Transient), ("temporary", Policy::Temporary)];

/// The words for strategies.
pub(super) const STRATEGIES: [(&str, Strategy); 3] = [
    ("one_for_one", Strategy::OneForOne),
    ("one_for_all", Strategy::OneForAll),
    ("rest_for_one", Strategy::RestForOne),
];

/// The words for what becomes of a process that breaks the protocol.
pub(super) const ON_VIOLATION: [(&str, OnViolation); 2] =
    [("report", OnViolation::Report), ("kill", OnViolation::Kill)];

/// The words for transports.
pub(super) const TRANSPORTS: [(&str, Transport); 3] =
    [("auto", Transport::Auto), ("socket", Transport::Socket), ("shared", Transport::Shared)];

/// Reads one setting; whether the key is one.
pub(super) fn setting(reader: &mut Reader, settings: &mut Settings, key: &str, node: &Node<'_>) -> bool {
    match key {
        "program" => settings.program = reader.text(node, "\"target/release/worker\"").map(Into::into),
        "build" => settings.build = reader.text(node, "\"cargo build --release\""),
        "env" => {
            for (name, value) in reader.members(node, "env.LOG = \"info\"") {
                if let Some(value) = reader.text(&value, "\"info\"") {
                    settings.env.insert(name.to_owned(), value);
                }
            }
        }
        "restart" => settings.restart = restart(reader, node),
        "shutdown" => settings.shutdown = shutdown(reader, node),
        "start_deadline" => settings.start_deadline = reader.duration(node),
        "ask_timeout" => settings.ask_timeout = reader.duration(node),
        "busy_poll" => settings.busy_poll = busy_poll(reader, node),
        "max_message_bytes" => settings.max_message_bytes = reader.bytes(node),
        "reply_budget" => settings.reply_budget = reader.bytes(node),
        "pipe_buffer" => settings.pipe_buffer = reader.bytes(node),
        "on_violation" => settings.on_violation = reader.choice(node, &ON_VIOLATION),
        "mailbox" => {
            for (key, node) in reader.members(node, "{ messages = 1024, bytes = \"8MiB\" }") {
                match key {
                    "messages" => settings.mailbox_messages = reader.count(&node, "1024"),
                    "bytes" => settings.mailbox_bytes = reader.bytes(&node),
                    _ => reader.unknown(&node, key, keys::MAILBOX),
                }
            }
        }
        "transport" => settings.transport = reader.choice(node, &TRANSPORTS),
        _ => return false,
    }
    true
}

/// Reads `restart`.
pub(super) fn restart(reader: &mut Reader, node: &Node<'_>) -> Restart {
    let mut restart = Restart::new();
    for (key, node) in reader.members(node, "restart = { policy = \"transient\" }") {
        match key {
            "policy" => restart.policy = reader.choice(&node, &POLICIES),
            "strategy" => restart.strategy = reader.choice(&node, &STRATEGIES),
            "intensity" => restart.intensity = reader.count(&node, "5"),
            "period" => restart.period = reader.duration(&node),
            "backoff" => {
                for (key, node) in reader.members(&node, "{ min = \"50ms\", max = \"5s\" }") {
                    match key {
                        "min" => restart.backoff_min = reader.duration(&node),
                        "max" => restart.backoff_max = reader.duration(&node),
                        _ => reader.unknown(&node, key, keys::BACKOFF),
                    }
                }
            }
            _ => reader.unknown(&node, key, keys::RESTART),
        }
    }
    restart
}

/// Reads `shutdown`: a word, or how long to wait.
fn shutdown(reader: &mut Reader, node: &Node<'_>) -> Option<Shutdown> {
    match node.value().and_then(|value| value.as_str()) {
        Some("brutal_kill") => Some(Shutdown::BrutalKill),
        Some("infinity") => Some(Shutdown::Infinity),
        Some(text) if !text.starts_with(|c: char| c.is_ascii_digit()) => {
            reader.refuse(
                node,
                format!("there is no shutdown `{text}`"),
                "\"brutal_kill\", \"infinity\", or how long to wait: \"5s\"",
            );
            None
        }
        _ => reader.duration(node).map(Shutdown::Timeout),
    }
}

/// Reads `busy_poll`: a word, or how long to poll.
fn busy_poll(reader: &mut Reader, node: &Node<'_>) -> Option<BusyPoll> {
    match node.value().and_then(|value| value.as_str()) {
        Some("auto") => Some(BusyPoll::Auto),
        Some("off") => Some(BusyPoll::Off),
        Some(text) if !text.starts_with(|c: char| c.is_ascii_digit()) => {
            let help = "\"auto\", \"off\", or how long to poll: \"50us\"";
            reader.refuse(node, format!("there is no busy_poll `{text}`"), help);
            None
        }
        _ => reader.duration(node).map(BusyPoll::For),
    }
}
