//! Process-spanning addresses: the first floor that knows actix.
//!
//! ```text
//!  ProcAddr / ProcRecipient --send--> dispatch --same process--> Gate --> Inbound --> Addr<A> (actix)
//!                                        |                                  ^
//!                                        +--other process--> Peer ..pipe.. ActorExport --> Inbox --> handler
//! ```

mod actor;
mod addr;
mod attend;
mod context;
mod desk;
mod dispatch;
mod error;
mod export;
mod group;
mod inbound;
mod inbox;
mod json;
mod kept;
mod later;
mod letters;
mod link;
mod monitor;
mod naming;
mod narrow;
mod protocol;
mod recipient;
mod relay;
mod request;
mod responder;
mod slot;
mod streaming;
mod target;
mod visit;
mod weak;

pub use actor::{Accepts, MessageEntry, Never, ProcActor, ProcMessage, StopActor, duplicate_message};
pub use addr::ProcAddr;
pub use attend::{Attend, EndedByLink, handle_attend};
pub use context::{current, enter, leave};
pub use desk::serve;
pub use error::SendError;
pub use export::ActorExport;
pub use group::{Gathered, GroupAddr, GroupChanged};
pub use inbound::{Inbound, handle_inbound};
pub use inbox::{Arrived, Probe, Serves, ServesNot, Serving, handle_arrived};
pub use json::{JsonError, JsonRequest, send_json};
pub use letters::{LetterSubscription, LettersOf, dead_letters, subscribe_dead_letters};
pub use link::{Exited, Link};
pub use monitor::{Down, IntoWatcher, Monitor, MonitorRef, Who, monitor_process};
pub(crate) use naming::{Desk, holder_of};
pub use naming::{NameChanged, Watching};
pub use recipient::ProcRecipient;
pub use request::{Request, Tell};
pub use responder::{Later, Responder};
pub use streaming::{StreamError, StreamRequest, Streaming};
pub use visit::{Visit, handle_visit};
pub use weak::{WeakProcAddr, WeakProcRecipient};

pub use crate::id::AddressTextError;
pub(crate) use json::send_json_to;
pub(crate) use protocol::{collect, key};

pub use crate::process::routing::Arrival;
pub use crate::protocol::letters::{DeadLetter, LetterReport};
pub use crate::protocol::members::Routing;
pub use crate::protocol::names::{Holder, NameError, NameState, Right};
pub use crate::protocol::series::SeriesId;
pub use crate::protocol::watching::EndReason;
pub use crate::protocol::wire::{Cause, Failure, MessageId, Verdict};
