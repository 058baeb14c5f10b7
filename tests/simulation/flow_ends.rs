//! The two ends of the pipe of `flows.rs`: real connections, and behind one of them what the desk of a process does.

use std::collections::VecDeque;
use std::time::Instant;

use fastrand::Rng;
use procession::codec;
use procession::id::{ActorId, BuildId, Capability, Incarnation, ProcessId, Slot};
use procession::protocol::Limits;
use procession::protocol::connection::{Begin, Connection, Delivery, Event, Mode, Submit, Waiting};
use procession::protocol::frame::{Frame, FrameReader};
use procession::protocol::streams::{
    Batch, Cancel, Claim, Credit, End, Filling, Leftover, MOST_PULLS, Pull, Put, Shelf, StreamId,
};
use procession::protocol::wire::{Cause, Failure, Hello, Open};

use super::flows::Plan;
use super::link::feed;
use super::stream::Stream;

/// Messages.
pub(crate) const ASK: u32 = 1;
pub(crate) const CLAIM: u32 = 2;
pub(crate) const PULL: u32 = 3;
pub(crate) const CANCEL: u32 = 4;

/// An item, and so a batch of one, may be so large.
const ITEM_LIMITS: (usize, usize) = (1 << 20, 0);

pub(crate) type Life = (ProcessId, Incarnation);
pub(crate) type Reply = Result<Vec<u8>, Failure>;

struct Line<T> {
    connection: Connection<T>,
    reader: FrameReader,
    greeted: bool,
}

impl<T> Line<T> {
    fn new((process, life): Life) -> Line<T> {
        let hello = Hello::new(process, life, BuildId(1), Limits::default());
        Line { connection: Connection::new(hello), reader: FrameReader::default(), greeted: false }
    }

    fn transmit(&mut self, pipe: &mut Stream, most: usize, now: Instant) -> bool {
        let bytes = self.connection.poll_transmit(now);
        let bytes = bytes[..bytes.len().min(most)].to_vec();
        self.connection.handle_transmitted(bytes.len());
        pipe.write(&bytes);
        !bytes.is_empty()
    }

    /// Takes bytes, and gives each frame's event to `on`.
    fn receive(&mut self, mut bytes: &[u8], mut on: impl FnMut(&mut Connection<T>, Frame<'_>)) {
        while !bytes.is_empty() {
            feed(&mut self.reader, &mut bytes);
            self.greeted = self.greeted || self.reader.take_preamble().expect("an honest preamble");
            while let Some(frame) = self.greeted.then(|| self.reader.next().expect("honest frames")).flatten()
            {
                on(&mut self.connection, frame);
            }
        }
    }
}

/// The process that asks, and what came of it.
pub(crate) struct ConsumerEnd {
    line: Line<u64>,
    channel: u32,
    /// What the connection calls an ask, by our number of it.
    keys: Vec<Option<u64>>,
    replies: Vec<(u64, Reply)>,
}

impl ConsumerEnd {
    pub(crate) fn new(life: Life, producer: Life) -> ConsumerEnd {
        let mut line = Line::new(life);
        let target = Capability::unsealed(ActorId::declared(producer.0, Slot(0)));
        let channel = line.connection.open(&Open { target });
        ConsumerEnd { line, channel, keys: Vec::new(), replies: Vec::new() }
    }

    /// Asks; what comes of it comes under this number.
    pub(crate) fn ask<M: serde::Serialize>(
        &mut self,
        message: u32,
        value: &M,
        deadline: Option<Instant>,
        now: Instant,
    ) -> u64 {
        let tag = u64::try_from(self.keys.len()).unwrap();
        let timeout_ms = deadline.map_or(0, |deadline| u32::try_from((deadline - now).as_millis()).unwrap());
        let submit = Submit { channel: self.channel, message, mode: Mode::Call, timeout_ms, right: 0 };
        match self.line.connection.submit(submit, value, || Waiting { tag, deadline }) {
            Ok(key) => self.keys.push(key),
            Err(cause) => {
                self.keys.push(None);
                self.replies.push((tag, Err(Failure::not_executed(cause))));
            }
        }
        tag
    }

    /// As a process tells a desk something: it waits for room as long as it takes.
    pub(crate) fn tell(&mut self, message: u32, stream: &StreamId) {
        let submit = Submit { channel: self.channel, message, mode: Mode::Tell, timeout_ms: 0, right: 0 };
        // To a connection that is lost nothing can be told, and nothing needs to be.
        let _ = self.line.connection.submit(submit, stream, || Waiting { tag: u64::MAX, deadline: None });
    }

    pub(crate) fn cancel(&mut self, tag: u64) {
        if let Some(key) = self.keys[usize::try_from(tag).unwrap()] {
            self.line.connection.cancel(key);
        }
    }

