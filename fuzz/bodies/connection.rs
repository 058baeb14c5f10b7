//! Any bytes to a connection that has requests, tells, casts and monitors of its own under way: no panic, no message over
//! the limit, one outcome for each of its messages, and one end for each of its monitors.

#![allow(dead_code)] // The stable tests look at more of it than the fuzzer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use procession::id::{ActorId, BuildId, Capability, Incarnation, ProcessId, Slot};
use procession::protocol::Limits;
use procession::protocol::connection::{
    Begin, Connection, Delivery, Event, Mode, ProtocolError, Submit, Waiting,
};
use procession::protocol::control::Preamble;
use procession::protocol::frame::{FrameReader, Header, Kind, SMALL_BYTES};
use procession::protocol::watching::{EndReason, Reference, Watch};
use procession::protocol::wire::{Cause, Failure, Hello, Open};

/// What the victim accepts and grants.
pub(crate) const LIMITS: Limits = Limits {
    max_message_bytes: 128 << 10,
    window_messages: 4,
    window_bytes: 64 << 10,
    reply_bytes: 1 << 20,
    max_descriptors: 4,
};

/// A connection, and what its process would do with it.
pub(crate) struct Victim {
    /// Itself.
    pub(crate) connection: Connection<u32>,
    reader: FrameReader,
    greeted: bool,
    in_runs: bool,
    now: Instant,
    /// How each of its messages ended.
    pub(crate) outcomes: BTreeMap<u32, Ended>,
    waiting: Vec<u32>,
    /// What it wrote.
    pub(crate) written: Vec<u8>,
    /// What reached its actors, by length.
    pub(crate) delivered: Vec<usize>,
    /// What it watches, and what of it it was told of.
    watched: BTreeSet<Reference>,
    told: BTreeSet<Reference>,
}

/// How a message ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ended {
    /// With this reply.
    Replied(Vec<u8>),
    /// It had room.
    Sent,
    /// Without a reply.
    Failed(Failure),
}

/// With which every message ends that nothing else has ended.
pub(crate) const LOSS: Cause = Cause::NoReply;

impl Victim {
    /// Process 1 of two.
    pub(crate) fn new(process: u32, now: Instant) -> Victim {
        let hello = Hello::new(ProcessId(process), Incarnation::FIRST, BuildId(1), LIMITS);
        Victim {
            connection: Connection::new(hello),
            reader: FrameReader::default(),
            greeted: false,
            in_runs: false,
            now,
            outcomes: BTreeMap::new(),
            waiting: Vec::new(),
            written: Vec::new(),
            delivered: Vec::new(),
            watched: BTreeSet::new(),
            told: BTreeSet::new(),
        }
    }

    /// Opens channels to three actors of the other process, and sends what there is to send: small and large.
    pub(crate) fn speak(&mut self) {
        for slot in 0..3 {
            let target = Capability::unsealed(ActorId::declared(ProcessId(2), Slot(slot)));
            self.connection.open(&Open { target });
        }
        let small = Bytes::from(vec![7; 20]);
        let large = Bytes::from(vec![9; 40_000]);
        let deadline = Some(self.now + Duration::from_secs(9));
        for (tag, mode, channel) in [
            (0, Mode::Call, 0),
            (1, Mode::Call, 0),
            (2, Mode::Tell, 0),
            (3, Mode::Call, 0),
            (4, Mode::Outbox, 0),
            (5, Mode::Call, 0),
            (6, Mode::Call, 1),
            (7, Mode::Tell, 1),
            (8, Mode::Call, 1),
            (9, Mode::Call, 2),
        ] {
            let body = if tag % 6 == 0 { &large } else { &small };
            let submit = Submit { channel, message: tag, mode, timeout_ms: 9_000, right: 0 };
            match self.connection.submit(submit, body, || Waiting { tag, deadline }) {
                Ok(Some(_)) if mode != Mode::Outbox => self.waiting.push(tag),
                Ok(_) => {}
                Err(cause) => panic!("nothing was wrong yet: {cause}"),
            }
        }
        for slot in 0..3 {
            let target = Capability::unsealed(ActorId::declared(ProcessId(2), Slot(slot)));
            let watcher = (slot > 0).then(|| ActorId::declared(ProcessId(1), Slot(slot)));
            let watched = self.connection.watch(&Watch { target, watcher }, slot == 2);
            self.watched.insert(watched.expect("nothing was wrong yet"));
        }
        self.write();
    }

