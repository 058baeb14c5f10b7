//! Two connections that are driven over real wires: large bodies are read where they belong, whatever cuts them.

use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use tokio::sync::Notify;

use super::super::socket::SocketWire;
use super::*;
use crate::codec::Encoded;
use crate::id::{ActorId, BuildId, Capability, Incarnation, ProcessId, Slot};
use crate::protocol::Limits;
use crate::protocol::connection::{Delivery, Mode, Submit, Waiting};
use crate::protocol::control::Preamble;
use crate::protocol::frame::{Header, Kind};
use crate::protocol::wire::{Hello, Open};
use crate::sys::socket::Wait;

/// Takes everything, and answers with it.
pub(super) struct Echoing {
    connection: RefCell<Connection<u32>>,
    wanted: Notify,
    delivered: RefCell<Vec<Vec<u8>>>,
    pub(super) answered: RefCell<Vec<(u32, Vec<u8>)>>,
    pub(super) failed: RefCell<Vec<u32>>,
    /// Something was answered or has failed.
    pub(super) ended: Notify,
}

/// Who asks this gets no answer.
pub(super) const UNANSWERED: &[u8] = b"unanswered";

impl Echoing {
    pub(super) fn new(process: u32) -> Echoing {
        let limits = Limits { window_bytes: 64 << 20, ..Limits::default() };
        let hello = Hello::new(ProcessId(process), Incarnation::FIRST, BuildId(7), limits);
        let (wanted, delivered, answered, failed, ended) = Default::default();
        let connection = RefCell::new(Connection::new(hello));
        Echoing { connection, wanted, delivered, answered, failed, ended }
    }

    pub(super) fn open(&self, process: u32) -> u32 {
        let target = Capability::unsealed(ActorId::declared(ProcessId(process), Slot(0)));
        self.connection.borrow_mut().open(&Open { target })
    }

    pub(super) fn call(&self, channel: u32, body: &[u8], tag: u32) {
        self.submit(channel, body, Mode::Call, Waiting { tag, deadline: None });
    }

    /// Says something that needs no answer, if there is room.
    pub(super) fn say(&self, channel: u32, body: &[u8]) {
        let submit = Submit { channel, message: 1, mode: Mode::Try, timeout_ms: 0, right: 0 };
        let _ = self.connection.borrow_mut().submit(submit, body, || Waiting { tag: 0, deadline: None });
        self.wanted.notify_one();
    }

    pub(super) fn submit(&self, channel: u32, body: &[u8], mode: Mode, waiting: Waiting<u32>) {
        let submit = Submit { channel, message: 1, mode, timeout_ms: 0, right: 0 };
        let waiting = || waiting;
        self.connection.borrow_mut().submit(submit, body, waiting).expect("queued");
        self.wanted.notify_one();
    }
}

impl Lane for Echoing {
    type Tag = u32;

    fn with<R>(&self, act: impl FnOnce(&mut Connection<u32>) -> R) -> R {
        act(&mut self.connection.borrow_mut())
    }

    fn on_event(&self, event: Event<'_, u32>) -> Result<(), ProtocolError> {
        match event {
            Event::Open { channel, .. } => self.with(|connection| connection.grant(channel)),
            Event::Deliver(Delivery { channel, body, weight, correlation, .. }) => {
                let body: Vec<u8> = body.decode().expect("bytes");
                self.with(|connection| {
                    connection.take(channel, weight);
                    if let Some(correlation) = correlation.filter(|_| body != UNANSWERED) {
                        connection.reply(correlation, &body);
                    }
                });
                self.delivered.borrow_mut().push(body);
            }
            Event::Casts(run) => {
                let bodies = run.bodies().map(|body| Encoded::from(body).decode().expect("bytes"));
                self.delivered.borrow_mut().extend(bodies);
                self.with(|connection| {
                    connection.take_several(run.header.channel, run.count as u64, run.body_bytes() as u64);
                });
            }
            Event::Reply { tag, body } => {
                self.answered.borrow_mut().push((tag, body.decode().expect("bytes")));
                self.wanted.notify_one();
                self.ended.notify_one();
            }
            Event::Failed { tag, .. } => {
                self.failed.borrow_mut().push(tag);
                self.ended.notify_one();
            }
            _ => {}
        }
        Ok(())
    }

