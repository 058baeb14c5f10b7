//! Names and numbers: what processes, actors and their lives are called.
//!
//! Every other floor imports these; this one imports nothing. Nothing here does I/O.

mod actor;
mod build;
mod capability;
mod exit;
mod full_name;
mod name;
mod process;
mod seal;
mod short;
mod suggest;
mod text;

pub use actor::{ActorId, Slot};
pub use build::BuildId;
pub use capability::{Capability, Condition, RestOf, Tag, TooManyConditions, serialize_head};
pub use exit::{Exit, Signal};
pub use full_name::{FullName, REPLICAS};
pub use name::{ActorName, ChildName, GroupName, MAX_NAME_BYTES, NameError, ProcessName, TopologyName};
pub use process::{Incarnation, ProcessId};
pub use seal::{Key, Seal};
pub use short::{MAX_WHOLE_NAME_BYTES, ShortName, is_hashed, short_name};
pub(crate) use suggest::{closest, did_you_mean, listed};
pub use text::{ADDRESS_PREFIX, AddressTextError, of_text, text_check, to_text};
