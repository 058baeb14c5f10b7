//! What programs read of an event: its parts, beside the sentence for people. Called by the log alone.

use std::time::Duration;

use serde_json::{Value, json};

use super::event::Event;
use crate::id::Exit;
use crate::process::event::Death;
use crate::protocol::control::PanicReport;

/// The parts of an event that are not the process and its incarnation, as an object.
pub(super) fn details(event: &Event) -> Value {
    match event {
        Event::Started { pid, .. } => json!({ "pid": pid }),
        Event::Ready { after, .. } => json!({ "after_ms": millis(*after) }),
        Event::StartFailed { failure, .. } => json!({ "reason": failure.to_string() }),
        Event::Panicked { report, .. } => panicked(report),
        Event::Blamed { by, reason, count, killed, .. } => {
            json!({ "by": by.as_str(), "reason": reason, "count": count, "killed": killed })
        }
        Event::Exited { death, asked, .. } => exited(death, *asked),
        Event::Restarting { delay, restarts, budget_left, .. } => {
            json!({ "delay_ms": millis(*delay), "restarts": restarts, "budget_left": budget_left })
        }
        Event::StaysDown { why, .. } | Event::Stopping { why } => json!({ "why": why }),
        Event::Running { processes } => json!({ "processes": processes }),
        Event::Ended { why, failed } => json!({ "why": why, "failed": failed }),
    }
}

fn panicked(report: &PanicReport) -> Value {
    json!({
        "message": report.message,
        "place": report.place,
        "thread": report.thread,
        "actor": report.handling.as_ref().map(|handling| &handling.actor),
        "handling": report.handling.as_ref().map(|handling| &handling.message),
        "backtrace": report.backtrace,
    })
}

fn exited(death: &Death, asked: bool) -> Value {
    let (code, signal, core_dumped) = match death.exit {
        Exit::Code(code) => (Some(code), None, false),
        Exit::Signal { signal, core_dumped } => (None, Some(signal.to_string()), core_dumped),
    };
    json!({
        "pid": death.pid,
        "code": code,
        "signal": signal,
        "core_dumped": core_dumped,
        "asked": asked,
        "uptime_ms": millis(death.uptime),
        "user_ms": millis(death.resources.user),
        "system_ms": millis(death.resources.system),
        "peak_resident_bytes": death.resources.peak_resident_bytes,
        "last_stderr": death.last_stderr,
        "lost_lines": death.lost_lines,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
