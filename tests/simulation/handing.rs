//! Order over a hand-over in a seeded world: two to four processes with one actor each, which send to one another and
//! tell one another of each other, over pipes that are short, slow, stalled and cut, and die.
//!
//! The connections, the gates and the decisions about holds are the real ones. What must hold:
//!
//! - W-9 a message arrives behind all that its sender was owed: what whoever gave it the address had sent there before,
//!   over any number of hands, unless a life or a pipe between them has ended since;
//! - W-10 nothing waits for ever: once all stands still, no way is held, and what no pipe took with it has arrived.

mod hands;
mod pipes;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use procession::codec::decode;
use procession::id::Slot;
use procession::process::routing::{Gate, Pass};
use procession::protocol::Limits;
use procession::protocol::connection::{Begin, Connection, Mode, Submit, Waiting};
use procession::protocol::frame::FrameReader;
use procession::protocol::handover::{Handovers, HoldId, Whom};

use super::link::id;
use super::scenario::each_seed;
use super::stream::Stream;

/// The actor of each process.
const ACTOR: Slot = Slot(0);

/// What a message says of itself beside its number: whose address it bears, and whether that is marked.
type Body = (u32, Option<(usize, Option<u32>)>, Vec<u8>);

/// For whom a connection keeps what.
#[derive(Clone, Copy, Debug)]
enum Tag {
    Message,
    Asked(HoldId),
    Settling(Asker),
}

/// Who waits for an answer: a request that came over a pipe.
#[derive(Clone, Copy, Debug)]
struct Asker {
    pipe: usize,
    side: usize,
    correlation: u64,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Channel { pipe: usize, side: usize, channel: u32, key: u64 },
    Gate(u64),
}

/// Two processes, and how often what was between them had ended.
type Way = ((usize, usize), u32);

/// A message behind which others must arrive, as long as nothing on these ways ends.
#[derive(Clone, Debug)]
struct Debt {
    message: u32,
    ways: Vec<Way>,
}

#[derive(Debug)]
struct Message {
    to: usize,
    way: Way,
    /// What it must not overtake.
    debts: Vec<Debt>,
    /// What whoever is told of somebody must not overtake.
    gives: Vec<Debt>,
    arrived: bool,
    refused: bool,
}

/// What came within the process: messages that had room, and who may be answered now.
#[derive(Default)]
struct Landed {
    messages: VecDeque<(u32, Pass)>,
    answers: Vec<Asker>,
}

struct Item {
    message: u32,
    body: Vec<u8>,
    from: usize,
    came: Came,
}

enum Came {
    Here { _room: Pass },
    By { pipe: usize, side: usize, channel: u32, weight: u64, correlation: Option<u64> },
}

struct Process {
    life: u32,
    is_down: bool,
    handovers: Handovers<Place, Asker>,
    gate: Arc<Gate>,
    landed: Arc<Mutex<Landed>>,
    mailbox: VecDeque<Item>,
    current: BTreeMap<usize, usize>,
    /// The last message that it sent to each.
    last: BTreeMap<usize, u32>,
    owed: BTreeMap<usize, Vec<Debt>>,
}

struct End {
    connection: Connection<Tag>,
    reader: FrameReader,
    greeted: bool,
    channels: BTreeMap<u32, u32>,
    served: Vec<Slot>,
}

struct Pipe {
    between: [usize; 2],
    ends: [Option<End>; 2],
    streams: [Stream; 2],
    introduced: bool,
}

struct World {
    dice: Rng,
    now: Instant,
    limits: Limits,
    capacity: usize,
    processes: Vec<Process>,
    pipes: Vec<Pipe>,
    messages: Vec<Message>,
    ended: BTreeMap<(usize, usize), u32>,
    faults: bool,
    loud: bool,
    /// How often a way was held, for whoever wonders whether anything was tested.
    held: usize,
}

fn newborn(life: u32, window: u32) -> Process {
    Process {
        life,
        is_down: false,
        handovers: Handovers::default(),
        gate: Gate::new(window),
        landed: Arc::default(),
        mailbox: VecDeque::new(),
        current: BTreeMap::new(),
        last: BTreeMap::new(),
        owed: BTreeMap::new(),
    }
}

fn whom(process: usize) -> Whom {
    (id(process), ACTOR)
}

fn process_of(whom: Whom) -> usize {
    whom.0.0 as usize - 1
}

impl World {
    fn new(seed: u64, loud: bool) -> World {
        let mut dice = Rng::with_seed(seed);
        let count = dice.usize(2..=4);
        let window = dice.u32(1..5);
        let limits = Limits {
            max_message_bytes: 1 << 20,
            window_messages: window,
            window_bytes: if dice.bool() { 200 } else { 64 << 10 },
            reply_bytes: 1 << 20,
            ..Limits::default()
        };
        World {
            now: Instant::now(),
            limits,
            capacity: if dice.bool() { 300 } else { 32 << 10 },
            processes: (0..count).map(|_| newborn(1, window)).collect(),
            pipes: Vec::new(),
            messages: Vec::new(),
            ended: BTreeMap::new(),
            faults: dice.u8(..3) > 0,
            loud,
            held: 0,
            dice,
        }
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.loud {
            println!("{}", what());
        }
    }

