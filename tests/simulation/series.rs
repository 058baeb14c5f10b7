//! A series over real connections that are cut, and to a process that dies, at any byte: everything is handled in order,
//! and who deduplicates by number, as users are told to, counts each value once (M-6).

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use procession::codec::Packed;
use procession::id::{ActorId, BuildId, Capability, Exit, Incarnation, ProcessId, ProcessName, Slot};
use procession::protocol::Limits;
use procession::protocol::connection::{Begin, Connection, Delivery, Event};
use procession::protocol::frame::FrameReader;
use procession::protocol::series::{
    Culprit, Keeping, Numbering, Return, Room, Submitted, Take, Taking, Wanted, judge,
};
use procession::protocol::wire::{Cause, Failure, Hello, Open, Verdict};

use super::link::feed;

const LIMITS: Limits = Limits {
    max_message_bytes: 200 << 10,
    window_messages: 16,
    window_bytes: 256 << 10,
    reply_bytes: 1 << 20,
    max_descriptors: 0,
};

/// Values that a seed sends.
const VALUES: u32 = 60;

struct Item {
    numbering: Numbering,
    correlation: u64,
    weight: u64,
    body: Vec<u8>,
}

/// The two ends of one pipe.
struct Pipe {
    sender: Connection<u64>,
    receiver: Connection<()>,
    to_receiver: FrameReader,
    to_sender: FrameReader,
    greeted: [bool; 2],
    channel: u32,
    inbox: VecDeque<Item>,
}

fn connection<T>(process: u32, life: u32) -> Connection<T> {
    Connection::new(Hello::new(ProcessId(process), Incarnation(life), BuildId(7), LIMITS))
}

impl Pipe {
    fn new(life: u32) -> Pipe {
        let mut sender = connection(1, 1);
        let channel =
            sender.open(&Open { target: Capability::unsealed(ActorId::declared(ProcessId(2), Slot(0))) });
        Pipe {
            sender,
            receiver: connection(2, life),
            to_receiver: FrameReader::default(),
            to_sender: FrameReader::default(),
            greeted: [false; 2],
            channel,
            inbox: VecDeque::new(),
        }
    }
}

struct Story {
    dice: fastrand::Rng,
    now: Instant,
    keeping: Keeping<u32>,
    sent: u32,
    pipe: Pipe,
    life: u32,
    taking: Taking,
    /// Begun ones whose handlers take their time: number and correlation.
    running: Vec<(u64, u64)>,
    /// Values in the order in which they were first handled.
    first: Vec<u32>,
    /// What survives: what was counted, and the last number.
    counted: BTreeMap<u32, u32>,
    last: u64,
    answered: u32,
}

fn payload(value: u32) -> Vec<u8> {
    // Every seventh travels in chunks.
    let length = if value.is_multiple_of(7) { 100_000 } else { 20 + value as usize };
    let mut bytes = value.to_le_bytes().to_vec();
    bytes.resize(length, value.to_le_bytes()[0]);
    bytes
}

impl Story {
    fn new(seed: u64) -> Story {
        let room = Room { messages: 16, bytes: 256 << 10 };
        Story {
            dice: fastrand::Rng::with_seed(seed),
            now: Instant::now(),
            keeping: Keeping::new(1, room),
            sent: 0,
            pipe: Pipe::new(1),
            life: 1,
            taking: Taking::default(),
            running: Vec::new(),
            first: Vec::new(),
            counted: BTreeMap::new(),
            last: 0,
            answered: 0,
        }
    }

    fn submit(&mut self) {
        if self.sent < VALUES {
            let (value, quiet) = (self.sent + 1, self.dice.bool());
            let bytes = payload(value).len() as u64;
            if self.keeping.submit(value, bytes, quiet, Wanted::Now) == Submitted::Kept {
                self.sent = value;
            }
        }
    }

    fn pump(&mut self) {
        while let Some((numbering, value)) = self.keeping.poll_send(self.now) {
            let body = Packed::new(payload(value), Vec::new());
            let channel = (self.pipe.channel, 9, 0);
            self.pipe.sender.submit_numbered(channel, (&numbering, None), body, numbering.number).unwrap();
        }
        if let Some(at) = self.keeping.poll_timeout() {
            self.now = self.now.max(at);
        }
    }

    /// Some bytes go each way.
    fn exchange(&mut self) {
        // Never more than a reader has room for.
        let most = if self.dice.u8(..4) == 0 { 8000 } else { self.dice.usize(1..3000) };
        let pipe = &mut self.pipe;
        let bytes = pipe.sender.poll_transmit(self.now);
        let bytes = bytes[..bytes.len().min(most)].to_vec();
        pipe.sender.handle_transmitted(bytes.len());
        feed(&mut pipe.to_receiver, &mut &bytes[..]);
        pipe.greeted[0] = pipe.greeted[0] || pipe.to_receiver.take_preamble().unwrap();
        while let Some(frame) = pipe.greeted[0].then(|| pipe.to_receiver.next().unwrap()).flatten() {
            match pipe.receiver.handle_frame(frame, self.now).unwrap() {
                Some(Event::Open { channel, .. }) => pipe.receiver.grant(channel),
                Some(Event::Deliver(Delivery { body, weight, correlation, beside, .. })) => {
                    let (numbering, correlation) = (beside.unwrap().numbering.unwrap(), correlation.unwrap());
                    let body = body.bytes.to_vec();
                    pipe.inbox.push_back(Item { numbering, correlation, weight, body });
                }
                _ => {}
            }
        }
        let bytes = pipe.receiver.poll_transmit(self.now);
        let bytes = bytes[..bytes.len().min(most)].to_vec();
        pipe.receiver.handle_transmitted(bytes.len());
        feed(&mut pipe.to_sender, &mut &bytes[..]);
        pipe.greeted[1] = pipe.greeted[1] || pipe.to_sender.take_preamble().unwrap();
        let mut events = Vec::new();
        while let Some(frame) = pipe.greeted[1].then(|| pipe.to_sender.next().unwrap()).flatten() {
            match pipe.sender.handle_frame(frame, self.now).unwrap() {
                Some(Event::Reply { tag, .. }) => events.push((tag, Return::Handled)),
                Some(Event::Failed { tag, failure }) => {
                    events.push((tag, judge(&failure, true, Culprit::Other)));
                }
                _ => {}
            }
        }
        self.come_back(events);
    }

