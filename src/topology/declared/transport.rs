//! What the pipes of a process are made of.

use serde::{Deserialize, Serialize};

/// What the pipes between a process and its peers are made of. Two processes share memory if both of them may; where one
/// says `socket`, their pipe is a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Shared memory wherever that is safe, else a socket.
    #[default]
    Auto,
    /// A socket: for a process that is watched with tools that know sockets, or counts each page of memory.
    Socket,
    /// Shared memory, as `Auto`, said on purpose: so that another default does not change it.
    Shared,
}
