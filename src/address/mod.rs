//! Process-spanning addresses: the first floor that knows actix.
//!
//! ```text
//!  ProcAddr / ProcRecipient --send--> dispatch --same process--> Gate --> Inbound --> Addr<A> (actix)
//!                                        |                                  ^
//!                                        +--other process--> Peer ..pipe.. ActorExport --> Inbox --> handler
//! ```

mod actor;
mod addr;
mod context;
mod dispatch;
mod error;
mod export;
mod inbound;
mod inbox;
mod recipient;
mod request;
mod slot;
mod target;
mod visit;

pub use actor::{Accepts, MessageEntry, Never, ProcActor, ProcMessage, StopActor, duplicate_message};
pub use addr::ProcAddr;
pub use context::{current, enter, leave};
pub use error::SendError;
pub use export::ActorExport;
pub use inbound::{Inbound, handle_inbound};
pub use inbox::{Arrived, Probe, Serves, ServesNot, Serving, handle_arrived};
pub use recipient::ProcRecipient;
pub use request::{Request, Tell};
pub use visit::{Visit, handle_visit};

pub use crate::protocol::wire::{Cause, Failure, MessageId, Verdict};
