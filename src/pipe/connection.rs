//! Drives a reader and a writer over a transport: the only loops that block. Knows bytes, not types.

use std::borrow::Cow;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{RecvError, SendError, TrySendError};
use super::reader::{Ending, Landing, Message, Reader};
use super::settings::Settings;
use super::transport::{Socket, Transport};
use super::writer::{Mark, Writer};
use super::{format, frame};
use crate::sys::socket::{Received, Wait, is_peer_gone};

/// A body from this size on is written from where it lies instead of being copied behind its header first.
/// Below it, copying is cheaper than the system call for two parts (measured: equal at 8 to 32 KiB).
const GATHERED_BYTES: usize = 16 << 10;

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// Until it happens.
    Forever,
    /// Not at all, if in the past.
    Until(Instant),
}

impl Patience {
    /// A timeout from now; `None`, or one that can't be represented, is for ever.
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        match timeout.and_then(|timeout| Instant::now().checked_add(timeout)) {
            Some(deadline) => Patience::Until(deadline),
            None => Patience::Forever,
        }
    }

    fn left(self) -> Option<Duration> {
        match self {
            Patience::Forever => None,
            Patience::Until(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
        }
    }

    fn wait(self) -> Wait {
        match self {
            Patience::Forever => Wait::Yes,
            Patience::Until(_) => Wait::No,
        }
    }
}

/// One end of a pipe, without types.
#[derive(Debug)]
pub(super) struct Connection<T: Transport> {
    pub(super) transport: T,
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) settings: Settings,
    /// A half of a split end shares its socket with the other half, so that closing its descriptor alone
    /// would not end its direction: it shuts it down when it is dropped.
    ends_outgoing: bool,
    /// Another process has a copy and goes on where this one stopped: dropping this one must not end
    /// anything.
    handed_over: AtomicBool,
}

impl Connection<Socket> {
    /// The sending and the receiving half, over two descriptors of one socket.
    pub(super) fn split(mut self) -> io::Result<(Self, Self)> {
        let mut sending = Connection::new(self.transport.try_clone()?, self.settings);
        std::mem::swap(&mut sending.writer, &mut self.writer);
        sending.ends_outgoing = true;
        Ok((sending, self))
    }
}

impl<T: Transport> Connection<T> {
    pub(super) fn new(transport: T, settings: Settings) -> Self {
        Connection::resume(transport, settings, Vec::new())
    }

    /// An end whose bytes were read in part by somebody before.
    pub(super) fn resume(transport: T, settings: Settings, unread: Vec<u8>) -> Self {
        let (reader, writer) = (Reader::resume(settings, unread), Writer::new(settings));
        let handed_over = AtomicBool::new(false);
        Connection { transport, reader, writer, settings, ends_outgoing: false, handed_over }
    }

