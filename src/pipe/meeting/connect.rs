//! Connecting to a listener.

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use super::address::Address;
use super::authentication::{self, AuthKey, Role};
use super::error::ConnectError;
use super::listener::Peers;
use crate::pipe::connection::Connection;
use crate::pipe::end::End;
use crate::pipe::settings::Settings;
use crate::pipe::transport::Socket;
use crate::sys::rendezvous::{self, Credentials};

/// Connects without a key, to any user's listener, with default limits.
///
/// # Errors
/// As [`Connector::connect`].
pub fn connect<Out, In>(address: &Address) -> Result<End<Out, In>, ConnectError> {
    Connector::new().connect(address)
}

/// What a client shows to the listener, asks of it, and makes of the connection.
#[derive(Clone, Debug, Default)]
pub struct Connector {
    pipe: Settings,
    key: Option<AuthKey>,
    peers: Peers,
}

impl Connector {
    /// No key, any user, default limits.
    pub fn new() -> Self {
        Connector::default()
    }

    /// The same with other limits or another format for the pipe.
    pub fn pipe(self, pipe: Settings) -> Self {
        Connector { pipe, ..self }
    }

    /// The same with a key, which the listener must know too.
    pub fn key(self, key: AuthKey) -> Self {
        Connector { key: Some(key), ..self }
    }

    /// The same with a choice of the users whose listener it may be.
    pub fn peers(self, peers: Peers) -> Self {
        Connector { peers, ..self }
    }

    /// Connects, and waits while the listener's queue is full. With a key, it also waits until the listener
    /// accepts, and up to 20 seconds for its answers.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect<Out, In>(&self, address: &Address) -> Result<End<Out, In>, ConnectError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => ConnectError::NotFound { address: address.clone() },
            io::ErrorKind::ConnectionRefused => match address {
                Address::Path(_) => ConnectError::Refused { address: address.clone() },
                Address::Abstract(_) => ConnectError::NotFound { address: address.clone() },
            },
            _ => ConnectError::Io { address: address.clone(), source },
        };
        let descriptor = rendezvous::connect(address.place()).map_err(failed)?;
        let Credentials { pid, uid, .. } = rendezvous::credentials(descriptor.as_fd()).map_err(failed)?;
        if !self.peers.permit(uid) {
            return Err(ConnectError::Stranger { pid, uid });
        }
        let socket = Socket::new(descriptor);
        let Some(key) = &self.key else { return Ok(End::new(socket, self.pipe)) };
        let deadline = Instant::now() + authentication::TIMEOUT;
        let mut connection = Connection::new(socket, authentication::settings());
        authentication::authenticate(&mut connection, key, Role::Client, deadline)?;
        Ok(End::from_connection(connection.with_settings(self.pipe)))
    }
}
