//! Reads what a process and the defaults share.

use super::keys;
use super::reader::{Node, Reader};
use crate::protocol::{BusyPoll, Delivery, OnPanic};
use crate::supervision::{AutoShutdown, Policy, Shutdown, Strategy};
use crate::topology::declared::{Actors, OnHang, OnViolation, Restart, Settings, Transport};

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

/// The words for what a panic ends.
pub(super) const ON_PANIC: [(&str, OnPanic); 2] = [("actor", OnPanic::Actor), ("process", OnPanic::Process)];

/// The words for how often a message is handled.
pub(super) const DELIVERIES: [(&str, Delivery); 2] =
    [("at_most_once", Delivery::AtMostOnce), ("at_least_once", Delivery::AtLeastOnce)];

/// The words for what becomes of a process that hangs.
pub(super) const ON_HANG: [(&str, OnHang); 3] =
    [("log", OnHang::Log), ("kill", OnHang::Kill), ("abort", OnHang::Abort)];

/// The words for when a group ends by itself, as `supervision` serialises them.
pub(super) const AUTO_SHUTDOWNS: [(&str, AutoShutdown); 3] = [
    ("never", AutoShutdown::Never),
    ("any_significant", AutoShutdown::AnySignificant),
    ("all_significant", AutoShutdown::AllSignificant),
];

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
        "panic" => settings.panic = reader.choice(node, &ON_PANIC),
        "actors" => settings.actors = actors(reader, node),
        "hang" => {
            for (key, node) in reader.members(node, "{ after = \"10s\", then = \"kill\" }") {
                match key {
                    "after" => settings.hang_after = reader.duration(&node),
                    "then" => settings.hang_then = reader.choice(&node, &ON_HANG),
                    _ => reader.unknown(&node, key, keys::HANG),
                }
            }
        }
        "snapshot_limit" => settings.snapshot_limit = reader.bytes(node),
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

/// Reads `actors`.
fn actors(reader: &mut Reader, node: &Node<'_>) -> Actors {
    let mut actors = Actors::new();
    for (key, node) in reader.members(node, "actors.restart = { strategy = \"one_for_all\" }") {
        match key {
            "restart" => actors.restart = restart(reader, &node),
            "auto_shutdown" => actors.auto_shutdown = reader.choice(&node, &AUTO_SHUTDOWNS),
            "shutdown" => actors.shutdown = shutdown(reader, &node),
            "delivery" => actors.delivery = reader.choice(&node, &DELIVERIES),
            "attempts" => actors.attempts = reader.count(&node, "3"),
            _ => reader.unknown(&node, key, keys::ACTORS),
        }
    }
    actors
}

/// Reads `shutdown`: a word, or how long to wait.
pub(super) fn shutdown(reader: &mut Reader, node: &Node<'_>) -> Option<Shutdown> {
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
