//! The async ends, over tokio. The pipe is the same: either side may be blocking or async, and each end can
//! be turned into the other kind at any time between two calls.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::connection::Connection;
use super::end::{End, Nothing};
use super::error::{RecvError, SendError, TryRecvError, TrySendError, Unsent};
use super::send::FEED_BYTES;
use super::settings::Settings;
use super::transport::Socket;
use super::travel::Direction;
use super::writer::Mark;
use crate::sys::readiness;
use crate::sys::socket::Wait;

/// The sending end of a one-way pipe, async.
pub type AsyncSender<T> = AsyncEnd<T, Nothing>;

/// The receiving end of a one-way pipe, async.
pub type AsyncReceiver<T> = AsyncEnd<Nothing, T>;

/// One end of a pipe: sends `Out`, receives `In`, in a tokio runtime with its I/O driver.
///
/// # No deadlock
/// While `send` waits for room it receives ahead, up to one message of the largest permitted size. So two
/// ends that each send a message of up to the limit before they receive do not wait for each other.
///
/// # Cancel safety
/// Every method is cancel safe: a dropped future never leaves half a message in the pipe. A `recv` that was
/// dropped has lost nothing. A `send` that was dropped before its first byte was written has sent nothing;
/// one that was dropped later has sent its message, of which the rest goes with the next call that sends.
pub struct AsyncEnd<Out, In> {
    ready: AsyncFd<Arc<OwnedFd>>,
    connection: Connection<Socket>,
    types: PhantomData<fn(Out) -> In>,
}

impl<Out, In> End<Out, In> {
    /// The same end for a tokio runtime. Unread and unsent messages stay with it.
    ///
    /// # Errors
    /// When this thread is in no tokio runtime, or the runtime can't watch another descriptor. The end is
    /// closed then.
    ///
    /// # Panics
    /// If the runtime was built without its I/O driver.
    pub fn into_async(self) -> io::Result<AsyncEnd<Out, In>> {
        AsyncEnd::over(self.connection)
    }
}

impl<Out, In> AsyncEnd<Out, In> {
    fn over(connection: Connection<Socket>) -> io::Result<Self> {
        let interest = match Direction::of::<Out, In>() {
            Direction::Duplex => Interest::READABLE | Interest::WRITABLE,
            Direction::Sends => Interest::WRITABLE,
            Direction::Receives => Interest::READABLE,
        };
        let ready = readiness::watch_shared(connection.transport.share(), interest)?;
        Ok(AsyncEnd { ready, connection, types: PhantomData })
    }

    /// An end from a connected Unix stream socket.
    ///
    /// # Errors
    /// As [`End::into_async`].
    pub fn from_fd(descriptor: OwnedFd, settings: Settings) -> io::Result<Self> {
        End::from_fd(descriptor, settings).into_async()
    }

    /// The same end for threads. Unread and unsent messages stay with it.
    pub fn into_blocking(self) -> End<Out, In> {
        let AsyncEnd { ready, connection, .. } = self;
        drop(ready);
        End::from_connection(connection)
    }

    /// The same pipe as two halves, for two tasks. Dropping the sending half ends that direction.
    ///
    /// A half that only sends receives nothing while it waits, so the other half must be polled too.
    ///
    /// # Errors
    /// When the process has no free descriptor, or the runtime can't watch another one. The end is closed
    /// then.
    pub fn split(self) -> io::Result<(AsyncSender<Out>, AsyncReceiver<In>)> {
        let AsyncEnd { ready, connection, .. } = self;
        drop(ready);
        let (sending, receiving) = connection.split()?;
        Ok((AsyncEnd::over(sending)?, AsyncEnd::over(receiving)?))
    }

    /// The limits and the format of this end.
    pub fn settings(&self) -> Settings {
        self.connection.settings
    }

    /// Sends what was fed, and says that this end sends no more: the peer reads what was sent, then
    /// end-of-file.
    ///
    /// # Errors
    /// When what was fed can't be sent, or the operating system refuses.
    pub async fn half_close(&mut self) -> io::Result<()> {
        self.drain().await.map_err(io::Error::other)?;
        self.connection.half_close()
    }

    /// Sends what was fed, and closes the end.
    ///
    /// # Errors
    /// When what was fed can't be sent.
    pub async fn close(mut self) -> Result<(), SendError> {
        match self.connection.writer.is_pending() {
            true => self.drain().await,
            false => Ok(()),
        }
    }

    /// Writes what is queued, and receives ahead while it waits for room.
    async fn drain(&mut self) -> Result<(), SendError> {
        while !self.connection.flush(Wait::No)? {
            let listens =
                Direction::of::<Out, In>() == Direction::Duplex && !self.connection.reader.is_ready();
            let interest = match listens {
                true => Interest::READABLE | Interest::WRITABLE,
                false => Interest::WRITABLE,
            };
            let mut guard = self.ready.ready(interest).await.map_err(SendError::Io)?;
            if guard.ready().is_readable() && listens {
                match self.connection.fill(Wait::No) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        guard.clear_ready_matching(tokio::io::Ready::READABLE);
                    }
                    // The receiver will meet the same error.
                    Ok(()) | Err(_) => {}
                }
            }
            if guard.ready().is_writable() && !self.connection.flush(Wait::No)? {
                guard.clear_ready_matching(tokio::io::Ready::WRITABLE);
            }
        }
        Ok(())
    }

    /// Reads until there is something to take.
    async fn receive(&mut self) -> Result<(), RecvError> {
        tokio::task::coop::consume_budget().await;
        while !self.connection.reader.is_ready() {
            let mut guard = self.ready.readable().await.map_err(RecvError::Io)?;
            match self.connection.fill(Wait::No) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
                Err(error) => return Err(RecvError::Io(error)),
            }
        }
        Ok(())
    }
}

