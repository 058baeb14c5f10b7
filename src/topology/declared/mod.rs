//! What a user declares, before anything is checked.
//!
//! Building never fails and never panics: a wrong name or a count of zero is kept as it was said, and told by
//! [`Topology::check`] together with everything else. The TOML form builds the same values.

mod actor;
mod actors;
mod group;
mod hang;
mod namespace;
mod process;
mod restart;
mod settings;
mod topology;
mod transport;
mod violation;

pub use actor::DeclaredActor;
pub(super) use actors::ActorSettings;
pub use actors::Actors;
pub(super) use group::{DeclaredMember, Visited, walk};
pub use group::{Group, MAX_GROUP_DEPTH};
pub use hang::{DEFAULT_HANG_AFTER, Hang, OnHang};
pub use namespace::Namespace;
pub use process::Process;
pub use restart::Restart;
pub use settings::Defaults;
pub(super) use settings::Settings;
pub(super) use topology::split_command;
pub use topology::{BuildCommand, Topology};
pub use transport::Transport;
pub use violation::OnViolation;
