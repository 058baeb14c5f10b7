//! What goes wrong: stalls, cuts, kills, orderly ends, and new lives.

use std::time::Duration;

use procession::id::{Incarnation, ProcessName};
use procession::protocol::control::Unreachable;
use procession::protocol::wire::Cause;

use super::link;
use super::world::{State, World};

pub(crate) fn name(process: usize) -> ProcessName {
    ProcessName::new(&format!("p{process}")).expect("a name")
}

impl World {
    /// A round's share of misfortune.
    pub(crate) fn suffer(&mut self) {
        self.revive_those_due();
        for link in self.live.clone() {
            for side in [0, 1] {
                if self.happens(self.scenario.stalls / 4.0) {
                    let until = self.now + Duration::from_micros(self.dice.u64(..30_000));
                    self.links[link].streams[side].stalled_until = Some(until);
                }
            }
            if self.happens(self.scenario.cuts / 4.0) && self.links[link].introduced {
                self.say(|| format!("link {link} is cut"));
                for side in [0, 1] {
                    let stream = &mut self.links[link].streams[side];
                    let kept = self.dice.usize(..=stream.available());
                    stream.cut(kept);
                }
            }
            let is_waiting = self.links[link].ends[1].is_none() && !self.links[link].introduced;
            if is_waiting && self.happens(self.scenario.kills / 4.0) {
                let (process, why) = (link::id(0), Unreachable::NoSuchProcess);
                self.lose(link, 0, &Cause::Unreachable { process, why });
            }
        }
        for process in 0..self.processes.len() {
            let state = self.processes[process].state;
            match state {
                State::Down { .. } => continue,
                State::Up if self.happens(self.scenario.leaves / 2.0) => {
                    self.say(|| format!("{process} stops"));
                    self.processes[process].state = State::Stopping;
                }
                State::Stopping if self.happens(0.3) => self.leave(process),
                _ => {}
            }
            if self.happens(self.scenario.kills / 2.0) {
                self.say(|| format!("{process} is killed"));
                self.die(process);
            }
        }
    }

    /// It says goodbye on every pipe.
    fn leave(&mut self, process: usize) {
        self.say(|| format!("{process} says goodbye"));
        self.processes[process].state = State::Closing;
        for (link, side) in self.ends_of(process) {
            let end = self.links[link].end(side);
            end.unbounded_bytes += 64 * (end.served.len() + 1);
            end.connection.leave();
            self.drain(link, side, false);
        }
    }

    /// The ends of a process that are not lost yet.
    fn ends_of(&self, process: usize) -> Vec<(usize, usize)> {
        let sides = self.live.iter().flat_map(|link| [(*link, 0), (*link, 1)]);
        sides
            .filter(|(link, side)| {
                let end = self.links[*link].ends[*side].as_ref();
                end.is_some_and(|end| end.process == process && !end.is_lost)
            })
            .collect()
    }

    /// Who has said goodbye closes each pipe on which it owes nothing, and ends when none is left.
    pub(crate) fn close_what_is_done(&mut self) -> bool {
        let mut moved = false;
        for process in 0..self.processes.len() {
            if self.settling && self.processes[process].state == State::Stopping {
                self.leave(process);
                moved = true;
            }
            if self.processes[process].state != State::Closing {
                continue;
            }
            for (link, side) in self.ends_of(process) {
                let introduced = self.links[link].introduced;
                let connection = &self.links[link].end(side).connection;
                let owes = connection.outgoing_count() + connection.answering_count() > 0;
                if !introduced || !owes && !connection.has_pending() {
                    self.lose(link, side, &Cause::ShuttingDown);
                    moved = true;
                }
            }
            if self.ends_of(process).is_empty() {
                self.say(|| format!("{process} has ended"));
                self.die(process);
                moved = true;
            }
        }
        moved
    }

    /// Kills one that has said goodbye and waits: perhaps for an answer that waits for its own next life.
    pub(crate) fn end_a_grace(&mut self) -> bool {
        let waits = self.processes.iter().position(|process| process.state == State::Closing);
        if let Some(process) = waits {
            self.die(process);
        }
        waits.is_some()
    }