    /// Takes what has come, in one piece.
    ///
    /// # Errors
    /// How the peer broke the protocol.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> Result<(), ProtocolError> {
        while !bytes.is_empty() {
            let room = self.reader.room();
            let (now, later) = bytes.split_at(room.len().min(bytes.len()));
            room[..now.len()].copy_from_slice(now);
            self.reader.advance(now.len());
            bytes = later;
            if !self.greeted {
                self.greeted = self.reader.take_preamble()?;
            }
            while self.greeted {
                let mut reader = std::mem::take(&mut self.reader);
                let taken = self.take_frame(&mut reader);
                self.reader = reader;
                if !taken? {
                    break;
                }
            }
        }
        Ok(())
    }

    fn take_frame(&mut self, reader: &mut FrameReader) -> Result<bool, ProtocolError> {
        // Every other time as the driver does, which takes casts of one way as one.
        self.in_runs = !self.in_runs;
        let (event, taken) = match reader.frames().run(usize::from(self.in_runs) * 64, SMALL_BYTES) {
            Some(run) => self.connection.handle_run(run),
            None => match reader.next()? {
                Some(frame) => (self.connection.handle_frame(frame, self.now)?, Ok(())),
                None => return Ok(false),
            },
        };
        if let Some(event) = event {
            let mut reply = None;
            self.note(event, &mut reply);
            if let Some(reply) = reply {
                self.respond(&reply);
            }
        }
        self.drain();
        self.write();
        taken.map(|()| true)
    }

    /// As a process would: everything is granted but what no actor is called, handled at once, and answered with as many bytes.
    fn respond(&mut self, reply: &Respond) {
        match reply {
            Respond::Open { channel, slot } if *slot < 2 => self.connection.grant(*channel),
            Respond::Open { channel, .. } => self.connection.refuse(*channel, &Cause::ActorStopped),
            Respond::Deliver { channel, bytes, correlation, deadline } => {
                let begin = self.connection.begin(*channel, *bytes, *correlation, *deadline, self.now);
                let Some(correlation) = *correlation else { return };
                match begin {
                    Begin::Proceed if bytes % 3 == 0 => {
                        self.connection.reply_failure(correlation, &Failure::failed(Cause::NoReply));
                    }
                    Begin::Proceed => {
                        let length = usize::try_from(*bytes).expect("within the limit");
                        self.connection.reply(correlation, &Bytes::from(vec![3; length]));
                    }
                    Begin::Left => {
                        self.connection
                            .reply_failure(correlation, &Failure::not_executed(Cause::ActorStopped));
                    }
                    Begin::Cancelled | Begin::Expired | Begin::Aside => {}
                }
            }
            Respond::Casts { channel, bodies } => {
                let (at_once, _) = self.connection.casts_at_once(*channel);
                let (together, alone) =
                    bodies.split_at(bodies.len().min(usize::try_from(at_once).expect("few")));
                self.connection.take_several(*channel, together.len() as u64, together.iter().sum());
                for bytes in alone {
                    self.connection.begin(*channel, *bytes, None, None, self.now);
                }
            }
            Respond::Goodbye => self.connection.fail_waiting(&Cause::ActorStopped),
            // Some live on, others have ended by then; each that is told is behind what was sent to who is told.
            Respond::Watch { reference, slot, watcher } if *slot != 1 => {
                self.connection.notify(*reference, true, *watcher, &EndReason::NoActor);
            }
            Respond::Watch { .. } => {}
            Respond::Present { channel, right } => self.connection.deny(*channel, *right, &Cause::Full),
            Respond::Notice { channel } => {
                self.connection.begin_notice(*channel);
            }
        }
    }

    fn drain(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            self.note(event, &mut None);
        }
    }

    /// Writes all that there is to write.
    pub(crate) fn write(&mut self) {
        loop {
            let bytes = self.connection.poll_transmit(self.now);
            let length = bytes.len();
            self.written.extend_from_slice(&bytes);
            self.connection.handle_transmitted(length);
            self.drain();
            if length == 0 {
                return;
            }
        }
    }

    /// The pipe ends: every message has ended then, and once.
    pub(crate) fn end(&mut self) {
        self.connection.handle_lost(&LOSS);
        self.drain();
        assert_eq!(self.connection.outgoing_count(), 0);
        let (left, _) = self.connection.take_watches();
        let ended: BTreeSet<_> = left.iter().copied().chain(self.told.iter().copied()).collect();
        assert_eq!(ended.len(), left.len() + self.told.len(), "N-5: told, and left at the end");
        assert_eq!(ended, self.watched, "N-5: each has an end");
        for tag in &self.waiting {
            assert!(self.outcomes.contains_key(tag), "M-2: message {tag} never ended");
        }
    }
}

