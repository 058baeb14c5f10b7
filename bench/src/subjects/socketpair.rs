//! The limit: a bare socketpair between two processes, without framing or encoding.

use std::future::ready;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use super::Subject;
use crate::cores;
use crate::drive::{self, MESSAGE, OUTSTANDING, PAYLOAD, at_once};
use crate::other_end::other_end;
use crate::part::{Failure, Part, Reading, Task};

/// What is written and read at once where messages are gathered.
const BUFFER: usize = 64 << 10;

pub(super) fn measure(part: &Part) -> Result<Reading, Failure> {
    let (near, far) = UnixStream::pair()?;
    let _other = other_end(part, OwnedFd::from(far))?;
    cores::pin(part.placement.near()?)?;
    let end = End::new(near, part)?;
    at_once(drive(part, &end))
}

async fn drive(part: &Part, end: &End) -> Result<Reading, Failure> {
    match (part.task, part.subject) {
        (Task::Ask, _) => drive::asks(part, || ready(end.ask::<MESSAGE>())).await,
        // Sixty-four messages in one write, which come back in one.
        (Task::Ask64, Subject::Socketpair) => {
            let together = drive::asks(part, || ready(end.ask::<{ MESSAGE * OUTSTANDING }>())).await?;
            Ok(Reading::new(OUTSTANDING as f64 / together.value))
        }
        (Task::Ask64, _) => {
            drive::asks64(part, || {
                let sent = end.send(&[1; MESSAGE]);
                async move {
                    sent?;
                    Ok(end.receive(&mut [0; MESSAGE])?)
                }
            })
            .await
        }
        (Task::Tell, _) => {
            let chunk = if part.subject == Subject::Socketpair { BUFFER } else { MESSAGE };
            let bytes = usize::try_from(part.batch())? * MESSAGE;
            drive::tells(part, || ready(end.stream(bytes, chunk))).await
        }
        (Task::Rate(rate), _) => drive::at_rate_blocking(part, rate, || end.ask::<MESSAGE>()),
        (Task::HandOver(bytes), _) => {
            let bytes = usize::try_from(bytes)?;
            drive::asks(part, || ready(end.stream(bytes, PAYLOAD))).await
        }
        (Task::Payload, _) => {
            drive::payloads(part, || ready(end.stream(part.payloads() * PAYLOAD, PAYLOAD))).await
        }
        (other, _) => Err(format!("{other:?} is no task for a socketpair").into()),
    }
}

/// The other end; it ends with its socket.
pub(super) fn answer(part: &Part) -> Result<(), Failure> {
    cores::pin(part.placement.far()?)?;
    let end = End::new(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?), part)?;
    let answered = match part.task {
        Task::Ask64 if part.subject == Subject::Socketpair => end.echo::<{ MESSAGE * OUTSTANDING }>(),
        Task::Tell => end.swallow(usize::try_from(part.batch())? * MESSAGE),
        Task::HandOver(bytes) => end.swallow(usize::try_from(bytes)?),
        Task::Payload => end.swallow(part.payloads() * PAYLOAD),
        _ => end.echo::<MESSAGE>(),
    };
    match answered {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        other => Ok(other?),
    }
}

/// One end of the socketpair.
struct End {
    socket: UnixStream,
    polls: bool,
}

impl End {
    fn new(socket: UnixStream, part: &Part) -> io::Result<End> {
        let polls = part.subject == Subject::SocketpairPolling;
        socket.set_nonblocking(polls)?;
        Ok(End { socket, polls })
    }

    fn ask<const BYTES: usize>(&self) -> Result<(), Failure> {
        self.send(&[1; BYTES])?;
        Ok(self.receive(&mut [0; BYTES])?)
    }

    fn stream(&self, bytes: usize, chunk: usize) -> Result<(), Failure> {
        let messages = vec![1; chunk];
        let mut left = bytes;
        while left > 0 {
            let now = left.min(chunk);
            self.send(&messages[..now])?;
            left -= now;
        }
        Ok(self.receive(&mut [0])?)
    }

    fn echo<const BYTES: usize>(&self) -> io::Result<()> {
        let mut message = [0; BYTES];
        loop {
            self.receive(&mut message)?;
            self.send(&message)?;
        }
    }

    /// Reads what is there, and confirms every so many bytes.
    fn swallow(&self, batch: usize) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let mut left = batch;
            while left > 0 {
                left -= self.some(&mut buffer[..left.min(BUFFER)])?;
            }
            self.send(&[1])?;
        }
    }

    fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = self.patiently(|mut socket| socket.write(bytes))?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    fn receive(&self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let received = self.some(buffer)?;
            buffer = &mut buffer[received..];
        }
        Ok(())
    }

    fn some(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.patiently(|mut socket| socket.read(buffer))? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            received => Ok(received),
        }
    }

    /// Polls, if this is what is measured; else the kernel has waited already.
    fn patiently(&self, mut work: impl FnMut(&UnixStream) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            match work(&self.socket) {
                Err(error) if self.polls && error.kind() == io::ErrorKind::WouldBlock => {
                    std::hint::spin_loop();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // An end that is gone with unread bytes resets the other.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(0),
                other => return other,
            }
        }
    }
}
