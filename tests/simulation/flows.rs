//! Streams over real connections, through short pipes that are cut at any byte, between a consumer that is slow, gives up
//! or dies, and a producer that is slow, fails or dies.
//!
//! - F-1 Every stream ends: with its own end, a cause, or because its consumer dropped it.
//! - F-2 Items come once, in order, and all of them before an end that the producer's stream gave itself.
//! - F-3 Never more is polled ahead of the consumer than its credit, and one item that had no room.
//! - F-4 Nothing is left at a producer that lives: what ended, was dropped, never claimed, or died with its consumer.
//!
//! `PROCESSION_SIM_SEEDS` says how many seeds are played, `PROCESSION_SIM_SEED` plays one of them.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use fastrand::Rng;
use procession::codec;
use procession::id::{Incarnation, ProcessId, ProcessName};
use procession::protocol::streams::{Consuming, Credit, End, Next, StreamId};
use procession::protocol::wire::{Cause, Failure};

use super::flow_ends::{ASK, CANCEL, CLAIM, ConsumerEnd, PULL, ProducerEnd, Reply};
use super::scenario::each_seed;
use super::stream::Stream;

pub(crate) const CONSUMER: (ProcessId, Incarnation) = (ProcessId(1), Incarnation(1));
pub(crate) const PRODUCER: (ProcessId, Incarnation) = (ProcessId(2), Incarnation(1));

/// What a producer's stream yields.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) items: u32,
    pub(crate) largest: usize,
    pub(crate) end: End,
}

impl Plan {
    fn of(dice: &mut Rng) -> Plan {
        let end = match dice.u8(..3) {
            0 => End::Error(b"typed".to_vec().into()),
            1 => End::Failed(Failure::failed(Cause::ActorStopped)),
            _ => End::Done,
        };
        Plan { items: dice.u32(..80), largest: dice.usize(1..400), end }
    }

    /// The item of that number: its number, and as many bytes as it has.
    pub(crate) fn item(&self, at: u32) -> Vec<u8> {
        let mut item = at.to_le_bytes().to_vec();
        item.resize(4 + (at as usize * 37) % self.largest, 7);
        item
    }
}

/// One stream at its consumer.
struct Taking {
    plan: Plan,
    credit: Credit,
    stage: Stage,
    taken: u32,
    /// Keys of pulls under way, the oldest first, and what came of them out of turn.
    asked: VecDeque<(u64, Option<Reply>)>,
    has_deadlines: bool,
}

enum Stage {
    Asking(u64),
    Flowing(Consuming<Vec<u8>>, StreamId),
    Dropped,
    Ended(End),
}

struct World {
    dice: Rng,
    now: Instant,
    consumer: ConsumerEnd,
    producer: ProducerEnd,
    /// From the consumer, and from the producer.
    pipes: [Stream; 2],
    streams: Vec<Taking>,
    piece: usize,
    is_cut: bool,
    loud: bool,
}

impl World {
    fn new(seed: u64, loud: bool) -> World {
        let mut dice = Rng::with_seed(seed);
        let now = Instant::now();
        let capacity = [40, 300, 4000, 60_000][dice.usize(..4)];
        let piece = [7, 200, 5000][dice.usize(..3)];
        let plans: Vec<Plan> = (0..dice.usize(1..6)).map(|_| Plan::of(&mut dice)).collect();
        let mut consumer = ConsumerEnd::new(CONSUMER, PRODUCER);
        let streams = plans.iter().enumerate().map(|(at, plan)| Taking {
            plan: plan.clone(),
            credit: Credit { items: dice.u32(1..12), bytes: dice.u32(1..900) },
            stage: Stage::Asking(consumer.ask(ASK, &at, None, now)),
            taken: 0,
            asked: VecDeque::new(),
            has_deadlines: dice.u8(..4) == 0,
        });
        let streams = streams.collect();
        let producer = ProducerEnd::new(PRODUCER, CONSUMER, plans, dice.u64(..));
        let pipes = [Stream::new(capacity), Stream::new(capacity)];
        World { dice, now, consumer, producer, pipes, streams, piece, is_cut: false, loud }
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.loud {
            println!("{}", what());
        }
    }

