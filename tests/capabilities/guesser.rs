//! A worker that is no honest program: it becomes one, and then writes on its pipes what it likes, to reach whom it was
//! given no address of. It ends with code 42 if it got nowhere, else it panics.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use procession::address::Cause;
use procession::id::{ActorId, Capability, Condition, Key, ProcessId, Slot, Tag};
use procession::process::bootstrap::{leave, take_over};
use procession::process::control::{ControlEvent, ControlLane};
use procession::protocol::connection::{Connection, Event, Mode, Submit, Waiting};
use procession::protocol::control::{Medium, Ready, ToRoot, ToWorker, Welcome};
use procession::protocol::frame::FrameReader;
use procession::protocol::rights::Denial;
use procession::protocol::wire::{Hello, MessageId, Open};

/// Says to a worker that it is this one; an honest one has no such variable.
pub(crate) const ROLE: &str = "GUESSER";
/// How it ends when nothing that it tried worked.
pub(crate) const FAILED: i32 = 42;

/// A worker whose topology says so; it never returns.
pub(crate) fn play() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let takeover = take_over().unwrap_or_else(|error| error.exit()).expect("started as a worker");
    let build = takeover.build();
    let (sender, events) = sync_channel(64);
    let (welcome, lane) = takeover
        .start(move |event| sender.try_send(event).expect("room"))
        .unwrap_or_else(|error| error.exit());
    let ready =
        Ready { process: welcome.process, incarnation: welcome.incarnation, build, limits: welcome.limits };
    let guesser = Guesser { welcome: welcome.clone(), lane, events };
    guesser.say(ToRoot::Ready(ready));
    guesser.at_the_root();
    guesser.at_the_owner(build);
    leave(&guesser.lane, FAILED);
}

struct Guesser {
    welcome: Welcome,
    lane: ControlLane,
    events: Receiver<ControlEvent>,
}

/// Everything that is not `granted` and looks like it: of other actors, wider, with another key, of nobody.
fn forgeries(granted: Capability, own: &Key) -> Vec<Capability> {
    let wire = procession::codec::encode(&granted, 1 << 10).unwrap();
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = wire.clone();
        edit(&mut bytes);
        procession::codec::decode::<Capability>(&bytes).unwrap()
    };
    let (process, slot) = (granted.process(), granted.slot());
    assert!(granted.conditions().count() > 0, "it has the condition of its edge");
    vec![
        Capability::unsealed(granted.id()),
        Capability::mint(own, process, slot),
        Capability::mint(&Key::new([0; Key::BYTES]), process, slot),
        // The seal of one actor on another, and on another process.
        edited(&|bytes| bytes[5] ^= 1),
        edited(&|bytes| bytes[1] ^= 3),
        // Its conditions taken away, or changed.
        edited(&|bytes| {
            bytes[0] = 0;
            bytes.truncate(25);
        }),
        edited(&|bytes| *bytes.last_mut().unwrap() ^= 1),
        // What was made from a forgery is one.
        edited(&|bytes| *bytes.last_mut().unwrap() ^= 1).narrowed(Condition::Mark(Tag([1; 6]))).unwrap(),
        // Bits of its seal.
        edited(&|bytes| bytes[9] ^= 1),
        edited(&|bytes| bytes[24] ^= 128),
    ]
}

impl Guesser {
    fn say(&self, what: ToRoot) {
        self.lane.send(what).expect("the lane has room");
    }

    fn hear(&self) -> (ToWorker, Vec<OwnedFd>) {
        match self.events.recv().expect("the control thread lives") {
            ControlEvent::Frame(frame, descriptors) => (frame, descriptors),
            other => panic!("{other:?}"),
        }
    }

    fn granted(&self) -> Capability {
        self.welcome.names.iter().find(|known| known.name.as_str() == "c").expect("it is wired to c").id
    }

    /// The root introduces by no forgery, and not to a process that there is no right to.
    fn at_the_root(&self) {
        let granted = self.granted();
        let key = &self.welcome.key;
        let other = ActorId::declared(ProcessId(2), Slot(0));
        let mut tried = forgeries(granted, key);
        tried.push(Capability::unsealed(other));
        tried.push(Capability::mint(key, ProcessId(2), Slot(0)));
        for target in tried {
            if target.process().0 > 3 {
                continue;
            }
            self.say(ToRoot::Introduce { target, broken: None });
            match self.hear() {
                (ToWorker::Denied { target: denied, why: Denial::NoRight }, _) => assert_eq!(denied, target),
                (frame, _) => panic!("{target:?}: {frame:?}"),
            }
        }
    }

