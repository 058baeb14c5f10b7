//! Large bytes as fields of messages, sent from where they are and kept where they came.
//!
//! serde shows a format the bytes of a [`Bytes`], not who owns them, so on their way to another process they are copied
//! into the message, and out of it again: for large ones that costs as much as the way through the kernel. With
//!
//! ```
//! # use bytes::Bytes;
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Frame {
//!     number: u64,
//!     #[serde(with = "procession::codec::bytes")]
//!     pixels: Bytes,
//! }
//! # let frame = Frame { number: 1, pixels: vec![7; 100_000].into() };
//! # assert_eq!(procession::codec::round_trip(&frame).map(|frame| frame.pixels), Ok(frame.pixels));
//! ```
//!
//! neither is done where they are [`LEAST_BYTES`] or more: the message shares them with whoever has them here until they have
//! left, and the field of the received message is a part of the buffer that it was received in. The bytes on the way are those
//! of the field without `with`, so that either side can have it alone.
//!
//! Where the field is less than half of that buffer, it is a copy all the same: else a field that is kept would keep a message
//! that is much larger than itself. At-least-once messages and items of streams are copied as ever.
//!
//! A message counts the length of its fields in its window. Where a field is a small part of something large, it keeps all of that
//! until it has left: copy such parts.

use std::cell::Cell;
use std::fmt;
use std::thread::LocalKey;

use bytes::Bytes;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::Serializer;

use super::spare;
use crate::sys::buffer::Buffer;

/// Fewer bytes are copied: with less than a frame of them a message leaves with others, and a copy costs less than to
/// keep count of who shares them.
pub const LEAST_BYTES: usize = 32 << 10;

/// For `#[serde(with = "procession::codec::bytes")]` on a field of type [`Bytes`].
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    if bytes.len() < LEAST_BYTES {
        return serializer.serialize_bytes(bytes);
    }
    let _outer = Outer { place: &OFFERED, value: OFFERED.replace(Some(bytes.clone())) };
    serializer.serialize_bytes(bytes)
}

/// For `#[serde(with = "procession::codec::bytes")]` on a field of type [`Bytes`].
///
/// # Errors
/// Those of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    deserializer.deserialize_bytes(Reader)
}

/// The owner of these bytes, if they are just those that [`serialize`] shows its serializer.
pub(super) fn offered(bytes: &[u8]) -> Option<Bytes> {
    if bytes.len() < LEAST_BYTES {
        return None;
    }
    OFFERED.take().filter(|offered| offered.as_ptr_range() == bytes.as_ptr_range())
}

/// Runs `decode`, of whose bytes fields may keep parts. The buffer is spare when nothing keeps any more of it.
pub(super) fn keeping<R>(received: Buffer, decode: impl FnOnce(&[u8]) -> R) -> R {
    let capacity = received.capacity();
    let bytes = Bytes::from_owner(Owner(received));
    let received = Received { bytes: bytes.clone(), capacity };
    let _outer = Outer { place: &RECEIVED, value: RECEIVED.replace(Some(received)) };
    decode(&bytes)
}

thread_local! {
    /// What a serializer is just shown.
    static OFFERED: Cell<Option<Bytes>> = const { Cell::new(None) };
    /// What is just decoded.
    static RECEIVED: Cell<Option<Received>> = const { Cell::new(None) };
}

struct Received {
    bytes: Bytes,
    /// Of the buffer that they are in.
    capacity: usize,
}

impl Received {
    /// These bytes without a copy, if they are among those, large, and a good part of what would be kept for them.
    fn part(&self, bytes: &[u8]) -> Option<Bytes> {
        let (all, part) = (self.bytes.as_ptr_range(), bytes.as_ptr_range());
        let is_part = all.start <= part.start && part.end <= all.end;
        let is_worth_it = bytes.len() >= LEAST_BYTES && bytes.len() >= self.capacity / 2;
        (is_part && is_worth_it).then(|| self.bytes.slice_ref(bytes))
    }
}

struct Owner(Buffer);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        spare::give(std::mem::take(&mut self.0));
    }
}

/// What was in a place before, put back when what is there now is done with, or by a panic.
struct Outer<T: 'static> {
    place: &'static LocalKey<Cell<Option<T>>>,
    value: Option<T>,
}

impl<T> Drop for Outer<T> {
    fn drop(&mut self) {
        self.place.set(self.value.take());
    }
}

