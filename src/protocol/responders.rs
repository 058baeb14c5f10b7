//! Answers by somebody else than who was asked: what a responder is on the wire, and how its owner knows that it is true.
//!
//! ```text
//!  asker A                      asked B                              C, to whom B sends the responder
//!    Hello {desk, secret} ------->
//!    Call, correlation n -------->  handler keeps the responder
//!                                   sends it: A's desk, n, proof ------->
//!    <------------------------------------------------------- Hold ------ C has it: now C's death is told, not B's
//!    <------------------------------------------------------- Answer ---- once; a second one finds nothing
//!    Released ----------------------------------------------------------> instead, if A waits no longer
//!    <-- Lost -------------------- B, if C died and perhaps did not say Hold
//! ```
//!
//! The proof is a keyed hash of the correlation under the secret that A told B alone, so C can answer what it was given and
//! nothing else, and whoever guesses reaches nothing (X-1).

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::wire::Failure;
use crate::codec::descriptor::Descriptor;
use crate::id::{Incarnation, ProcessId};

/// Which ask of the process that owns the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReplyTicket {
    /// One that it sent to that life of a process.
    Call {
        /// Whom it asked.
        process: ProcessId,
        /// Which life.
        incarnation: Incarnation,
        /// Its number on their connection.
        correlation: u64,
        /// See [`proof`].
        proof: u128,
    },
    /// One of an actor of its own, asked by another.
    Kept {
        /// Its number.
        number: u64,
        /// A keyed hash of it.
        key: u128,
    },
    /// None: who asked did not want to know.
    Nobody,
}

/// A responder as a field of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The address of the asker's desk, encoded by the floor that knows addresses.
    pub desk: Bytes,
    /// Which ask.
    pub ticket: ReplyTicket,
    /// How often it was sent on before it came to who has this.
    pub hand: u32,
}

/// Whoever sends this has the responder now. Of several the one counts through whose hands it went last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Of which ask.
    pub ticket: ReplyTicket,
    /// As in its [`Place`].
    pub hand: u32,
    /// Which life of the process that says so.
    pub life: Incarnation,
}

/// Whoever sends this gave the responder to a process that has ended, and may not have said that it has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Of which ask.
    pub ticket: ReplyTicket,
    /// As in the [`Place`] that went there.
    pub hand: u32,
    /// Who that was, if it ever lived.
    pub holder: Option<(ProcessId, Incarnation)>,
    /// How it ended.
    pub failure: Failure,
}

/// Nobody waits for that answer any more: its time is up, who asked has dropped it, or somebody else has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released(pub ReplyTicket);

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    /// To which ask.
    pub ticket: ReplyTicket,
    /// The reply, encoded, or why there is none.
    pub result: Result<Bytes, Failure>,
    /// Those of the reply.
    pub descriptors: Vec<Descriptor>,
}

/// The address of a desk is short; a longer one is none.
pub const MOST_DESK_BYTES: usize = 256;

/// What only the asker and the asked can know of a call: they alone have the secret of their connection.
pub fn proof(secret: u128, correlation: u64) -> u128 {
    let mut hash =
        <Hmac<Sha256> as KeyInit>::new_from_slice(&secret.to_le_bytes()).expect("a key of any length is one");
    hash.update(&correlation.to_le_bytes());
    let hash = hash.finalize().into_bytes();
    hash.iter().take(16).fold(0, |proof, byte| proof << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_of_one_call_of_one_connection() {
        let one = proof(7, 1);
        assert_eq!(one, proof(7, 1));
        assert_ne!(one, proof(7, 2));
        assert_ne!(one, proof(8, 1));
        assert!(one > u128::from(u64::MAX), "all of its bits are used");
    }
}
