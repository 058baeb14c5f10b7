//! Listening for peers.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::address::Address;
use super::authentication::{self, AuthKey, Role};
use super::error::{AcceptError, BindError};
use crate::pipe::connection::Connection;
use crate::pipe::end::End;
use crate::pipe::settings::Settings;
use crate::pipe::transport::Socket;
use crate::pipe::wait::Waitable;
use crate::sys::poll::{self, Interest};
use crate::sys::rendezvous::{self, Credentials};

/// How many peers may wait to be accepted. Python has 1; connecting waits while the queue is full.
const BACKLOG: i32 = 128;

/// Which users may connect, as the kernel vouches for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Peers {
    /// Everybody who may open the address.
    #[default]
    Any,
    /// The user that this process acts as.
    SameUser,
    /// These users.
    Users(Vec<u32>),
}

impl Peers {
    pub(super) fn permit(&self, uid: u32) -> bool {
        match self {
            Peers::Any => true,
            Peers::SameUser => uid == rendezvous::own_uid(),
            Peers::Users(users) => users.contains(&uid),
        }
    }
}

/// What a listener asks of its peers, and the settings of the pipes that it makes.
#[derive(Clone, Debug, Default)]
pub struct ListenerSettings {
    pub(super) pipe: Settings,
    pub(super) key: Option<AuthKey>,
    pub(super) peers: Peers,
    pub(super) patience: Option<Duration>,
}

impl ListenerSettings {
    /// No key, any user, default limits.
    pub fn new() -> Self {
        ListenerSettings::default()
    }

    /// The same with other limits or another format for the pipes.
    pub fn pipe(self, pipe: Settings) -> Self {
        ListenerSettings { pipe, ..self }
    }

    /// The same with a key that the peer must know.
    pub fn key(self, key: AuthKey) -> Self {
        ListenerSettings { key: Some(key), ..self }
    }

    /// The same with a choice of users.
    pub fn peers(self, peers: Peers) -> Self {
        ListenerSettings { peers, ..self }
    }

    /// The same with another time for a peer to prove that it knows the key. 20 seconds unless set.
    pub fn patience(self, patience: Duration) -> Self {
        ListenerSettings { patience: Some(patience), ..self }
    }
}

/// Waits for peers at an address. Dropping it removes its socket file.
///
/// ```
/// use procession::pipe::{Address, End, Listener, ListenerSettings, connect};
///
/// let directory = tempfile::tempdir()?;
/// let address = Address::path(directory.path().join("meeting"));
/// let listener = Listener::bind(address.clone(), ListenerSettings::new())?;
/// let mut client: End<u32, u32> = connect(&address)?;
/// let mut server: End<u32, u32> = listener.accept()?;
/// client.send(1729)?;
/// assert_eq!(server.recv()?, 1729);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    address: Address,
    /// The socket file's device and inode: what is removed must be ours.
    file: Option<(u64, u64)>,
    settings: ListenerSettings,
}

impl Listener {
    /// Begins to listen.
    ///
    /// The socket file of a dead listener is replaced. The file of a living one is not touched, nor is any
    /// file that is no socket. Two programs that begin at the same moment are kept apart by a lock on the
    /// directory.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind(address: Address, settings: ListenerSettings) -> Result<Self, BindError> {
        let bound = match &address {
            Address::Abstract(_) => rendezvous::listen(address.place(), BACKLOG)
                .map(|socket| (socket, None))
                .map_err(|error| refusal(error, &address)),
            Address::Path(path) => bind_path(path, &address),
        };
        bound.map(|(socket, file)| Listener { socket, address, file, settings })
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits for a peer that may connect and knows the key.
    ///
    /// A peer that may not, or does not, is an error of this call; call it again for the next one.
    ///
    /// # Errors
    /// See [`AcceptError`].
    pub fn accept<Out, In>(&self) -> Result<End<Out, In>, AcceptError> {
        self.accept_timeout(None)
    }

    /// As [`accept`](Self::accept), but does not wait longer than that for somebody to connect.
    ///
    /// # Errors
    /// [`AcceptError::Empty`] if nobody did.
    pub fn accept_timeout<Out, In>(&self, timeout: Option<Duration>) -> Result<End<Out, In>, AcceptError> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let descriptor = loop {
            match rendezvous::accept(self.socket.as_fd()) {
                Ok(descriptor) => break descriptor,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                    if !poll::poll_one(self.socket.as_fd(), Interest::Readable, left)
                        .map_err(AcceptError::Io)?
                    {
                        return Err(AcceptError::Empty);
                    }
                }
                Err(error) => return Err(AcceptError::Io(error)),
            }
        };
        self.admit(descriptor)
    }

    /// Asks a peer for what the settings say.
    fn admit<Out, In>(&self, descriptor: OwnedFd) -> Result<End<Out, In>, AcceptError> {
        let ListenerSettings { pipe, key, peers, patience } = &self.settings;
        let Credentials { pid, uid, .. } =
            rendezvous::credentials(descriptor.as_fd()).map_err(AcceptError::Io)?;
        if !peers.permit(uid) {
            return Err(AcceptError::Refused { pid, uid });
        }
        let socket = Socket::new(descriptor);
        let Some(key) = key else { return Ok(End::new(socket, *pipe)) };
        let deadline = Instant::now() + patience.unwrap_or(authentication::TIMEOUT);
        let mut connection = Connection::new(socket, authentication::settings());
        authentication::authenticate(&mut connection, key, Role::Listener, deadline)?;
        Ok(End::from_connection(connection.with_settings(*pipe)))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let (Address::Path(path), Some(file)) = (&self.address, self.file) else { return };
        // Nobody else may put a new file there between the look and the removal. If this fails the file
        // stays, and the next listener finds it dead.
        let _lock = rendezvous::lock_directory(&directory(path));
        if identity(path).ok() == Some(file) {
            let _ = fs::remove_file(path);
        }
    }
}

impl AsFd for Listener {
    /// The listening socket, which is readable when somebody waits to be accepted.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Waitable for Listener {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

type Bound = (OwnedFd, Option<(u64, u64)>);

/// Binds to a path under a lock on its directory, in place of a dead listener's file if there is one.
fn bind_path(path: &Path, address: &Address) -> Result<Bound, BindError> {
    let refused = |error| refusal(error, address);
    let _lock = rendezvous::lock_directory(&directory(path)).map_err(refused)?;
    let socket = match rendezvous::listen(address.place(), BACKLOG) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let found = fs::symlink_metadata(path).map_err(refused)?;
            if !found.file_type().is_socket() {
                return Err(BindError::NotASocket { address: address.clone() });
            }
            if rendezvous::is_alive(address.place()).map_err(refused)? {
                return Err(BindError::InUse { address: address.clone() });
            }
            fs::remove_file(path).map_err(refused)?;
            rendezvous::listen(address.place(), BACKLOG).map_err(refused)?
        }
        other => other.map_err(refused)?,
    };
    let file = identity(path).map_err(refused)?;
    Ok((socket, Some(file)))
}

fn refusal(source: io::Error, address: &Address) -> BindError {
    let address = address.clone();
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address },
        _ => BindError::Io { address, source },
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
        _ => ".".into(),
    }
}
