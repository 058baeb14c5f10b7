//! What processes say to one another, without I/O: control messages, and the connection that carries messages
//! of actors.

mod busy_poll;
pub mod connection;
pub mod control;
pub mod control_frames;
pub mod frame;
pub mod handover;
pub mod json;
pub mod keeping;
pub mod letters;
mod limits;
pub mod members;
pub mod names;
pub mod requests;
pub mod responders;
pub mod rights;
mod rules;
pub mod series;
pub mod streams;
pub mod traceparent;
pub mod watching;
pub mod wire;

pub use busy_poll::{BusyPoll, MAX_BUSY_POLL};
pub use limits::{Limits, MAX_DESCRIPTORS};
pub use rules::{ActorGroup, ActorRules, DEFAULT_ATTEMPTS, DEFAULT_SNAPSHOT_LIMIT, Delivery, OnPanic};
