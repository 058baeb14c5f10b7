//! Typed object pipes for those who need no actor.
pub mod descriptor;
pub mod frame;
pub mod memory;
pub mod reader;
pub mod transport;
pub mod writer;

mod asynchronous;
mod connection;
mod end;
mod error;
mod format;
mod meeting;
mod receive;
mod send;
mod settings;
mod spawn;
mod travel;
mod wait;

pub use asynchronous::{AsyncEnd, AsyncReceiver, AsyncSender};
pub use descriptor::Descriptor;
pub use end::{End, Nothing, Receiver, Sender, pipe, pipe_with, simplex, simplex_with};
pub use error::{DecodeError, RecvError, RecvIntoError, SendError, TryRecvError, TrySendError, Unsent};
pub use meeting::{
    AcceptError, Address, AuthError, AuthKey, BindError, ConnectError, Connector, Listener, ListenerSettings,
    Peers, connect,
};
pub use receive::{IntoMessages, Messages};
pub use settings::{DEFAULT_MESSAGE_BYTES, Format, Settings};
pub use spawn::{DEFAULT_NAME, SpawnError, TakeError, spawn, spawn_as, variable};
pub use wait::{Sentinel, Waitable, wait};
