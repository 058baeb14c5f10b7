//! The one place that knows how values become bytes: bincode 2.0.1, little-endian, fixed-width integers.
//!
//! Fixed width, because then a decoder's byte budget can be exact: a length that claims more than the bytes
//! that are there is refused before anything is allocated for it (H6, X-1). bincode is no longer maintained and
//! its 3.0.0 does not compile; the day it is replaced, this file changes and no other.
//!
//! bincode is not self-describing: `#[serde(flatten)]`, `untagged`, `skip_serializing_if` and internally tagged
//! enums do not survive it (H55). `deserialize_any` is refused with an error, [`round_trip`] finds the others.

pub mod bytes;
pub mod descriptor;
pub(crate) mod lent;
pub(crate) mod pieces;
pub mod shape;
pub mod spare;

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ::bytes::Buf;
use bincode::config::{Configuration, Fixint, LittleEndian};
use bincode::enc::write::Writer;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::descriptor::{Carried, MAX_DESCRIPTORS, Sent};
use self::pieces::Pieces;
use crate::sys::buffer::Buffer;

/// A value as it travels: its bytes, and the descriptors that its fields name.
///
/// Dropping it closes the descriptors.
#[derive(Debug, PartialEq, Eq)]
pub struct Encoded<'a> {
    /// The bytes.
    pub bytes: Body<'a>,
    /// The descriptors, each at the place that a field in the bytes names.
    pub descriptors: Vec<Carried>,
}

impl Encoded<'_> {
    /// With bytes of its own.
    pub fn into_owned(self) -> Encoded<'static> {
        Encoded { bytes: Body::Owned(self.bytes.into_owned()), descriptors: self.descriptors }
    }

    /// The value. Descriptors that it does not claim are closed.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, DecodeError> {
        descriptor::receiving(self.descriptors, || match self.bytes {
            Body::Owned(received) if received.len() > bytes::LEAST_BYTES => bytes::keeping(received, decode),
            received => decode(&received),
        })
    }
}

/// The bytes of an encoded value.
#[derive(Debug)]
pub enum Body<'a> {
    /// Where they were received.
    Borrowed(&'a [u8]),
    /// By themselves.
    Owned(Buffer),
}

impl Body<'_> {
    /// By themselves.
    pub fn into_owned(self) -> Buffer {
        match self {
            Body::Borrowed(bytes) => bytes.to_vec().into(),
            Body::Owned(bytes) => bytes,
        }
    }

    /// Without the bytes behind so many.
    pub fn truncate(&mut self, length: usize) {
        match self {
            Body::Borrowed(bytes) => *bytes = &bytes[..length.min(bytes.len())],
            Body::Owned(bytes) => bytes.truncate(length),
        }
    }
}

impl Deref for Body<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Body::Borrowed(bytes) => bytes,
            Body::Owned(bytes) => bytes,
        }
    }
}

impl PartialEq for Body<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Body<'_> {}

impl<'a> From<&'a [u8]> for Body<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Body::Borrowed(bytes)
    }
}

impl From<Vec<u8>> for Body<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Body::Owned(bytes.into())
    }
}

/// A value on its way to a peer: as [`Encoded`], in pieces.
///
/// Dropping it closes the descriptors.
#[derive(Debug, Default)]
pub struct Packed {
    pub(crate) bytes: Pieces,
    pub(crate) descriptors: Vec<Carried>,
}

impl Packed {
    /// In one piece.
    pub fn new(encoded: Vec<u8>, descriptors: Vec<Carried>) -> Packed {
        Packed { bytes: Buffer::from(encoded).into(), descriptors }
    }

    /// A copy, with room for what is put behind a message.
    pub fn copy_from(encoded: &[u8], descriptors: Vec<Carried>) -> Packed {
        let mut bytes = Buffer::with_capacity(encoded.len() + BEHIND_BYTES);
        bytes.extend_from_slice(encoded);
        Packed { bytes: bytes.into(), descriptors }
    }
}

impl<'a> From<&'a [u8]> for Encoded<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Encoded { bytes: bytes.into(), descriptors: Vec::new() }
    }
}

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
    let apart = encode_near(value, out, (limit_bytes, usize::MAX))?;
    debug_assert!(apart.is_none(), "everything is near");
    Ok(())
}

