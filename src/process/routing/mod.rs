//! Messages between processes: who lives here, who lives elsewhere, and what could not be delivered.
//!
//! Knows nothing of actix: an actor is an [`Export`] that takes bytes. Called by `address` for what is sent, and by
//! the connections' driver for what arrives.
//!
//! ```text
//!  address --submit--> Router --> Peer (Connection + driver task) ==pipe==> Peer --> Registry --> Export
//!                        |  ^
//!             Introduce  v  |  pipes, deaths
//!                       Broker (control pipe; in the root, the supervisor)
//! ```

mod accusing;
mod aside;
mod asking;
mod bell;
mod casts;
mod dead_letters;
mod delivering;
mod encoding;
mod ends;
mod gate;
mod handover;
mod lane;
mod patience;
mod peer;
mod presence;
mod reach;
mod registry;
mod rights;
mod route;
mod router;
mod series;
mod serving;
mod taking;
mod ticket;
mod watching;

pub use aside::Return;
pub use casts::{Begun, Casts};
pub use dead_letters::{DeadLetter, DeadLetters, KEEP_BODY_BYTES, LetterReport, MessageName};
pub use encoding::{afterwards, encoding_for};
pub use ends::{Ends, Observer};
pub use gate::{Gate, Pass};
pub use handover::{HANDOVER_WAIT, reading, sender};
pub use peer::{Handed, Outcome, Peer, Waiter};
pub use presence::NamesDesk;
pub use registry::{Export, Exported, Refused, Registry, deliver_each};
pub use rights::Rights;
pub use route::{Route, forget_routes, known_route};
pub use router::{Broker, Identity, Router, Subscribing};
pub use series::{Keeper, Series};
pub use taking::Arrival;
pub use ticket::{Place, Start, Ticket};
pub use watching::{Behind, Watched, Watcher};
