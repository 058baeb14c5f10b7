//! Which trace this thread is in.

use std::cell::Cell;

use tracing::Span;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

use super::finished;
use super::ids;
use super::layer::{self, Kept};
use crate::protocol::traceparent::{SAMPLED, TraceParent};

thread_local! {
    /// The parent of the span that is being made on this thread.
    static PARENT: Cell<Option<TraceParent>> = const { Cell::new(None) };
}

/// The trace of the current span, and that span as the parent of what comes next; none outside of any trace.
#[inline]
pub fn current() -> Option<TraceParent> {
    if !layer::is_anything_traced() {
        return None;
    }
    look_up()
}

#[cold]
fn look_up() -> Option<TraceParent> {
    // What tells of a trace is no part of it.
    if finished::is_telling() {
        return None;
    }
    let found = Span::current().with_subscriber(|(id, dispatch)| {
        let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
        let extensions = span.extensions();
        extensions.get::<Kept>().map(|kept| kept.own)
    });
    found.flatten()
}

/// Makes a span that begins a trace: `trace::start(|| tracing::info_span!("order"))`.
pub fn start(span: impl FnOnce() -> Span) -> Span {
    // The parent of the first span is nobody: its id is left out of what is collected.
    make(TraceParent::new(ids::random_trace(), layer::NO_PARENT, SAMPLED), span)
}

/// Makes a span that continues a trace from elsewhere: one that came with a request from outside, for example.
pub fn with_remote_parent(parent: TraceParent, span: impl FnOnce() -> Span) -> Span {
    make(Some(parent), span)
}

fn make(parent: Option<TraceParent>, span: impl FnOnce() -> Span) -> Span {
    let _back = Back(PARENT.try_with(|current| current.replace(parent)).ok().flatten());
    span()
}

/// Puts back what was the parent before, also when making the span panics.
struct Back(Option<TraceParent>);

impl Drop for Back {
    fn drop(&mut self) {
        let _ = PARENT.try_with(|parent| parent.set(self.0));
    }
}

/// The parent that the span which is being made has by its maker's word. Only the first one.
pub(super) fn take_parent() -> Option<TraceParent> {
    PARENT.try_with(Cell::take).ok().flatten()
}

/// The span of a handler whose message came with a trace. Off unless the program's subscriber has the layer.
#[cold]
pub(crate) fn handling(parent: TraceParent, actor: &str, message: &str) -> Span {
    with_remote_parent(
        parent,
        || tracing::info_span!(target: "procession::trace", parent: None, "handle", actor, message),
    )
}
