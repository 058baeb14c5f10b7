//! The world: its processes, its pipes, its clock, and how a round of it goes.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::actors::{Actor, Held, Ticket};
use super::ledger::Ledger;
use super::link::Link;
use super::scenario::{Kind, Scenario};
use super::watching::Watches;

/// One process, in one life after the other.
pub(crate) struct Process {
    pub(crate) life: u32,
    pub(crate) state: State,
    pub(crate) actors: Vec<Actor>,
    /// Where new messages for a process go.
    pub(crate) current: BTreeMap<usize, usize>,
    /// Calls and tells that may be given up.
    pub(crate) pending: Vec<u32>,
    pub(crate) held: Vec<Held>,
    /// Messages that may not begin yet, by the end and channel that they came on.
    pub(crate) aside: BTreeMap<(usize, usize, u32), VecDeque<Ticket>>,
    /// Requests that wait for the reply to another one, sent while they were handled.
    pub(crate) forwarded: BTreeMap<u32, Ticket>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    /// It refuses what arrives and handles what it has.
    Stopping,
    /// It has said goodbye.
    Closing,
    Down {
        until: Instant,
    },
}

pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) dice: Rng,
    pub(crate) now: Instant,
    pub(crate) processes: Vec<Process>,
    pub(crate) links: Vec<Link>,
    /// Links of which some end still lives, and when the root hands out the pipes of those it has not yet.
    pub(crate) live: Vec<usize>,
    pub(crate) introductions: Vec<(Instant, usize)>,
    pub(crate) ledger: Ledger,
    pub(crate) watches: Watches,
    pub(crate) settling: bool,
    begin: Instant,
    loud: bool,
}

/// A world that moves longer than this without coming to rest hangs.
const MOST_ROUNDS: usize = 2_000_000;

impl World {
    pub(crate) fn new(scenario: Scenario, dice: Rng, loud: bool) -> World {
        let now = Instant::now();
        let mut world = World {
            dice,
            now,
            processes: Vec::new(),
            links: Vec::new(),
            live: Vec::new(),
            introductions: Vec::new(),
            ledger: Ledger::default(),
            watches: Watches::default(),
            settling: false,
            begin: now,
            loud,
            scenario,
        };
        for _ in 0..world.scenario.processes {
            let actors = world.newborn();
            world.processes.push(Process {
                life: 1,
                state: State::Up,
                actors,
                current: BTreeMap::new(),
                pending: Vec::new(),
                held: Vec::new(),
                aside: BTreeMap::new(),
                forwarded: BTreeMap::new(),
            });
        }
        world
    }

    pub(crate) fn play(mut self) {
        for _ in 0..self.scenario.rounds {
            self.round();
        }
        if self.dice.u8(..4) == 0 && self.scenario.deadlines > 0.0 {
            self.freeze();
        }
        self.settle();
        self.check_the_end();
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.loud {
            println!("{:>10.6} {}", (self.now - self.begin).as_secs_f64(), what());
        }
    }

    pub(crate) fn happens(&mut self, chance: f64) -> bool {
        chance > 0.0 && self.dice.f64() < chance
    }

    fn round(&mut self) {
        // Without faults nothing may need time to pass.
        if !matches!(self.scenario.kind, Kind::Peaceful | Kind::Flood) {
            let jump = if self.dice.u8(..50) == 0 { 600_000 } else { 3_000 };
            self.now += Duration::from_micros(self.dice.u64(..jump));
        }
        self.suffer();
        for process in 0..self.processes.len() {
            self.send_some(process);
        }
        self.introduce();
        let mut live = self.live.clone();
        self.dice.shuffle(&mut live);
        for link in live {
            for side in [0, 1] {
                if self.dice.u8(..10) < 7 {
                    self.receive(link, side);
                }
                if self.dice.u8(..10) < 7 {
                    self.transmit(link, side);
                }
            }
        }
        for process in 0..self.processes.len() {
            self.act(process);
        }
        self.pass_time();
        self.close_what_is_done();
        self.live.retain(|link| self.links[*link].ends.iter().flatten().any(|end| !end.is_lost));
    }

    /// What deadlines and deaths lead to.
    fn pass_time(&mut self) {
        for link in self.live.clone() {
            for side in [0, 1] {
                let now = self.now;
                let Some(end) = self.links[link].ends[side].as_mut().filter(|end| !end.is_lost) else {
                    continue;
                };
                if end.connection.poll_timeout().is_some_and(|when| when <= now) {
                    end.connection.handle_timeout(now);
                    // Cancels of what was given up.
                    end.unbounded_bytes += 64 * 1024;
                    self.drain(link, side, false);
                }
                self.bury_if_due(link, side);
            }
        }
    }

    /// All pipes stand still and no actor moves: whatever has a deadline must end by it alone.
    fn freeze(&mut self) {
        self.say(|| "everything freezes".to_owned());
        self.now += Scenario::LONGEST + Duration::from_millis(1);
        self.pass_time();
        for (id, message) in self.ledger.messages.iter().enumerate() {
            let is_over = message.outcome.is_some() || message.deadline.is_none_or(|when| when > self.now);
            assert!(is_over, "M-2: message {id} outlived its deadline: {message:?}");
        }
    }

    /// Everything that can go on goes on, while time stands still, until nothing does.
    fn settle(&mut self) {
        self.say(|| "everything settles".to_owned());
        self.settling = true;
        for link in &mut self.links {
            for stream in &mut link.streams {
                stream.stalled_until = None;
                if self.scenario.kind != Kind::Flood {
                    stream.capacity_bytes = stream.capacity_bytes.max(8 << 10);
                }
            }
        }
        for _ in 0..MOST_ROUNDS {
            let mut moved = self.revive_all();
            moved |= self.introduce();
            for link in self.live.clone() {
                for side in [0, 1] {
                    moved |= self.receive(link, side);
                    moved |= self.transmit(link, side);
                    moved |= self.bury_if_due(link, side);
                }
            }
            for process in 0..self.processes.len() {
                moved |= self.act(process);
            }
            moved |= self.close_what_is_done();
            self.live.retain(|link| self.links[*link].ends.iter().flatten().any(|end| !end.is_lost));
            if !moved && !self.end_a_grace() {
                return;
            }
        }
        panic!("the world never comes to rest");
    }
}
