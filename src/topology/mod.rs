//! The declared topology and its validated plan.
//!
//! A topology is declared in Rust ([`Topology::new`]) or in TOML ([`Topology::from_toml`]); both give the same value.
//! [`Topology::check`] asks a [`Catalog`] about the programs and turns it into a [`Plan`], or tells everything that
//! is wrong at once, with the place and the mend (`T-1`). The plan is all that the runtime reads, and all that
//! [`graph`] shows (`T-2`).
//!
//! Nothing here does I/O: the text of a file, and what programs host, are arguments.

mod catalog;
mod declared;
mod diagnostic;
mod plan;
mod units;

pub use catalog::{Catalog, HostedType, ProgramFacts, ProgramProblem, ProgramRef};
pub use declared::{BuildCommand, DeclaredActor, Defaults, Process, Restart, Topology};
pub use diagnostic::{Diagnostic, Diagnostics, MAX_FINDINGS, Place, Segment, Severity, Source, ValuePath};
pub use plan::{
    Mailbox, MessageLimits, Plan, PlannedActor, PlannedProcess, Replica, ResolvedProgram, WiredActor,
};
pub use units::MAX_DURATION;