    fn wanted(&self) -> impl Future<Output = ()> {
        self.wanted.notified()
    }

    fn is_done(&self) -> bool {
        false
    }
}

fn body(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at * 7 % 251).expect("small")).collect()
}

/// Small ones between large ones, around the size of a chunk and of what is worth reading apart.
const LENGTHS: [usize; 9] = [3, 1_000_000, 20, 32_768, 40_000, 36_864, 65_536, 1, 300_000];

pub(super) fn on_one_thread<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(polling::before_park)
        .on_thread_unpark(polling::after_unpark)
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

fn wire(socket: OwnedFd) -> SocketWire {
    SocketWire::new(socket).expect("a wire")
}

async fn exchange((left, right): (OwnedFd, OwnedFd)) {
    let (asker, answerer) = (Rc::new(Echoing::new(1)), Rc::new(Echoing::new(2)));
    let channel = asker.open(2);
    for (tag, length) in LENGTHS.into_iter().enumerate() {
        asker.call(channel, &body(length), u32::try_from(tag).expect("few"));
    }
    let (here, there) = (Rc::clone(&asker), Rc::clone(&answerer));
    let driving = [
        tokio::task::spawn_local(async move { drive(&*here, wire(left)).await }),
        tokio::task::spawn_local(async move { drive(&*there, wire(right)).await }),
    ];
    while asker.answered.borrow().len() < LENGTHS.len() {
        assert!(driving.iter().all(|driver| !driver.is_finished()), "nothing ends");
        tokio::task::yield_now().await;
    }
    driving.iter().for_each(tokio::task::JoinHandle::abort);
    let delivered: Vec<usize> = answerer.delivered.borrow().iter().map(Vec::len).collect();
    assert_eq!(delivered, LENGTHS, "in order");
    for (tag, answer) in asker.answered.borrow().iter() {
        assert!(*answer == body(LENGTHS[*tag as usize]), "body {tag} is as it was");
    }
}

#[test]
fn m1_casts_and_calls_of_one_channel_come_in_their_order_however_many_come_at_once() {
    const COUNT: usize = 1000;
    on_one_thread(async {
        let (left, right) = crate::sys::socket::pair().expect("a pair");
        let (asker, answerer) = (Rc::new(Echoing::new(1)), Rc::new(Echoing::new(2)));
        let channel = asker.open(2);
        let (here, there) = (Rc::clone(&asker), Rc::clone(&answerer));
        let _driving = [
            tokio::task::spawn_local(async move { drive(&*here, wire(left)).await }),
            tokio::task::spawn_local(async move { drive(&*there, wire(right)).await }),
        ];
        // Some that are too large for a run, some calls between the casts, and of both more than are taken at once.
        let bodies: Vec<Vec<u8>> =
            (0..COUNT).map(|at| body(if at % 97 == 0 { 5000 } else { at % 300 })).collect();
        for (at, body) in bodies.iter().enumerate() {
            let mode = if at % 150 < 140 { Mode::Tell } else { Mode::Call };
            let waiting = Waiting { tag: u32::try_from(at).expect("few"), deadline: None };
            asker.submit(channel, body, mode, waiting);
            if at % 400 == 399 {
                tokio::task::yield_now().await;
            }
        }
        while answerer.delivered.borrow().len() < COUNT {
            tokio::task::yield_now().await;
        }
        assert_eq!(*answerer.delivered.borrow(), bodies);
    });
}

