//! Procession: actors that live in separate OS processes.

// Floors, lowest first: each imports only floors above it in this list. `tests/layering.rs` holds it.
pub mod address;
pub mod codec;
pub mod id;
pub mod pipe;
pub mod process;
pub mod protocol;
pub mod runtime;
pub mod supervision;
pub mod sys;
pub mod topology;
pub mod transport;
