//! From what the root handed out to a wire: the two sides agree on what they talk over.
//!
//! A pipe in shared memory begins with one byte of each side on its socket: whether it could map the memory. If either
//! could not, both take the socket.

use std::os::fd::{AsFd, OwnedFd};

use tokio::io::Interest;

use super::driver::Ended;
use super::shared::SharedWire;
use super::socket::SocketWire;
use crate::protocol::connection::ProtocolError;
use crate::sys::ring::{self, Side};
use crate::sys::socket::{self, Wait};
use crate::sys::{readiness, ring::Consumer, ring::Producer};

/// One end of a pipe, as it came from the root.
#[derive(Debug)]
pub struct Pipe {
    socket: OwnedFd,
    memory: Option<(OwnedFd, Side)>,
}

/// What the two sides talk over.
#[derive(Debug)]
pub enum AgreedWire {
    /// The socket.
    Socket(SocketWire),
    /// Shared memory.
    Shared(Box<SharedWire>),
}

const SHARED: u8 = b'm';
const SOCKET: u8 = b's';

impl Pipe {
    /// A pipe that is a socket.
    pub fn of_socket(socket: OwnedFd) -> Pipe {
        Pipe { socket, memory: None }
    }

    /// A pipe in shared memory, with its socket.
    pub fn of_memory(socket: OwnedFd, memory: OwnedFd, side: Side) -> Pipe {
        Pipe { socket, memory: Some((memory, side)) }
    }

    /// Agrees with the peer. Dropping the future closes the pipe.
    ///
    /// # Errors
    /// Why there is no pipe: `Done` excepted, everything that can end a connection.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub async fn agree(self) -> Result<AgreedWire, Ended> {
        let Some((memory, side)) = self.memory else {
            return Ok(AgreedWire::Socket(SocketWire::new(self.socket).map_err(Ended::Failed)?));
        };
        let rings = match ring::open(memory.as_fd(), side) {
            Ok(rings) => Some(rings),
            Err(error) => {
                tracing::warn!(target: "procession", %error, "no shared memory for a pipe, which stays a socket");
                None
            }
        };
        drop(memory);
        settle(self.socket, rings).await
    }
}

async fn settle(socket: OwnedFd, rings: Option<(Producer, Consumer)>) -> Result<AgreedWire, Ended> {
    let ours = if rings.is_some() { SHARED } else { SOCKET };
    match socket::send(socket.as_fd(), &[ours], Wait::No) {
        // That the peer is gone is found by reading.
        Err(error) if !socket::is_peer_gone(&error) => return Err(Ended::Failed(error)),
        _ => {}
    }
    let watched = readiness::watch(socket).map_err(Ended::Failed)?;
    let mut theirs = [0];
    // One byte and no more: what follows belongs to the wire.
    let read = watched
        .async_io(Interest::READABLE, |socket| socket::recv(socket.as_fd(), &mut theirs, Wait::No))
        .await;
    let socket = watched.into_inner();
    match (read, theirs[0], rings) {
        (Ok(0), ..) => Err(Ended::PeerGone),
        (Err(error), ..) if socket::is_peer_gone(&error) => Err(Ended::PeerGone),
        (Err(error), ..) => Err(Ended::Failed(error)),
        (Ok(_), SHARED, Some(rings)) => SharedWire::new(socket, rings)
            .map(|wire| AgreedWire::Shared(Box::new(wire)))
            .map_err(Ended::Failed),
        (Ok(_), SHARED | SOCKET, _) => SocketWire::new(socket).map(AgreedWire::Socket).map_err(Ended::Failed),
        (Ok(_), other, _) => {
            let reason = format!("its first byte is {other}, which says nothing of shared memory");
            Err(Ended::Violation(ProtocolError::Pipe(reason)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn both(left: Pipe, right: Pipe) -> [&'static str; 2] {
        let name = |agreed: Result<AgreedWire, Ended>| match agreed.expect("agreed") {
            AgreedWire::Socket(_) => "socket",
            AgreedWire::Shared(_) => "shared",
        };
        let (left, right) = tokio::join!(left.agree(), right.agree());
        [name(left), name(right)]
    }

    #[tokio::test]
    async fn memory_is_shared_if_both_can_and_else_neither_does() {
        let memory = || ring::create(ring::MIN_CAPACITY).expect("memory");
        let (shared, unfit) = (memory(), tempfile::tempfile().expect("a file"));
        let (left, right) = socket::pair().expect("a pair");
        let first = Pipe::of_memory(left, shared.try_clone().expect("another"), Side::First);
        assert_eq!(both(first, Pipe::of_memory(right, shared, Side::Second)).await, ["shared"; 2]);
        let (left, right) = socket::pair().expect("a pair");
        let first = Pipe::of_memory(left, memory(), Side::First);
        assert_eq!(both(first, Pipe::of_memory(right, unfit.into(), Side::Second)).await, ["socket"; 2]);
    }

    #[tokio::test]
    async fn x1_a_first_byte_that_says_something_else_is_a_violation_and_none_is_the_end() {
        let memory = || ring::create(ring::MIN_CAPACITY).expect("memory");
        let (ours, theirs) = socket::pair().expect("a pair");
        socket::send(theirs.as_fd(), b"x", Wait::No).expect("room");
        let ended = Pipe::of_memory(ours, memory(), Side::First).agree().await.expect_err("nonsense");
        assert!(matches!(ended, Ended::Violation(ProtocolError::Pipe(_))), "{ended:?}");
        let (ours, theirs) = socket::pair().expect("a pair");
        drop(theirs);
        let ended = Pipe::of_memory(ours, memory(), Side::First).agree().await.expect_err("nobody");
        assert!(matches!(ended, Ended::PeerGone), "{ended:?}");
    }
}
