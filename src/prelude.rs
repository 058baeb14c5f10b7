//! What most programs need: `use procession::prelude::*;`. actix's own prelude is included.

pub use actix::prelude::*;
pub use serde::{Deserialize, Serialize};

pub use crate::ProcActor;
pub use crate::address::{
    Accepts, GroupAddr, Later, ProcAddr, ProcMessage, ProcRecipient, Responder, Routing, SendError,
    StreamError, Streaming, Verdict,
};
pub use crate::blob::Blob;
pub use crate::codec::descriptor::Descriptor;
pub use crate::id::Exit;
pub use crate::protocol::{BusyPoll, Delivery, OnPanic};
pub use crate::runtime::{Birth, Handover, Program, Root, Running, Runtime, Snapshots, Spawn, SpawnError};
pub use crate::supervision::{AutoShutdown, Backoff, Intensity, Policy, Shutdown, Strategy};
pub use crate::topology::{Actors, Group, Namespace, OnHang, OnViolation, Process, Restart, Topology};