enum Respond {
    Open { channel: u32, slot: u32 },
    Deliver { channel: u32, bytes: u64, correlation: Option<u64>, deadline: Option<Instant> },
    Casts { channel: u32, bodies: Vec<u64> },
    Goodbye,
    Watch { reference: Reference, slot: u32, watcher: Option<u32> },
    Present { channel: u32, right: u32 },
    Notice { channel: u32 },
}

impl Victim {
    fn note(&mut self, event: Event<'_, u32>, respond: &mut Option<Respond>) {
        let (tag, ended) = match event {
            // Every reply is written at once, so nobody stands aside.
            Event::Greeted(_) | Event::Resume { .. } => return,
            // Whom the peer's channel led to is not remembered here, and none of ours is ever closed.
            Event::Closed { .. } | Event::Shut { .. } => return,
            Event::Open { channel, open } => {
                *respond = Some(Respond::Open { channel, slot: open.target.slot().0 });
                return;
            }
            Event::Deliver(Delivery { channel, body, weight, correlation, deadline, .. }) => {
                let body = body.bytes;
                assert!(body.len() <= LIMITS.max_message_bytes as usize, "H6: a message over the limit");
                self.delivered.push(body.len());
                *respond = Some(Respond::Deliver { channel, bytes: weight, correlation, deadline });
                return;
            }
            Event::Casts(run) => {
                let lengths: Vec<_> =
                    run.deliveries().map(|cast| (cast.body.bytes.len(), cast.weight)).collect();
                assert!(lengths.iter().all(|(length, _)| *length <= LIMITS.max_message_bytes as usize));
                self.delivered.extend(lengths.iter().map(|(length, _)| *length));
                let bodies = lengths.iter().map(|(_, weight)| *weight).collect();
                *respond = Some(Respond::Casts { channel: run.header.channel, bodies });
                return;
            }
            Event::Watch { reference, watch, .. } => {
                let watcher = watch.watcher.map(|watcher| watcher.slot.0);
                *respond = Some(Respond::Watch { reference, slot: watch.target.slot().0, watcher });
                return;
            }
            Event::Unwatch { reference, back } => {
                if !back {
                    self.watched.remove(&reference);
                }
                return;
            }
            Event::Ended { channel, reference, back, .. } => {
                if !back {
                    assert!(self.told.insert(reference), "N-5: {reference:?} was told twice");
                }
                *respond = channel.map(|channel| Respond::Notice { channel });
                return;
            }
            Event::Present { channel, right, .. } => {
                // Every other one is good for nothing.
                *respond = (right % 2 == 0).then_some(Respond::Present { channel, right });
                return;
            }
            Event::Goodbye => {
                *respond = Some(Respond::Goodbye);
                return;
            }
            Event::Reply { tag, body } => (tag, Ended::Replied(body.bytes.to_vec())),
            Event::Sent { tag } => (tag, Ended::Sent),
            Event::Failed { tag, failure } => (tag, Ended::Failed(failure)),
        };
        let previous = self.outcomes.insert(tag, ended);
        assert!(previous.is_none(), "N-1: message {tag} ended twice");
    }
}

/// What a peer says first.
pub(crate) fn greeting() -> Vec<u8> {
    let hello = Hello::new(ProcessId(2), Incarnation::FIRST, BuildId(1), LIMITS);
    let body = procession::codec::encode(&hello, 1000).expect("small");
    let length = u32::try_from(body.len()).expect("small");
    [&Preamble::ours()[..], &Header { length, ..Header::new(Kind::Hello) }.to_bytes(), &body].concat()
}

/// The target: an odd first byte leaves the greeting to the input.
pub(crate) fn run(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let mut victim = Victim::new(1, Instant::now());
    victim.speak();
    if first % 2 == 0 {
        victim.read(&greeting()).expect("an honest greeting");
    }
    let _ = victim.read(rest);
    victim.end();
}
