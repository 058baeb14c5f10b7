//! What programs read of an event: its parts, beside the sentence for people. Called by the log alone.

use std::time::Duration;

use serde_json::{Value, json};

use super::event::Event;
use crate::id::Exit;
use crate::process::event::Death;
use crate::protocol::control::{Handling, PanicReport};

/// The parts of an event that are not the process and its incarnation, as an object.
pub(super) fn details(event: &Event) -> Value {
    match event {
        Event::Started { pid, .. } => json!({ "pid": pid }),
        Event::Ready { after, .. } => json!({ "after_ms": millis(*after) }),
        Event::StartFailed { failure, death, .. } => {
            let death = death.as_ref().map(|death| exited(death, false));
            json!({ "reason": failure.to_string(), "death": death })
        }
        Event::Panicked { report, .. } => panicked(report),
        Event::Blamed { by, reason, count, killed, .. } => {
            json!({ "by": by.as_str(), "reason": reason, "count": count, "killed": killed })
        }
        Event::Hung { kind, handling, stalled, alive, then, .. } => json!({
            "kind": kind.as_str(),
            "handling": all_handled(handling),
            "stalled_ms": millis(*stalled),
            "alive": alive,
            "then": then,
        }),
        Event::Recovered { stalled, .. } => json!({ "stalled_ms": millis(*stalled) }),
        Event::Exited { death, asked, .. } => exited(death, *asked),
        Event::Restarting { delay, restarts, budget_left, .. } => {
            json!({ "delay_ms": millis(*delay), "restarts": restarts, "budget_left": budget_left })
        }
        Event::Added { by, .. } => json!({ "by": by.as_str() }),
        Event::Removed { .. } => json!({}),
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
        "sender": report.handling.as_ref().and_then(sender),
        "backtrace": report.backtrace,
    })
}

fn all_handled(handling: &[Handling]) -> Vec<Value> {
    let one = |handling: &Handling| {
        json!({
            "actor": handling.actor,
            "message": handling.message,
            "sender": sender(handling),
            "waits": handling.waits,
        })
    };
    handling.iter().map(one).collect()
}

/// What the sender is called; where it is the process itself, nothing.
fn sender(handling: &Handling) -> Option<String> {
    let number = handling.sender?;
    Some(handling.sender_name.as_ref().map_or_else(|| number.to_string(), ToString::to_string))
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
        "killed": death.killed.map(|why| why.to_string()),
        "out_of_memory": death.out_of_memory.map(|who| who.to_string()),
        "panic": death.panic.as_ref().map(panicked),
        "handling": all_handled(&death.handling),
        "handled": death.cursor.handled,
        "running": death.cursor.running,
        "unread": death.cursor.unread,
        "restarts": death.restarts,
        "budget_left": death.budget_left,
        "orphans_killed": death.orphans.killed,
        "orphans_left": death.orphans.left.iter().map(|orphan| orphan.pid).collect::<Vec<_>>(),
        "last_stderr": death.last_stderr,
        "lost_lines": death.lost_lines,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
