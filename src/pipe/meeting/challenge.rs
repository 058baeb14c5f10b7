//! The digests of Python's challenge, without I/O.
//!
//! ```text
//!                         up to Python 3.11                 from Python 3.12 on
//!   challenge             #CHALLENGE# + 20 random bytes     #CHALLENGE# + {sha256} + 40 random bytes
//!   answer                16 bytes: HMAC-MD5                {sha256} + 32 bytes: HMAC-SHA256
//!   verdict               #WELCOME# or #FAILURE#            the same
//! ```
//!
//! The digest is over all that follows `#CHALLENGE#`, the name in braces included, so that nobody in between
//! can change the name. An old peer takes a new challenge as one long message and answers with MD5.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Sha256, Sha384};

use super::error::AuthError;

/// What a challenge begins with.
pub(super) const CHALLENGE: &[u8] = b"#CHALLENGE#";
/// The answer was right.
pub(super) const WELCOME: &[u8] = b"#WELCOME#";
/// The answer was wrong.
pub(super) const FAILURE: &[u8] = b"#FAILURE#";

/// How long a challenge of Python up to 3.11 is, and of nobody else: it says that the peer knows MD5 only.
const OLD_CHALLENGE_BYTES: usize = 20;
/// Random bytes of our challenge.
const RANDOM_BYTES: usize = 40;
/// The length of an answer that has no name in front.
const MD5_BYTES: usize = 16;

/// What a MAC is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    Md5,
    Sha256,
    Sha384,
}

impl Digest {
    fn named(name: &[u8]) -> Result<Self, AuthError> {
        match name {
            b"md5" => Ok(Digest::Md5),
            b"sha256" => Ok(Digest::Sha256),
            b"sha384" => Ok(Digest::Sha384),
            other => Err(AuthError::Digest { name: other.escape_ascii().to_string() }),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Digest::Md5 => "md5",
            Digest::Sha256 => "sha256",
            Digest::Sha384 => "sha384",
        }
    }

    fn mac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Digest::Md5 => mac::<Hmac<Md5>>(key, message).finalize().into_bytes().to_vec(),
            Digest::Sha256 => mac::<Hmac<Sha256>>(key, message).finalize().into_bytes().to_vec(),
            Digest::Sha384 => mac::<Hmac<Sha384>>(key, message).finalize().into_bytes().to_vec(),
        }
    }

    /// Compares in constant time.
    fn verify(self, key: &[u8], message: &[u8], tag: &[u8]) -> bool {
        match self {
            Digest::Md5 => mac::<Hmac<Md5>>(key, message).verify_slice(tag),
            Digest::Sha256 => mac::<Hmac<Sha256>>(key, message).verify_slice(tag),
            Digest::Sha384 => mac::<Hmac<Sha384>>(key, message).verify_slice(tag),
        }
        .is_ok()
    }
}

/// A new challenge, without the word in front.
pub(super) fn challenge() -> Result<Vec<u8>, AuthError> {
    let mut message = b"{sha256}".to_vec();
    let random_begin = message.len();
    message.resize(random_begin + RANDOM_BYTES, 0);
    getrandom::fill(&mut message[random_begin..]).map_err(|error| AuthError::Random(error.to_string()))?;
    Ok(message)
}

/// The answer to a challenge, given without the word in front.
pub(super) fn answer(key: &[u8], message: &[u8], permits_md5: bool) -> Result<Vec<u8>, AuthError> {
    if message.len() < OLD_CHALLENGE_BYTES {
        return Err(AuthError::Protocol);
    }
    if message.len() == OLD_CHALLENGE_BYTES {
        permit(Digest::Md5, permits_md5)?;
        return Ok(Digest::Md5.mac(key, message));
    }
    let (digest, _) = split(message)?;
    permit(digest, permits_md5)?;
    let mut answer = format!("{{{}}}", digest.name()).into_bytes();
    answer.extend(digest.mac(key, message));
    Ok(answer)
}

/// Whether the answer to our challenge is right.
pub(super) fn verify(key: &[u8], message: &[u8], answer: &[u8], permits_md5: bool) -> Result<(), AuthError> {
    let (digest, tag) = match answer.len() {
        MD5_BYTES => (Digest::Md5, answer),
        _ => split(answer)?,
    };
    permit(digest, permits_md5)?;
    match digest.verify(key, message, tag) {
        true => Ok(()),
        false => Err(AuthError::WrongDigest),
    }
}

fn permit(digest: Digest, permits_md5: bool) -> Result<(), AuthError> {
    match digest == Digest::Md5 && !permits_md5 {
        true => Err(AuthError::Digest { name: digest.name().into() }),
        false => Ok(()),
    }
}

/// The digest that the name in braces says, and what follows it.
fn split(message: &[u8]) -> Result<(Digest, &[u8]), AuthError> {
    let named = message.strip_prefix(b"{").ok_or(AuthError::Protocol)?;
    let end = named.iter().position(|byte| *byte == b'}').ok_or(AuthError::Protocol)?;
    Ok((Digest::named(&named[..end])?, &named[end + 1..]))
}

fn mac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> M {
    // HMAC takes keys of every length, so the error can't come; an empty MAC would only make a digest wrong.
    let mut mac = M::new_from_slice(key).unwrap_or_else(|_| M::new(&hmac::digest::Key::<M>::default()));
    mac.update(message);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"Jefe";
    const TEXT: &[u8] = b"what do ya want for nothing?";

    #[test]
    fn digests_are_those_of_rfc_2202_and_4231() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(Digest::Md5.mac(KEY, TEXT)), "750c783e6ab0b503eaa86e310a5db738");
        let sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(Digest::Sha256.mac(KEY, TEXT)), sha256);
    }

    #[test]
    fn an_old_challenge_is_answered_with_bare_md5() {
        let message = [7; 20];
        assert_eq!(answer(KEY, &message, true).expect("answer"), Digest::Md5.mac(KEY, &message));
        assert!(matches!(answer(KEY, &message, false), Err(AuthError::Digest { .. })));
    }

    #[test]
    fn both_generations_of_answers_are_verified() {
        let message = challenge().expect("challenge");
        let new = answer(KEY, &message, false).expect("answer");
        assert!(new.starts_with(b"{sha256}"));
        verify(KEY, &message, &new, false).expect("new");
        let old = Digest::Md5.mac(KEY, &message);
        verify(KEY, &message, &old, true).expect("old");
        assert!(matches!(verify(KEY, &message, &old, false), Err(AuthError::Digest { .. })));
        assert!(matches!(verify(b"other", &message, &new, true), Err(AuthError::WrongDigest)));
    }

    #[test]
    fn what_is_no_challenge_or_answer_is_refused() {
        for message in
            [&b""[..], b"short", b"no name in front of this message", b"{sha256 without an end......"]
        {
            assert!(matches!(answer(KEY, message, true), Err(AuthError::Protocol)), "{message:?}");
        }
        let unknown = answer(KEY, b"{rot13}a message of some length", true);
        assert!(matches!(unknown, Err(AuthError::Digest { name }) if name == "rot13"));
        assert!(verify(KEY, b"x", b"something bogus", true).is_err());
        assert!(verify(KEY, b"x", b"", true).is_err());
    }
}