    /// The process is gone, and with it everything that was not with the kernel.
    fn die(&mut self, process: usize) {
        for link in 0..self.links.len() {
            for side in [0, 1] {
                let pipe = &mut self.links[link];
                if pipe.ends[side].as_ref().is_none_or(|end| end.process != process) {
                    continue;
                }
                if !pipe.is_lost(side) {
                    self.ledger.sender_died(link, side);
                    self.orphan_watches(link, side);
                }
                let pipe = &mut self.links[link];
                pipe.ends[side] = None;
                pipe.streams[side].close_writer();
                pipe.streams[1 - side].close_reader();
                // The other end may have been promised; it finds the end of the pipe then.
                pipe.introduced |= pipe.ends[1 - side].is_some();
            }
        }
        self.introductions.retain(|(_, link)| self.links[*link].ends.iter().all(Option::is_some));
        let until = self.now + Duration::from_micros(self.dice.u64(..100_000));
        let actors = self.newborn();
        let dead = &mut self.processes[process];
        (dead.state, dead.actors) = (State::Down { until }, actors);
        dead.current.clear();
        dead.pending.clear();
        dead.held.clear();
        dead.aside.clear();
        dead.forwarded.clear();
    }

    fn revive_those_due(&mut self) {
        for process in 0..self.processes.len() {
            if matches!(self.processes[process].state, State::Down { until } if until <= self.now) {
                self.revive(process);
            }
        }
    }

    pub(crate) fn revive_all(&mut self) -> bool {
        let is_down = |state| matches!(state, State::Down { .. });
        let down: Vec<usize> =
            (0..self.processes.len()).filter(|process| is_down(self.processes[*process].state)).collect();
        down.iter().for_each(|process| self.revive(*process));
        !down.is_empty()
    }

    /// The next life; whoever waits for it is introduced.
    fn revive(&mut self, process: usize) {
        let reborn = &mut self.processes[process];
        reborn.state = State::Up;
        reborn.life += 1;
        let life = reborn.life;
        self.say(|| format!("{process}#{life} is born"));
        for link in self.live.clone() {
            let pipe = &self.links[link];
            let waits = pipe.ends[0].as_ref().is_some_and(|end| !end.is_lost && end.peer.0 == process);
            if waits && pipe.ends[1].is_none() && !pipe.introduced {
                self.invite(link);
            }
        }
    }

    /// The pipe has ended for this side. Its messages get their verdicts a little later, when the root has told how
    /// the peer died.
    pub(crate) fn end_of_file(&mut self, link: usize, side: usize) {
        self.forget(link, side);
        let wait = Duration::from_micros(self.dice.u64(..100_000));
        let now = self.now;
        self.close(link, side);
        self.links[link].end(side).dies_at = Some(now + wait);
    }

    fn close(&mut self, link: usize, side: usize) {
        self.links[link].streams[side].close_writer();
        self.links[link].streams[1 - side].close_reader();
    }

    pub(crate) fn bury_if_due(&mut self, link: usize, side: usize) -> bool {
        let Some(end) = self.links[link].ends[side].as_ref().filter(|end| !end.is_lost) else { return false };
        let is_due = end.dies_at.is_some_and(|when| self.settling || when <= self.now);
        if is_due {
            let (process, incarnation) = (name(end.peer.0), Incarnation(end.peer.1));
            self.lose(link, side, &Cause::PeerDied { process, incarnation, exit: None });
        }
        is_due
    }

    /// Every message of this end gets its outcome.
    pub(crate) fn lose(&mut self, link: usize, side: usize, cause: &Cause) {
        self.forget(link, side);
        self.close(link, side);
        let end = self.links[link].end(side);
        end.is_lost = true;
        let lost = end.connection.handle_lost(cause);
        self.drain(link, side, true);
        self.lose_watches(link, side);
        self.say(|| format!("end {side} of link {link} is lost, and {lost} casts: {cause}"));
        self.account_for(link, side, lost);
    }

    /// New messages take another pipe.
    pub(crate) fn forget(&mut self, link: usize, side: usize) {
        let end = self.links[link].end(side);
        let (process, other) = (end.process, end.peer.0);
        if self.processes[process].current.get(&other) == Some(&link) {
            self.processes[process].current.remove(&other);
        }
    }
}
