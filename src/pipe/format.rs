//! Objects as bytes, in the format that the settings name.

use std::io::{self, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{DecodeError, SendError};
use super::settings::{Format, Settings};
use super::travel;
use crate::codec;
use crate::codec::descriptor::{self, Carried, Sent};
use std::os::fd::OwnedFd;

/// Appends the value's bytes, and gives the descriptors that it has.
#[inline]
pub(super) fn encode<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    settings: Settings,
) -> Result<Vec<OwnedFd>, SendError> {
    let start = out.len();
    // The writer counts them, and has an error of its own for too many.
    let (encoded, descriptors) =
        descriptor::sending(usize::MAX, Sent::Once, || match settings.object_format() {
            Format::Bincode => encode_bincode(value, out, settings.message_limit()),
            Format::Json => encode_json(value, out, settings.message_limit()),
        });
    encoded?;
    let owned: io::Result<_> = descriptors.into_iter().map(Carried::into_owned).collect();
    owned.map_err(|error| {
        out.truncate(start);
        SendError::Encode { reason: format!("a descriptor can't be duplicated: {error}") }
    })
}

/// The value that the message is.
#[inline]
pub(super) fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    descriptors: Vec<OwnedFd>,
    settings: Settings,
) -> Result<T, DecodeError> {
    let descriptors = descriptors.into_iter().map(Carried::from).collect();
    let decode = || match settings.object_format() {
        Format::Bincode => Ok(codec::decode(bytes)?),
        Format::Json => serde_json::from_slice(bytes).map_err(|error| DecodeError::Json {
            type_name: std::any::type_name::<T>(),
            reason: error.to_string(),
        }),
    };
    descriptor::receiving(descriptors, || travel::through(settings, decode))
}

#[inline]
fn encode_bincode<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(), SendError> {
    codec::encode_into(value, out, limit).map_err(|error| match error {
        codec::EncodeError::TooLarge { limit } => SendError::TooLarge { limit },
        codec::EncodeError::Value(reason) => SendError::Encode { reason },
    })
}

fn encode_json<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>, limit: usize) -> Result<(), SendError> {
    let mut bounded = Bounded { left: limit, out, full: false };
    serde_json::to_writer(&mut bounded, value).map_err(|error| match bounded.full {
        true => SendError::TooLarge { limit },
        false => SendError::Encode { reason: error.to_string() },
    })
}

/// Writes to a vector, up to a number of bytes.
struct Bounded<'a> {
    out: &'a mut Vec<u8>,
    left: usize,
    full: bool,
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(bytes.len()) else {
            self.full = true;
            return Err(io::Error::other("too large"));
        };
        self.left = left;
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