    fn way(&self, one: usize, other: usize) -> Way {
        let pair = (one.min(other), one.max(other));
        (pair, self.ended.get(&pair).copied().unwrap_or_default())
    }

    fn end_way(&mut self, one: usize, other: usize) {
        *self.ended.entry((one.min(other), one.max(other))).or_default() += 1;
    }

    /// Whether this must still arrive before what owes it.
    fn stands(&self, debt: &Debt) -> bool {
        let message = &self.messages[debt.message as usize];
        let lasts = |way: &Way| self.way(way.0.0, way.0.1) == *way;
        !message.arrived && !message.refused && debt.ways.iter().all(lasts)
    }

    /// All that a process owes when it sends there: what it was told to be behind, and what it has sent itself.
    fn owes(&self, process: usize, to: usize) -> Vec<Debt> {
        let mut debts = self.processes[process].owed.get(&to).cloned().unwrap_or_default();
        let own = self.processes[process].last.get(&to);
        let way = |message: u32| self.messages[message as usize].way;
        debts.extend(own.map(|message| Debt { message: *message, ways: vec![way(*message)] }));
        debts.retain(|debt| self.stands(debt));
        debts
    }

    fn send(&mut self, from: usize, to: usize, told: Option<usize>) {
        let message = u32::try_from(self.messages.len()).unwrap();
        let mut gives = told.map_or(Vec::new(), |told| self.owes(from, told));
        let debts = self.owes(from, to);
        let hop = told.map(|told| [self.way(from, to), self.way(from, told)]);
        gives.iter_mut().for_each(|debt| debt.ways.extend(hop.into_iter().flatten()));
        self.processes[from].last.insert(to, message);
        let pipe = (from != to).then(|| self.pipe_to(from, to));
        let way = self.way(from, to);
        self.messages.push(Message { to, way, debts, gives, arrived: false, refused: false });
        let mark = told.map(|told| (told, self.stamp(from, told)));
        let large = self.dice.u8(..20) == 0;
        let bytes = if large { self.dice.usize(33_000..70_000) } else { self.dice.usize(..60) };
        let body: Body = (message, mark, vec![7_u8; bytes]);
        let mode = [Mode::Call, Mode::Tell, Mode::Outbox, Mode::Try][self.dice.usize(..4)];
        let taken = match pipe {
            None => self.send_here(from, message, mode),
            Some((pipe, side)) => {
                let channel = self.channel(pipe, side, to, ACTOR);
                let submit = Submit { channel, message: 100 + message, mode, timeout_ms: 0, right: 0 };
                let connection = &mut self.end(pipe, side).connection;
                let waiting = || Waiting { tag: Tag::Message, deadline: None };
                connection.submit(submit, &body, waiting).is_ok()
            }
        };
        self.say(|| format!("{from} sends {message} to {to}, which tells {mark:?}, {mode:?}: taken {taken}"));
        self.messages[message as usize].refused |= !taken;
    }

    fn send_here(&mut self, process: usize, message: u32, mode: Mode) -> bool {
        let gate = Arc::clone(&self.processes[process].gate);
        let landed = Arc::clone(&self.processes[process].landed);
        let deliver = move |pass| landed.lock().unwrap().messages.push_back((message, pass));
        if let Some(pass) = gate.try_pass() {
            deliver(pass);
            return true;
        }
        match mode {
            Mode::Call | Mode::Tell => gate.wait(deliver) > 0,
            Mode::Try => gate.wait_if_room(deliver),
            Mode::Outbox => gate.wait_in_outbox(deliver),
        }
    }

    fn arrive(&mut self, process: usize, item: Item) {
        self.say(|| format!("{} arrives at {process}", item.message));
        let message = &self.messages[item.message as usize];
        assert_eq!((message.to, message.arrived), (process, false), "message {} goes astray", item.message);
        for debt in &message.debts {
            assert!(
                !self.stands(debt),
                "W-9: message {} arrives before {}, behind which it was sent",
                item.message,
                debt.message
            );
        }
        self.messages[item.message as usize].arrived = true;
        self.processes[process].mailbox.push_back(item);
    }

    /// What had room within a process goes into the mailbox, and those are answered who waited for that.
    fn land(&mut self) -> bool {
        let mut moved = false;
        for process in 0..self.processes.len() {
            loop {
                let mut landed = self.processes[process].landed.lock().unwrap();
                let (next, answers) = (landed.messages.pop_front(), std::mem::take(&mut landed.answers));
                drop(landed);
                moved |= next.is_some() || !answers.is_empty();
                let Some((message, pass)) = next else {
                    answers.into_iter().for_each(|asker| self.answer(asker));
                    break;
                };
                let item =
                    Item { message, body: Vec::new(), from: process, came: Came::Here { _room: pass } };
                self.arrive(process, item);
                answers.into_iter().for_each(|asker| self.answer(asker));
            }
        }
        moved
    }

