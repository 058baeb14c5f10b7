//! Tells the root of every panic in a worker, whether it ends an actor or the process.
//!
//! Installed by the bootstrap. The hook that was there before still runs, so that stderr has the message too.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::time::Duration;

use super::handling;
use super::lane::ControlLane;
use super::text::cut;
use crate::protocol::control::{PanicReport, ToRoot};

/// How long a panicking thread waits for its report to be written, since the process may abort right after. It
/// takes microseconds, unless the root is stopped.
const FLUSH_GRACE: Duration = Duration::from_millis(100);

/// A message or backtrace is cut there, so that every report fits the lane.
const MAX_TEXT_BYTES: usize = 64 << 10;

/// From now on, each panic is reported there.
pub(super) fn report_to(lane: ControlLane) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        handling::remember_panic(message(info));
        // A lane that is full or closed can't carry it; stderr, below, still does.
        if lane.send(ToRoot::Panic(report(info))).is_ok() && !is_control_thread() {
            lane.flush(FLUSH_GRACE);
        }
        before(info);
    }));
}

/// In a root: keeps the message of each panic for the answer to whoever waits for the handler that panicked.
pub(crate) fn remember() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            handling::remember_panic(message(info));
            before(info);
        }));
    });
}

/// The control thread is the one that would write what it waits for.
fn is_control_thread() -> bool {
    std::thread::current().name() == Some(super::control::THREAD_NAME)
}

fn report(info: &PanicHookInfo<'_>) -> PanicReport {
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    PanicReport {
        message: cut(message(info).to_owned(), MAX_TEXT_BYTES),
        place: info.location().map(ToString::to_string).unwrap_or_default(),
        thread: std::thread::current().name().unwrap_or("unnamed").to_owned(),
        handling: handling::current(),
        backtrace: captured.then(|| cut(backtrace.to_string(), MAX_TEXT_BYTES)),
    }
}

/// What `panic!` was given; any other payload comes from `panic_any`.
fn message<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    let payload = info.payload();
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a value that is no text")
}
