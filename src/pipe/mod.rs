//! Typed object pipes for those who need no actor.
pub mod descriptor;
pub mod frame;
pub mod reader;
pub mod transport;
pub mod writer;

mod connection;
mod end;
mod error;
mod format;
mod receive;
mod send;
mod settings;
mod spawn;
mod travel;

pub use descriptor::Descriptor;
pub use end::{End, Nothing, Receiver, Sender, pipe, pipe_with, simplex, simplex_with};
pub use error::{DecodeError, RecvError, RecvIntoError, SendError, TryRecvError, TrySendError, Unsent};
pub use receive::{IntoMessages, Messages};
pub use settings::{DEFAULT_MESSAGE_BYTES, Format, Settings};
pub use spawn::{DEFAULT_NAME, SpawnError, TakeError, spawn, spawn_as, variable};
