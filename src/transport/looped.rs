//! The wire of a process to itself: what it sends, it reads.
//!
//! For messages that are delivered at least once to an actor of the same process: they need what a connection gives, and no
//! kernel. One task drives both directions, so there is nobody to wake.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::wire::{Arrivals, Wire};
use crate::sys::room::Room;

/// See the [module](self).
#[derive(Debug, Default)]
pub struct LoopWire(RefCell<Held>);

#[derive(Debug, Default)]
struct Held {
    /// What was sent together, with the descriptors that go with its first byte.
    sent: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    bytes: usize,
}

/// As much as a socket holds, so that what is to leave first still can.
const MOST_BYTES: usize = 256 << 10;

impl Wire for LoopWire {
    fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let mut held = self.0.borrow_mut();
        let taken = bytes.len().min(MOST_BYTES.saturating_sub(held.bytes));
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let descriptors: io::Result<Vec<OwnedFd>> =
            descriptors.iter().map(BorrowedFd::try_clone_to_owned).collect();
        held.sent.push_back((bytes[..taken].to_vec(), descriptors?));
        held.bytes += taken;
        Ok(taken)
    }

    fn recv_into(&self, rooms: &mut [Room<'_>; 2], arrivals: &mut Arrivals) -> io::Result<usize> {
        let mut held = self.0.borrow_mut();
        let Some((bytes, descriptors)) = held.sent.front_mut() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        arrivals.descriptors.append(descriptors);
        let [first, second] = rooms;
        let mut taken = first.put(bytes);
        taken += second.put(&bytes[taken..]);
        bytes.drain(..taken);
        let is_read = bytes.is_empty();
        if is_read {
            held.sent.pop_front();
        }
        held.bytes -= taken;
        Ok(taken)
    }

    fn has_news(&self) -> bool {
        !self.0.borrow().sent.is_empty()
    }

    fn has_peer(&self) -> bool {
        false
    }

    fn before_sleep(&self) -> bool {
        self.has_news()
    }

    async fn readable(&self) -> io::Result<()> {
        // Only the task that asks writes, and it asks anew after that.
        match self.has_news() {
            true => Ok(()),
            false => std::future::pending().await,
        }
    }

    async fn writable(&self) -> io::Result<()> {
        let has_room = self.0.borrow().bytes < MOST_BYTES;
        match has_room {
            true => Ok(()),
            false => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_sent_is_read_in_order_with_its_descriptors_and_bounded() {
        let wire = LoopWire::default();
        let file = tempfile::tempfile().expect("a file");
        assert_eq!(wire.send(b"ab", &[]).expect("room"), 2);
        assert_eq!(wire.send(b"cd", &[file.as_fd()]).expect("room"), 2);
        let (mut room, mut arrivals) = ([0; 16], Arrivals::default());
        assert_eq!(wire.recv(&mut room[..1], &mut arrivals).expect("bytes"), 1);
        assert_eq!(wire.recv(&mut room, &mut arrivals).expect("bytes"), 1);
        assert!(arrivals.is_empty(), "the descriptor comes with its own bytes");
        assert_eq!(wire.recv(&mut room, &mut arrivals).expect("bytes"), 2);
        assert_eq!((&room[..2], arrivals.descriptors.len()), (&b"cd"[..], 1));
        assert!(!wire.has_news());
        let most = vec![7; MOST_BYTES + 1];
        assert_eq!(wire.send(&most, &[]).expect("room"), MOST_BYTES);
        let error = wire.send(b"x", &[]).expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
