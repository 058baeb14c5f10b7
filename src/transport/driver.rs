//! Drives a connection over a pipe, on the thread whose actors it serves: a message costs no thread hop.
//!
//! A dull loop: write what is pending, sleep until there is something to do, read once. What the frames mean is
//! decided by the connection and its [`Lane`], what the bytes move over by the [`Wire`].

mod lingering;

use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Instant;

use super::polling::{self, Watch};
use super::turn;
use super::wire::{Arrivals, Wire};
use crate::codec::descriptor::Carried;
use crate::protocol::connection::{Connection, Event, ProtocolError};
use crate::protocol::frame::{FrameReader, Frames, SMALL_BYTES};
use crate::sys::room::Room;
use crate::sys::socket;

/// Whose connection it is.
pub trait Lane {
    /// What the connection gives back with outcomes.
    type Tag;

    /// Locks the connection for a moment.
    fn with<R>(&self, act: impl FnOnce(&mut Connection<Self::Tag>) -> R) -> R;

    /// Something happened; the connection is not locked.
    ///
    /// # Errors
    /// The peer broke the protocol.
    fn on_event(&self, event: Event<'_, Self::Tag>) -> Result<(), ProtocolError>;

    /// Several things happened, in this order; the connection is not locked.
    ///
    /// # Errors
    /// The peer broke the protocol; what came after that is not looked at.
    fn on_events(&self, events: Vec<Event<'_, Self::Tag>>) -> Result<(), ProtocolError> {
        events.into_iter().try_for_each(|event| self.on_event(event))
    }

    /// Resolves when the connection may have something to transmit. Cancel safe.
    fn wanted(&self) -> impl Future<Output = ()>;

    /// Whether the lane is finished and everything was written: the pipe may be closed.
    fn is_done(&self) -> bool;
}

/// How a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// This side was done.
    Done,
    /// End-of-file at the end of a frame, or the peer's end is gone (H9).
    PeerGone,
    /// The peer broke the protocol, an end-of-file inside a frame included (H10).
    Violation(ProtocolError),
    /// The operating system failed.
    Failed(io::Error),
}

/// Moves bytes until the connection ends. Dropping the future closes the pipe.
pub async fn drive<L: Lane, W: Wire + 'static>(lane: &L, wire: W) -> Ended {
    let wire = Rc::new(wire);
    let (polled, sleeping) = (Rc::clone(&wire), Rc::clone(&wire));
    let watch = polling::watch(move || polled.has_news(), move || sleeping.before_sleep());
    let reader = FrameReader::default();
    let arrivals = Arrivals::default();
    let mut driver = Driver {
        lane,
        wire,
        watch,
        reader,
        arrivals,
        greeted: false,
        chunk: None,
        chunk_next: false,
        conversing: false,
        unseeing: 0,
        untaken: false,
        in_turn: 0,
        shallow_for: 0,
    };
    match driver.run().await {
        Ok(()) => Ended::Done,
        Err(ended) => ended,
    }
}

/// What may be written before others of the thread have their turn: a peer that reads as fast as we write would
/// otherwise keep a huge message going to its end while everything else waits (M-4).
const TURN_BYTES: usize = 256 << 10;

/// The same while small messages leave beside large ones.
const SHALLOW_TURN_BYTES: usize = 64 << 10;

/// So many writes without a large body, and the pipe is deep again: each change is a system call, and where bodies come one
/// after another there would be two for each.
const SHALLOW_WRITES: u32 = 64;

/// Why writing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    All,
    Blocked,
    Enough,
}

/// A chunk of a large body that has come in part.
#[derive(Clone, Copy, Debug)]
struct OpenChunk {
    /// Of which body.
    stream: u32,
    /// How much of it is still to come: never nothing.
    left: usize,
}

struct Driver<'a, L: Lane, W: Wire> {
    lane: &'a L,
    wire: Rc<W>,
    /// Tells of news before the thread sleeps.
    watch: Watch,
    reader: FrameReader,
    /// Where a read puts those that arrive.
    arrivals: Arrivals,
    greeted: bool,
    /// What is read into its place.
    chunk: Option<OpenChunk>,
    /// A chunk was read into its place, so that another may come next, of which little should be read before its place is
    /// known: what is read elsewhere is copied.
    chunk_next: bool,
    /// What came last was a question or an answer, so that another may follow soon. Of what is only told, more at once costs less.
    conversing: bool,
    /// How often in a row it found something to transmit before it looked whether something came.
    unseeing: u32,
    /// Whether the reader may hold frames that were not taken.
    untaken: bool,
    /// What was written since others had their turn.
    in_turn: usize,
    /// The pipe holds less for so many more writes, since large bodies pass.
    shallow_for: u32,
}