    /// The same end with other limits and another format; what was read ahead stays.
    pub(super) fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self.reader = Reader::resume(settings, self.reader.unread());
        self.writer = Writer::new(settings);
        self
    }

    /// Says that another process, or another owner in this one, has a descriptor and goes on with it.
    pub(super) fn hand_over(&self) {
        self.handed_over.store(true, Ordering::Relaxed);
    }

    /// Reads once. `WouldBlock` is an error; the end of the stream is not: the reader knows it then.
    #[inline]
    pub(super) fn fill(&mut self, wait: Wait) -> io::Result<()> {
        let mut rooms = self.reader.want();
        match self.transport.recv(&mut rooms, self.settings.descriptor_limit(), wait) {
            Ok(received) if received.bytes == 0 => self.reader.handle_end(Ending::Closed),
            Ok(received) => self.reader.handle_read(received.descriptors, received.truncated),
            Err(error) if is_peer_gone(&error) => self.reader.handle_end(Ending::Reset),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads until the reader is ready; false if the time is over before.
    #[inline]
    pub(super) fn receive(&mut self, patience: Patience) -> Result<bool, RecvError> {
        while !self.reader.is_ready() {
            match self.fill(patience.wait()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.transport.wait_readable(patience.left()).map_err(RecvError::Io)? {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(RecvError::Io(error)),
            }
        }
        Ok(true)
    }

    /// Reads until the reader is ready, or until a large message is whole in the slice: its length then.
    pub(super) fn receive_into(&mut self, target: &mut [u8]) -> Result<Option<usize>, RecvError> {
        while !self.reader.is_ready() {
            if let Some(landing) = self.reader.begin_landing(target) {
                if let Some(length) = self.land(landing, target)? {
                    return Ok(Some(length));
                }
                continue;
            }
            match self.fill(Wait::Yes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_readable()?,
                other => other.map_err(RecvError::Io)?,
            }
        }
        Ok(None)
    }

    /// Reads the rest of a message into the slice. If that comes to nothing, the reader goes on without it.
    fn land(&mut self, mut landing: Landing, target: &mut [u8]) -> Result<Option<usize>, RecvError> {
        let limit = self.settings.descriptor_limit();
        let mut failed = None;
        while failed.is_none()
            && let Some(mut rooms) = self.reader.want_landing(&landing, target)
        {
            match self.transport.recv(&mut rooms, limit, Wait::Yes) {
                Ok(Received { bytes: 0, .. }) => {
                    self.reader.handle_end(Ending::Closed);
                    break;
                }
                Ok(Received { bytes, descriptors, truncated }) => {
                    self.reader.handle_landed(&mut landing, target, bytes, descriptors, truncated);
                }
                Err(error) if is_peer_gone(&error) => {
                    self.reader.handle_end(Ending::Reset);
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    failed = self.wait_readable().err()
                }
                Err(error) => failed = Some(RecvError::Io(error)),
            }
        }
        let landed = self.reader.end_landing(landing, target);
        failed.map_or(landed, Err)
    }

    fn wait_readable(&self) -> Result<(), RecvError> {
        self.transport.wait_readable(None).map(|_| ()).map_err(RecvError::Io)
    }

    /// The next message; [`Self::receive`] has said that there is one.
    #[inline]
    pub(super) fn take(&mut self) -> Result<Message<'_>, RecvError> {
        self.reader.take()
    }

    /// As [`Self::receive`], without waiting.
    pub(super) fn receive_now(&mut self) -> Result<bool, RecvError> {
        self.receive(Patience::new(Some(Duration::ZERO)))
    }

    /// The next message as a value; [`Self::receive`] has said that there is one.
    #[inline]
    pub(super) fn take_value<V: DeserializeOwned>(&mut self) -> Result<V, RecvError> {
        let Message { bytes, descriptors } = self.reader.take()?;
        let value = format::decode(&bytes, descriptors, self.settings).map_err(RecvError::Decode);
        if let Cow::Owned(vector) = bytes {
            self.reader.recycle(vector);
        }
        value
    }

    /// Queues a value.
    #[inline]
    pub(super) fn push<V: Serialize>(&mut self, value: &V) -> Result<Mark, SendError> {
        let settings = self.settings;
        self.writer.push_with(|out| format::encode(value, out, settings))
    }

    /// Writes what is queued; false if the pipe is full and it may not wait.
    #[inline]
    pub(super) fn flush(&mut self, wait: Wait) -> Result<bool, SendError> {
        self.writer.check()?;
        while self.writer.is_pending() {
            let chunk = self.writer.chunk();
            let slice = [IoSlice::new(chunk.bytes)];
            let sent = match chunk.descriptors {
                [] => self.transport.send(&slice, &[], wait),
                owned => self.transport.send(&slice, &borrowed(owned), wait),
            };
            match sent {
                Ok(sent) => self.writer.handle_sent(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match wait {
                    Wait::No => return Ok(false),
                    Wait::Yes => self.wait_writable()?,
                },
                Err(error) => {
                    self.writer.handle_failed();
                    return Err(cause(error));
                }
            }
        }
        Ok(true)
    }

    /// Writes what is queued, up to and with the message at the mark. If that fails before its first byte, it
    /// is taken back.
    #[inline]
    pub(super) fn flush_message(&mut self, mark: Mark) -> Result<(), SendError> {
        let flushed = self.flush(Wait::Yes);
        if flushed.is_err() {
            self.writer.take_back(mark);
        }
        flushed.map(|_| ())
    }

    /// Queues a message and writes what fits, if something does; the rest of a message that was begun is
    /// kept.
    pub(super) fn try_send(
        &mut self,
        queue: impl FnOnce(&mut Self) -> Result<Mark, SendError>,
    ) -> Result<(), TrySendError> {
        if !self.flush(Wait::No)? {
            return Err(TrySendError::Full);
        }
        let mark = queue(self)?;
        let flushed = self.flush(Wait::No);
        let complete = matches!(flushed, Ok(true));
        if !complete && self.writer.take_back(mark) && flushed.is_ok() {
            return Err(TrySendError::Full);
        }
        Ok(flushed.map(|_| ())?)
    }

    /// Ends the outgoing direction.
    pub(super) fn half_close(&mut self) -> io::Result<()> {
        self.writer.half_close();
        match self.transport.shutdown_write() {
            // The peer is gone altogether.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }

    /// Sends a body and waits until the kernel has it.
    pub(super) fn send_bytes(&mut self, body: &[u8], descriptors: Vec<OwnedFd>) -> Result<(), SendError> {
        if body.len() < GATHERED_BYTES {
            let mark = self.writer.push(body, descriptors)?;
            return self.flush_message(mark);
        }
        self.writer.check_size(body.len(), descriptors.len())?;
        self.flush(Wait::Yes)?;
        self.send_gathered(body, &borrowed(&descriptors))
    }

    /// Writes header and body from where they lie.
    fn send_gathered(&mut self, body: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), SendError> {
        let header = frame::encode(body.len());
        let header = header.as_bytes();
        let (mut sent, all) = (0, header.len() + body.len());
        while sent < all {
            let attached = if sent == 0 { descriptors } else { &[] };
            let written = match header.get(sent..) {
                Some(rest) if !rest.is_empty() => {
                    self.transport.send(&[IoSlice::new(rest), IoSlice::new(body)], attached, Wait::Yes)
                }
                _ => self.transport.send(&[IoSlice::new(&body[sent - header.len()..])], attached, Wait::Yes),
            };
            match written {
                Ok(written) => sent += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_writable()?,
                Err(error) => {
                    if sent > 0 {
                        self.writer.poison();
                    }
                    return Err(cause(error));
                }
            }
        }
        Ok(())
    }

    fn wait_writable(&self) -> Result<(), SendError> {
        self.transport.wait_writable(None).map(|_| ()).map_err(SendError::Io)
    }
}

impl<T: Transport> Drop for Connection<T> {
    /// Sends what was fed and fits, and ends the direction of a half. Never waits (H57).
    fn drop(&mut self) {
        if self.writer.is_pending() && !matches!(self.flush(Wait::No), Ok(true)) {
            let unsent_bytes = self.writer.pending_bytes();
            tracing::warn!(
                unsent_bytes,
                "a pipe's end was dropped with unsent messages; close it to wait for them"
            );
        }
        if self.ends_outgoing && !self.handed_over.load(Ordering::Relaxed) {
            // It fails only if the peer is gone, and then nobody reads the end.
            let _ = self.transport.shutdown_write();
        }
    }
}

fn borrowed(descriptors: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    descriptors.iter().map(AsFd::as_fd).collect()
}

fn cause(error: io::Error) -> SendError {
    match is_peer_gone(&error) {
        true => SendError::PeerGone,
        false => SendError::Io(error),
    }
}