#[test]
fn m1_bodies_of_all_sizes_arrive_as_they_were_over_wide_and_narrow_sockets() {
    on_one_thread(async {
        exchange(socket::pair().expect("a pair")).await;
        let narrow = socket::pair().expect("a pair");
        for end in [&narrow.0, &narrow.1] {
            socket::set_buffers(end.as_fd(), 1).expect("buffers");
        }
        exchange(narrow).await;
    });
}

/// What one says that asks with large bodies.
struct Recorded {
    said: Vec<u8>,
    /// Where its frames end.
    ends: Vec<usize>,
    /// How much the other side has said when the first of the bodies leaves: it has granted a channel.
    granted: usize,
}

/// Preamble, hello, open: what is said before the channel is granted.
const OPENED_AT: usize = 3;

fn recorded() -> Recorded {
    let sides = [Echoing::new(1), Echoing::new(2)];
    let channel = sides[0].open(2);
    [50_000, 3, 100_000].into_iter().for_each(|length| sides[0].call(channel, &body(length), 0));
    let mut readers = [FrameReader::default(), FrameReader::default()];
    let (mut said, mut ends, mut answered, mut granted) = (Vec::new(), vec![0, Preamble::LEN], 0, None);
    loop {
        let mut moved = false;
        for (from, to) in [(0, 1), (1, 0)] {
            let bytes = sides[from].with(|connection| connection.poll_transmit(Instant::now()).to_vec());
            sides[from].with(|connection| connection.handle_transmitted(bytes.len()));
            moved |= !bytes.is_empty();
            let is_first = if from == 0 { said.is_empty() } else { answered == 0 };
            for piece in bytes.chunks(1000) {
                readers[from].room()[..piece.len()].copy_from_slice(piece);
                readers[from].advance(piece.len());
            }
            if is_first && !bytes.is_empty() {
                assert!(readers[from].take_preamble().expect("a preamble"));
            }
            if from == 0 {
                said.extend_from_slice(&bytes);
            } else {
                answered += bytes.len();
            }
            while let Some(frame) = readers[from].next().expect("frames") {
                if from == 0 {
                    ends.push(ends[ends.len() - 1] + Header::LEN + frame.body.len());
                    granted = granted.or((ends.len() > OPENED_AT + 1).then_some(answered));
                }
                let event = sides[to].with(|connection| connection.handle_frame(frame, Instant::now()));
                event
                    .expect("no violation")
                    .map(|event| sides[to].on_event(event))
                    .transpose()
                    .expect("taken");
            }
        }
        if !moved {
            return Recorded { said, ends, granted: granted.expect("there are bodies") };
        }
    }
}

/// How one ends to whom these bytes are said by somebody who then says nothing more.
fn ended(recorded: &Recorded, bytes: &[u8]) -> Ended {
    on_one_thread(async {
        let (ours, theirs) = socket::pair().expect("a pair");
        let (first, rest) = bytes.split_at(bytes.len().min(recorded.ends[OPENED_AT]));
        let (first, rest, granted) = (first.to_vec(), rest.to_vec(), recorded.granted);
        let talking = std::thread::spawn(move || {
            say(&theirs, &first);
            let mut heard = 0;
            while !rest.is_empty() && heard < granted {
                heard += socket::recv(theirs.as_fd(), &mut [0; 4096], Wait::Yes).expect("an answer");
            }
            // The peer may have had enough.
            rest.chunks(10_007).for_each(|piece| say(&theirs, piece));
            let _ = socket::shutdown_write(theirs.as_fd());
            theirs
        });
        let ended = drive(&Echoing::new(2), wire(ours)).await;
        drop(talking.join().expect("said"));
        ended
    })
}

fn say(socket: &OwnedFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let Ok(sent) = socket::send(socket.as_fd(), bytes, Wait::Yes) else { return };
        bytes = &bytes[sent..];
    }
}

