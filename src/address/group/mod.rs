//! Groups of actors behind one address: each message goes to one member, or to all.
//!
//! ```text
//!  ProcAddr of a group --send--> submit --view known--> choose --> as to any actor --reply, or failed----> the future
//!                                  |                      ^            '--not executed: another member--'
//!                                  '--not yet: Use --> root --Group--> View --'
//! ```
//!
//! A view is what this process knows of a group: the newest membership that the root has told, which may be old.

mod addr;
mod change;
mod gather;
mod routed;
mod target;
mod view;

pub use addr::GroupAddr;
pub use change::GroupChanged;
pub use gather::Gathered;
pub(super) use routed::{Routed, send_now, submit};
pub(super) use target::{GROUP_TEXT, GroupOnTheWire, GroupTarget};
pub(super) use view::{Members, Owed, View};
