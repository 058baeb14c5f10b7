//! Keys and seals: what makes an address a right, and not only a name.
//!
//! A seal is a 128-bit keyed hash over process and actor, under a key of the owning process that nobody but the root and
//! that process knows. Each condition that an address is given is hashed into it, with the seal itself as the key (as
//! macaroons do): so whoever holds an address can narrow it without asking anybody, and nobody can widen one.
//!
//! ```text
//!  key of the root --process--> key of the process --process, slot--> seal of the actor --condition--> seal --condition--> ...
//! ```

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::actor::Slot;
use super::process::ProcessId;

/// What seals are made with. It is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key([u8; Key::BYTES]);

impl Key {
    /// As many as the hash has.
    pub const BYTES: usize = 32;

    /// A key of these bytes, which must be random.
    pub fn new(bytes: [u8; Key::BYTES]) -> Key {
        Key(bytes)
    }

    /// The key of a process, in every life of it.
    #[must_use]
    pub fn of_process(&self, process: ProcessId) -> Key {
        Key(mac(&self.0, b"procession process", &process.0.to_le_bytes()))
    }

    /// The seal of an actor of the process with this key.
    pub fn seal(&self, process: ProcessId, slot: Slot) -> Seal {
        let mut whom = [0; 8];
        whom[..4].copy_from_slice(&process.0.to_le_bytes());
        whom[4..].copy_from_slice(&slot.0.to_le_bytes());
        Seal::of(mac(&self.0, b"procession actor", &whom))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What proves that an address was given, and not guessed. It is never shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seal([u64; 2]);

impl Seal {
    /// Bytes of a seal.
    pub const BYTES: usize = 16;

    fn of(hash: [u8; Key::BYTES]) -> Seal {
        Seal::from_bytes(std::array::from_fn(|at| hash[at]))
    }

    /// The seal of the same address with one more condition.
    #[must_use]
    pub fn narrowed(self, condition: &[u8]) -> Seal {
        Seal::of(mac(&self.to_bytes(), b"procession condition", condition))
    }

    /// As it travels.
    pub fn to_bytes(self) -> [u8; Seal::BYTES] {
        let words = self.0.map(u64::to_le_bytes);
        std::array::from_fn(|at| words[at / 8][at % 8])
    }

    /// What `to_bytes` made.
    pub fn from_bytes(bytes: [u8; Seal::BYTES]) -> Seal {
        Seal([0, 1].map(|word| u64::from_le_bytes(std::array::from_fn(|at| bytes[8 * word + at]))))
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(..)")
    }
}

fn mac(key: &[u8], what: &[u8], value: &[u8]) -> [u8; Key::BYTES] {
    // HMAC takes a key of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .unwrap_or_else(|_| Hmac::<Sha256>::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
    mac.update(what);
    mac.update(value);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a3_every_process_actor_and_condition_has_its_own_seal_and_none_is_shown() {
        let root = Key::new([7; Key::BYTES]);
        let (one, two) = (root.of_process(ProcessId(1)), root.of_process(ProcessId(2)));
        let seal = one.seal(ProcessId(1), Slot(0));
        let others = [
            one.seal(ProcessId(1), Slot(1)),
            one.seal(ProcessId(2), Slot(0)),
            two.seal(ProcessId(1), Slot(0)),
            root.seal(ProcessId(1), Slot(0)),
            seal.narrowed(b""),
            seal.narrowed(b"a"),
            seal.narrowed(b"a").narrowed(b""),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(seal, *other);
            assert!(others[..at].iter().all(|before| before != other));
        }
        assert_eq!(seal, Key::new([7; Key::BYTES]).of_process(ProcessId(1)).seal(ProcessId(1), Slot(0)));
        assert_eq!(Seal::from_bytes(seal.to_bytes()), seal);
        assert_eq!(format!("{root:?} {seal:?}"), "Key(..) Seal(..)");
    }
}
