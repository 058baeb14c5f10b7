//! Names as they travel in addresses: as they are, or, where they are long, by a hash, so that an address has a limit.
//!
//! ```text
//!  length (1 byte, at most 32), the name          or        255, the first 16 bytes of its SHA-256
//! ```
//!
//! A hash is resolved by whoever knows names that it may be of: a process among those that it may look up, the root among
//! the groups that it has heard of. It is as long as a seal, so nobody finds another name that has it. Where it is not
//! resolved it stands for the name as a text, `#` and 32 digits, which is no name.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::capability::Raw;

/// Longer names travel as a hash. An address of a group has 15 bytes beside its name, and 48 is the most for any.
pub const MAX_WHOLE_NAME_BYTES: usize = 32;

const HASH_BYTES: usize = 16;
const HASHED: u8 = 255;
const MARK: char = '#';

/// The name by which an address has it: itself, or what stands for a long one.
pub fn short_name(name: &str) -> Cow<'_, str> {
    if name.len() <= MAX_WHOLE_NAME_BYTES || is_hashed(name) {
        return name.into();
    }
    let hash = Sha256::digest(name.as_bytes());
    text_of(&hash[..HASH_BYTES]).into()
}

/// Whether this stands for a name that is not known.
pub fn is_hashed(name: &str) -> bool {
    hash_of(name).is_some()
}

fn text_of(hash: &[u8]) -> String {
    let mut text = String::from(MARK);
    for byte in hash {
        text.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
    }
    text
}

fn hash_of(text: &str) -> Option<[u8; HASH_BYTES]> {
    let digits = text.strip_prefix(MARK)?.as_bytes();
    let mut hash = [0; HASH_BYTES];
    if digits.len() != 2 * HASH_BYTES {
        return None;
    }
    for (byte, two) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        *byte = digit(two[0])? << 4 | digit(two[1])?;
    }
    Some(hash)
}

/// A name on its way. What is read is the name, or the text that stands for it; whether it is a name is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortName(pub String);

impl Serialize for ShortName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let short = short_name(&self.0);
        let mut bytes = [0; 1 + MAX_WHOLE_NAME_BYTES];
        let length = match hash_of(&short) {
            Some(hash) => {
                bytes[0] = HASHED;
                bytes[1..=HASH_BYTES].copy_from_slice(&hash);
                HASH_BYTES
            }
            None => {
                bytes[0] = u8::try_from(short.len()).map_err(serde::ser::Error::custom)?;
                bytes[1..=short.len()].copy_from_slice(short.as_bytes());
                short.len()
            }
        };
        Raw(&bytes[..=length]).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ShortName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ShortName, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = ShortName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name, or what stands for one")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<ShortName, S::Error> {
                let mut next =
                    || seq.next_element::<u8>()?.ok_or_else(|| S::Error::custom("a name ends early"));
                let said = next()?;
                let length = if said == HASHED { HASH_BYTES } else { usize::from(said) };
                if length > MAX_WHOLE_NAME_BYTES {
                    return Err(S::Error::custom("a name in an address can't be so long"));
                }
                let bytes = (0..length).map(|_| next()).collect::<Result<Vec<u8>, _>>()?;
                if said == HASHED {
                    return Ok(ShortName(text_of(&bytes)));
                }
                String::from_utf8(bytes).map(ShortName).map_err(S::Error::custom)
            }
        }
        deserializer.deserialize_tuple(1 + MAX_WHOLE_NAME_BYTES, Bytes)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// In a format that writes what serde gives it, and nothing more.
    fn written(name: &str) -> Vec<Value> {
        let value = serde_json::to_value(ShortName(name.to_owned())).expect("it is written");
        value.as_array().expect("bytes").clone()
    }

    fn read(wire: &[Value]) -> Option<ShortName> {
        serde_json::from_value(wire.into()).ok()
    }

    #[test]
    fn a2_a_name_in_an_address_is_at_most_33_bytes_and_comes_back() {
        let long = "x".repeat(64);
        for (name, bytes) in [("counter", 8), (&long[..32], 33), (&long[..33], 17), (&long, 17)] {
            let wire = written(name);
            let back = read(&wire).expect("it is read");
            assert_eq!((wire.len(), &*back.0), (bytes, &*short_name(name)));
            // What stands for a name is handed on as it is.
            assert_eq!(written(&back.0), wire);
            assert_eq!(is_hashed(&back.0), name.len() > 32);
        }
        assert_ne!(short_name(&long), short_name(&long[..63]));
        for nonsense in ["", "#", "counter", "#0g000000000000000000000000000000", "#00"] {
            assert!(!is_hashed(nonsense), "{nonsense}");
        }
        let mut wire = written("counter");
        wire[0] = json!(33);
        assert_eq!(read(&wire), None, "a length that lies");
    }
}
