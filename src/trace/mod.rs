//! Traces across processes: the context of a trace goes with every message that is sent within one.
//!
//! ```text
//!  trace::start(|| info_span!("order"))   a span with a trace id
//!    |- send --> the message has the trace and the id of the span that is current (W3C traceparent)
//!                 --> in the other process its handler runs in a span `handle`, a child of that one
//!                      |- send --> ...
//! ```
//!
//! Spans are those of `tracing`, and only a span within a trace has ids: one that was begun by [`start`] or by
//! [`with_remote_parent`], and those below it. They are kept by a [`layer`], which the subscribers that Procession installs have
//! (of every worker, and of a root whose program installs none); a program with a subscriber of its own adds it. Without a
//! trace that is open in a process, sending costs one relaxed load, and no byte.
//!
//! A message leaves in the call of `send`, not when its future is polled, so it is the call that must be within the span:
//! `span.in_scope(|| addr.send(message)).await`. An asynchronous handler carries its span into its future with `tracing`'s own
//! `Instrument`: `Box::pin(async move { .. }.in_current_span())`.
//!
//! What has ended can be collected with [`on_finished`].

mod context;
mod finished;
mod ids;
mod layer;

pub(crate) use context::handling;
pub use context::{current, start, with_remote_parent};
pub use finished::{Finished, on_finished};
pub use layer::{Tracing, layer};

pub use crate::protocol::traceparent::{TraceParent, TraceParentError};
