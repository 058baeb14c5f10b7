//! One conversation of every kind of message, whose receiver dies at every byte that it reads and at every byte that it
//! writes: each time every verdict must be right by what it had begun and finished until then (H41).

use std::collections::BTreeMap;
use std::time::Instant;

use procession::id::{ActorId, BuildId, Capability, Incarnation, ProcessId, ProcessName, Slot};
use procession::protocol::Limits;
use procession::protocol::connection::{Begin, Connection, Delivery, Event, Mode, Submit, Waiting};
use procession::protocol::control::Preamble;
use procession::protocol::frame::{FrameReader, Header};
use procession::protocol::wire::{Cause, Failure, Hello, Open, Verdict};

use super::link::feed;
use super::payload::{self, Payload};

/// Where the receiver dies.
#[derive(Clone, Copy, Debug, Default)]
struct Crash {
    /// It has read so many bytes, and does so many turns more without reading.
    read: Option<(usize, usize)>,
    /// So many of its bytes are in the pipe.
    written: Option<usize>,
    /// It says goodbye at this turn.
    goodbye: Option<usize>,
}

/// What was seen of a message at its receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Fate {
    whole: bool,
    begun: bool,
    finished: bool,
    dismissed: bool,
}

struct Talk {
    client: Connection<u32>,
    server: Connection<()>,
    to_server: FrameReader,
    to_client: FrameReader,
    /// What each has written into the pipe, and how much of the client's bytes the server has read.
    sent: Vec<u8>,
    answered: Vec<u8>,
    read: usize,
    mailbox: Vec<Item>,
    held: Vec<u64>,
    fates: BTreeMap<u32, Fate>,
    outcomes: BTreeMap<u32, Event<'static, u32>>,
    keys: BTreeMap<u32, u64>,
    channels: Vec<u32>,
    saw_goodbye: bool,
    now: Instant,
}

struct Item {
    id: u32,
    channel: u32,
    bytes: u64,
    correlation: Option<u64>,
}

/// More than the conversation takes.
const TURNS: usize = 120;
const PIECE_BYTES: usize = 1500;
const LARGE_BYTES: usize = 40_000;

impl Talk {
    fn new(now: Instant) -> Talk {
        let limits = Limits {
            max_message_bytes: 1 << 20,
            window_messages: 4,
            window_bytes: 64 << 10,
            ..Limits::default()
        };
        let hello = |process| Hello::new(ProcessId(process), Incarnation::FIRST, BuildId(1), limits);
        Talk {
            client: Connection::new(hello(1)),
            server: Connection::new(hello(2)),
            to_server: FrameReader::default(),
            to_client: FrameReader::default(),
            sent: Vec::new(),
            answered: Vec::new(),
            read: 0,
            mailbox: Vec::new(),
            held: Vec::new(),
            fates: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            keys: BTreeMap::new(),
            channels: Vec::new(),
            saw_goodbye: false,
            now,
        }
    }

    /// What the client does at each turn.
    fn speak(&mut self, turn: usize) {
        let id = u32::try_from(turn).unwrap();
        match turn {
            0 => {
                for slot in 0..2 {
                    let target = ActorId::declared(ProcessId(2), Slot(slot));
                    self.channels.push(self.client.open(&Open { target: Capability::unsealed(target) }));
                }
            }
            3 | 10..=16 => self.submit(id, 0, Mode::Call, 10),
            4 => self.submit(id, 0, Mode::Tell, 10),
            5 => self.submit(id, 1, Mode::Outbox, 0),
            6 | 30 => self.submit(id, 0, Mode::Call, LARGE_BYTES),
            7 => self.submit(id, 1, Mode::Tell, LARGE_BYTES),
            8 | 9 | 20..=24 => self.submit(id, 1, Mode::Call, 200),
            17 => self.cancel(16),
            26 => self.cancel(24),
            31 => self.submit(id, 0, Mode::Try, 7),
            32 => self.submit(id, 0, Mode::Call, 7),
            _ => {}
        }
    }

    fn submit(&mut self, id: u32, channel: usize, mode: Mode, bytes: usize) {
        let submit = Submit { channel: self.channels[channel], message: id, mode, timeout_ms: 0, right: 0 };
        let submitted =
            self.client.submit(submit, &Payload::message(id, bytes), || Waiting { tag: id, deadline: None });
        match submitted {
            Ok(Some(key)) => drop(self.keys.insert(id, key)),
            Ok(None) => drop(self.outcomes.insert(id, Event::Sent { tag: id })),
            Err(cause) => {
                let failure = Failure::not_executed(cause);
                self.outcomes.insert(id, Event::Failed { tag: id, failure });
            }
        }
    }

