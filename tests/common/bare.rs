//! A worker without a runtime: it becomes one, and then says on its pipes what it likes. For hostile roles of stories.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use procession::address::Cause;
use procession::id::{BuildId, Capability};
use procession::process::bootstrap::{leave, take_over};
use procession::process::control::{ControlEvent, ControlLane};
use procession::protocol::connection::{Begin, Connection, Delivery, Event, Mode, Submit, Waiting};
use procession::protocol::control::{Medium, Ready, ToRoot, ToWorker, Welcome};
use procession::protocol::frame::FrameReader;
use procession::protocol::wire::{Failure, Hello, MessageId, Open};

/// See the [module](self).
pub(crate) struct Bare {
    pub(crate) welcome: Welcome,
    lane: ControlLane,
    events: Receiver<ControlEvent>,
    build: BuildId,
    /// The address at which others answer its calls: none, until it says one.
    pub(crate) desk: Vec<u8>,
}

impl Bare {
    /// A worker, ready, where the topology has started one.
    pub(crate) fn new() -> Bare {
        let takeover = take_over().unwrap_or_else(|error| error.exit()).expect("started as a worker");
        let build = takeover.build();
        let (sender, events) = sync_channel(64);
        let (welcome, lane) =
            takeover.start(move |event| drop(sender.try_send(event))).unwrap_or_else(|error| error.exit());
        let ready = Ready {
            process: welcome.process,
            incarnation: welcome.incarnation,
            build,
            limits: welcome.limits,
        };
        let bare = Bare { welcome, lane, events, build, desk: Vec::new() };
        bare.say(ToRoot::Ready(ready));
        bare
    }

    pub(crate) fn say(&self, what: ToRoot) {
        self.lane.send(what).expect("the lane has room");
    }

    pub(crate) fn hear(&self) -> (ToWorker, Vec<OwnedFd>) {
        match self.events.recv().expect("the control thread lives") {
            ControlEvent::Frame(frame, descriptors) => (frame, descriptors),
            other => panic!("{other:?}"),
        }
    }

    /// The address of a name that it is wired to.
    pub(crate) fn wired(&self, name: &str) -> Capability {
        self.welcome.names.iter().find(|known| known.name.as_str() == name).expect("it is wired").id
    }

    /// A pipe to whoever that leads to.
    pub(crate) fn connect(&self, target: Capability) -> Pipe {
        self.say(ToRoot::Introduce { target, broken: None });
        self.introduced()
    }

    /// The next pipe to somebody.
    pub(crate) fn introduced(&self) -> Pipe {
        let (medium, descriptors) = loop {
            match self.hear() {
                (ToWorker::Introduce { medium, .. }, descriptors) => break (medium, descriptors),
                (ToWorker::Denied { target, why }, _) => panic!("{target:?}: {why:?}"),
                _ => {}
            }
        };
        let mut socket = UnixStream::from(descriptors.into_iter().next().expect("a socket"));
        if matches!(medium, Medium::Shared { .. }) {
            // It will not share memory; the other side says what it would have.
            socket.write_all(b"s").unwrap();
            let mut said = [0];
            socket.read_exact(&mut said).unwrap();
        }
        let Welcome { process, incarnation, limits, .. } = &self.welcome;
        let hello = Hello::new(*process, *incarnation, self.build, *limits);
        let connection = Connection::new(hello.with_desk(self.desk.clone(), 7));
        let reader = FrameReader::default();
        Pipe { socket, connection, reader, greeted: false, hello: None, last: 0, heard: VecDeque::new() }
    }

    pub(crate) fn leave(&self, code: i32) -> ! {
        leave(&self.lane, code)
    }
}

/// What comes over a pipe, without its bytes being borrowed.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A call of the other side: which message, its body, and how to answer.
    Asked { message: u32, body: Vec<u8>, correlation: u64 },
    /// Something that it told: which message, and its body.
    Told { message: u32, body: Vec<u8> },
    /// What came of an ask of ours.
    Answered(u32, Result<Vec<u8>, Failure>),
    /// The other side hung up.
    Gone,
}

