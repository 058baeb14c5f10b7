//! Typed object pipes between processes, for those who need no actor.
//!
//! [`pipe`] gives two [`End`]s, of which each sends what the other receives; [`simplex`] a [`Sender`] and a
//! [`Receiver`]. They block, and need no runtime; [`End::into_async`] makes [`AsyncEnd`]s of them, for tokio.
//! [`spawn`] hands an end to a child process, which [takes](End::take) it by name; an end is also a message like
//! any other, and can be sent through another pipe to a third process, as can [descriptors](descriptor).
//! [`wait()`] waits for many. [`Listener`] and [`connect`] join strangers.
//!
//! The frame on the wire is that of Python's `multiprocessing.connection`, so that a Python program talks to an
//! end with nothing but its standard library. `docs/PIPES.md` is the guide, with a table from Python to Rust.
//!
//! What it is not for: actors, which have addresses instead of pipes, and whose connections carry many
//! conversations at once. The floors above use `sys` for those, not this.
//!
//! ```
//! let (mut left, mut right) = procession::pipe::pipe::<Vec<u32>, u32>()?;
//! left.send(vec![1, 2, 3])?;
//! let numbers = right.recv()?;
//! right.send(numbers.iter().sum())?;
//! assert_eq!(left.recv()?, 6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it is built
//!
//! ```text
//!   End, AsyncEnd          typed; blocking or async
//!     connection           the loops that wait
//!       reader, writer     the state of a stream, without I/O
//!       transport          a socket, or memory with injected faults
//! ```

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

pub use crate::codec::descriptor::{self, Descriptor};
pub use asynchronous::{AsyncEnd, AsyncReceiver, AsyncSender};
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