    /// Some bytes go each way.
    fn exchange(&mut self) -> bool {
        let (mut moved, now) = (false, self.now);
        let most = |dice: &mut Rng, piece| dice.usize(1..=piece);
        let sent = most(&mut self.dice, self.piece).min(self.pipes[0].room());
        moved |= self.consumer.transmit(&mut self.pipes[0], sent, now);
        let read = self.pipes[0].read(most(&mut self.dice, self.piece));
        moved |= !read.is_empty();
        self.producer.receive(&read, now);
        let sent = most(&mut self.dice, self.piece).min(self.pipes[1].room());
        moved |= self.producer.transmit(&mut self.pipes[1], sent, now);
        let read = self.pipes[1].read(most(&mut self.dice, self.piece));
        moved |= !read.is_empty();
        self.consumer.receive(&read, now);
        self.hear();
        moved
    }

    /// What came of the consumer's asks and pulls.
    fn hear(&mut self) {
        for (key, reply) in self.consumer.take_replies() {
            for at in 0..self.streams.len() {
                if matches!(self.streams[at].stage, Stage::Asking(asked) if asked == key) {
                    self.begin(at, reply);
                    break;
                }
                if let Some(pull) = self.streams[at].asked.iter_mut().find(|(pull, _)| *pull == key) {
                    pull.1 = Some(reply);
                    break;
                }
            }
        }
    }

    fn begin(&mut self, at: usize, reply: Reply) {
        let taking = &mut self.streams[at];
        taking.stage = match reply {
            Ok(bytes) => {
                let stream: StreamId = codec::decode(&bytes).expect("a place");
                self.consumer.tell(CLAIM, &stream);
                Stage::Flowing(Consuming::new(stream, taking.credit), stream)
            }
            Err(failure) => Stage::Ended(End::Failed(failure)),
        };
    }

    /// The consumer looks at one of its streams, as who waits for the next item does.
    fn poll(&mut self, at: usize) -> bool {
        let (mut moved, now) = (false, self.now);
        let taking = &mut self.streams[at];
        let Stage::Flowing(consuming, stream) = &mut taking.stage else { return false };
        while let Some(pull) = consuming.poll_pull() {
            let deadline = taking.has_deadlines.then(|| now + Duration::from_millis(50));
            taking.asked.push_back((self.consumer.ask(PULL, &pull, deadline, now), None));
            moved = true;
        }
        let ended = match consuming.poll_next() {
            Next::Item(item) => {
                assert_eq!(item, taking.plan.item(taking.taken), "F-2: item {} of stream {at}", taking.taken);
                taking.taken += 1;
                self.producer.is_taken(at, taking.taken);
                return true;
            }
            Next::End(end) => end,
            Next::Wait => {
                let Some(reply) = taking.asked.front_mut().and_then(|(_, reply)| reply.take()) else {
                    return moved;
                };
                taking.asked.pop_front();
                let lie = consuming.handle_answer(reply.map(|bytes| codec::decode(&bytes).expect("a batch")));
                assert_eq!(lie, None, "an honest producer is blamed");
                return true;
            }
        };
        if consuming.is_open() {
            let stream = *stream;
            self.consumer.tell(CANCEL, &stream);
        }
        let taking = &mut self.streams[at];
        for (key, _) in taking.asked.drain(..) {
            self.consumer.cancel(key);
        }
        taking.stage = Stage::Ended(ended);
        true
    }

    /// The consumer wants no more of a stream.
    fn drop_one(&mut self, at: usize) {
        let taking = &mut self.streams[at];
        match &taking.stage {
            Stage::Asking(key) => self.consumer.cancel(*key),
            Stage::Flowing(consuming, stream) if consuming.is_open() => {
                let stream = *stream;
                taking.asked.drain(..).for_each(|(key, _)| self.consumer.cancel(key));
                self.consumer.tell(CANCEL, &stream);
            }
            Stage::Flowing(..) => {}
            Stage::Dropped | Stage::Ended(_) => return,
        }
        taking.stage = Stage::Dropped;
    }

