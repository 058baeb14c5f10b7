//! Sending through a blocking end.

use std::os::fd::OwnedFd;

use serde::Serialize;

use super::end::End;
use super::error::{SendError, TrySendError, Unsent};
use super::transport::Transport;
use crate::sys::socket::Wait;

/// How much [`feed`](End::feed) collects before it writes: thousands of small messages in one system call, a
/// quarter of what the kernel holds.
pub(super) const FEED_BYTES: usize = 64 << 10;

impl<Out: Serialize, In, T: Transport> End<Out, In, T> {
    /// Sends a message, and waits until the kernel has taken all of it.
    ///
    /// The message is dropped then, and so are the descriptors and ends that it holds: the receiver has its
    /// own. Messages arrive in the order sent. An empty message is a message.
    ///
    /// # Errors
    /// Gives the message back. See [`SendError`] for whose fault it was. If it failed in the middle of the
    /// message, later sends say [`SendError::Poisoned`].
    #[inline]
    pub fn send(&mut self, message: Out) -> Result<(), Unsent<Out>> {
        let sent = self.connection.push(&message).and_then(|mark| self.connection.flush_message(mark));
        sent.map_err(|error| Unsent { message, error })
    }

    /// Sends a message if the kernel has room, without waiting.
    ///
    /// If it has room for a part, the rest is kept here and goes before the next message, with the next call
    /// that sends or with [`flush`](Self::flush); the message counts as sent.
    ///
    /// # Errors
    /// Gives the message back; [`TrySendError::Full`] if nothing of it was written.
    pub fn try_send(&mut self, message: Out) -> Result<(), Unsent<Out, TrySendError>> {
        let sent = self.connection.try_send(|connection| connection.push(&message));
        sent.map_err(|error| Unsent { message, error })
    }

    /// Takes a message without sending it yet: many small messages go in one write.
    ///
    /// Writes what was collected when it is more than 64 KiB, and then waits as [`send`](Self::send) does.
    /// What is left is sent by the next call that sends, by [`flush`](Self::flush) and [`close`](End::close).
    ///
    /// # Errors
    /// As [`send`](Self::send). Messages that were fed before may not be sent either.
    #[inline]
    pub fn feed(&mut self, message: Out) -> Result<(), Unsent<Out>> {
        let fed = self.connection.push(&message).and_then(|mark| {
            match self.connection.writer.pending_bytes() < FEED_BYTES {
                true => Ok(()),
                false => self.connection.flush_message(mark),
            }
        });
        fed.map_err(|error| Unsent { message, error })
    }

    /// Sends what was [fed](Self::feed) or left over by [`try_send`](Self::try_send), and waits until the
    /// kernel has taken it.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn flush(&mut self) -> Result<(), SendError> {
        self.connection.flush(Wait::Yes).map(|_| ())
    }

    /// As [`flush`](Self::flush), without waiting; true if nothing is left.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn try_flush(&mut self) -> Result<bool, SendError> {
        self.connection.flush(Wait::No)
    }

    /// Sends bytes as one message, as they are. The peer takes them with `recv_bytes`, as does a Python
    /// `Connection`.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.connection.send_bytes(bytes, Vec::new())
    }

    /// As [`send_bytes`](Self::send_bytes), with descriptors. The peer takes them with
    /// [`recv_bytes_with`](End::recv_bytes_with).
    ///
    /// # Errors
    /// As [`send`](Self::send). The descriptors are closed then.
    pub fn send_bytes_with(&mut self, bytes: &[u8], descriptors: Vec<OwnedFd>) -> Result<(), SendError> {
        self.connection.send_bytes(bytes, descriptors)
    }

    /// As [`send_bytes`](Self::send_bytes), without waiting, as [`try_send`](Self::try_send).
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> Result<(), TrySendError> {
        self.connection.try_send(|connection| connection.writer.push(bytes, Vec::new()))
    }
}
