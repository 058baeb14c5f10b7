//! Logs across processes: a worker's `tracing` events and raw lines reach the root's subscriber whole.
//!
//! ```text
//!  worker: tracing, log --> RUST_LOG --> layer --> control lane ---+
//!                                                                  +--> relay --> subscriber of the root
//!  worker: stdout, stderr --> pipes --> whole lines ---------------+
//! ```
//!
//! `RUST_LOG` is applied once, where the event is made: the root lets everything through that a worker let
//! through.

mod clock;
mod collect;
mod format;
mod layer;
mod relay;
mod subscriber;

pub use relay::{EVENT_TARGET, WORKER_TARGET, relay_line, relay_record};
pub use subscriber::{Format, InitError, init, init_if_none, layer as format_layer};

pub(super) use layer::send_to;
