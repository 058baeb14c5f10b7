//! Ends that travel through pipes: an end is a field like any other.
//!
//! What goes is its descriptor, which directions it has, its format, and the bytes that it had read ahead, so
//! that the new owner misses nothing. The limits do not go: an end is born with those of the pipe that it
//! came through, since it is the receiver who bears them.

use std::cell::Cell;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::connection::Connection;
use super::end::{End, Nothing};
use super::settings::{Format, Settings};
use super::transport::Socket;
use crate::codec::descriptor::Descriptor;

/// Which directions an end has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Direction {
    Duplex,
    Sends,
    Receives,
}

impl Direction {
    /// That of an end with these types. Names suffice: they are compared for a clearer error only.
    pub(super) fn of<Out, In>() -> Self {
        let nothing = std::any::type_name::<Nothing>();
        match (std::any::type_name::<Out>() == nothing, std::any::type_name::<In>() == nothing) {
            (true, _) => Direction::Receives,
            (_, true) => Direction::Sends,
            _ => Direction::Duplex,
        }
    }

    /// Whether an end with this direction may be used as one with the other.
    pub(super) fn permits(self, other: Direction) -> bool {
        self == Direction::Duplex || self == other
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Direction::Duplex => "duplex",
            Direction::Sends => "sends",
            Direction::Receives => "receives",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Travelling {
    descriptor: Descriptor,
    direction: Direction,
    format: Format,
    unread: bytes::Bytes,
}

impl<Out, In> Serialize for End<Out, In> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let connection = &self.connection;
        if connection.writer.is_pending() {
            return Err(S::Error::custom("an end with unsent messages can't travel; flush it first"));
        }
        if connection.reader.has_descriptors() {
            return Err(S::Error::custom(
                "an end can't travel while messages with descriptors are unread in it",
            ));
        }
        let descriptor = connection.transport.as_owned().try_clone().map_err(S::Error::custom)?;
        let travelling = Travelling {
            descriptor: Descriptor(descriptor),
            direction: Direction::of::<Out, In>(),
            format: connection.settings.object_format(),
            unread: connection.reader.unread().into(),
        };
        let serialized = travelling.serialize(serializer)?;
        connection.hand_over();
        Ok(serialized)
    }
}

impl<'de, Out, In> Deserialize<'de> for End<Out, In> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let travelled = Travelling::deserialize(deserializer)?;
        let (came, expected) = (travelled.direction, Direction::of::<Out, In>());
        if !came.permits(expected) {
            let told =
                format_args!("an end that {} came where one that {} belongs", came.word(), expected.word());
            return Err(D::Error::custom(told));
        }
        let settings = SETTINGS.get().unwrap_or_default().format(travelled.format);
        let socket = Socket::new(travelled.descriptor.0);
        Ok(End::from_connection(Connection::resume(socket, settings, travelled.unread.into())))
    }
}

impl Settings {
    /// What a child is told in an environment variable.
    pub(super) const fn format_word(&self) -> &'static str {
        match self.object_format() {
            Format::Bincode => "bincode",
            Format::Json => "json",
        }
    }
}

thread_local! {
    /// The settings of the pipe whose message is being decoded.
    static SETTINGS: Cell<Option<Settings>> = const { Cell::new(None) };
}

/// Runs `decode`: an end in the message is born with these settings.
#[inline]
pub(super) fn through<R>(settings: Settings, decode: impl FnOnce() -> R) -> R {
    let _outer = Outer(SETTINGS.replace(Some(settings)));
    decode()
}

/// The settings of an outer message, put back when the inner one is done, by a panic as well.
struct Outer(Option<Settings>);

impl Drop for Outer {
    fn drop(&mut self) {
        SETTINGS.set(self.0);
    }
}
