//! Frames of the peer.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::channel::{ChannelState, Window, weight_of};
use super::{Asked, Beside, Connection, Delivery, Event, ProtocolError};
use crate::codec::descriptor::Carried;
use crate::codec::{self, Encoded};
use crate::protocol::control::{PROTOCOL_VERSION, PreambleError};
use crate::protocol::frame::{CHUNKED, FAILED, Frame, Header, Kind, NUMBERED, RIGHT, Run, TRACED};
use crate::protocol::series::Numbering;
use crate::protocol::traceparent::TraceParent;
use crate::protocol::wire::{Cause, Failure, Hello, Large, Open, Opened, Verdict};
use crate::sys::buffer::Buffer;

impl<T> Connection<T> {
    /// Takes one frame. What it leads to is returned, or was appended to the bytes to transmit or the events.
    ///
    /// # Errors
    /// The peer broke the protocol; nothing more of it should be read.
    pub fn handle_frame<'a>(
        &mut self,
        frame: Frame<'a>,
        now: Instant,
    ) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let Frame { header, body } = frame;
        let descriptors = self.claim(header)?;
        if self.theirs.is_none() && header.kind != Kind::Hello {
            return Err(ProtocolError::Unexpected(header.kind));
        }
        // What is watched in vain is answered among the messages.
        let unread = match header.kind {
            Kind::Monitor => self.out.message_bytes(),
            _ => self.out.control_bytes(),
        };
        if unread > MAX_UNREAD_BYTES {
            return Err(ProtocolError::Unread);
        }
        let event = match header.kind {
            Kind::Hello => self.on_hello(body)?,
            Kind::Open => self.on_open(header, body)?,
            Kind::Opened => self.on_opened(header, body)?,
            Kind::Refused => self.on_refused(header, body)?,
            Kind::Call | Kind::Cast | Kind::Reply if header.flags & CHUNKED != 0 => {
                self.on_announced(header, body, descriptors)?
            }
            Kind::Call | Kind::Cast => {
                Some(self.on_message(header, Encoded { bytes: body.into(), descriptors }, now)?)
            }
            Kind::Reply => self.on_reply(header, Encoded { bytes: body.into(), descriptors })?,
            Kind::Credit => self.on_credit(header, body)?,
            Kind::Cancel => self.on_cancel(header),
            Kind::Chunk => self.on_chunk(header, body, now)?,
            Kind::Close => self.on_close(header)?,
            Kind::Closed => self.on_closed(header)?,
            Kind::Monitor => self.on_monitor(header, body)?,
            Kind::Demonitor => self.on_demonitor(header)?,
            Kind::Down => self.on_down(header, body)?,
            Kind::Present => self.on_present(header, body)?,
            Kind::Denied => self.on_denied(header, body)?,
            Kind::Goodbye => {
                self.they_left = true;
                Some(Event::Goodbye)
            }
        };
        self.check();
        Ok(event)
    }

    /// Takes a run of casts: what comes of those that the window admits, and what was wrong with the one behind them.
    pub fn handle_run<'a>(&mut self, run: Run<'a>) -> (Option<Event<'a, T>>, Result<(), ProtocolError>) {
        if self.theirs.is_none() {
            return (None, Err(ProtocolError::Unexpected(run.header.kind)));
        }
        if self.out.control_bytes() > MAX_UNREAD_BYTES {
            return (None, Err(ProtocolError::Unread));
        }
        let channel = run.header.channel;
        let Some(served) = self.served.get_mut(channel as usize) else {
            return (None, Err(ProtocolError::Channel(channel)));
        };
        let (count, bytes) = (run.count as u64, weight_of(run.body_bytes(), 0));
        if served.receive_several(count, bytes) {
            self.check();
            return (Some(Event::Casts(run)), Ok(()));
        }
        // The window is nearly used up, or was passed: one after the other.
        let admitted = run.bodies().take_while(|body| served.receive(weight_of(body.len(), 0))).count();
        let event = run.first(admitted).map(Event::Casts);
        let violation = admitted < run.count;
        self.check();
        (event, if violation { Err(ProtocolError::Window(channel)) } else { Ok(()) })
    }

    /// Takes descriptors that arrived. Each belongs to a frame that begins where it came. If some were `lost`, because
    /// this process had no room for them, the frame that announces them has fewer, and what needs them can't be decoded.
    ///
    /// # Errors
    /// More than the frames that may be under way can have.
    pub fn handle_descriptors(
        &mut self,
        descriptors: impl IntoIterator<Item = Carried>,
        lost: bool,
    ) -> Result<(), ProtocolError> {
        self.arrived.extend(descriptors.into_iter().map(Some));
        self.arrived.extend(lost.then_some(None));
        // What one read gives is the end of one frame and the beginning of the next.
        let most = 2 * usize::from(self.ours.limits.max_descriptors);
        match self.arrived.len() {
            count if count > most => {
                self.arrived.clear();
                Err(ProtocolError::Descriptors { announced: 0, arrived: count })
            }
            _ => Ok(()),
        }
    }

    /// Those that belong to this frame.
    fn claim(&mut self, header: Header) -> Result<Vec<Carried>, ProtocolError> {
        if header.descriptors == 0 {
            return Ok(Vec::new());
        }
        let (announced, arrived) = (usize::from(header.descriptors), self.arrived.len());
        let violation = ProtocolError::Descriptors { announced: header.descriptors, arrived };
        if header.descriptors > self.ours.limits.max_descriptors {
            return Err(violation);
        }
        let mut claimed = Vec::with_capacity(announced);
        while claimed.len() < announced {
            match self.arrived.pop_front() {
                Some(Some(descriptor)) => claimed.push(descriptor),
                Some(None) => break,
                // They come with the first byte, so they are not merely late.
                None => return Err(violation),
            }
        }
        Ok(claimed)
    }

    fn on_hello<'a>(&mut self, body: &[u8]) -> Result<Option<Event<'a, T>>, ProtocolError> {
        if self.theirs.is_some() {
            return Err(ProtocolError::Unexpected(Kind::Hello));
        }
        let hello: Hello = parse(Kind::Hello, body)?;
        if hello.version != PROTOCOL_VERSION {
            return Err(PreambleError::Version { theirs: hello.version }.into());
        }
        self.theirs = Some(hello.limits);
        self.same_build = hello.build == self.ours.build;
        Ok(Some(Event::Greeted(hello)))
    }

    fn on_open<'a>(&mut self, header: Header, body: &[u8]) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let open: Open = parse(Kind::Open, body)?;
        if !self.place_served(header.channel) {
            return Err(ProtocolError::Channel(header.channel));
        }
        Ok(Some(Event::Open { channel: header.channel, open }))
    }

    pub(super) fn our_window(&self) -> Window {
        Window {
            messages: u64::from(self.ours.limits.window_messages),
            bytes: u64::from(self.ours.limits.window_bytes),
        }
    }

    fn on_opened<'a>(&mut self, header: Header, body: &[u8]) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let opened: Opened = parse(Kind::Opened, body)?;
        let channel = self
            .channels
            .get_mut(header.channel as usize)
            .filter(|channel| matches!(channel.state, ChannelState::Opening))
            .ok_or(ProtocolError::Channel(header.channel))?;
        channel.state = ChannelState::Open(Window {
            messages: u64::from(opened.window_messages),
            bytes: u64::from(opened.window_bytes),
        });
        self.make_ready(header.channel);
        Ok(None)
    }

    fn on_refused<'a>(&mut self, header: Header, body: &[u8]) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let cause: Cause = parse(Kind::Refused, body)?;
        let channel = self
            .channels
            .get_mut(header.channel as usize)
            .filter(|channel| {
                matches!(channel.state, ChannelState::Opening | ChannelState::Open(_) | ChannelState::Closing)
            })
            .ok_or(ProtocolError::Channel(header.channel))?;
        if matches!(channel.state, ChannelState::Closing) {
            // It was said before `Closed`; whoever waits asks anew.
            return Ok(None);
        }
        channel.state = ChannelState::Refused(cause.clone());
        self.fail_queue(header.channel, &cause);
        Ok(None)
    }

    /// A large body begins: it is counted now, so that its announcement is held to the window and the limit.
    fn on_announced<'a>(
        &mut self,
        header: Header,
        body: &[u8],
        descriptors: Vec<Carried>,
    ) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let Large { stream, total } = parse(header.kind, body)?;
        let limit = self.ours.limits.max_message_bytes;
        if total > limit {
            return Err(ProtocolError::TooLarge { bytes: total, limit });
        }
        let mut wanted = true;
        if header.kind == Kind::Reply {
            // Chunks of a reply that nobody waits for are taken and dropped like the reply itself.
            wanted = self.expect_large_reply(header)?;
            self.counters.late_replies += u64::from(!wanted);
        } else {
            self.receive(header, weight_of(total as usize, usize::from(header.descriptors)))?;
            self.served[header.channel as usize].streaming = true;
        }
        if total == 0 {
            return Err(ProtocolError::Stream { stream });
        }
        self.assemblies.begin(header, stream, total as usize, wanted, descriptors)?;
        Ok(None)
    }

    /// Whether somebody waits for this reply; each request may have one.
    fn expect_large_reply(&mut self, header: Header) -> Result<bool, ProtocolError> {
        let Some(index) = self.index_of(header.correlation) else { return Ok(false) };
        match std::mem::replace(&mut self.outgoing[index].reply_announced, true) {
            false => Ok(true),
            true => Err(ProtocolError::Correlation(header.correlation)),
        }
    }

    fn on_chunk<'a>(
        &mut self,
        header: Header,
        body: &[u8],
        now: Instant,
    ) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let whole = self.assemblies.chunk(header.channel, body)?;
        self.on_whole(whole, now)
    }

    /// A chunk has begun to come, and these bytes of it are here. Whether the rest should be read into its
    /// [`chunk_place`](Self::chunk_place); if not, the frame should be handled when it is whole.
    ///
    /// # Errors
    /// The peer broke the protocol.
    pub fn begin_chunk(&mut self, header: Header, held: &[u8]) -> Result<bool, ProtocolError> {
        if header.kind != Kind::Chunk || self.theirs.is_none() {
            return Ok(false);
        }
        match self.assemblies.place(header.channel, header.length as usize)? {
            Some(place) => place.extend_from_slice(held),
            None => return Ok(false),
        }
        let left = header.length as usize - held.len();
        debug_assert!(left > 0, "a chunk that is whole is a frame");
        let whole = self.assemblies.arrived(header.channel, held.len());
        debug_assert!(whole.is_none(), "there is more of it");
        Ok(true)
    }

    /// Where the rest of a chunk goes that has begun, so many bytes.
    ///
    /// # Errors
    /// There is none that has.
    pub fn chunk_place(&mut self, stream: u32, left: usize) -> Result<&mut Buffer, ProtocolError> {
        self.assemblies.place(stream, left)?.ok_or(ProtocolError::Stream { stream })
    }

    /// So many bytes are in the place of a chunk that has begun.
    ///
    /// # Errors
    /// The peer broke the protocol.
    pub fn chunk_arrived<'a>(
        &mut self,
        stream: u32,
        bytes: usize,
        now: Instant,
    ) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let whole = self.assemblies.arrived(stream, bytes);
        let event = self.on_whole(whole, now)?;
        self.check();
        Ok(event)
    }

    fn on_whole<'a>(
        &mut self,
        whole: Option<(Header, Encoded<'static>)>,
        now: Instant,
    ) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let Some((first, body)) = whole else { return Ok(None) };
        if first.kind == Kind::Reply {
            return self.on_reply(first, body);
        }
        self.served[first.channel as usize].streaming = false;
        Ok(Some(self.deliver(first, body, now)?))
    }

    fn receive(&mut self, header: Header, bytes: u64) -> Result<(), ProtocolError> {
        let channel = header.channel;
        let served = self.served.get_mut(channel as usize).ok_or(ProtocolError::Channel(channel))?;
        if served.receive(bytes) { Ok(()) } else { Err(ProtocolError::Window(channel)) }
    }

    fn on_message<'a>(
        &mut self,
        header: Header,
        body: Encoded<'a>,
        now: Instant,
    ) -> Result<Event<'a, T>, ProtocolError> {
        self.receive(header, weight_of(body.bytes.len(), usize::from(header.descriptors)))?;
        self.deliver(header, body, now)
    }

    fn deliver<'a>(
        &mut self,
        header: Header,
        mut body: Encoded<'a>,
        now: Instant,
    ) -> Result<Event<'a, T>, ProtocolError> {
        // By what was sent: some descriptors may have been lost on the way.
        let weight = weight_of(body.bytes.len(), usize::from(header.descriptors));
        let (mut right, mut beside) = (0, None);
        if header.flags & (NUMBERED | RIGHT | TRACED) != 0 {
            let numbering = take_numbering(header, &mut body)?;
            right = self.take_right(header, &mut body)?;
            let trace = take_trace(header, &mut body)?;
            let any = numbering.is_some() || trace.is_some();
            beside = any.then(|| Box::new(Beside { numbering, trace }));
        }
        let correlation = (header.kind == Kind::Call).then_some(header.correlation);
        if let Some(correlation) = correlation {
            // Nothing came on its channel since it, or since its announcement.
            let sequence = self.served[header.channel as usize].received();
            let previous = self.answering.insert(correlation, Asked { cancelled: false, sequence });
            if previous.is_some() {
                return Err(ProtocolError::Correlation(correlation));
            }
        }
        let deadline = match header.extra {
            0 => None,
            left => Some(now + Duration::from_millis(u64::from(left))),
        };
        let (channel, message) = (header.channel, header.message);
        let delivery = Delivery { channel, message, body, weight, correlation, deadline, right, beside };
        Ok(Event::Deliver(delivery))
    }

    fn on_reply<'a>(
        &mut self,
        header: Header,
        body: Encoded<'a>,
    ) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let Some(index) = self.index_of(header.correlation) else {
            // A large one comes here only if it was waited for when it was announced.
            self.counters.late_replies += 1;
            return Ok(None);
        };
        let super::Stage::Sent { sequence, .. } = self.outgoing[index].stage else {
            return Err(ProtocolError::Correlation(header.correlation));
        };
        let channel = self.outgoing[index].channel as usize;
        if header.flags & FAILED == 0 {
            self.channels[channel].answer(sequence);
            let tag = self.outgoing.remove(index).tag;
            return Ok(Some(Event::Reply { tag, body }));
        }
        let failure: Failure = parse(Kind::Reply, &body.bytes)?;
        // What was not executed may have been refused on arrival, out of its turn: it proves nothing of those before.
        if failure.verdict == Verdict::Failed {
            self.channels[channel].answer(sequence);
        }
        let tag = self.outgoing.remove(index).tag;
        Ok(Some(Event::Failed { tag, failure }))
    }

    fn on_credit<'a>(&mut self, header: Header, body: &[u8]) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let bytes: u64 = parse(Kind::Credit, body)?;
        let channel = self
            .channels
            .get_mut(header.channel as usize)
            .filter(|channel| !matches!(channel.state, ChannelState::Shut | ChannelState::Free))
            .ok_or(ProtocolError::Channel(header.channel))?;
        if !channel.credit(header.correlation, bytes) {
            return Err(ProtocolError::Credit(header.channel));
        }
        self.make_ready(header.channel);
        Ok(None)
    }

    fn on_cancel<'a>(&mut self, header: Header) -> Option<Event<'a, T>> {
        if let Some(asked) = self.answering.get_mut(&header.correlation) {
            asked.cancelled = true;
        }
        None
    }
}