/// Takes whatever a [`Bytes`] takes.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Bytes;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("bytes")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Bytes, E> {
        let received = RECEIVED.take();
        let part = received.as_ref().and_then(|received| received.part(bytes));
        RECEIVED.set(received);
        Ok(part.unwrap_or_else(|| Bytes::copy_from_slice(bytes)))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
        Ok(bytes.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
        self.visit_bytes(text.as_bytes())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Bytes, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(sequence)).map(Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf;
    use serde::Serialize;

    use super::super::{Body, DecodeError, Encoded, decode, encode, encode_or_apart};
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Frame {
        number: u64,
        #[serde(with = "super")]
        pixels: Bytes,
        name: String,
    }

    fn frame(bytes: usize) -> Frame {
        Frame { number: 7, pixels: (0..=250).cycle().take(bytes).collect(), name: "seven".into() }
    }

    fn bytes_of<T: Serialize>(value: &T) -> Vec<u8> {
        encode(value, 1 << 30).expect("encodes")
    }

    #[test]
    fn the_bytes_on_the_way_are_those_of_the_field_alone() {
        for bytes in [0, 5, LEAST_BYTES - 1, LEAST_BYTES, 1_000_000] {
            let frame = frame(bytes);
            let plain = bytes_of(&(frame.number, &frame.pixels, &frame.name));
            assert_eq!(bytes_of(&frame), plain, "in one piece");
            let (apart, _) = encode_or_apart(&frame, &mut Vec::new(), (1 << 30, 10), 0).expect("encodes");
            let mut apart = apart.expect("more than a few bytes");
            assert_eq!(apart.copy_to_bytes(apart.remaining()), plain, "in several");
            assert_eq!(decode::<Frame>(&plain), Ok(frame));
        }
    }

    #[test]
    fn large_bytes_are_lent_and_small_ones_are_not() {
        for (bytes, is_lent) in [(LEAST_BYTES - 1, false), (LEAST_BYTES, true)] {
            let frame = frame(bytes);
            let (apart, _) = encode_or_apart(&frame, &mut Vec::new(), (1 << 30, 100), 0).expect("encodes");
            assert_eq!(!frame.pixels.is_unique(), is_lent);
            drop(apart);
            assert!(frame.pixels.is_unique(), "nobody keeps them");
        }
        let error = encode_or_apart(&frame(100_000), &mut Vec::new(), (100_020, 100), 0);
        assert!(error.is_err(), "what is lent counts");
    }

    #[test]
    fn only_what_is_shown_is_taken_and_nothing_stays_behind() {
        let (shown, other) = (vec![1; LEAST_BYTES], vec![1; LEAST_BYTES]);
        let offer = |bytes: &Bytes| Outer { place: &OFFERED, value: OFFERED.replace(Some(bytes.clone())) };
        let bytes = Bytes::from(shown);
        let offered = offer(&bytes);
        assert_eq!(super::offered(&other), None, "equal, and not the same");
        assert_eq!(super::offered(&bytes), None, "one chance");
        drop(offered);
        let offered = offer(&bytes);
        assert!(super::offered(&bytes).is_some());
        drop(offered);
        let unwound = std::panic::catch_unwind(|| {
            let _offered = offer(&bytes);
            panic!("in a serializer")
        });
        assert!(unwound.is_err());
        assert!(bytes.is_unique());
    }

    #[test]
    fn a_field_is_a_part_of_what_was_received_where_it_is_most_of_it() {
        let received = |value: &[u8]| {
            let mut buffer = Buffer::with_capacity(value.len());
            buffer.extend_from_slice(value);
            buffer
        };
        let decoded = |buffer: Buffer| {
            let range = buffer.as_ptr_range();
            let frame: Frame =
                Encoded { bytes: Body::Owned(buffer), descriptors: Vec::new() }.decode().expect("decodes");
            (range.contains(&frame.pixels.as_ptr()), frame)
        };
        let whole = frame(100_000);
        let (is_part, read) = decoded(received(&bytes_of(&whole)));
        assert_eq!((is_part, &read), (true, &whole));
        assert_eq!(read.pixels.slice(5..).len(), 99_995, "it outlives the message");

        let small_part = Frame { name: "x".repeat(120_000), ..frame(100_000) };
        let (is_part, read) = decoded(received(&bytes_of(&small_part)));
        assert_eq!((is_part, read), (false, small_part), "else it would keep more than itself");

        let mut wide = Buffer::with_capacity(1_000_000);
        wide.extend_from_slice(&bytes_of(&whole));
        assert!(!decoded(wide).0, "nor a large buffer");
    }

    #[test]
    fn h06_bytes_that_lie_about_their_length_are_refused() {
        let mut bytes = bytes_of(&frame(100_000));
        bytes[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
        let buffer = Encoded { bytes: bytes.into(), descriptors: Vec::new() };
        assert!(matches!(buffer.decode::<Frame>(), Err(DecodeError::Value { .. })));
    }

    #[test]
    fn they_are_what_they_are_in_formats_with_names_as_well() {
        let frame = frame(300);
        let json = serde_json::to_string(&frame).expect("JSON");
        assert_eq!(serde_json::from_str::<Frame>(&json).expect("JSON"), frame);
        let text: Frame =
            serde_json::from_str(r#"{"number": 1, "pixels": "text", "name": ""}"#).expect("JSON");
        assert_eq!(text.pixels, "text");
    }
}
