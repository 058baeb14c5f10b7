//! Names and numbers: what processes, actors and their lives are called.
//!
//! Every other floor imports these; this one imports nothing. Nothing here does I/O.

mod actor;
mod build;
mod exit;
mod name;
mod process;

pub use actor::{ActorId, Slot};
pub use build::BuildId;
pub use exit::{Exit, Signal};
pub use name::{ActorName, ChildName, GroupName, MAX_NAME_BYTES, NameError, ProcessName, TopologyName};
pub use process::{Incarnation, ProcessId};