/// As [`encode_into`], but what becomes more than `near_bytes` is apart and `out` is as it was.
#[inline(always)]
fn encode_near<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    (limit_bytes, near_bytes): (usize, usize),
) -> Result<Option<Pieces>, EncodeError> {
    let start = out.len();
    let end = start.saturating_add(limit_bytes.min(near_bytes));
    let mut writer = Near { end, out, start, limit_bytes, apart: None, full: false };
    let encode = || bincode::serde::encode_into_writer(value, &mut writer, BASE);
    let reason = match catch_unwind(AssertUnwindSafe(encode)) {
        Ok(Ok(())) => return Ok(writer.apart),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "its Serialize panicked".to_owned(),
    };
    let full = writer.full;
    drop(writer.apart);
    out.truncate(start);
    Err(if full { EncodeError::TooLarge { limit: limit_bytes } } else { EncodeError::Value(cut(reason)) })
}

/// As [`encode_into`], and gives the descriptors of the value: at most so many, else it is an error.
pub fn encode_with_descriptors<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    limit_bytes: usize,
    most: usize,
) -> Result<Vec<Carried>, EncodeError> {
    encode_to_send((value, Sent::Once), out, limit_bytes, most)
}

/// As [`encode_with_descriptors`], but what becomes more than `near_bytes` is returned apart, with large bytes from where
/// they are, and `out` is as it was.
#[inline(always)]
pub(crate) fn encode_or_apart<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    (limit_bytes, near_bytes): (usize, usize),
    most: usize,
) -> Result<(Option<Pieces>, Vec<Carried>), EncodeError> {
    let encode = || encode_near(value, out, (limit_bytes, near_bytes));
    let (encoded, descriptors) = descriptor::sending(most, Sent::Once, encode);
    encoded.map(|apart| (apart, descriptors))
}

/// As [`encode_with_descriptors`], for bytes that may be sent again and again: what can be had once only is not in them.
pub(crate) fn encode_to_keep<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    limit_bytes: usize,
    most: usize,
) -> Result<Vec<Carried>, EncodeError> {
    encode_to_send((value, Sent::Again), out, limit_bytes, most)
}

#[inline]
fn encode_to_send<T: Serialize + ?Sized>(
    (value, sent): (&T, Sent),
    out: &mut Vec<u8>,
    limit_bytes: usize,
    most: usize,
) -> Result<Vec<Carried>, EncodeError> {
    let (encoded, descriptors) = descriptor::sending(most, sent, || encode_into(value, out, limit_bytes));
    encoded.map(|()| descriptors)
}

/// More than a trace, a right and a numbering have.
const BEHIND_BYTES: usize = 128;

/// What a user's type says about itself is cut there, so that it always fits where it is told.
const MAX_REASON_BYTES: usize = 1 << 10;

pub(crate) fn cut(mut reason: String) -> String {
    let mut end = reason.len().min(MAX_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    reason
}

/// The bytes of `value`.
pub fn encode<T: Serialize + ?Sized>(value: &T, limit_bytes: usize) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    encode_into(value, &mut out, limit_bytes)?;
    Ok(out)
}

/// The value that these bytes, all of them, are.
///
/// Allocates at most in proportion to `bytes.len()`, and for each list up to 1 MiB that it merely claims.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let type_name = std::any::type_name::<T>();
    let bad = |reason| DecodeError::Value { type_name, reason: cut(reason) };
    match catch_unwind(AssertUnwindSafe(|| decode_within_budget(bytes))) {
        Ok(Ok((value, read))) if read == bytes.len() => Ok(value),
        Ok(Ok((_, read))) => Err(DecodeError::LeftOver { type_name, left: bytes.len() - read }),
        Ok(Err(error)) => Err(bad(error.to_string())),
        Err(_) => Err(bad("its Deserialize panicked".to_owned())),
    }
}

fn decode_within_budget<T: DeserializeOwned>(
    bytes: &[u8],
) -> Result<(T, usize), bincode::error::DecodeError> {
    // The budget is a constant of the decoder's type, so the next larger of a few is taken. The bytes are lent to the value,
    // whose fields may keep parts of them (`bytes.rs`).
    match bytes.len() {
        length if length <= SMALL => {
            bincode::serde::borrow_decode_from_slice(bytes, BASE.with_limit::<SMALL>())
        }
        length if length <= MEDIUM => {
            bincode::serde::borrow_decode_from_slice(bytes, BASE.with_limit::<MEDIUM>())
        }
        length if length <= LARGE => {
            bincode::serde::borrow_decode_from_slice(bytes, BASE.with_limit::<LARGE>())
        }
        _ => bincode::serde::borrow_decode_from_slice(bytes, BASE.with_limit::<HUGE>()),
    }
}

/// Encodes and decodes a value: for tests of message types, which find with it what bincode can't carry (H55).
///
/// # Errors
/// As text, whichever half failed.
pub fn round_trip<T: Serialize + DeserializeOwned>(value: &T) -> Result<T, String> {
    let mut bytes = Vec::new();
    let descriptors = encode_with_descriptors(value, &mut bytes, HUGE, MAX_DESCRIPTORS)
        .map_err(|error| error.to_string())?;
    Encoded { bytes: bytes.into(), descriptors }.decode().map_err(|error| error.to_string())
}