    fn cancel(&mut self, id: u32) {
        if self.keys.get(&id).is_some_and(|key| self.client.cancel(*key)) {
            // As good as any outcome: its sender does not want one.
            self.outcomes.insert(id, Event::Sent { tag: id });
        }
    }

    /// The client's bytes into the pipe, which is as long as they are.
    fn client_writes(&mut self) {
        loop {
            let bytes = self.client.poll_transmit(self.now);
            let length = bytes.len();
            self.sent.extend_from_slice(&bytes);
            self.client.handle_transmitted(length);
            self.drain_client();
            if length == 0 {
                break;
            }
        }
    }

    fn server_reads(&mut self, most: usize) {
        let begin = self.read;
        self.read = self.sent.len().min(begin + PIECE_BYTES).min(most).max(begin);
        let piece = self.sent[begin..self.read].to_vec();
        let mut rest = &piece[..];
        while !rest.is_empty() {
            feed(&mut self.to_server, &mut rest);
        }
        if begin < Preamble::LEN && (self.read < Preamble::LEN || !self.to_server.take_preamble().unwrap()) {
            return;
        }
        while let Some(frame) = self.to_server.next().unwrap() {
            match self.server.handle_frame(frame, self.now).unwrap() {
                Some(Event::Open { channel, .. }) => self.server.grant(channel),
                Some(Event::Deliver(Delivery { channel, message, body, weight, correlation, .. })) => {
                    assert_eq!(payload::message(&body.bytes), message);
                    self.fates.entry(message).or_default().whole = true;
                    let item = Item { id: message, channel, bytes: weight, correlation };
                    self.mailbox.push(item);
                }
                _ => {}
            }
        }
    }

    /// The server handles one message, by a rule that its number says: answers at once, later, never, or not at all.
    fn server_acts(&mut self, turn: usize) {
        if turn.is_multiple_of(5) {
            for correlation in self.held.split_off(self.held.len().saturating_sub(1)) {
                self.server.reply(correlation, &Payload::reply(self.id_of(correlation), LARGE_BYTES));
            }
        }
        if self.mailbox.is_empty() || turn.is_multiple_of(2) {
            return;
        }
        let Item { id, channel, bytes, correlation } = self.mailbox.remove(0);
        let begin = self.server.begin(channel, bytes, correlation, None, self.now);
        let fate = self.fates.entry(id).or_default();
        fate.begun = begin == Begin::Proceed;
        fate.dismissed = begin != Begin::Proceed;
        let Some(correlation) = correlation else { return };
        match (begin, id % 4) {
            (Begin::Proceed, 0 | 1) => {
                self.server.reply(correlation, &Payload::reply(id, 20));
                self.fates.entry(id).or_default().finished = true;
            }
            (Begin::Proceed, 2) => {
                self.fates.entry(id).or_default().finished = true;
                self.held.push(correlation);
            }
            (Begin::Proceed, _) => self.server.reply_failure(correlation, &Failure::failed(Cause::NoReply)),
            (Begin::Left, _) => {
                self.server.reply_failure(correlation, &Failure::not_executed(Cause::ActorStopped));
            }
            _ => {}
        }
    }

    fn id_of(&self, correlation: u64) -> u32 {
        let id = self.keys.iter().find(|(_, key)| **key == correlation);
        *id.expect("a request's correlation is its key").0
    }

