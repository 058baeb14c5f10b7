//! Where a connection meets its pipe: bytes out, bytes in, and what comes of them.

use procession::protocol::connection::{Delivery, Event};
use procession::protocol::frame::{CHUNKED, Frame, Header, Kind, SMALL_BYTES};
use procession::protocol::wire::{Cause, Failure, Large, Verdict};

use super::ledger::{Ledger, Outcome};
use super::link::{End, Served, feed};
use super::world::World;
use super::{link, payload};

/// What a connection may have ready without asking anybody: its soft limit, and past it one chunk, one message and the
/// frames around them.
const OUTGOING_BYTES: usize = (128 << 10) + 2 * ((32 << 10) + 28);

impl World {
    /// Writes some of what is pending. True if bytes moved.
    pub(crate) fn transmit(&mut self, link: usize, side: usize) -> bool {
        let most = if self.settling { usize::MAX } else { self.dice.usize(1..=self.scenario.piece_bytes) };
        let now = self.now;
        let pipe = &mut self.links[link];
        let Some(end) = pipe.ends[side].as_mut().filter(|end| end.is_open()) else { return false };
        let stream = &mut pipe.streams[side];
        if !pipe.introduced || stream.is_stalled(now) {
            return false;
        }
        let pending = end.connection.poll_transmit(now);
        assert!(
            pending.len() <= OUTGOING_BYTES + end.unbounded_bytes,
            "M-3: {} bytes wait to be written, {} of them may",
            pending.len(),
            OUTGOING_BYTES + end.unbounded_bytes
        );
        let bytes = pending[..pending.len().min(stream.room()).min(most)].to_vec();
        end.connection.handle_transmitted(bytes.len());
        stream.write(&bytes);
        for (message, channel, wire) in end.seen.look(&bytes) {
            self.ledger.on_wire(message, wire);
            if channel != u32::MAX {
                let sent = end.sent_on(channel);
                sent.order.push(message);
                self.ledger.of_mut(message).position = sent.order.len();
            }
        }
        if !end.connection.has_pending() {
            end.unbounded_bytes = 0;
        }
        self.drain(link, side, false);
        !bytes.is_empty()
    }

    /// Reads some of what has come. True if something did.
    pub(crate) fn receive(&mut self, link: usize, side: usize) -> bool {
        let most = if self.settling { usize::MAX } else { self.dice.usize(1..=self.scenario.piece_bytes) };
        let pipe = &mut self.links[link];
        if !pipe.introduced || !pipe.ends[side].as_ref().is_some_and(|end| end.is_open()) {
            return false;
        }
        let stream = &mut pipe.streams[1 - side];
        if stream.is_stalled(self.now) {
            return false;
        }
        if stream.is_at_end() {
            self.end_of_file(link, side);
            return true;
        }
        let bytes = stream.read(most);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let end = self.links[link].end(side);
            feed(&mut end.reader, &mut rest);
            if !end.greeted {
                end.greeted = end.reader.take_preamble().expect("an honest preamble");
            }
            while self.take_frame(link, side) {}
        }
        self.drain(link, side, false);
        !bytes.is_empty()
    }

    fn take_frame(&mut self, link: usize, side: usize) -> bool {
        let now = self.now;
        let end = self.links[link].end(side);
        if !end.greeted {
            return false;
        }
        let mut reader = std::mem::take(&mut end.reader);
        // As the driver does: casts of one way as one.
        if let Some(run) = reader.frames().run(64, SMALL_BYTES) {
            for body in run.bodies() {
                let length = u32::try_from(body.len()).expect("small");
                observe(end, Frame { header: Header { length, ..run.header }, body }, &self.ledger);
            }
            let (event, taken) = end.connection.handle_run(run);
            taken.expect("X-1: an honest peer is blamed for casts");
            let casts = event.into_iter().flat_map(|event| match event {
                Event::Casts(run) => {
                    run.deliveries().map(|cast| own(Event::Deliver(cast))).collect::<Vec<_>>()
                }
                other => panic!("a run leads to casts, not {other:?}"),
            });
            let casts: Vec<_> = casts.collect();
            end.reader = reader;
            for cast in casts {
                self.on_event(link, side, cast, false);
            }
            return true;
        }
        let Some(frame) = reader.next().expect("honest frames") else {
            end.reader = reader;
            return false;
        };
        observe(end, frame, &self.ledger);
        let event = match end.connection.handle_frame(frame, now) {
            Ok(event) => event.map(own),
            Err(error) => panic!("X-1: an honest peer is blamed for {:?}: {error}", frame.header),
        };
        end.reader = reader;
        if let Some(event) = event {
            self.credit_answers(link, side, &event);
            self.on_event(link, side, event, false);
        }
        true
    }

    /// A reply proves that its request, and all before it on that channel, were taken.
    fn credit_answers(&mut self, link: usize, side: usize, event: &Event<'static, u32>) {
        let proof = match event {
            Event::Reply { tag, .. } => *tag,
            Event::Failed { tag, failure } if failure.verdict == Verdict::Failed => *tag,
            _ => return,
        };
        let (channel, position) = (self.ledger.of(proof).channel, self.ledger.of(proof).position);
        let sent = self.links[link].end(side).sent_on(channel);
        sent.answered = sent.answered.max(position);
    }

    pub(crate) fn drain(&mut self, link: usize, side: usize, lost: bool) {
        while let Some(event) = self.links[link].end(side).connection.poll_event() {
            self.on_event(link, side, event, lost);
        }
    }

    fn on_event(&mut self, link: usize, side: usize, event: Event<'static, u32>, lost: bool) {
        let end = self.links[link].end(side);
        match event {
            Event::Greeted(hello) => {
                assert_eq!((hello.process, hello.incarnation.0), (link::id(end.peer.0), end.peer.1));
            }
            Event::Open { channel, open } => {
                let actor = open.target.slot().0 as usize;
                let exists = actor < self.scenario.actors;
                end.unbounded_bytes += 128;
                match exists {
                    true => end.connection.grant(channel),
                    false => end.connection.refuse(channel, &Cause::NoActor(open.target.id())),
                }
                assert_eq!(channel as usize, end.served.len());
                end.served.push(Served { actor: exists.then_some(actor), ..Served::default() });
            }
            Event::Present { .. } => {}
            Event::Casts(_) => panic!("they were told apart"),
            Event::Deliver(Delivery {
                channel,
                message,
                body,
                weight,
                correlation,
                deadline,
                beside,
                ..
            }) => {
                let trace = beside.and_then(|beside| beside.trace);
                assert_eq!(trace, payload::trace(message), "W-5: the trace of another message");
                assert_eq!(payload::message(&body.bytes), message, "W-5: the body of another message");
                let bytes = usize::try_from(weight).unwrap();
                self.arrive(link, side, (channel, message), bytes, correlation, deadline);
            }
            Event::Reply { tag, body } => {
                assert_eq!(payload::reply(&body.bytes), tag, "W-3: the reply of another message");
                self.ended(link, side, tag, Outcome::Replied, lost);
            }
            Event::Sent { tag } => self.ended(link, side, tag, Outcome::Sent, lost),
            Event::Failed { tag, failure } => {
                self.ended(link, side, tag, Outcome::Failed(failure), lost);
            }
            Event::Resume { channel } => self.resume(link, side, channel),
            Event::Watch { reference, watch, linked } => self.watched(link, side, reference, &watch, linked),
            Event::Unwatch { reference, back } => self.unwatched(link, side, reference, back),
            Event::Ended { channel, reference, back, .. } => {
                self.is_told(link, side, channel, reference, back);
            }
            Event::Closed { .. } | Event::Shut { .. } => panic!("there are too few channels to close any"),
            Event::Goodbye => {
                let cause = Cause::Stopping(super::faults::name(end.peer.0));
                end.connection.fail_waiting(&cause);
                self.forget(link, side);
            }
        }
    }

    /// A message of this end has ended.
    pub(crate) fn ended(&mut self, link: usize, side: usize, id: u32, outcome: Outcome, lost: bool) {
        self.say(|| format!("message {id} ended: {outcome:?}"));
        self.ledger.end(id, outcome, lost);
        let process = self.links[link].end(side).process;
        if let Some(ticket) = self.processes[process].forwarded.remove(&id) {
            self.reply(ticket);
        }
    }
}