impl<L: Lane, W: Wire> Driver<'_, L, W> {
    async fn run(&mut self) -> Result<(), Ended> {
        let timer = tokio::time::sleep(std::time::Duration::ZERO);
        tokio::pin!(timer);
        let mut armed: Option<Instant> = None;
        loop {
            let mut standing = self.lane.with(|connection| connection.standing());
            let mut written = Written::All;
            if standing.has_bytes {
                written = self.write()?;
                // After writing, since filling the outgoing bytes is what tells that a message has left its queue.
                standing = self.lane.with(|connection| connection.standing());
            }
            if standing.has_events {
                self.drain_events()?;
            }
            if written == Written::Enough {
                // Tokio's: the runtime asks the kernel for events, and gives `main` its turn, only once in many turns of
                // tasks that have work.
                tokio::task::yield_now().await;
                self.time_out();
            } else if self.untaken {
                // What came of those before is handled, and its replies leave, while the peer is still at the rest.
                turn::yield_once().await;
            }
            if self.untaken {
                self.take_frames()?;
                continue;
            }
            if written == Written::Enough {
                self.read()?;
                continue;
            }
            if self.lane.is_done() && !self.lane.with(|connection| connection.has_pending()) {
                return Ok(());
            }
            let timeout = standing.timeout;
            // A timer that fires too early is cheaper than one that is set anew for each message.
            if timeout.is_some_and(|wanted| armed.is_none_or(|armed| wanted < armed)) {
                armed = timeout;
                timer.as_mut().reset(armed.unwrap_or_else(Instant::now).into());
            }
            if written == Written::All && self.may_linger() && self.linger(timeout).await? {
                continue;
            }
            self.unseeing = 0;
            tokio::select! {
                biased;
                () = self.watch.poked() => self.read()?,
                ready = self.wire.readable() => {
                    ready.map_err(failed)?;
                    self.read()?;
                }
                () = self.lane.wanted() => {}
                ready = self.wire.writable(), if written == Written::Blocked => ready.map_err(failed)?,
                () = timer.as_mut(), if armed.is_some() => {
                    armed = None;
                    self.time_out();
                }
            }
        }
    }

    /// Ends what waits for longer than it may.
    fn time_out(&self) {
        let now = Instant::now();
        self.lane.with(|connection| connection.handle_timeout(now));
    }

    /// Reads once, and takes what is whole.
    fn read(&mut self) -> Result<(), Ended> {
        if let Some(chunk) = self.chunk {
            return self.read_chunk(chunk);
        }
        let read = self.wire.recv(self.reader.room_before(self.chunk_next), &mut self.arrivals);
        self.received(read)
    }

    fn received(&mut self, read: io::Result<usize>) -> Result<(), Ended> {
        let Some(bytes) = self.judge(read)? else { return Ok(()) };
        self.chunk_next = false;
        self.reader.advance(bytes);
        self.take_descriptors()?;
        self.take_frames()
    }

    /// Reads more of a chunk, into its place, and a little of what is behind it.
    fn read_chunk(&mut self, OpenChunk { stream, left }: OpenChunk) -> Result<(), Ended> {
        let (wire, reader, arrivals) = (&self.wire, &mut self.reader, &mut self.arrivals);
        let read = self.lane.with(|connection| {
            let place = connection.chunk_place(stream, left).map_err(Ended::Violation)?;
            let mut rooms = [Room::Append(place.as_tail(), left), Room::Fill(reader.room_beside())];
            Ok(wire.recv_into(&mut rooms, arrivals))
        })?;
        let Some(bytes) = self.judge(read)? else { return Ok(()) };
        let in_place = bytes.min(left);
        self.chunk = (in_place < left).then_some(OpenChunk { stream, left: left - in_place });
        self.reader.advance(bytes - in_place);
        self.take_descriptors()?;
        let now = Instant::now();
        let whole = self.lane.with(|connection| connection.chunk_arrived(stream, in_place, now));
        let whole = whole.map_err(Ended::Violation)?;
        self.chunk_next = self.chunk.is_none();
        if let Some(event) = whole {
            self.lane.on_event(event).map_err(Ended::Violation)?;
        }
        if self.chunk.is_none() { self.take_frames() } else { Ok(()) }
    }

    /// How many bytes a read gave; none for now if it would block.
    fn judge(&self, read: io::Result<usize>) -> Result<Option<usize>, Ended> {
        match read {
            Ok(0) => Err(self.end_of_file()),
            Ok(bytes) => {
                self.watch.note_traffic();
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) if socket::is_peer_gone(&error) => Err(self.end_of_file()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Hands on what came beside the bytes.
    fn take_descriptors(&mut self) -> Result<(), Ended> {
        if self.arrivals.is_empty() {
            return Ok(());
        }
        let Arrivals { descriptors, lost } = std::mem::take(&mut self.arrivals);
        let arrived = descriptors.into_iter().map(Carried::from);
        self.lane.with(|connection| connection.handle_descriptors(arrived, lost)).map_err(Ended::Violation)
    }

    fn end_of_file(&self) -> Ended {
        match self.reader.is_mid_frame() || self.chunk.is_some() {
            true => Ended::Violation(ProtocolError::Cut),
            false => Ended::PeerGone,
        }
    }

    /// Writes until nothing is pending, the kernel takes no more, or it is enough for one turn.
    fn write(&mut self) -> Result<Written, Ended> {
        let now = Instant::now();
        loop {
            let mut is_all = false;
            let sent: io::Result<usize> = self.lane.with(|connection| {
                let shallow = connection.wants_shallow();
                let transmit = connection.poll_transmit(now);
                if transmit.bytes.is_empty() {
                    return Ok(0);
                }
                // What the kernel holds of a large body is before every small message that comes (M-4).
                if shallow {
                    if self.shallow_for == 0 {
                        self.wire.set_shallow(true);
                    }
                    self.shallow_for = SHALLOW_WRITES;
                }
                let sent = match transmit.descriptors {
                    [] => self.wire.send_with_tail(transmit.bytes, transmit.tail, &[])?,
                    descriptors => {
                        let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
                        self.wire.send_with_tail(transmit.bytes, transmit.tail, &borrowed)?
                    }
                };
                connection.handle_transmitted(sent);
                is_all = !connection.has_bytes();
                Ok(sent)
            });
            match sent {
                Ok(0) => return Ok(Written::All),
                Ok(bytes) => {
                    self.watch.note_traffic();
                    if self.shallow_for > 0 {
                        self.shallow_for -= 1;
                        if self.shallow_for == 0 {
                            self.wire.set_shallow(false);
                        }
                    }
                    self.in_turn += bytes;
                    let most = if self.shallow_for > 0 { SHALLOW_TURN_BYTES } else { TURN_BYTES };
                    if self.in_turn >= most {
                        self.in_turn = 0;
                        return Ok(Written::Enough);
                    }
                    if is_all {
                        return Ok(Written::All);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Written::Blocked);
                }
                // The peer's last words may still be unread: reading finds the end (H9).
                Err(error) if socket::is_peer_gone(&error) => return Ok(Written::All),
                Err(error) => return Err(failed(error)),
            }
        }
    }

    fn take_frames(&mut self) -> Result<(), Ended> {
        if !self.greeted {
            let preamble = self.reader.take_preamble();
            self.greeted = preamble.map_err(|error| Ended::Violation(error.into()))?;
            if !self.greeted {
                return Ok(());
            }
        }
        let now = Instant::now();
        let mut frames = self.reader.frames();
        let mut events = Vec::new();
        let held = frames.bytes();
        let taken = self.lane.with(|connection| take_some(connection, &mut frames, &mut events, now));
        if frames.bytes() < held {
            self.conversing = events.last().is_some_and(is_awaited);
        }
        self.lane.on_events(events).map_err(Ended::Violation)?;
        self.untaken = taken.map_err(Ended::Violation)? == More::Maybe;
        if self.untaken { Ok(()) } else { self.open_chunk() }
    }

    /// If what is left is the beginning of a chunk, the rest is read into its place.
    fn open_chunk(&mut self) -> Result<(), Ended> {
        let Some((header, held)) = self.reader.unfinished() else { return Ok(()) };
        let left = header.length as usize - held.len();
        let begun = self.lane.with(|connection| connection.begin_chunk(header, held));
        if begun.map_err(Ended::Violation)? {
            self.chunk = Some(OpenChunk { stream: header.channel, left });
            self.reader.hand_over();
        }
        Ok(())
    }

    fn drain_events(&self) -> Result<(), Ended> {
        while let Some(event) = self.lane.with(Connection::poll_event) {
            self.lane.on_event(event).map_err(Ended::Violation)?;
        }
        Ok(())
    }
}

/// So many frames are taken under one lock, and handled before what follows from them is written: enough to share a
/// system call, few enough that the peer has its replies to work on while we are at the next.
const FRAMES_AT_ONCE: usize = 32;

/// So many casts of one way count as one of these frames: nothing follows from them that somebody waits for.
const CASTS_AS_ONE: usize = 4;

/// Whether whole frames may be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    Maybe,
    No,
}

/// Takes the next frames. What came of those before a violation is in `events`.
fn take_some<'a, T>(
    connection: &mut Connection<T>,
    frames: &mut Frames<'a>,
    events: &mut Vec<Event<'a, T>>,
    now: Instant,
) -> Result<More, ProtocolError> {
    let mut left = FRAMES_AT_ONCE;
    while left > 0 {
        if let Some(run) = frames.run(left * CASTS_AS_ONE, SMALL_BYTES) {
            left -= run.count.div_ceil(CASTS_AS_ONE);
            let (event, judged) = connection.handle_run(run);
            events.extend(event);
            judged?;
            continue;
        }
        let Some(frame) = frames.next() else { return Ok(More::No) };
        left -= 1;
        events.extend(connection.handle_frame(frame?, now)?);
    }
    Ok(if frames.bytes() == 0 { More::No } else { More::Maybe })
}

/// Whether somebody waits for it, or for what follows from it.
fn is_awaited<T>(event: &Event<'_, T>) -> bool {
    match event {
        Event::Reply { .. } => true,
        Event::Deliver(delivery) => delivery.correlation.is_some(),
        _ => false,
    }
}

/// What the peer did wrong with the pipe itself comes as data that is invalid; else it was the system.
fn failed(error: io::Error) -> Ended {
    match error.kind() {
        io::ErrorKind::InvalidData => Ended::Violation(ProtocolError::Pipe(error.to_string())),
        _ => Ended::Failed(error),
    }
}

#[cfg(test)]
mod tests;
