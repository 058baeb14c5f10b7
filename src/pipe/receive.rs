//! Receiving from a blocking end.

use std::os::fd::OwnedFd;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::connection::Patience;
use super::end::End;
use super::error::{RecvError, RecvIntoError, TryRecvError};
use super::transport::{Socket, Transport};

impl<Out, In: DeserializeOwned, T: Transport> End<Out, In, T> {
    /// Waits for the next message.
    ///
    /// # Errors
    /// [`RecvError::Closed`] when the peer has closed its end and everything was received. See [`RecvError`]
    /// for which errors the pipe survives.
    #[inline]
    pub fn recv(&mut self) -> Result<In, RecvError> {
        self.connection.receive(Patience::Forever)?;
        self.connection.take_value()
    }

    /// The next message, if it is there as a whole.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if not; what [`recv`](Self::recv) says otherwise.
    pub fn try_recv(&mut self) -> Result<In, TryRecvError> {
        self.recv_timeout(Duration::ZERO)
    }

    /// Waits for the next message, but not longer than that. A message that has come in part by then is kept,
    /// and goes on coming.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if the time is over; what [`recv`](Self::recv) says otherwise.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<In, TryRecvError> {
        match self.connection.receive(Patience::new(Some(timeout)))? {
            true => Ok(self.connection.take_value()?),
            false => Err(TryRecvError::Empty),
        }
    }

    /// Waits until [`recv`](Self::recv) would not wait: for a whole message, the end, or an error. False if
    /// the time is over before. `None` waits for ever; zero only looks.
    ///
    /// # Errors
    /// When the operating system refuses to read or to wait.
    pub fn poll(&mut self, timeout: Option<Duration>) -> Result<bool, RecvError> {
        self.connection.receive(Patience::new(timeout))
    }

    /// Waits for the next message, as bytes, whatever they mean. Descriptors that came with it are closed.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_bytes(&mut self) -> Result<Vec<u8>, RecvError> {
        self.connection.receive(Patience::Forever)?;
        Ok(self.connection.take()?.bytes.into_owned())
    }

    /// As [`recv_bytes`](Self::recv_bytes), with the descriptors that came.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_bytes_with(&mut self) -> Result<(Vec<u8>, Vec<OwnedFd>), RecvError> {
        self.connection.receive(Patience::Forever)?;
        let message = self.connection.take()?;
        Ok((message.bytes.into_owned(), message.descriptors))
    }

    /// As [`recv_bytes`](Self::recv_bytes), without waiting.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv).
    pub fn try_recv_bytes(&mut self) -> Result<Vec<u8>, TryRecvError> {
        self.recv_bytes_timeout(Duration::ZERO)
    }

    /// As [`recv_bytes`](Self::recv_bytes), but not longer than that.
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_bytes_timeout(&mut self, timeout: Duration) -> Result<Vec<u8>, TryRecvError> {
        match self.connection.receive(Patience::new(Some(timeout)))? {
            true => Ok(self.connection.take()?.bytes.into_owned()),
            false => Err(TryRecvError::Empty),
        }
    }

    /// Waits for the next message and puts it at the beginning of the buffer; says how long it is. A message
    /// larger than 64 KiB is read straight into it. What the rest of the buffer holds then is unspecified.
    ///
    /// # Errors
    /// [`RecvIntoError::BufferTooShort`] has the message, as in Python, and the next one can be received; what
    /// [`recv`](Self::recv) says otherwise.
    pub fn recv_bytes_into(&mut self, buffer: &mut [u8]) -> Result<usize, RecvIntoError> {
        if let Some(length) = self.connection.receive_into(buffer)? {
            return Ok(length);
        }
        let bytes = self.connection.take()?.bytes;
        let (length, room) = (bytes.len(), buffer.len());
        let Some(target) = buffer.get_mut(..length) else {
            return Err(RecvIntoError::BufferTooShort { message: bytes.into_owned(), room });
        };
        target.copy_from_slice(&bytes);
        if let std::borrow::Cow::Owned(vector) = bytes {
            self.connection.reader.recycle(vector);
        }
        Ok(length)
    }

    /// Messages until end-of-file, of which no error is made. After any other error it ends.
    pub fn iter(&mut self) -> Messages<'_, Out, In, T> {
        Messages { end: self, over: false }
    }
}

/// Messages until end-of-file: [`End::iter`].
#[derive(Debug)]
pub struct Messages<'a, Out, In, T: Transport = Socket> {
    end: &'a mut End<Out, In, T>,
    over: bool,
}

impl<Out, In: DeserializeOwned, T: Transport> Iterator for Messages<'_, Out, In, T> {
    type Item = Result<In, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        next(self.end, &mut self.over)
    }
}

/// Messages until end-of-file, of an end that it owns.
#[derive(Debug)]
pub struct IntoMessages<Out, In, T: Transport = Socket> {
    end: End<Out, In, T>,
    over: bool,
}

impl<Out, In: DeserializeOwned, T: Transport> Iterator for IntoMessages<Out, In, T> {
    type Item = Result<In, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        next(&mut self.end, &mut self.over)
    }
}

impl<Out, In: DeserializeOwned, T: Transport> IntoIterator for End<Out, In, T> {
    type Item = Result<In, RecvError>;
    type IntoIter = IntoMessages<Out, In, T>;

    fn into_iter(self) -> Self::IntoIter {
        IntoMessages { end: self, over: false }
    }
}

impl<'a, Out, In: DeserializeOwned, T: Transport> IntoIterator for &'a mut End<Out, In, T> {
    type Item = Result<In, RecvError>;
    type IntoIter = Messages<'a, Out, In, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn next<Out, In: DeserializeOwned, T: Transport>(
    end: &mut End<Out, In, T>,
    over: &mut bool,
) -> Option<Result<In, RecvError>> {
    if *over {
        return None;
    }
    let received = end.recv();
    // A message that can't be decoded does not end the pipe.
    *over = !matches!(received, Ok(_) | Err(RecvError::Decode(_) | RecvError::DescriptorsLost { .. }));
    match received {
        Err(error) if error.is_end() => None,
        other => Some(other),
    }
}