    /// With a pipe that it may have, it reaches no actor but the one, and sends that no message but those that it may.
    fn at_the_owner(&self, build: procession::id::BuildId) {
        let granted = self.granted();
        self.say(ToRoot::Introduce { target: granted, broken: None });
        let (medium, descriptors) = match self.hear() {
            (ToWorker::Introduce { medium, .. }, descriptors) => (medium, descriptors),
            (frame, _) => panic!("{frame:?}"),
        };
        let mut socket = UnixStream::from(descriptors.into_iter().next().expect("a socket"));
        if matches!(medium, Medium::Shared { .. }) {
            // It will not share memory; the other side says what it would have.
            socket.write_all(b"s").unwrap();
            let mut said = [0];
            socket.read_exact(&mut said).unwrap();
        }
        let Welcome { process, incarnation, limits, .. } = &self.welcome;
        let connection = Connection::new(Hello::new(*process, *incarnation, build, *limits));
        let mut pipe = Pipe { socket, connection, reader: FrameReader::default(), greeted: false };
        let note = MessageId::of(<crate::clerks::Clerk as procession::address::ProcActor>::TYPE_NAME, "Note");
        let clear =
            MessageId::of(<crate::clerks::Clerk as procession::address::ProcActor>::TYPE_NAME, "Clear");

        // Actors beside c: there are such, and the address of c is none of theirs.
        for beside in [1, 2, 900] {
            let target = Capability::unsealed(ActorId::declared(granted.process(), Slot(beside)));
            let channel = pipe.connection.open(&Open { target });
            let cause = pipe.ask((channel, 0), note).expect_err("it is not reached");
            assert!(matches!(cause, Cause::NoRight(_)), "{cause}");
        }
        // c itself, by forgeries first, and then by what was granted, on one channel.
        let forged = forgeries(granted, &self.welcome.key);
        let channel = pipe.connection.open(&Open { target: forged[0] });
        let cause = pipe.ask((channel, 0), note).expect_err("a guess");
        assert!(matches!(cause, Cause::NoRight(_)), "{cause}");
        for target in &forged[1..] {
            let right = pipe.connection.present(channel, target).unwrap();
            let cause = pipe.ask((channel, right), note).expect_err("a forgery");
            assert!(matches!(cause, Cause::NoRight(_)), "{target:?}: {cause}");
        }
        let right = pipe.connection.present(channel, &granted).unwrap();
        pipe.ask((channel, right), note).expect("it was granted");
        // What the edge does not carry.
        let cause = pipe.ask((channel, right), clear).expect_err("another message");
        assert!(matches!(cause, Cause::NotGranted { .. }), "{cause}");
        // A counted address: shown again and again, on as many channels as one likes, it is good for so many.
        let life = granted.narrowed(Condition::Life(*incarnation)).unwrap();
        let two = life.narrowed(Condition::Count(2, Tag([7; 6]))).unwrap();
        let mut done = 0;
        for _ in 0..5 {
            let right = pipe.connection.present(channel, &two).unwrap();
            done += u32::from(pipe.ask((channel, right), note).is_ok());
        }
        assert_eq!(done, 2, "replayed");
        // The whole address, as some other process has it, replayed with the conditions of ours: the seals differ.
        let whole = Capability::mint(&self.welcome.key, granted.process(), granted.slot());
        let right = pipe.connection.present(channel, &whole).unwrap();
        assert!(pipe.ask((channel, right), clear).is_err());
    }
}

/// The end of a data pipe of somebody who keeps the protocol, and says what he likes within it.
struct Pipe {
    socket: UnixStream,
    connection: Connection<u32>,
    reader: FrameReader,
    greeted: bool,
}

impl Pipe {
    /// Sends a message of a text, and waits for its outcome.
    fn ask(&mut self, (channel, right): (u32, u32), message: MessageId) -> Result<(), Cause> {
        let submit = Submit { channel, message: message.0, mode: Mode::Call, timeout_ms: 0, right };
        let waiting = || Waiting { tag: 1, deadline: None };
        self.connection.submit(submit, &"a guess".to_owned(), waiting)?;
        loop {
            loop {
                let bytes = self.connection.poll_transmit(Instant::now()).bytes.to_vec();
                if bytes.is_empty() {
                    break;
                }
                self.socket.write_all(&bytes).unwrap();
                self.connection.handle_transmitted(bytes.len());
            }
            while let Some(event) = self.connection.poll_event() {
                if let Some(ended) = outcome(event) {
                    return ended;
                }
            }
            if let Some(ended) = self.read() {
                return ended;
            }
        }
    }

    fn read(&mut self) -> Option<Result<(), Cause>> {
        let bytes = self.socket.read(self.reader.room()).unwrap();
        assert!(bytes > 0, "the owner hung up");
        self.reader.advance(bytes);
        if !self.greeted {
            self.greeted = self.reader.take_preamble().unwrap();
        }
        let mut ended = None;
        while let Some(frame) = self.reader.next().unwrap() {
            if let Some(event) = self.connection.handle_frame(frame, Instant::now()).unwrap() {
                ended = ended.or(outcome(event));
            }
        }
        ended
    }
}

fn outcome(event: Event<'_, u32>) -> Option<Result<(), Cause>> {
    match event {
        Event::Reply { .. } => Some(Ok(())),
        Event::Failed { failure, .. } => Some(Err(failure.cause)),
        _ => None,
    }
}
