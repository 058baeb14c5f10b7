//! The frame on the wire: that of Python's `multiprocessing.connection.Connection`.
//!
//! ```text
//! length <= 0x7fff_ffff    | i32 big-endian: length | body ...
//! length >  0x7fff_ffff    | i32 big-endian: -1     | u64 big-endian: length | body ...
//! ```
//!
//! Any other negative number is refused. Python reads it as an empty message, so that the two sides then
//! disagree about where the next one begins (H6).

/// Bytes of the header of almost every message.
pub const SHORT_HEADER_BYTES: usize = 4;
/// Bytes of the header of a message longer than `i32::MAX`.
pub const LONG_HEADER_BYTES: usize = 12;
/// The longest body that a short header can announce.
pub const SHORT_BODY_MAX: usize = 0x7fff_ffff;

/// A header that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the header itself.
    pub header_bytes: usize,
    /// Bytes that follow it.
    pub body_bytes: u64,
}

/// What the next bytes of a stream announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A header.
    Header(Header),
    /// More bytes are needed to know.
    Incomplete,
    /// No header: a negative length other than -1.
    Negative(i32),
}

/// Reads the header at the start of `bytes`.
#[inline]
pub fn parse(bytes: &[u8]) -> Parsed {
    let Some((first, rest)) = bytes.split_first_chunk::<SHORT_HEADER_BYTES>() else {
        return Parsed::Incomplete;
    };
    match i32::from_be_bytes(*first) {
        -1 => match rest.first_chunk::<8>() {
            Some(length) => Parsed::Header(Header {
                header_bytes: LONG_HEADER_BYTES,
                body_bytes: u64::from_be_bytes(*length),
            }),
            None => Parsed::Incomplete,
        },
        length => match u64::try_from(length) {
            Ok(body_bytes) => Parsed::Header(Header { header_bytes: SHORT_HEADER_BYTES, body_bytes }),
            Err(_) => Parsed::Negative(length),
        },
    }
}

/// A header to be written: [`Encoded::as_bytes`].
#[derive(Clone, Copy, Debug)]
pub struct Encoded {
    bytes: [u8; LONG_HEADER_BYTES],
    length: usize,
}

impl Encoded {
    /// The bytes that go before a body.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The header for a body of that many bytes.
#[inline]
pub fn encode(body_bytes: usize) -> Encoded {
    let mut bytes = [0xff; LONG_HEADER_BYTES];
    match i32::try_from(body_bytes) {
        Ok(short) => {
            bytes[..SHORT_HEADER_BYTES].copy_from_slice(&short.to_be_bytes());
            Encoded { bytes, length: SHORT_HEADER_BYTES }
        }
        Err(_) => {
            bytes[SHORT_HEADER_BYTES..].copy_from_slice(&(body_bytes as u64).to_be_bytes());
            Encoded { bytes, length: LONG_HEADER_BYTES }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_python() {
        assert_eq!(encode(0).as_bytes(), [0, 0, 0, 0]);
        assert_eq!(encode(16385).as_bytes(), [0, 0, 0x40, 1]);
        assert_eq!(encode(SHORT_BODY_MAX).as_bytes(), [0x7f, 0xff, 0xff, 0xff]);
        let long = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x80, 0, 0, 0];
        assert_eq!(encode(SHORT_BODY_MAX + 1).as_bytes(), long);
    }

    #[test]
    fn what_is_encoded_is_parsed() {
        for body in [0, 1, 16384, SHORT_BODY_MAX, SHORT_BODY_MAX + 1, 1 << 40] {
            let header = encode(body);
            let bytes = header.as_bytes();
            let expected = Header { header_bytes: bytes.len(), body_bytes: body as u64 };
            assert_eq!(parse(bytes), Parsed::Header(expected));
            for cut in 0..bytes.len() {
                assert_eq!(parse(&bytes[..cut]), Parsed::Incomplete);
            }
        }
    }

    #[test]
    fn h06_negative_lengths_are_refused() {
        assert_eq!(parse(&(-2_i32).to_be_bytes()), Parsed::Negative(-2));
        assert_eq!(parse(&i32::MIN.to_be_bytes()), Parsed::Negative(i32::MIN));
    }
}
