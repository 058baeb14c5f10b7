//! The one place that knows how values become bytes: bincode 2.0.1, little-endian, fixed-width integers.
//!
//! Fixed width, because then a decoder's byte budget can be exact: a length that claims more than the bytes
//! that are there is refused before anything is allocated for it (H6, X-1). bincode is no longer maintained and
//! its 3.0.0 does not compile; the day it is replaced, this file changes and no other.
//!
//! bincode is not self-describing: `#[serde(flatten)]`, `untagged`, `skip_serializing_if` and internally tagged
//! enums do not survive it (H55). `deserialize_any` is refused with an error, [`round_trip`] finds the others.

use bincode::config::{Configuration, Fixint, LittleEndian};
use bincode::enc::write::Writer;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a value did not become bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// It has more bytes than a message may have.
    #[error("the message is larger than the limit of {limit} bytes")]
    TooLarge {
        /// What a message may have.
        limit: usize,
    },
    /// Its `Serialize` implementation failed.
    #[error("the message can't be encoded: {0}")]
    Value(String),
}

/// Why bytes did not become a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They are no value of that type.
    #[error("the bytes are no {type_name}: {reason}")]
    Value {
        /// The Rust type that was asked for.
        type_name: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// A value, and bytes after it: the two sides disagree about its shape.
    #[error("{left} bytes are left over after a {type_name}")]
    LeftOver {
        /// The Rust type that was asked for.
        type_name: &'static str,
        /// How many.
        left: usize,
    },
}

/// Appends the bytes of `value` to `out`. If it fails, `out` is as it was.
///
/// `limit_bytes` counts the bytes of this value alone.
pub fn encode_into<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    limit_bytes: usize,
) -> Result<(), EncodeError> {
    let start = out.len();
    let mut writer = Bounded { end: start.saturating_add(limit_bytes), out, full: false };
    let encoded = contained(|| bincode::serde::encode_into_writer(value, &mut writer, BASE));
    match encoded.unwrap_or(Err(bincode::error::EncodeError::Other(PANICKED))) {
        Ok(()) => Ok(()),
        Err(error) => {
            let full = writer.full;
            out.truncate(start);
            Err(match full {
                true => EncodeError::TooLarge { limit: limit_bytes },
                false => EncodeError::Value(error.to_string()),
            })
        }
    }
}

/// The bytes of `value`.
pub fn encode<T: Serialize + ?Sized>(value: &T, limit_bytes: usize) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    encode_into(value, &mut out, limit_bytes)?;
    Ok(out)
}

/// The value that these bytes, all of them, are.
///
/// Allocates at most in proportion to `bytes.len()`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    // The budget is a constant of the decoder's type, so the next larger of a few is taken.
    let decoded = contained(|| match bytes.len() {
        length if length <= SMALL => bincode::serde::decode_from_slice(bytes, BASE.with_limit::<SMALL>()),
        length if length <= MEDIUM => bincode::serde::decode_from_slice(bytes, BASE.with_limit::<MEDIUM>()),
        length if length <= LARGE => bincode::serde::decode_from_slice(bytes, BASE.with_limit::<LARGE>()),
        _ => bincode::serde::decode_from_slice(bytes, BASE.with_limit::<HUGE>()),
    });
    let decoded = decoded.unwrap_or(Err(bincode::error::DecodeError::Other(PANICKED)));
    let type_name = std::any::type_name::<T>();
    match decoded {
        Ok((value, read)) if read == bytes.len() => Ok(value),
        Ok((_, read)) => Err(DecodeError::LeftOver { type_name, left: bytes.len() - read }),
        Err(error) => Err(DecodeError::Value { type_name, reason: error.to_string() }),
    }
}

/// Encodes and decodes a value: for tests of message types, which find with it what bincode can't carry (H55).
///
/// # Errors
/// As text, whichever half failed.
pub fn round_trip<T: Serialize + DeserializeOwned>(value: &T) -> Result<T, String> {
    let bytes = encode(value, HUGE).map_err(|error| error.to_string())?;
    decode(&bytes).map_err(|error| error.to_string())
}

/// `Serialize` and `Deserialize` are code of users, and run where a panic would take a connection with it: there it
/// is an error like any other. The panic hook has told of it.
fn contained<R>(act: impl FnOnce() -> R) -> Option<R> {
    // What it may leave half done is cut off or dropped.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).ok()
}

const PANICKED: &str = "its serde implementation panicked";

const BASE: Configuration<LittleEndian, Fixint> =
    bincode::config::standard().with_little_endian().with_fixed_int_encoding();

const SMALL: usize = 4 << 10;
const MEDIUM: usize = 256 << 10;
const LARGE: usize = 16 << 20;
/// Larger than any limit that a message can be given.
const HUGE: usize = 4 << 30;

/// Writes to a vector up to a mark.
struct Bounded<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
    full: bool,
}

impl Writer for Bounded<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        if self.end - self.out.len() < bytes.len() {
            self.full = true;
            return Err(bincode::error::EncodeError::Other("too large"));
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        let value = (7_u64, String::from("seven"), vec![Some(1_i8), None]);
        assert_eq!(round_trip(&value), Ok(value));
    }

    #[test]
    fn a_value_over_the_limit_leaves_the_buffer_as_it_was() {
        let mut out = vec![1, 2, 3];
        let error = encode_into(&[0_u64; 4], &mut out, 31).expect_err("32 bytes");
        assert_eq!((error, out), (EncodeError::TooLarge { limit: 31 }, vec![1, 2, 3]));
    }

    #[test]
    fn h06_a_length_that_lies_allocates_nothing() {
        let mut bytes = u64::MAX.to_le_bytes().to_vec();
        bytes.extend_from_slice(b"short");
        assert!(decode::<String>(&bytes).is_err());
        assert!(decode::<Vec<u64>>(&bytes).is_err());
        assert!(decode::<bytes::Bytes>(&bytes).is_err());
    }

    #[test]
    fn bytes_left_over_are_an_error() {
        assert!(matches!(decode::<u8>(&[1, 2]), Err(DecodeError::LeftOver { left: 1, .. })));
    }
}