/// Control frames of ours that a peer may leave unread while it goes on sending. A peer that reads in turn leaves a few
/// for each turn; one that never reads must not make us keep them all.
const MAX_UNREAD_BYTES: usize = 16 << 20;

/// Takes the numbering off the end of a body that has one.
fn take_numbering(header: Header, body: &mut Encoded<'_>) -> Result<Option<Numbering>, ProtocolError> {
    if header.flags & NUMBERED == 0 {
        return Ok(None);
    }
    let split = Numbering::split(&body.bytes).filter(|_| header.kind == Kind::Call);
    let Some((end, numbering)) = split else {
        return Err(ProtocolError::Body {
            kind: header.kind,
            reason: "its numbering makes no sense".to_owned(),
        });
    };
    body.bytes.truncate(end);
    Ok(Some(numbering))
}

/// Takes the trace off the end of a body that has one. One that makes no sense is none.
fn take_trace(header: Header, body: &mut Encoded<'_>) -> Result<Option<TraceParent>, ProtocolError> {
    if header.flags & TRACED == 0 {
        return Ok(None);
    }
    let Some((rest, trace)) = body.bytes.split_last_chunk() else {
        return Err(ProtocolError::Body {
            kind: header.kind,
            reason: "it is too short for a trace".to_owned(),
        });
    };
    let (end, trace) = (rest.len(), TraceParent::from_bytes(trace));
    body.bytes.truncate(end);
    Ok(trace)
}

impl<'a> Run<'a> {
    /// What the frames of it would be one by one.
    pub fn deliveries(&self) -> impl Iterator<Item = Delivery<'a>> {
        let Header { channel, message, .. } = self.header;
        self.bodies().map(move |body| Delivery {
            channel,
            message,
            body: body.into(),
            weight: weight_of(body.len(), 0),
            correlation: None,
            deadline: None,
            right: 0,
            beside: None,
        })
    }
}

pub(super) fn parse<B: DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<B, ProtocolError> {
    codec::decode(body).map_err(|error| ProtocolError::Body { kind, reason: error.to_string() })
}