/// What an onlooker learns from a frame before the connection takes it.
fn observe(end: &mut End, frame: Frame<'_>, ledger: &Ledger) {
    let header = frame.header;
    match header.kind {
        Kind::Cancel => {
            end.cancelled.insert(header.correlation);
        }
        Kind::Opened => end.sent_on(header.channel).is_granted = true,
        Kind::Credit => {
            end.sent_on(header.channel).credited = usize::try_from(header.correlation).unwrap();
        }
        Kind::Reply => {
            let id = end.seen.requests[&header.correlation];
            let late = ledger.of(id).outcome.is_some();
            end.late_replies += u64::from(late);
            if header.flags & CHUNKED != 0 {
                let large: Large = procession::codec::decode(frame.body).expect("an honest announcement");
                end.large_replies.insert(large.stream, (id, large.total, late));
            }
        }
        Kind::Chunk => {
            let Some((id, left, late)) = end.large_replies.get_mut(&header.channel) else { return };
            *left -= header.length;
            if *left == 0 {
                end.late_replies += u64::from(!*late && ledger.of(*id).outcome.is_some());
                end.large_replies.remove(&header.channel);
            }
        }
        _ => {}
    }
}

fn own(event: Event<'_, u32>) -> Event<'static, u32> {
    match event {
        Event::Greeted(hello) => Event::Greeted(hello),
        Event::Open { channel, open } => Event::Open { channel, open },
        Event::Deliver(delivery) => {
            let Delivery { channel, message, body, weight, correlation, deadline, right, beside } = delivery;
            let body = body.into_owned();
            Event::Deliver(Delivery { channel, message, body, weight, correlation, deadline, right, beside })
        }
        Event::Casts(_) => panic!("frame by frame there is none"),
        Event::Reply { tag, body } => Event::Reply { tag, body: body.into_owned() },
        Event::Sent { tag } => Event::Sent { tag },
        Event::Failed { tag, failure } => Event::Failed { tag, failure },
        Event::Resume { channel } => Event::Resume { channel },
        Event::Present { channel, right, capability } => Event::Present { channel, right, capability },
        Event::Closed { channel } => Event::Closed { channel },
        Event::Shut { channel } => Event::Shut { channel },
        Event::Watch { reference, watch, linked } => Event::Watch { reference, watch, linked },
        Event::Unwatch { reference, back } => Event::Unwatch { reference, back },
        Event::Ended { channel, reference, back, reason } => {
            Event::Ended { channel, reference, back, reason }
        }
        Event::Goodbye => Event::Goodbye,
    }
}

/// For a handler that ended without a reply.
pub(crate) fn no_reply() -> Failure {
    Failure::failed(Cause::NoReply)
}
