//! Pipes, in four distances: one conformance body over sockets and over memory with faults, properties,
//! stories with real processes, and strangers that meet, Python among them.

#[path = "pipe/asynchronous.rs"]
mod asynchronous;
#[path = "pipe/children.rs"]
mod children;
#[path = "pipe/conformance.rs"]
mod conformance;
#[path = "pipe/descriptors.rs"]
mod descriptors;
#[path = "pipe/faults.rs"]
mod faults;
#[path = "pipe/meeting.rs"]
mod meeting;
#[path = "pipe/processes.rs"]
mod processes;
#[path = "pipe/python.rs"]
mod python;
#[path = "pipe/signals.rs"]
mod signals;
#[path = "pipe/sockets.rs"]
mod sockets;
#[path = "pipe/waiting.rs"]
mod waiting;
