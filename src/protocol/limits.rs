//! What a connection may cost its process.

use serde::{Deserialize, Serialize};

/// The limits of one process: what it accepts and what it grants, exchanged at the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The largest body of a message or reply, encoded.
    pub max_message_bytes: u32,
    /// Messages that one sending process may have under way to one actor (M-3).
    pub window_messages: u32,
    /// Bytes that one sending process may have under way to one actor. A message larger than this window
    /// waits for all of it.
    pub window_bytes: u32,
    /// Bytes of replies that are held for one peer before what else it asked must wait (M-3).
    pub reply_bytes: u32,
    /// Descriptors that one message or reply may have (H14); with 0, none travel.
    pub max_descriptors: u16,
}

/// As many as the kernel lets through at once.
pub const MAX_DESCRIPTORS: u16 = 253;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            // As for the plain pipes: large enough for any sensible message, small enough for any machine.
            max_message_bytes: 64 << 20,
            // A few turns' worth of small messages, so that a credit's round trip is never waited for.
            window_messages: 1024,
            // Sixteen full chunks under way hide the round trip of a credit.
            window_bytes: 1 << 20,
            // A few times what the kernel holds, so that a peer which reads never waits for us to begin.
            reply_bytes: 1 << 20,
            max_descriptors: MAX_DESCRIPTORS,
        }
    }
}