/// The end of a data pipe of somebody who keeps the protocol, and says what he likes within it.
pub(crate) struct Pipe {
    socket: UnixStream,
    pub(crate) connection: Connection<u32>,
    reader: FrameReader,
    greeted: bool,
    hello: Option<Hello>,
    last: u32,
    heard: VecDeque<Heard>,
}

/// Bytes as they are, as if a value was encoded so.
pub(crate) struct Raw<'a>(pub(crate) &'a [u8]);

impl serde::Serialize for Raw<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeTuple;
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

impl Pipe {
    pub(crate) fn open(&mut self, target: Capability) -> u32 {
        self.connection.open(&Open { target })
    }

    /// Asks; what comes of it is `Answered` with this number.
    pub(crate) fn submit<M: serde::Serialize>(
        &mut self,
        channel: u32,
        message: MessageId,
        value: &M,
        mode: Mode,
    ) -> Result<u32, Cause> {
        self.last += 1;
        let (tag, message) = (self.last, message.0);
        let submit = Submit { channel, message, mode, timeout_ms: 0, right: 0 };
        self.connection.submit(submit, value, || Waiting { tag, deadline: None })?;
        Ok(tag)
    }

    /// Asks, and waits for what comes of it.
    pub(crate) fn ask<M: serde::Serialize>(
        &mut self,
        channel: u32,
        message: MessageId,
        value: &M,
    ) -> Result<Vec<u8>, Failure> {
        let asked = self.submit(channel, message, value, Mode::Call).map_err(Failure::not_executed)?;
        self.outcome(asked)
    }

    /// What comes of an ask.
    pub(crate) fn outcome(&mut self, asked: u32) -> Result<Vec<u8>, Failure> {
        loop {
            match self.next() {
                Heard::Answered(tag, outcome) if tag == asked => return outcome,
                Heard::Gone => panic!("the other side hung up"),
                _ => {}
            }
        }
    }

    /// What the other side said of itself.
    pub(crate) fn hello(&mut self) -> Hello {
        while self.hello.is_none() {
            assert!(self.turn(), "the other side hung up");
        }
        self.hello.clone().expect("it said so")
    }

    /// The next that is heard.
    pub(crate) fn next(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return heard;
            }
            if !self.turn() {
                return Heard::Gone;
            }
        }
    }

    pub(crate) fn flush(&mut self) -> bool {
        loop {
            let bytes = self.connection.poll_transmit(Instant::now()).bytes.to_vec();
            if bytes.is_empty() {
                return true;
            }
            if self.socket.write_all(&bytes).is_err() {
                return false;
            }
            self.connection.handle_transmitted(bytes.len());
        }
    }

    /// Writes all that is to be written, and reads once. False at the end.
    fn turn(&mut self) -> bool {
        if !self.flush() {
            return false;
        }
        self.drain();
        if !self.heard.is_empty() {
            return true;
        }
        let bytes = self.socket.read(self.reader.room()).unwrap_or(0);
        self.reader.advance(bytes);
        self.greeted = self.greeted || self.reader.take_preamble().expect("an honest preamble");
        while let Some(frame) = self.greeted.then(|| self.reader.next().expect("honest frames")).flatten() {
            match self.connection.handle_frame(frame, Instant::now()).expect("an honest peer") {
                Some(Event::Open { channel, .. }) => self.connection.grant(channel),
                Some(Event::Greeted(hello)) => self.hello = Some(hello),
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
                    let begun = self.connection.begin(channel, weight, correlation, deadline, Instant::now());
                    match correlation {
                        _ if begun != Begin::Proceed => {}
                        Some(correlation) => {
                            self.heard.push_back(Heard::Asked { message, body, correlation })
                        }
                        None => self.heard.push_back(Heard::Told { message, body }),
                    }
                }
                Some(event) => self.heard.extend(heard(event)),
                None => {}
            }
        }
        self.drain();
        bytes > 0
    }

    fn drain(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            self.heard.extend(heard(event));
        }
    }
}

fn heard(event: Event<'_, u32>) -> Option<Heard> {
    match event {
        Event::Reply { tag, body } => Some(Heard::Answered(tag, Ok(body.bytes.to_vec()))),
        Event::Failed { tag, failure } => Some(Heard::Answered(tag, Err(failure))),
        _ => None,
    }
}