impl<Out: Serialize, In> AsyncEnd<Out, In> {
    /// Sends a message, and waits until the kernel has taken all of it. Messages arrive in the order sent.
    ///
    /// # Errors
    /// Gives the message back; see [`SendError`].
    pub async fn send(&mut self, message: Out) -> Result<(), Unsent<Out>> {
        match self.send_queued(|connection| connection.push(&message)).await {
            Ok(()) => Ok(()),
            Err(error) => Err(Unsent { message, error }),
        }
    }

    /// Sends a message if the kernel has room: as [`End::try_send`].
    ///
    /// # Errors
    /// Gives the message back; [`TrySendError::Full`] if nothing of it was written.
    pub fn try_send(&mut self, message: Out) -> Result<(), Unsent<Out, TrySendError>> {
        let sent = self.connection.try_send(|connection| connection.push(&message));
        sent.map_err(|error| Unsent { message, error })
    }

    /// Takes a message without sending it yet, and writes what was collected when it is more than 64 KiB: as
    /// [`End::feed`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn feed(&mut self, message: Out) -> Result<(), Unsent<Out>> {
        let fed = match self.connection.writer.pending_bytes() < FEED_BYTES {
            true => self.connection.push(&message).map(|_| ()),
            false => self.send_queued(|connection| connection.push(&message)).await,
        };
        fed.map_err(|error| Unsent { message, error })
    }

    /// Sends what was fed or left over.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn flush(&mut self) -> Result<(), SendError> {
        self.drain().await
    }

    /// Sends bytes as one message, as they are.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.send_bytes_with(bytes, Vec::new()).await
    }

    /// As [`send_bytes`](Self::send_bytes), with descriptors.
    ///
    /// # Errors
    /// See [`SendError`]. The descriptors are closed then.
    pub async fn send_bytes_with(
        &mut self,
        bytes: &[u8],
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), SendError> {
        self.send_queued(|connection| connection.writer.push(bytes, descriptors)).await
    }

    /// Queues a message and sends it; takes it back if its first byte was not written.
    async fn send_queued(
        &mut self,
        queue: impl FnOnce(&mut Connection<Socket>) -> Result<Mark, SendError>,
    ) -> Result<(), SendError> {
        let mark = queue(&mut self.connection)?;
        let mut unfinished = Unfinished { end: self, mark: Some(mark) };
        unfinished.end.drain().await?;
        unfinished.mark = None;
        Ok(())
    }
}

impl<Out, In: DeserializeOwned> AsyncEnd<Out, In> {
    /// Waits for the next message.
    ///
    /// # Errors
    /// As [`End::recv`].
    pub async fn recv(&mut self) -> Result<In, RecvError> {
        self.receive().await?;
        self.connection.take_value()
    }

    /// The next message, if it is there as a whole.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if not; what [`recv`](Self::recv) says otherwise.
    pub fn try_recv(&mut self) -> Result<In, TryRecvError> {
        match self.connection.receive_now()? {
            true => Ok(self.connection.take_value()?),
            false => Err(TryRecvError::Empty),
        }
    }

    /// Waits until [`recv`](Self::recv) would not wait: for a whole message, the end, or an error.
    ///
    /// # Errors
    /// When the operating system refuses to read or to wait.
    pub async fn readable(&mut self) -> Result<(), RecvError> {
        self.receive().await
    }

    /// Waits for the next message, but not longer than that.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if the time is over; what [`recv`](Self::recv) says otherwise.
    pub async fn recv_timeout(&mut self, timeout: std::time::Duration) -> Result<In, TryRecvError> {
        match tokio::time::timeout(timeout, self.receive()).await {
            Ok(ready) => ready?,
            Err(_) => return Err(TryRecvError::Empty),
        }
        Ok(self.connection.take_value()?)
    }

    /// Waits for the next message, as bytes. Descriptors that came with it are closed.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub async fn recv_bytes(&mut self) -> Result<Vec<u8>, RecvError> {
        Ok(self.recv_bytes_with().await?.0)
    }

    /// As [`recv_bytes`](Self::recv_bytes), with the descriptors that came.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub async fn recv_bytes_with(&mut self) -> Result<(Vec<u8>, Vec<OwnedFd>), RecvError> {
        self.receive().await?;
        let message = self.connection.take()?;
        Ok((message.bytes.into_owned(), message.descriptors))
    }

    /// The next message, `None` at end-of-file: for `while let` loops.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), but for the end.
    pub async fn next(&mut self) -> Result<Option<In>, RecvError> {
        match self.recv().await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.is_end() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A message that is being sent.
struct Unfinished<'a, Out, In> {
    end: &'a mut AsyncEnd<Out, In>,
    mark: Option<Mark>,
}

impl<Out, In> Drop for Unfinished<'_, Out, In> {
    /// Takes it back if it failed, or was given up, before its first byte was written.
    fn drop(&mut self) {
        if let Some(mark) = self.mark {
            self.end.connection.writer.take_back(mark);
        }
    }
}

impl<Out, In> AsFd for AsyncEnd<Out, In> {
    /// The socket, to be waited for. Reading from it or writing to it breaks the pipe.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.transport.as_fd()
    }
}

impl<Out, In> fmt::Debug for AsyncEnd<Out, In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncEnd")
            .field("out", &std::any::type_name::<Out>())
            .field("in", &std::any::type_name::<In>())
            .field("socket", &self.connection.transport)
            .finish_non_exhaustive()
    }
}
