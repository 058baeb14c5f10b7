//! Pipes between strangers: one listens at an address, the other connects, and each may ask the other for a
//! secret.
//!
//! What Python's `multiprocessing.connection.Listener` and `Client` do for `AF_UNIX`, and compatible with
//! them.

mod address;
mod authentication;
mod challenge;
mod connect;
mod error;
mod listener;

pub use address::Address;
pub use authentication::AuthKey;
pub use connect::{Connector, connect};
pub use error::{AcceptError, AuthError, BindError, ConnectError};
pub use listener::{Listener, ListenerSettings, Peers};
