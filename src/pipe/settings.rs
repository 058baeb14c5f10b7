//! What both ends of a pipe agree on, and what each end permits.

use serde::{Deserialize, Serialize};

use crate::sys::socket::MAX_DESCRIPTORS;

/// What a message may have unless the settings say otherwise.
///
/// Large enough for what people send whole, small enough that a length that lies can't exhaust a machine.
pub const DEFAULT_MESSAGE_BYTES: usize = 64 << 20;

/// How objects become bytes. Both ends of a pipe must use the same.
///
/// There is no pickle: reading one executes what the sender wrote into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// bincode: small and fast, for two Rust programs that share the types.
    #[default]
    Bincode,
    /// JSON: for a peer in another language.
    Json,
}

/// The limits and the format of one end.
///
/// Limits are checked on both sides: a sender refuses what is larger, a receiver refuses the announced length
/// before it allocates anything for it (H6, X-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    message_bytes: usize,
    descriptors: usize,
    format: Format,
}

impl Settings {
    /// 64 MiB and 253 descriptors a message, in bincode.
    pub const fn new() -> Self {
        Settings {
            message_bytes: DEFAULT_MESSAGE_BYTES,
            descriptors: MAX_DESCRIPTORS,
            format: Format::Bincode,
        }
    }

    /// The same with another limit for one message, in bytes without the length that goes before it.
    pub const fn message_bytes(self, message_bytes: usize) -> Self {
        Settings { message_bytes, ..self }
    }

    /// The same with another limit for the descriptors of one message. The kernel permits 253.
    pub const fn descriptors(self, descriptors: usize) -> Self {
        let descriptors = if descriptors > MAX_DESCRIPTORS { MAX_DESCRIPTORS } else { descriptors };
        Settings { descriptors, ..self }
    }

    /// The same with objects as JSON.
    pub const fn json(self) -> Self {
        self.format(Format::Json)
    }

    /// The same with another format.
    pub const fn format(self, format: Format) -> Self {
        Settings { format, ..self }
    }

    /// The limit for one message, in bytes.
    pub const fn message_limit(&self) -> usize {
        self.message_bytes
    }

    /// The limit for the descriptors of one message.
    pub const fn descriptor_limit(&self) -> usize {
        self.descriptors
    }

    /// How objects become bytes.
    pub const fn object_format(&self) -> Format {
        self.format
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings::new()
    }
}