    /// An actor takes a message. What it says of others is read, and what they had sent is owed from then on.
    fn act(&mut self, process: usize) -> bool {
        let Some(Item { message, body, from, came }) = self.processes[process].mailbox.pop_front() else {
            return false;
        };
        self.say(|| format!("{process} takes {message}"));
        if let Came::By { pipe, side, channel, weight, correlation } = came {
            if let Some(end) = self.pipes[pipe].ends[side].as_mut() {
                let begin = end.connection.begin(channel, weight, correlation, None, self.now);
                assert_eq!(begin, Begin::Proceed);
                if let Some(correlation) = correlation {
                    end.connection.reply(correlation, &());
                }
            }
            let (number, told, _): Body = decode(&body).unwrap();
            assert_eq!(number, message);
            if let Some((told, mark)) = told {
                if let Some(stamp) = mark {
                    self.hold(process, told, from, stamp);
                }
                let gives = self.messages[message as usize].gives.clone();
                let owed = self.processes[process].owed.remove(&told).unwrap_or_default();
                let all = owed.into_iter().chain(gives).filter(|debt| self.stands(debt)).collect();
                self.processes[process].owed.insert(told, all);
            }
        }
        // Its room is free: what had waited for that is in the mailbox before whatever comes next.
        drop(came);
        self.land();
        true
    }

    fn suffer(&mut self) {
        let process = self.dice.usize(..self.processes.len());
        match self.dice.u32(..120) {
            0 => self.kill(process),
            1 | 2 if !self.pipes.is_empty() => {
                let pipe = self.dice.usize(..self.pipes.len());
                self.cut(pipe);
            }
            3..20 if !self.pipes.is_empty() => {
                let pipe = self.dice.usize(..self.pipes.len());
                let until = self.now + Duration::from_micros(self.dice.u64(..40));
                self.pipes[pipe].streams[self.dice.usize(..2)].stalled_until = Some(until);
            }
            20..40 => self.processes[process].is_down = false,
            _ => {}
        }
    }

    fn send_some(&mut self) {
        let count = self.processes.len();
        let (from, to, told) = (self.dice.usize(..count), self.dice.usize(..count), self.dice.usize(..count));
        if self.processes[from].is_down || self.processes[to].is_down {
            return;
        }
        // Whoever tells of somebody has most often just sent something there, and whoever is told will send there.
        let tells = from != to && self.dice.u8(..3) == 0;
        if tells && self.dice.u8(..4) > 0 && !self.processes[told].is_down {
            self.send(from, told, None);
            self.land();
        }
        self.send(from, to, tells.then_some(told));
        self.land();
    }

    /// Each side of each pipe reads and writes as much.
    fn exchange(&mut self, most: Option<usize>) -> bool {
        let mut moved = false;
        for pipe in 0..self.pipes.len() {
            for side in [0, 1] {
                let bytes = most.map_or(usize::MAX, |most| self.dice.usize(1..=most));
                match most.map_or(3, |_| self.dice.u8(..4)) {
                    0 => moved |= self.transmit(pipe, side, bytes),
                    1 => moved |= self.receive(pipe, side, bytes),
                    2 => {}
                    _ => moved |= self.transmit(pipe, side, bytes) | self.receive(pipe, side, bytes),
                }
                moved |= self.land();
            }
        }
        moved
    }

    fn play(mut self) -> usize {
        for _ in 0..self.dice.u32(100..300) {
            self.now += Duration::from_micros(self.dice.u64(..20));
            if self.faults {
                self.suffer();
            }
            for pipe in &mut self.pipes {
                pipe.introduced |= self.dice.u8(..5) == 0;
            }
            self.send_some();
            self.exchange(Some(2000));
            for process in 0..self.processes.len() {
                if self.dice.u8(..3) == 0 {
                    self.act(process);
                }
            }
        }
        self.come_to_rest();
        self.held
    }

    fn come_to_rest(&mut self) {
        self.now += Duration::from_secs(1);
        self.pipes.iter_mut().for_each(|pipe| pipe.introduced = true);
        loop {
            let mut moved = self.exchange(None);
            for process in 0..self.processes.len() {
                moved |= self.act(process);
            }
            if !moved {
                break;
            }
        }
        for (number, process) in self.processes.iter().enumerate() {
            assert_eq!(process.handovers.held(), 0, "W-10: {number} holds a way for ever");
        }
        for (number, message) in self.messages.iter().enumerate() {
            let lasts = self.way(message.way.0.0, message.way.0.1) == message.way;
            assert!(message.arrived || message.refused || !lasts, "W-10: message {number} never arrives");
        }
    }
}

#[test]
fn a2_order_holds_over_hand_overs_in_a_seeded_world() {
    let held = AtomicUsize::new(0);
    each_seed("a2_order_holds_over_hand_overs_in_a_seeded_world", 120, |seed, loud| {
        let one = World::new(seed, loud).play();
        if loud {
            println!("{one} holds");
        }
        held.fetch_add(one, Ordering::Relaxed);
    });
    assert!(held.into_inner() > 0, "ways were held");
}
