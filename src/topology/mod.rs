//! The declared topology and its validated plan.
//!
//! A topology is declared in Rust ([`Topology::new`]) or in TOML ([`Topology::from_toml`]); both give the same value.
//! [`Topology::check`] asks a [`Catalog`] about the programs and turns it into a [`Plan`], or tells everything that
//! is wrong at once, with the place and the mend (`T-1`). The plan is all that the runtime reads, and all that
//! [`graph`] shows (`T-2`).
//!
//! Nothing here does I/O: the text of a file, and what programs host, are arguments.
//!
//! ```
//! use std::path::Path;
//! use procession::topology::{Catalog, ProgramFacts, ProgramProblem, ProgramRef, Topology, graph};
//!
//! /// Answers as if the program that deploys were asked nothing.
//! struct Unasked;
//! impl Catalog for Unasked {
//!     fn program(&self, _: &ProgramRef) -> Result<ProgramFacts, ProgramProblem> {
//!         Ok(ProgramFacts { path: "/proc/self/exe".into(), types: None })
//!     }
//! }
//!
//! let text = r#"
//!     name = "demo"
//!     [process.left]
//!     actor.counter = { type = "demo::Counter", args = 0 }
//!     [process.right]
//!     replicas = 2
//!     actor.doubler = { type = "demo::Doubler", args = { out = { addr = "counter" } } }
//! "#;
//! let plan = Topology::from_toml(text, Path::new("demo.toml"))?.plan(&Unasked)?;
//! assert_eq!(plan.processes[2].name.as_str(), "right-2");
//! assert_eq!(plan.processes[2].wired[0].name.as_str(), "counter");
//!
//! let wrong = text.replace("\"counter\"", "\"conuter\"");
//! let findings = Topology::from_toml(&wrong, Path::new("demo.toml"))?.plan(&Unasked).unwrap_err();
//! assert_eq!(
//!     findings.to_string(),
//!     "demo.toml:7:71: error: no actor is called `conuter`\n  help: did you mean `counter`?"
//! );
//! # Ok::<(), procession::topology::Diagnostics>(())
//! ```

mod catalog;
mod check;
mod declared;
mod diagnostic;
mod file;
pub mod graph;
mod memory;
mod plan;
mod said;
mod units;

pub use catalog::{Catalog, HostedType, ProgramFacts, ProgramProblem, ProgramRef};
pub use check::{
    Checked, DEFAULT_ASK_TIMEOUT, DEFAULT_MAILBOX_BYTES, DEFAULT_MAILBOX_MESSAGES, DEFAULT_MAX_MESSAGE_BYTES,
    DEFAULT_REPLY_BUDGET, MAX_ACTORS, MAX_ARGS_DEPTH, MAX_ATTEMPTS, MAX_MAILBOX_MESSAGES, MAX_MESSAGE_BYTES,
    MAX_NAMES, MAX_NAMESPACES, MAX_PROCESSES, MAX_REPLICAS, MAX_SNAPSHOT_BYTES, MAX_VALUES, MIN_HANG_AFTER,
    ROOT_NAME,
};
pub use declared::{
    Actors, BuildCommand, DEFAULT_HANG_AFTER, DeclaredActor, Defaults, Group, Hang, MAX_GROUP_DEPTH,
    Namespace, OnHang, OnViolation, Process, Restart, Topology, Transport,
};
pub use diagnostic::{Diagnostic, Diagnostics, MAX_FINDINGS, Place, Segment, Severity, Source, ValuePath};
pub use file::MAX_SOURCE_BYTES;
pub use memory::{MESSAGE_BYTES, MemoryBound, PIPE_BYTES};
pub use plan::{
    Mailbox, MessageLimits, Plan, PlannedActor, PlannedNamespace, PlannedProcess, Replica, ResolvedProgram,
    Whom, WiredActor,
};
pub use said::GroupLine;
pub use units::MAX_DURATION;
