//! Programs, roots, deployments: what users hold.
//!
//! ```text
//!  root process                                      worker process
//!  main thread (arbiter)     procession-root thread   procession-ctl thread   main thread (arbiter)
//!  closure, actors, Router   Engine, Broker, launcher   control pipe            Host, actors, Router
//!        |  commands  ^            |      ^                 |   ^                     ^
//!        +------------+------------+      +=== control =====+   +---------------------+
//! ```
//!
//! The root's thread decides nothing by itself: the supervision engine does, and the thread carries it out. No
//! user code runs on it, so restarts and introductions go on while the root's closure is busy (H50).

mod broker;
mod catalog;
mod declare;
mod deployment;
mod describe;
mod disturb;
mod drain;
mod error;
mod event;
mod event_details;
mod event_text;
mod handle;
mod host;
mod introduction;
mod keys;
mod launching;
mod local;
mod names;
mod program;
mod progress;
mod registered;
mod root_thread;
mod spawn;
mod state;
mod worker;

pub use catalog::FileCatalog;
pub(crate) use disturb::{FarEnd, Interpose};
pub use error::{Error, Result};
pub use event::{Event, Events, ProcessStatus};
pub use handle::{Launched, Root, Running};
pub use local::{ChangeError, ProcessInfo, Runtime, Started};
pub use names::StartError;
pub use program::Program;
pub use progress::HangKind;
pub use spawn::{Birth, Spawn, SpawnError};
pub use state::{Handover, Save, SaveError, Snapshots, StateError};
pub use worker::finish;

pub use crate::supervision::Outcome;
