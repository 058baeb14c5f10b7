//! What an introduction hands to the two sides: a socketpair, and where it is safe, memory to share.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::id::ProcessId;
use crate::protocol::control::Medium;
use crate::sys::{ring, socket};
use crate::topology::{Plan, Transport};

/// What decides over the pipes that a process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    transport: Transport,
    /// Untrusted is who is there to be contained, whatever code runs in it.
    trusted: bool,
    /// How much of what it writes may wait in a pipe; the root takes the other's.
    buffer: Option<u64>,
}

impl Standing {
    fn of(plan: &Plan, process: ProcessId) -> Standing {
        match plan.process_by_id(process) {
            Some(process) => Standing {
                transport: process.transport,
                trusted: process.is_trusted(),
                buffer: process.limits.pipe_buffer,
            },
            None => Standing { transport: plan.transport, trusted: true, buffer: None },
        }
    }
}

/// Whether two processes share memory. This is the one place where that is decided: never with one that is not trusted,
/// and only if neither says that it wants a socket.
fn may_share(left: Standing, right: Standing) -> bool {
    let willing = |standing: Standing| match standing.transport {
        Transport::Auto | Transport::Shared => standing.trusted,
        Transport::Socket => false,
    };
    willing(left) && willing(right)
}

/// One side's part.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) medium: Medium,
    /// The socket, then the memory, if any.
    pub(super) descriptors: Vec<OwnedFd>,
}

/// Makes a pipe between two processes: the parts of the left and the right.
///
/// # Errors
/// Not even a socketpair could be made.
pub(super) fn pipe(plan: &Plan, left: ProcessId, right: ProcessId) -> io::Result<(Part, Part)> {
    make(Standing::of(plan, left), Standing::of(plan, right))
}

/// As `pipe`, through somebody who stands between: always sockets, and the two ends for him, of the left's and of the
/// right's. Memory that two share has no middle.
///
/// # Errors
/// No socketpair could be made.
pub(super) fn pipe_through(
    plan: &Plan,
    left: ProcessId,
    right: ProcessId,
) -> io::Result<(Part, Part, [OwnedFd; 2])> {
    let (left, right) = (Standing::of(plan, left), Standing::of(plan, right));
    let (to_left, from_left) = sockets(left, right)?;
    let (from_right, to_right) = sockets(left, right)?;
    let socket = |part: Part| part.descriptors.into_iter().next().ok_or(io::ErrorKind::NotFound);
    Ok((to_left, to_right, [socket(from_left)?, socket(from_right)?]))
}

fn make(left: Standing, right: Standing) -> io::Result<(Part, Part)> {
    if !may_share(left, right) {
        return sockets(left, right);
    }
    let capacity = capacity(left.buffer.into_iter().chain(right.buffer).min());
    // A side that can't map it says so to the other; see `transport::pipe`.
    match ring::create(capacity).and_then(|memory| Ok((memory.try_clone()?, memory))) {
        Ok((first, second)) => {
            let (to_left, to_right) = socket::pair()?;
            let part = |first, socket, memory| Part {
                medium: Medium::Shared { first },
                descriptors: vec![socket, memory],
            };
            Ok((part(true, to_left, first), part(false, to_right, second)))
        }
        Err(error) => {
            tracing::warn!(target: "procession", %error, "no shared memory for a pipe, which stays a socket");
            sockets(left, right)
        }
    }
}

fn sockets(left: Standing, right: Standing) -> io::Result<(Part, Part)> {
    let (to_left, to_right) = socket::pair()?;
    let buffers = [(&to_left, left.buffer.or(right.buffer)), (&to_right, right.buffer.or(left.buffer))];
    for (end, bytes) in buffers {
        if let Some(bytes) = bytes {
            socket::set_send_buffer(end.as_fd(), usize::try_from(bytes).unwrap_or(usize::MAX))?;
        }
    }
    let part = |socket| Part { medium: Medium::Socket, descriptors: vec![socket] };
    Ok((part(to_left), part(to_right)))
}

/// The smallest ring that is made: a page, about what the kernel makes of the smallest buffer of a socket.
const SMALLEST_RING: usize = 4096;

/// The ring for a buffer of this size, the next larger one that there can be. None is larger than if nothing was said:
/// it would not be faster, and the plan's memory counts with that.
fn capacity(buffer: Option<u64>) -> usize {
    match buffer {
        None => ring::CAPACITY,
        Some(bytes) => {
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).clamp(SMALLEST_RING, ring::CAPACITY);
            bytes.next_power_of_two()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x2_memory_is_shared_only_by_two_that_are_trusted_and_where_neither_says_socket() {
        const ALL: [Transport; 3] = [Transport::Auto, Transport::Socket, Transport::Shared];
        for (ours, theirs) in ALL.into_iter().flat_map(|ours| ALL.map(|theirs| (ours, theirs))) {
            for (left, right) in [(true, true), (true, false), (false, true), (false, false)] {
                let standing = |transport, trusted| Standing { transport, trusted, buffer: None };
                let shared = left && right && ours != Transport::Socket && theirs != Transport::Socket;
                assert_eq!(may_share(standing(ours, left), standing(theirs, right)), shared);
            }
        }
    }

    #[test]
    fn each_side_gets_its_end_of_both() {
        let standing = |transport| Standing { transport, trusted: true, buffer: None };
        let parts = |left, right| {
            let (left, right) = make(standing(left), standing(right)).expect("a pipe");
            [(left.medium, left.descriptors.len()), (right.medium, right.descriptors.len())]
        };
        let shared = |first| (Medium::Shared { first }, 2);
        assert_eq!(parts(Transport::Auto, Transport::Shared), [shared(true), shared(false)]);
        assert_eq!(parts(Transport::Shared, Transport::Socket), [(Medium::Socket, 1); 2]);
    }

    #[test]
    fn a_ring_is_as_large_as_the_buffer_that_was_asked_for() {
        assert_eq!(capacity(None), ring::CAPACITY);
        assert_eq!(capacity(Some(1)), SMALLEST_RING);
        assert_eq!(capacity(Some(5000)), 8192);
        assert_eq!(capacity(Some(u64::MAX)), ring::CAPACITY);
    }
}