    pub(crate) fn transmit(&mut self, pipe: &mut Stream, most: usize, now: Instant) -> bool {
        self.line.transmit(pipe, most, now)
    }

    pub(crate) fn receive(&mut self, bytes: &[u8], now: Instant) {
        let replies = &mut self.replies;
        self.line.receive(bytes, |connection, frame| {
            if let Some(event) = connection.handle_frame(frame, now).expect("an honest peer") {
                note(replies, event);
            }
        });
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.line.connection.poll_event() {
            note(&mut self.replies, event);
        }
    }

    /// Deadlines pass.
    pub(crate) fn pass(&mut self, now: Instant) {
        if self.line.connection.poll_timeout().is_some_and(|when| when <= now) {
            self.line.connection.handle_timeout(now);
        }
        self.drain();
    }

    pub(crate) fn lose(&mut self, cause: &Cause) {
        self.line.connection.handle_lost(cause);
        self.drain();
    }

    pub(crate) fn take_replies(&mut self) -> Vec<(u64, Reply)> {
        std::mem::take(&mut self.replies)
    }
}

fn note(replies: &mut Vec<(u64, Reply)>, event: Event<'_, u64>) {
    match event {
        Event::Reply { tag, body } => replies.push((tag, Ok(body.bytes.to_vec()))),
        Event::Failed { tag, failure } if tag != u64::MAX => replies.push((tag, Err(failure))),
        _ => {}
    }
}

/// A stream of a producer, and its pulls in line.
struct Source {
    plan: Plan,
    at: usize,
    polled: u32,
    taken: u32,
    left: Option<Leftover>,
    /// Its end, which had no place behind items.
    last: Option<End>,
    filling: Option<Filling>,
    line: VecDeque<(u64, Pull)>,
    is_over: bool,
}

struct Arrived {
    channel: u32,
    message: u32,
    body: Vec<u8>,
    weight: u64,
    correlation: Option<u64>,
    deadline: Option<Instant>,
}

/// The process that gives streams.
pub(crate) struct ProducerEnd {
    line: Line<()>,
    consumer: Life,
    shelf: Shelf<usize>,
    /// What the shelf has, by what it calls it.
    sources: Vec<Source>,
    offered: Vec<StreamId>,
    plans: Vec<Plan>,
    inbox: VecDeque<Arrived>,
}

impl ProducerEnd {
    pub(crate) fn new(life: Life, consumer: Life, plans: Vec<Plan>, secret: u64) -> ProducerEnd {
        let (sources, offered, inbox) = Default::default();
        let shelf = Shelf::new(u128::from(secret) << 9 | 1);
        ProducerEnd { line: Line::new(life), consumer, shelf, sources, offered, plans, inbox }
    }

    pub(crate) fn transmit(&mut self, pipe: &mut Stream, most: usize, now: Instant) -> bool {
        self.line.transmit(pipe, most, now)
    }

    pub(crate) fn receive(&mut self, bytes: &[u8], now: Instant) {
        let inbox = &mut self.inbox;
        self.line.receive(bytes, |connection, frame| {
            match connection.handle_frame(frame, now).expect("an honest peer") {
                Some(Event::Open { channel, .. }) => connection.grant(channel),
                Some(Event::Deliver(Delivery {
                    channel,
                    message,
                    body,
                    weight,
                    correlation,
                    deadline,
                    ..
                })) => {
                    let body = body.bytes.to_vec();
                    inbox.push_back(Arrived { channel, message, body, weight, correlation, deadline });
                }
                _ => {}
            }
        });
    }

    /// The consumer has taken so many items of that stream.
    pub(crate) fn is_taken(&mut self, stream: usize, taken: u32) {
        if let Some(source) = self.sources.iter_mut().find(|source| source.at == stream) {
            source.taken = taken;
        }
    }

    /// It handles what came, and its streams have items, as the dice say.
    pub(crate) fn act(&mut self, dice: &mut Rng, now: Instant) {
        for _ in 0..dice.u8(..4) {
            self.handle(now);
        }
        for at in 0..self.sources.len() {
            let ready = dice.u32(..8);
            self.fill(at, ready);
        }
    }

    /// One thing that can be done, if there is any.
    pub(crate) fn finish_something(&mut self, now: Instant) -> bool {
        self.handle(now) || (0..self.sources.len()).any(|at| self.fill(at, u32::MAX))
    }