    fn server_writes(&mut self, most: usize) {
        let left = most.saturating_sub(self.answered.len()).min(PIECE_BYTES);
        let bytes = self.server.poll_transmit(self.now);
        let bytes = bytes[..bytes.len().min(left)].to_vec();
        self.server.handle_transmitted(bytes.len());
        let begin = self.answered.len();
        self.answered.extend(&bytes);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            feed(&mut self.to_client, &mut rest);
        }
        if begin < Preamble::LEN
            && (self.answered.len() < Preamble::LEN || !self.to_client.take_preamble().unwrap())
        {
            return;
        }
        while let Some(frame) = self.to_client.next().unwrap() {
            let event = self.client.handle_frame(frame, self.now).unwrap();
            match event {
                Some(Event::Reply { tag, body }) => {
                    assert_eq!(payload::reply(&body.bytes), tag);
                    self.outcome(Event::Reply { tag, body: (&[][..]).into() });
                }
                Some(Event::Failed { tag, failure }) => self.outcome(Event::Failed { tag, failure }),
                Some(Event::Goodbye) => {
                    self.saw_goodbye = true;
                    self.client.fail_waiting(&Cause::Stopping(ProcessName::new("server").unwrap()));
                }
                _ => {}
            }
        }
        self.drain_client();
    }

    fn drain_client(&mut self) {
        while let Some(event) = self.client.poll_event() {
            self.outcome(event);
        }
    }

    fn outcome(&mut self, event: Event<'static, u32>) {
        let (Event::Reply { tag, .. } | Event::Sent { tag } | Event::Failed { tag, .. }) = &event else {
            return;
        };
        let tag = *tag;
        // What was queued for nobody, and then not sent, is a dead letter.
        let previous = self.outcomes.insert(tag, event);
        assert_eq!(previous, None, "message {tag} ended twice");
    }

    /// Talks until the receiver dies, or until all is said. Returns how many casts were told as lost.
    fn play(&mut self, crash: Crash) -> u64 {
        let mut turns_left = usize::MAX;
        for turn in 0..TURNS {
            self.speak(turn);
            self.client_writes();
            let (most, more) = crash.read.unwrap_or((usize::MAX, 0));
            self.server_reads(most);
            self.server_acts(turn);
            if crash.goodbye == Some(turn) {
                self.server.leave();
            }
            self.server_writes(crash.written.unwrap_or(usize::MAX));
            if self.read == most {
                turns_left = turns_left.min(more + 1) - 1;
            }
            if turns_left == 0 || crash.written == Some(self.answered.len()) {
                break;
            }
        }
        let lost = self.client.handle_lost(&Cause::NoReply);
        self.drain_client();
        lost
    }

    fn judge(&self, lost: u64) {
        let mut vanished = 0;
        for (id, outcome) in &self.outcomes {
            let fate = self.fates.get(id).copied().unwrap_or_default();
            let is_call = self.keys.contains_key(id);
            match outcome {
                Event::Reply { .. } => assert!(fate.finished, "message {id} was answered by nobody"),
                Event::Failed { failure, .. } => match failure.verdict {
                    Verdict::NotExecuted => assert!(!fate.begun, "message {id} was begun: {failure:?}"),
                    Verdict::Failed => assert!(fate.begun, "message {id} was not begun: {failure:?}"),
                    Verdict::Unknown => {
                        let untouched = !fate.begun && !fate.dismissed;
                        assert!(!(self.saw_goodbye && untouched), "message {id} was not taken: {failure:?}");
                    }
                },
                _ => vanished += u64::from(!is_call && !fate.begun && !fate.dismissed),
            }
        }
        for id in self.keys.keys() {
            let is_cast = matches!(id, 4 | 5 | 7 | 31);
            assert!(is_cast || self.outcomes.contains_key(id), "message {id} never ended");
        }
        assert!(vanished <= lost, "{vanished} casts vanished, {lost} were told");
        assert_eq!(self.client.outgoing_count(), 0);
    }
}

/// Every byte of small frames, of large ones the ends and a byte now and then.
fn points(stream: &[u8]) -> Vec<usize> {
    let mut points: Vec<usize> = (0..=Preamble::LEN).collect();
    let mut at = Preamble::LEN;
    while at < stream.len() {
        let Some(header) = stream[at..].first_chunk() else { break };
        let length = Header::from_bytes(header).unwrap().length as usize;
        let end = (at + Header::LEN + length).min(stream.len());
        points.extend((at..end).filter(|byte| {
            let is_edge = byte - at < Header::LEN + 40 || end - byte < 40;
            is_edge || byte % 1999 == 0
        }));
        at = end;
    }
    points.push(stream.len());
    points
}

/// With and without a goodbye in the middle, at several moments.
const GOODBYES: [Option<usize>; 4] = [None, Some(12), Some(21), Some(33)];

#[test]
fn m2_h41_verdicts_are_right_whichever_byte_is_the_last_that_the_receiver_reads() {
    crash_everywhere(|talk| &talk.sent, |byte, more| Crash { read: Some((byte, more)), ..Crash::default() });
}

#[test]
fn m2_h41_verdicts_are_right_whichever_byte_is_the_last_that_the_receiver_writes() {
    crash_everywhere(|talk| &talk.answered, |byte, _| Crash { written: Some(byte), ..Crash::default() });
}

fn crash_everywhere(stream: impl Fn(&Talk) -> &[u8], crash: impl Fn(usize, usize) -> Crash) {
    let now = Instant::now();
    let mut crashes = 0;
    for goodbye in GOODBYES {
        let mut whole = Talk::new(now);
        let lost = whole.play(Crash { goodbye, ..Crash::default() });
        whole.judge(lost);
        for byte in points(stream(&whole)) {
            // It dies at once, or handles something of what it has first.
            let crash = Crash { goodbye, ..crash(byte, [0, 2, 30][byte % 3]) };
            let mut talk = Talk::new(now);
            let lost = talk.play(crash);
            let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| talk.judge(lost)));
            assert!(judged.is_ok(), "{crash:?}: {:#?} {:#?}", talk.fates, talk.outcomes);
            crashes += 1;
        }
    }
    println!("{crashes} crashes");
    assert!(crashes > 2000, "the conversation has shrunk to {crashes} points");
}