    /// The pipe breaks, or a process dies: of what is under way each side reads some more, perhaps.
    fn cut(&mut self) {
        self.is_cut = true;
        for pipe in &mut self.pipes {
            let kept = self.dice.usize(..=pipe.available());
            pipe.cut(kept);
        }
        let now = self.now;
        let read = self.pipes[0].read(usize::MAX);
        self.producer.receive(&read, now);
        // Which may be killed by it, before it has looked at what came.
        if self.dice.bool() {
            self.producer.act(&mut self.dice, now);
        }
        let read = self.pipes[1].read(usize::MAX);
        self.consumer.receive(&read, now);
        let process = ProcessName::new("producer").unwrap();
        self.consumer.lose(&Cause::PeerDied { process, incarnation: PRODUCER.1, exit: None });
        self.producer.lose(CONSUMER);
        self.hear();
    }

    fn turn(&mut self) {
        self.exchange();
        if self.dice.bool() {
            self.producer.act(&mut self.dice, self.now);
        }
        let at = self.dice.usize(..self.streams.len());
        for _ in 0..self.dice.u8(..3) {
            self.poll(at);
        }
        match self.dice.u16(..2000) {
            0..5 => self.drop_one(at),
            5..7 => self.cut(),
            7..20 => self.pass(Duration::from_millis(60)),
            _ => {}
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.consumer.pass(self.now);
        self.hear();
    }

    /// Everything that can go on does; the pipe stays as it is.
    fn settle(&mut self) {
        for _ in 0..200_000 {
            let mut moved = !self.is_cut && self.exchange();
            moved |= !self.is_cut && self.producer.finish_something(self.now);
            for at in 0..self.streams.len() {
                moved |= self.poll(at);
            }
            // What is asked on a connection that is lost fails at once.
            self.pass(Duration::ZERO);
            if !moved {
                return;
            }
        }
        panic!("the world never comes to rest");
    }

    /// How many streams ended by themselves, with the pipe, at a deadline, and by being dropped.
    fn play(mut self) -> [u32; 4] {
        for _ in 0..self.dice.usize(..1500) {
            if self.is_cut {
                break;
            }
            self.turn();
            self.producer.check(&self.streams.iter().map(|taking| taking.credit).collect::<Vec<_>>());
        }
        self.settle();
        // Who asked and gave up claims nothing.
        self.producer.run_out();
        let mut fates = [0; 4];
        for (at, taking) in self.streams.iter().enumerate() {
            self.say(|| format!("stream {at}: {:?}, {} taken", taking.plan, taking.taken));
            fates[taking.judge(at, self.is_cut)] += 1;
        }
        assert_eq!(self.producer.living(), 0, "F-4");
        fates
    }
}

impl Taking {
    /// Which of the four it was.
    fn judge(&self, at: usize, is_cut: bool) -> usize {
        let all = self.taken == self.plan.items;
        match &self.stage {
            Stage::Dropped => 3,
            Stage::Ended(end) if *end == self.plan.end => {
                assert!(all, "F-2: stream {at} has {}", self.taken);
                0
            }
            Stage::Ended(End::Failed(failure)) => match &failure.cause {
                Cause::PeerDied { .. } => {
                    assert!(is_cut, "stream {at}: {failure:?}");
                    1
                }
                Cause::TimedOut => {
                    assert!(self.has_deadlines, "stream {at}: {failure:?}");
                    2
                }
                _ => panic!("stream {at}: {failure:?}"),
            },
            Stage::Ended(end) => panic!("stream {at} ended with {end:?} instead of {:?}", self.plan.end),
            Stage::Asking(_) | Stage::Flowing(..) => panic!("F-1: stream {at} never ended"),
        }
    }
}

#[test]
fn m3_m7_every_stream_ends_and_no_item_is_lost_doubled_or_ahead_of_its_credit() {
    let name = "m3_m7_every_stream_ends_and_no_item_is_lost_doubled_or_ahead_of_its_credit";
    let all = Cell::new([0_u32; 4]);
    each_seed(name, 400, |seed, loud| {
        let fates = World::new(seed, loud).play();
        all.set(std::array::from_fn(|fate| all.get()[fate] + fates[fate]));
    });
    println!("ended by themselves, with the pipe, at a deadline, dropped: {:?}", all.get());
    let is_one_seed = std::env::var_os("PROCESSION_SIM_SEED").is_some();
    assert!(is_one_seed || all.get().iter().all(|count| *count > 10), "all of it happens: {:?}", all.get());
}