const BASE: Configuration<LittleEndian, Fixint> =
    bincode::config::standard().with_little_endian().with_fixed_int_encoding();

const SMALL: usize = 4 << 10;
const MEDIUM: usize = 256 << 10;
const LARGE: usize = 16 << 20;
/// Larger than any limit that a message can be given.
const HUGE: usize = 4 << 30;

/// Writes to a vector up to a mark, and goes on from there apart.
struct Near<'a> {
    out: &'a mut Vec<u8>,
    /// Where the value begins in it.
    start: usize,
    /// The mark.
    end: usize,
    limit_bytes: usize,
    /// Everything, once it is beyond the mark.
    apart: Option<Pieces>,
    full: bool,
}

impl Writer for Near<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        if self.apart.is_some() || self.end - self.out.len() < bytes.len() {
            return self.write_apart(bytes);
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

impl Near<'_> {
    fn write_apart(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        let held = self.apart.as_ref().map_or(self.out.len() - self.start, Pieces::remaining);
        if self.limit_bytes - held < bytes.len() {
            self.full = true;
            return Err(bincode::error::EncodeError::Other("too large"));
        }
        let lent = bytes::offered(bytes);
        let (out, start) = (&mut *self.out, self.start);
        let apart = self.apart.get_or_insert_with(|| {
            let mut apart = match lent {
                Some(_) => Buffer::with_capacity(held),
                None => spare::take(held + bytes.len()),
            };
            apart.extend_from_slice(&out[start..]);
            out.truncate(start);
            apart.into()
        });
        match lent {
            Some(lent) => apart.push_lent(lent),
            None => apart.push(bytes),
        }
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
    fn what_is_too_large_to_be_near_is_whole_elsewhere() {
        let mut out = vec![1, 2, 3];
        let mut encode = |value: &[u16], limits| {
            encode_or_apart(value, &mut out, limits, 0)
                .map(|(apart, _)| apart.map(|apart| apart.chunk().to_vec()))
        };
        let value: Vec<u16> = (0..500).collect();
        let whole = encode_with(&value);
        for near in [0, 7, 8, 500, whole.len() - 1] {
            assert_eq!(encode(&value, (whole.len(), near)), Ok(Some(whole.clone())), "{near} bytes near");
        }
        let error = encode(&value, (whole.len() - 1, 500)).expect_err("a byte too many, apart");
        assert_eq!(error, EncodeError::TooLarge { limit: whole.len() - 1 });
        assert_eq!(encode(&value, (whole.len(), whole.len())), Ok(None));
        assert_eq!(
            (&out[..3], &out[3..]),
            (&[1, 2, 3][..], &whole[..]),
            "once, near, and nothing of the others"
        );
    }

    fn encode_with(value: &[u16]) -> Vec<u8> {
        encode(value, HUGE).expect("numbers encode")
    }

    #[test]
    fn h06_a_length_that_lies_allocates_nothing() {
        let mut bytes = u64::MAX.to_le_bytes().to_vec();
        bytes.extend_from_slice(b"short");
        assert!(decode::<String>(&bytes).is_err());
        assert!(decode::<Vec<u64>>(&bytes).is_err());
        assert!(decode::<::bytes::Bytes>(&bytes).is_err());
    }

    #[derive(serde::Deserialize, Debug)]
    #[serde(from = "u8")]
    struct Picky;

    impl From<u8> for Picky {
        fn from(_: u8) -> Picky {
            panic!("never satisfied")
        }
    }

    impl Serialize for Picky {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let _ = serde::ser::SerializeStruct::serialize_field::<u8>(
                &mut serializer.serialize_struct("Picky", 2)?,
                "a",
                &7,
            );
            panic!("never satisfied")
        }
    }

    #[test]
    fn h07_a_type_that_panics_is_an_error_and_leaves_the_buffer_as_it_was() {
        assert!(
            matches!(decode::<Picky>(&[1]), Err(DecodeError::Value { reason, .. }) if reason.contains("panicked"))
        );
        let mut out = vec![1, 2, 3];
        assert!(matches!(encode_into(&Picky, &mut out, 100), Err(EncodeError::Value(_))));
        assert_eq!(out, [1, 2, 3]);
    }

    #[test]
    fn bytes_left_over_are_an_error() {
        assert!(matches!(decode::<u8>(&[1, 2]), Err(DecodeError::LeftOver { left: 1, .. })));
    }
}
