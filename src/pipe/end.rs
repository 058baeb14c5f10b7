//! The blocking ends: how they are made, split, taken apart and closed. Sending and receiving are beside this
//! file.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::connection::Connection;
use super::settings::Settings;
use super::transport::{Socket, Transport};
use crate::sys::socket::{self, Wait};

/// The type of messages in a direction that an end does not have. There are no such messages, and it is
/// neither `Serialize` nor `DeserializeOwned`, so that the methods of the wrong direction do not exist:
///
/// ```compile_fail,E0599
/// let (sender, mut receiver) = procession::pipe::simplex::<u32>().unwrap();
/// receiver.send(1);
/// ```
///
/// ```compile_fail,E0599
/// let (mut sender, receiver) = procession::pipe::simplex::<u32>().unwrap();
/// sender.recv();
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Nothing {}

/// The sending end of a one-way pipe.
pub type Sender<T, Tr = Socket> = End<T, Nothing, Tr>;

/// The receiving end of a one-way pipe.
pub type Receiver<T, Tr = Socket> = End<Nothing, T, Tr>;

/// One end of a pipe: sends `Out`, receives `In`.
///
/// # Blocking
/// `send` waits until the kernel has taken the message, `recv` until one has come. The kernel holds a few
/// hundred messages, or about 200 KiB, for each direction. So two blocking ends that both send more than that
/// before they receive wait for each other for ever, as in Python. Receive in another thread
/// ([`split`](Self::split)), use [`try_send`](Self::try_send), or use async ends, which receive while they
/// wait.
///
/// # Ownership
/// An end reads ahead, so that it has one owner. To give it to another process, [send it](super) through a
/// pipe or hand it to a child with [`spawn`](super::spawn). Dropping the last descriptor of an end closes it:
/// the peer reads what was sent, then end-of-file.
pub struct End<Out, In, T: Transport = Socket> {
    pub(super) connection: Connection<T>,
    pub(super) types: PhantomData<fn(Out) -> In>,
}

/// A duplex pipe: each end sends what the other receives.
///
/// # Errors
/// When the process or the machine has no free descriptors.
///
/// ```
/// let (mut left, mut right) = procession::pipe::pipe::<String, usize>()?;
/// left.send("three".into())?;
/// let text: String = right.recv()?;
/// right.send(text.len())?;
/// assert_eq!(left.recv()?, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pipe<Out, In>() -> io::Result<(End<Out, In>, End<In, Out>)> {
    pipe_with(Settings::new())
}

/// As [`pipe`], with other limits or another format for both ends.
///
/// # Errors
/// As [`pipe`].
pub fn pipe_with<Out, In>(settings: Settings) -> io::Result<(End<Out, In>, End<In, Out>)> {
    let (left, right) = socket::pair()?;
    Ok((End::new(Socket::new(left), settings), End::new(Socket::new(right), settings)))
}

/// A one-way pipe: a sending and a receiving end. Python has them in the other order.
///
/// # Errors
/// As [`pipe`].
///
/// ```
/// let (mut sender, receiver) = procession::pipe::simplex()?;
/// for number in 0..3_u32 {
///     sender.send(number)?;
/// }
/// sender.close()?;
/// let numbers: Result<Vec<u32>, _> = receiver.into_iter().collect();
/// assert_eq!(numbers?, [0, 1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn simplex<T>() -> io::Result<(Sender<T>, Receiver<T>)> {
    simplex_with(Settings::new())
}

/// As [`simplex`], with other limits or another format for both ends.
///
/// # Errors
/// As [`pipe`].
pub fn simplex_with<T>(settings: Settings) -> io::Result<(Sender<T>, Receiver<T>)> {
    let (left, right) = socket::pair()?;
    Ok((End::new(Socket::new(left), settings), End::new(Socket::new(right), settings)))
}

impl<Out, In, T: Transport> End<Out, In, T> {
    /// An end over any transport, whose peer uses the same frame and format.
    pub fn new(transport: T, settings: Settings) -> Self {
        End::from_connection(Connection::new(transport, settings))
    }

    pub(super) fn from_connection(connection: Connection<T>) -> Self {
        End { connection, types: PhantomData }
    }

    /// The limits and the format of this end.
    pub fn settings(&self) -> Settings {
        self.connection.settings
    }

    /// Says that this end sends no more: the peer reads what was sent, then end-of-file, and can still send.
    ///
    /// Sends what was [fed](Self::feed) before.
    ///
    /// # Errors
    /// When what was fed can't be sent, or the operating system refuses.
    pub fn half_close(&mut self) -> io::Result<()> {
        self.connection.flush(Wait::Yes).map_err(io::Error::other)?;
        self.connection.half_close()
    }

    /// Sends what was [fed](Self::feed), and closes the end. Dropping it does the same, but can't say what
    /// went wrong, and does not wait for a full pipe.
    ///
    /// # Errors
    /// When what was fed can't be sent.
    pub fn close(mut self) -> Result<(), super::SendError> {
        match self.connection.writer.is_pending() {
            true => self.connection.flush(Wait::Yes).map(|_| ()),
            false => Ok(()),
        }
    }
}

impl<Out, In> End<Out, In> {
    /// An end from a connected Unix stream socket, such as one that was inherited or accepted.
    pub fn from_fd(descriptor: OwnedFd, settings: Settings) -> Self {
        End::new(Socket::new(descriptor), settings)
    }

    /// The same pipe as two halves that can be used from two threads.
    ///
    /// Dropping the sending half ends that direction, as [`half_close`](Self::half_close) does.
    ///
    /// # Errors
    /// When the process has no free descriptor; the end is then closed.
    pub fn split(self) -> io::Result<(Sender<Out>, Receiver<In>)> {
        let (sending, receiving) = self.connection.split()?;
        Ok((End::from_connection(sending), End::from_connection(receiving)))
    }

    /// A new descriptor of the socket, and the bytes that were read from it and not yet received as messages.
    ///
    /// # Errors
    /// When what was [fed](Self::feed) can't be sent, or the process has no free descriptor. The end is then
    /// closed.
    pub fn into_parts(mut self) -> io::Result<(OwnedFd, Vec<u8>)> {
        if self.connection.writer.is_pending() {
            self.connection.flush(Wait::Yes).map_err(io::Error::other)?;
        }
        let descriptor = self.connection.transport.as_owned().try_clone()?;
        self.connection.hand_over();
        Ok((descriptor, self.connection.reader.unread()))
    }

    /// An end that continues with what [`into_parts`](Self::into_parts) gave.
    pub fn from_parts(descriptor: OwnedFd, unread: Vec<u8>, settings: Settings) -> Self {
        End::from_connection(Connection::resume(Socket::new(descriptor), settings, unread))
    }
}

impl<Out, In> AsFd for End<Out, In> {
    /// The socket, to be waited for. Reading from it or writing to it breaks the pipe.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.transport.as_fd()
    }
}

impl<Out, In, T: Transport + fmt::Debug> fmt::Debug for End<Out, In, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End")
            .field("out", &std::any::type_name::<Out>())
            .field("in", &std::any::type_name::<In>())
            .field("transport", &self.connection.transport)
            .field("unread_bytes", &self.connection.reader.unread_bytes())
            .field("unsent_bytes", &self.connection.writer.pending_bytes())
            .finish()
    }
}