    fn come_back(&mut self, events: Vec<(u64, Return)>) {
        for (number, what) in events {
            assert_ne!(what, Return::Hopeless);
            self.answered += u32::from(self.keeping.handle_return(number, what).is_some());
        }
    }

    /// The next message of the inbox comes to its turn.
    fn handle(&mut self) {
        let Some(Item { numbering, correlation, weight, body }) = self.pipe.inbox.pop_front() else { return };
        let receiver = &mut self.pipe.receiver;
        let begin = receiver.begin(self.pipe.channel, weight, Some(correlation), None, self.now);
        assert_eq!(begin, Begin::Proceed);
        match self.taking.begin(&numbering) {
            Take::Early => receiver.reply_failure(correlation, &Failure::not_executed(Cause::Early)),
            Take::Done => receiver.reply(correlation, &()),
            Take::Handle => self.run(&numbering, correlation, &body),
        }
    }

    fn run(&mut self, numbering: &Numbering, correlation: u64, body: &[u8]) {
        let value = u32::from_le_bytes(*body.first_chunk().unwrap());
        assert_eq!(body, payload(value), "the numbering came off, and nothing else");
        if !self.first.contains(&value) {
            self.first.push(value);
        } else {
            assert!(numbering.attempt > 1, "one that may be known is marked");
        }
        // What users are told to do.
        if numbering.number > self.last {
            self.last = numbering.number;
            *self.counted.entry(value).or_default() += 1;
        }
        match self.dice.u8(..10) {
            0..=2 => self.running.push((numbering.number, correlation)),
            3 if numbering.deaths == 0 => self.panic(numbering.number, correlation),
            _ => self.finish(numbering.number, correlation),
        }
    }

    fn finish(&mut self, number: u64, correlation: u64) {
        self.taking.finish(number);
        self.pipe.receiver.reply(correlation, &number);
    }

    /// The actor ends, with all that it had begun; its inbox is refused.
    fn panic(&mut self, number: u64, correlation: u64) {
        let ended = std::mem::take(&mut self.running);
        for (number, correlation) in std::iter::once((number, correlation)).chain(ended) {
            self.taking.fail(number);
            let failure = Failure::failed(Cause::Panicked("ouch".to_owned()));
            self.pipe.receiver.reply_failure(correlation, &failure);
        }
        for item in std::mem::take(&mut self.pipe.inbox) {
            self.pipe.receiver.take(self.pipe.channel, item.weight);
            let failure = Failure::not_executed(Cause::ActorStopped);
            self.pipe.receiver.reply_failure(item.correlation, &failure);
        }
    }

    fn finish_one(&mut self) {
        if !self.running.is_empty() {
            let which = self.dice.usize(..self.running.len());
            let (number, correlation) = self.running.swap_remove(which);
            self.finish(number, correlation);
        }
    }

    /// The pipe ends, with the receiver or without it.
    fn lose(&mut self, exit: Option<Exit>) {
        let process = ProcessName::new("receiver").unwrap();
        let cause = Cause::PeerDied { process, incarnation: Incarnation(self.life), exit };
        self.pipe.sender.handle_lost(&cause);
        let mut events = Vec::new();
        while let Some(event) = self.pipe.sender.poll_event() {
            if let Event::Failed { tag, failure } = event {
                assert_ne!(failure.verdict, Verdict::Failed);
                events.push((tag, judge(&failure, true, Culprit::Other)));
            }
        }
        if exit.is_some() {
            self.life += 1;
            self.taking = Taking::default();
            self.running.clear();
        }
        // Where it lives, what it has begun goes on, and nobody hears of its end.
        for (number, _) in self.running.drain(..) {
            self.taking.finish(number);
        }
        self.pipe = Pipe::new(self.life);
        self.come_back(events);
    }

    fn play(mut self) {
        let mut turns = 0;
        while self.answered < VALUES {
            turns += 1;
            assert!(turns < 100_000, "it comes to an end: {:?}", self.keeping);
            self.submit();
            self.pump();
            self.exchange();
            match self.dice.u8(..8) {
                0..=3 => self.handle(),
                4 | 5 => self.finish_one(),
                _ => {}
            }
            if turns < 3000 {
                match self.dice.u32(..150) {
                    0 => self.lose(Some(Exit::Code(137))),
                    1 => self.lose(None),
                    _ => {}
                }
            }
        }
        assert!(self.first.into_iter().eq(1..=VALUES), "first handled in the order sent");
        assert!(self.counted.into_iter().eq((1..=VALUES).map(|value| (value, 1))), "each counted once");
    }
}

#[test]
fn m6_a_series_survives_every_death_and_who_deduplicates_counts_once() {
    for seed in 0..40 {
        println!("seed {seed}");
        Story::new(seed).play();
    }
}
