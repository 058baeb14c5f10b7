//! The text form of an address, for files and command lines: whom it names, for people; everything, for programs.
//!
//! ```text
//!  procession:2#1/+0:9f0c...e1
//!             |      '-- run of the root (8 bytes), head, the address, checksum (4 bytes), in hexadecimal digits
//!             '-- process 2 in its first life, the first actor that it exported
//! ```
//!
//! No name of an actor contains a colon, so text and names can stand in the same places. The text is as good as the
//! address: who reads it may send.

use sha2::{Digest, Sha256};

use super::capability::Capability;

/// What the text of every address begins with.
pub const ADDRESS_PREFIX: &str = "procession:";

const RUN_BYTES: usize = 8;
const CHECK_BYTES: usize = 4;

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressTextError {
    /// It is neither a name nor the text of an address.
    #[error("{0:?} is neither the name of an actor nor an address as text")]
    NotAnAddress(String),
    /// Some of it is missing, or was changed.
    #[error("the text of the address is damaged: {0}")]
    Damaged(&'static str),
    /// It was written while another root ran. Addresses end with the run; names go on.
    #[error(
        "the address is of another run of the topology, which is over: keep the names of declared actors instead"
    )]
    OtherRun,
}

/// Writes an address of this run, with the upper bits of its head.
pub fn to_text(run: u64, head: u8, address: &Capability) -> String {
    let mut bytes = run.to_le_bytes().to_vec();
    bytes.extend(address.to_wire(head));
    bytes.extend(text_check(&bytes));
    let mut text = format!("{ADDRESS_PREFIX}{}:", address.id());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
    text
}

/// Reads what `to_text` wrote: the run, the upper bits of the head, the address.
///
/// # Errors
/// It is damaged, or no address.
pub fn of_text(text: &str) -> Result<(u64, u8, Capability), AddressTextError> {
    let shown = || AddressTextError::NotAnAddress(text.chars().take(80).collect());
    let (shows, digits) =
        text.strip_prefix(ADDRESS_PREFIX).ok_or_else(shown)?.rsplit_once(':').ok_or_else(shown)?;
    let bytes =
        bytes_of(digits).ok_or(AddressTextError::Damaged("what follows the last colon are no bytes"))?;
    let (bytes, check) =
        bytes.split_last_chunk::<CHECK_BYTES>().ok_or(AddressTextError::Damaged("it is too short"))?;
    if text_check(bytes) != *check {
        return Err(AddressTextError::Damaged("its checksum is wrong"));
    }
    let (run, wire) =
        bytes.split_first_chunk::<RUN_BYTES>().ok_or(AddressTextError::Damaged("it is too short"))?;
    let (head, address) = Capability::of_wire(wire).ok_or(AddressTextError::Damaged("it is no address"))?;
    if address.id().to_string() != shows {
        return Err(AddressTextError::Damaged("it shows another actor than it names"));
    }
    Ok((u64::from_le_bytes(*run), head, address))
}

/// What shows that a text was not changed by accident.
pub fn text_check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = Sha256::digest(bytes);
    std::array::from_fn(|at| hash[at])
}

/// Anything longer is no address.
const MAX_DIGITS: usize = 2 * (RUN_BYTES + Capability::MAX_BYTES + CHECK_BYTES);

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    if digits.len() > MAX_DIGITS || !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks_exact(2).map(|two| Some(digit(two[0])? << 4 | digit(two[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Condition, Incarnation, Key, ProcessId, Slot};
    use super::*;

    fn address() -> Capability {
        let key = Key::new([3; Key::BYTES]).of_process(ProcessId(2));
        let full = Capability::mint(&key, ProcessId(2), Slot::FIRST_DYNAMIC);
        full.narrowed(Condition::Life(Incarnation(1))).expect("room")
    }

    #[test]
    fn a2_an_address_as_text_comes_back_and_every_changed_letter_is_found() {
        let text = to_text(77, 32, &address());
        assert!(text.starts_with("procession:2#1/+0:"), "{text}");
        assert_eq!(of_text(&text), Ok((77, 32, address())));
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'5' { b'6' } else { b'5' };
            let changed = String::from_utf8(changed).expect("letters");
            assert!(of_text(&changed).is_err(), "{changed}");
            assert!(of_text(&text[..at]).is_err(), "{}", &text[..at]);
        }
        for nonsense in
            ["", "counter", "procession:", "procession::", "procession:1/0:zz", "procession:1/0:ö"]
        {
            assert!(of_text(nonsense).is_err(), "{nonsense}");
        }
    }
}
