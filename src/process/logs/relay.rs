//! Says again in the root what a worker said. Called by the runtime for each record and line.

use tracing::Level;

use crate::id::{Incarnation, ProcessName};
use crate::process::event::Line;
use crate::protocol::control::{LogLevel, LogRecord};

/// The target of everything that workers say.
pub const WORKER_TARGET: &str = "procession::worker";

/// The target of what the root itself says. What has a field `event` beside tells what happened in a deployment: that
/// word, and where they apply `process`, `incarnation` and `details` (a JSON object).
pub const EVENT_TARGET: &str = "procession";

/// Emits a worker's event as an event of the root, at its level, with the fields `process`, `incarnation`,
/// `target`, `spans`, `fields` (a JSON object of texts), `time_us` and `lost`.
pub fn relay_record(process: &ProcessName, incarnation: Incarnation, record: &LogRecord) {
    // A macro, because the level is part of the place that emits.
    macro_rules! emit {
        ($level:expr) => {
            tracing::event!(
                target: WORKER_TARGET,
                $level,
                process = process.as_str(),
                incarnation = incarnation.0,
                target = record.target.as_str(),
                spans = record.spans.join(":"),
                fields = as_json(&record.fields),
                time_us = record.time_us,
                lost = record.dropped,
                message = record.message.as_str(),
            )
        };
    }
    match record.level {
        LogLevel::Trace => emit!(Level::TRACE),
        LogLevel::Debug => emit!(Level::DEBUG),
        LogLevel::Info => emit!(Level::INFO),
        LogLevel::Warn => emit!(Level::WARN),
        LogLevel::Error => emit!(Level::ERROR),
    }
}

/// Emits a raw line as an event of the root, with the fields `process`, `incarnation`, `stream` and `lost`. Nobody
/// said how grave it is, so it is `INFO`.
pub fn relay_line(process: &ProcessName, incarnation: Incarnation, line: &Line) {
    tracing::event!(
        target: WORKER_TARGET,
        Level::INFO,
        process = process.as_str(),
        incarnation = incarnation.0,
        stream = line.stream.as_str(),
        lost = line.dropped,
        message = line.text.as_str(),
    );
}

/// An object that keeps its order and doubles.
fn as_json(fields: &[(String, String)]) -> String {
    let mut text = String::from("{");
    for (key, value) in fields {
        let separator = if text.len() > 1 { "," } else { "" };
        text.push_str(separator);
        text.push_str(&serde_json::Value::from(key.as_str()).to_string());
        text.push(':');
        text.push_str(&serde_json::Value::from(value.as_str()).to_string());
    }
    text.push('}');
    text
}