#[test]
fn h10_an_end_within_a_chunk_is_a_cut_and_between_frames_the_end() {
    let recorded = recorded();
    let Recorded { said, ends, .. } = &recorded;
    assert!(ends.last() == Some(&said.len()) && said.len() > 150_000, "{ends:?}");
    let within = ends.windows(2).flat_map(|pair| {
        let (from, to) = (pair[0], pair[1]);
        let places =
            [from, from + 1, from + Header::LEN, from + Header::LEN + 1, (from + to) / 2, to - 1, to];
        places.into_iter().filter(move |place| *place <= to)
    });
    for end in within {
        let ended = ended(&recorded, &said[..end]);
        match ends.contains(&end) {
            true => assert!(matches!(ended, Ended::PeerGone), "after {end}: {ended:?}"),
            false => assert!(matches!(ended, Ended::Violation(ProtocolError::Cut)), "after {end}: {ended:?}"),
        }
    }
}

#[test]
fn x1_a_chunk_that_nobody_announced_or_is_too_long_is_a_violation_before_it_is_there() {
    let recorded = recorded();
    let Recorded { said, ends, .. } = &recorded;
    let is_last = |at: usize| {
        let header = Header::from_bytes(said[at..].first_chunk().expect("a header")).expect("a frame");
        header.kind == Kind::Chunk && (header.length as usize) < 32 << 10
    };
    let at = *ends[1..ends.len() - 1].iter().find(|at| is_last(**at)).expect("a last chunk");
    let (length_at, stream_at) = (0, 12);
    for (field, value) in [(length_at, 60_000_u32), (stream_at, 77)] {
        let mut bytes = said[..at + Header::LEN + 10].to_vec();
        bytes[at + field..at + field + 4].copy_from_slice(&value.to_le_bytes());
        let ended = ended(&recorded, &bytes);
        assert!(matches!(ended, Ended::Violation(ProtocolError::Stream { .. })), "{field}: {ended:?}");
    }
}

/// What one has to say, to the reader of the other.
fn carry(from: &Echoing, reader: &mut FrameReader) {
    from.with(|connection| {
        while connection.has_bytes() {
            let bytes = connection.poll_transmit(Instant::now()).bytes.to_vec();
            connection.handle_transmitted(bytes.len());
            for bytes in bytes.chunks(1000) {
                reader.room()[..bytes.len()].copy_from_slice(bytes);
                reader.advance(bytes.len());
            }
        }
    });
}

/// Takes once, as a driver does, and says how many events that gave.
fn take(to: &Echoing, reader: &mut FrameReader) -> (More, usize) {
    let (mut frames, mut events) = (reader.frames(), Vec::new());
    let more = to.with(|connection| take_some(connection, &mut frames, &mut events, Instant::now()));
    let count = events.len();
    to.on_events(events).expect("no violation");
    (more.expect("no violation"), count)
}

#[test]
fn a_run_of_just_as_many_as_are_taken_at_once_leaves_none_for_another_turn() {
    for (calls, left) in [(FRAMES_AT_ONCE - 1, 0), (FRAMES_AT_ONCE, 0), (FRAMES_AT_ONCE + 1, 1)] {
        let (asker, answerer) = (Echoing::new(1), Echoing::new(2));
        let (mut questions, mut answers) = (FrameReader::default(), FrameReader::default());
        let channel = asker.open(2);
        carry(&asker, &mut questions);
        carry(&answerer, &mut answers);
        for reader in [&mut questions, &mut answers] {
            assert!(reader.take_preamble().expect("a preamble"));
        }
        take(&answerer, &mut questions);
        carry(&answerer, &mut answers);
        take(&asker, &mut answers);
        for tag in 0..calls {
            asker.call(channel, b"?", u32::try_from(tag).expect("few"));
        }
        carry(&asker, &mut questions);
        let more = if left > 0 { More::Maybe } else { More::No };
        assert_eq!(take(&answerer, &mut questions), (more, calls - left));
    }
}
