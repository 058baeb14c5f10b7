//! The conversation in which each side proves to the other that it knows the key.

use std::fmt;
use std::time::{Duration, Instant};

use super::challenge::{self, CHALLENGE, FAILURE, WELCOME};
use super::error::AuthError;
use crate::pipe::connection::{Connection, Patience};
use crate::pipe::settings::Settings;
use crate::pipe::transport::Transport;

/// What a message of the conversation may have: Python's limit.
const MESSAGE_BYTES: usize = 256;

/// How long the whole conversation may take: Python's time for local connections.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);

/// A secret that both sides know: Python's `authkey`.
///
/// It proves to each that the other knows it. It encrypts nothing.
#[derive(Clone)]
pub struct AuthKey {
    key: Vec<u8>,
    permits_md5: bool,
}

impl AuthKey {
    /// A key. Make it of 32 random bytes; it is used as it is.
    pub fn new(key: impl Into<Vec<u8>>) -> Self {
        AuthKey { key: key.into(), permits_md5: true }
    }

    /// The same key, but a peer that only knows MD5, which is Python up to 3.11, is refused.
    pub fn without_md5(self) -> Self {
        AuthKey { permits_md5: false, ..self }
    }
}

/// Shows nothing of the key.
impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthKey").field("permits_md5", &self.permits_md5).finish_non_exhaustive()
    }
}

/// Which side asks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Listener,
    Client,
}

/// The settings of a connection while the two talk: small messages, no descriptors.
pub(super) fn settings() -> Settings {
    Settings::new().message_bytes(MESSAGE_BYTES).descriptors(0)
}

/// Asks the peer for the key, and proves to it that we know it.
pub(super) fn authenticate<T: Transport>(
    connection: &mut Connection<T>,
    key: &AuthKey,
    role: Role,
    deadline: Instant,
) -> Result<(), AuthError> {
    let mut talk = Talk { connection, key, deadline, ours: challenge::challenge()? };
    match role {
        Role::Listener => {
            talk.ask()?;
            talk.reply()
        }
        Role::Client => {
            talk.reply()?;
            talk.ask()
        }
    }
}

struct Talk<'a, T: Transport> {
    connection: &'a mut Connection<T>,
    key: &'a AuthKey,
    deadline: Instant,
    ours: Vec<u8>,
}

impl<T: Transport> Talk<'_, T> {
    /// Sends a challenge, and judges the answer.
    fn ask(&mut self) -> Result<(), AuthError> {
        self.send(&[CHALLENGE, &self.ours].concat())?;
        let answer = self.recv()?;
        let verdict = challenge::verify(&self.key.key, &self.ours, &answer, self.key.permits_md5);
        self.send(if verdict.is_ok() { WELCOME } else { FAILURE })?;
        verdict
    }

    /// Answers the peer's challenge, and hears what it thinks of that.
    fn reply(&mut self) -> Result<(), AuthError> {
        let message = self.recv()?;
        let message = message.strip_prefix(CHALLENGE).ok_or(AuthError::Protocol)?;
        if message == self.ours {
            return Err(AuthError::Reflected);
        }
        let answer = challenge::answer(&self.key.key, message, self.key.permits_md5)?;
        self.send(&answer)?;
        match self.recv()?.as_slice() {
            WELCOME => Ok(()),
            FAILURE => Err(AuthError::Rejected),
            _ => Err(AuthError::Protocol),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), AuthError> {
        self.connection.send_bytes(bytes, Vec::new()).map_err(AuthError::Send)
    }

    fn recv(&mut self) -> Result<Vec<u8>, AuthError> {
        match self.connection.receive(Patience::Until(self.deadline)).map_err(AuthError::Recv)? {
            true => Ok(self.connection.take().map_err(AuthError::Recv)?.bytes.into_owned()),
            false => Err(AuthError::Timeout),
        }
    }
}

#[cfg(test)]
mod tests;