    /// The next message of the desk and its actor.
    fn handle(&mut self, now: Instant) -> bool {
        let Some(arrived) = self.inbox.pop_front() else { return false };
        let Arrived { channel, message, body, weight, correlation, deadline } = arrived;
        match self.line.connection.begin(channel, weight, correlation, deadline, now) {
            Begin::Proceed => {}
            Begin::Cancelled | Begin::Expired => return true,
            other => panic!("{other:?}"),
        }
        let consumer = Some(self.consumer);
        match message {
            ASK => {
                let at: usize = codec::decode(&body).expect("a number");
                let stream = self.shelf.offer(self.sources.len(), Some(self.consumer.0)).expect("room");
                self.offered.push(stream);
                let (plan, line) = (self.plans[at].clone(), VecDeque::new());
                let (polled, taken, left, last, filling, is_over) = Default::default();
                self.sources.push(Source { plan, at, polled, taken, left, last, filling, line, is_over });
                self.line.connection.reply(correlation.expect("a call"), &stream);
            }
            CLAIM => {
                let Claim(stream) = codec::decode(&body).expect("a claim");
                let claimed = self.shelf.claim(stream, consumer);
                assert!(claimed.is_ok_and(|at| !self.sources[at].is_over), "a claim comes first");
            }
            PULL => {
                let pull: Pull = codec::decode(&body).expect("a pull");
                let correlation = correlation.expect("a call");
                match self.shelf.begin(&pull, consumer) {
                    Ok((at, pull)) => self.sources[at].line.push_back((correlation, pull)),
                    Err(wrong) => {
                        assert!(!wrong.is_violation(), "an honest consumer is blamed: {wrong}");
                        let end = End::Failed(Failure::failed(Cause::NoStream));
                        self.line.connection.reply(correlation, &Batch::ended(end));
                    }
                }
            }
            CANCEL => {
                let Cancel(stream) = codec::decode(&body).expect("a cancel");
                match self.shelf.cancel(stream, consumer) {
                    Ok(at) => at.into_iter().for_each(|at| self.end(at)),
                    Err(wrong) => assert!(!wrong.is_violation(), "an honest consumer is blamed: {wrong}"),
                }
            }
            other => panic!("{other}"),
        }
        true
    }

    /// As the runtime polls a stream for the oldest pull, while so many items are ready. True if a batch left.
    fn fill(&mut self, at: usize, mut ready: u32) -> bool {
        let source = &mut self.sources[at];
        let Some((_, pull)) = source.line.front() else { return false };
        assert!(source.line.len() <= MOST_PULLS as usize);
        let mut filling = source.filling.take().unwrap_or_else(|| Filling::new(pull, ITEM_LIMITS));
        if let Some(left) = source.left.take() {
            filling.put_back(left);
        }
        if let Some(last) = source.last.take() {
            source.last = filling.end(last);
        } else if source.is_over && filling.is_empty() {
            let _ = filling.end(End::Failed(Failure::failed(Cause::NoStream)));
        }
        while filling.has_room() && !source.is_over {
            if ready == 0 {
                if filling.is_empty() {
                    source.filling = Some(filling);
                    return false;
                }
                break;
            }
            ready -= 1;
            if source.polled == source.plan.items {
                source.is_over = true;
                source.last = filling.end(source.plan.end.clone());
                break;
            }
            let item = source.plan.item(source.polled);
            source.polled += 1;
            if let Put::Left(left) = filling.put(&item).expect("an item") {
                source.left = Some(left);
                break;
            }
        }
        let (correlation, pull) = source.line.pop_front().expect("a pull");
        let batch = filling.into_batch();
        self.shelf.finish(&pull, batch.end.is_some());
        self.line.connection.reply(correlation, &batch);
        true
    }

    fn end(&mut self, at: usize) {
        let source = &mut self.sources[at];
        source.is_over = true;
        (source.left, source.last, source.filling) = (None, None, None);
    }

    /// Never more than the credit is polled ahead of the consumer, and one item that had no room.
    pub(crate) fn check(&self, credits: &[Credit]) {
        for source in &self.sources {
            let ahead = source.polled - source.taken;
            let credit = credits[source.at].items;
            assert!(ahead <= credit + 1, "F-3: {ahead} items are ahead of a credit of {credit}");
        }
    }

    /// The connection is lost, and with it who had streams.
    pub(crate) fn lose(&mut self, (process, life): Life) {
        self.line.connection.handle_lost(&Cause::NoReply);
        for at in self.shelf.gone(process, life) {
            self.end(at);
        }
        self.inbox.clear();
    }

    /// Nobody claims any more what nobody has claimed.
    pub(crate) fn run_out(&mut self) {
        for stream in std::mem::take(&mut self.offered) {
            if let Some(at) = self.shelf.unclaimed(stream) {
                self.end(at);
            }
        }
    }

    /// Streams that somebody may still pull.
    pub(crate) fn living(&self) -> usize {
        self.shelf.len()
    }
}
