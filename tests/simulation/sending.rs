//! Senders: they send in every way there is, give up, and change their minds about how long they wait.

use std::time::{Duration, Instant};

use procession::id::{ActorId, Capability, Slot};
use procession::protocol::connection::{Mode, Submit, Waiting};
use procession::protocol::wire::Open;

use super::ledger::Outcome;
use super::link::{End, Link, id};
use super::payload::{self, Payload};
use super::scenario::{Kind, Scenario};
use super::stream::Stream;
use super::world::{State, World};

impl World {
    /// What a process does of its own accord in a round.
    pub(crate) fn send_some(&mut self, process: usize) {
        if self.processes[process].state != State::Up {
            return;
        }
        for _ in 0..self.dice.u32(..=self.scenario.submits) {
            let mode = match self.dice.u8(..8) {
                0..=3 => Mode::Call,
                4 | 5 => Mode::Tell,
                6 => Mode::Try,
                _ => Mode::Outbox,
            };
            self.send_one(process, mode);
        }
        self.watch_some(process);
        if self.happens(self.scenario.cancels) {
            self.give_up(process);
        }
        if self.happens(self.scenario.deadlines / 4.0) {
            self.change_a_deadline(process);
        }
    }

    /// Sends a message to some actor of some other process; its number, if it was not refused.
    pub(crate) fn send_one(&mut self, process: usize, mode: Mode) -> Option<u32> {
        let other = (process + self.dice.usize(1..self.processes.len())) % self.processes.len();
        // Sometimes to one that does not exist.
        let most = self.scenario.actors + usize::from(self.dice.u8(..20) == 0 && self.scenario.refused > 0.0);
        let actor = self.dice.usize(..most);
        let (link, side) = self.link_to(process, other);
        let now = self.now;
        let deadline = self.happens(self.scenario.deadlines).then(|| now + self.some_time());
        let bytes = self.some_bytes();
        let end = self.links[link].end(side);
        let target = ActorId::declared(id(other), Slot(u32::try_from(actor).unwrap()));
        let channel = match end.channels.get(&actor) {
            Some(channel) => *channel,
            None => {
                end.unbounded_bytes += 128;
                let channel = end.connection.open(&Open { target: Capability::unsealed(target) });
                end.channels.insert(actor, channel);
                channel
            }
        };
        let message = self.ledger.next_id();
        self.ledger.submit(mode, (link, side, channel), deadline);
        let left = deadline.map_or(0, |deadline| (deadline - now).as_micros().div_ceil(1000));
        let submit = Submit { channel, message, mode, timeout_ms: u32::try_from(left).unwrap(), right: 0 };
        let payload = Payload::message(message, bytes);
        let trace = payload::trace(message);
        let sent = end
            .connection
            .submit_traced(submit, trace.as_ref(), &payload, || Waiting { tag: message, deadline });
        self.say(|| {
            format!("{process} sends {message} to {other}/{actor}, {mode:?}, {bytes} bytes: {sent:?}")
        });
        match sent {
            Ok(None) => {
                assert_ne!(mode, Mode::Call, "a call ends later");
                self.ledger.end(message, Outcome::Accepted, false);
            }
            Ok(Some(key)) => {
                self.ledger.of_mut(message).key = Some(key);
                match mode {
                    Mode::Call | Mode::Tell => self.processes[process].pending.push(message),
                    Mode::Try | Mode::Outbox => self.ledger.end(message, Outcome::Accepted, false),
                }
            }
            Err(cause) => {
                self.ledger.end(message, Outcome::Refused(*cause), false);
                return None;
            }
        }
        Some(message)
    }

    fn some_time(&mut self) -> Duration {
        let most = if self.dice.bool() { 20_000 } else { 1_999_000 };
        Duration::from_micros(self.dice.u64(1..most)).min(Scenario::LONGEST)
    }

    fn some_bytes(&mut self) -> usize {
        if self.happens(self.scenario.large) {
            return self.dice.usize(30_000..120_000);
        }
        match (self.scenario.kind, self.dice.u8(..10)) {
            (Kind::Flood, _) => self.dice.usize(..60),
            (_, 0) => self.dice.usize(..5000),
            _ => self.dice.usize(..200),
        }
    }

    /// The pipe to a process, and which end of it is ours: the root makes one when it is first asked for.
    pub(crate) fn link_to(&mut self, process: usize, other: usize) -> (usize, usize) {
        if let Some(link) = self.processes[process].current.get(&other) {
            let is_first = self.links[*link].ends[0].as_ref().is_some_and(|end| end.process == process);
            return (*link, usize::from(!is_first));
        }
        let ours = (process, self.processes[process].life);
        let end = End::new(ours, (other, 0), self.scenario.limits);
        let stream = || Stream::new(self.scenario.capacity_bytes);
        let link = self.links.len();
        self.links.push(Link { ends: [Some(end), None], streams: [stream(), stream()], introduced: false });
        self.live.push(link);
        self.processes[process].current.insert(other, link);
        if self.processes[other].state == State::Up {
            self.invite(link);
        }
        (link, 0)
    }

    /// The one who is asked for is there: the root will hand each an end of a pipe.
    pub(crate) fn invite(&mut self, link: usize) {
        let asker = self.links[link].end(0);
        let (process, other) = (asker.process, asker.peer.0);
        let life = self.processes[other].life;
        asker.peer = (other, life);
        let peer = (process, asker.life);
        self.links[link].ends[1] = Some(End::new((other, life), peer, self.scenario.limits));
        self.processes[other].current.insert(process, link);
        let delay = if self.scenario.stalls > 0.0 { self.dice.u64(..20_000) } else { 0 };
        self.introductions.push((self.now + Duration::from_micros(delay), link));
    }

    /// Hands out the pipes whose time has come.
    pub(crate) fn introduce(&mut self) -> bool {
        let (now, settling) = (self.now, self.settling);
        let is_due = |when: Instant| settling || when <= now;
        let introductions = std::mem::take(&mut self.introductions);
        let (due, later): (Vec<_>, Vec<_>) = introductions.into_iter().partition(|(when, _)| is_due(*when));
        self.introductions = later;
        for (_, link) in &due {
            self.links[*link].introduced = true;
        }
        !due.is_empty()
    }

    /// The sender drops a request, or a tell that waits (M-7).
    fn give_up(&mut self, process: usize) {
        let Some(id) = self.some_pending(process) else { return };
        let message = self.ledger.of(id);
        let (link, side, channel, mode) = (message.link, message.side, message.channel, message.mode);
        let key = message.key.expect("what is pending has a key");
        let end = self.links[link].end(side);
        end.unbounded_bytes += 64;
        let is_granted = end.sent_on(channel).is_granted;
        assert!(end.connection.cancel(key), "M-2: message {id} has no outcome and can't be cancelled");
        if !is_granted || mode == Mode::Tell {
            self.ledger.forbid(id);
        }
        self.ended(link, side, id, Outcome::Cancelled, false);
    }

    fn change_a_deadline(&mut self, process: usize) {
        let Some(id) = self.some_pending(process) else { return };
        let later = self.now + self.some_time();
        let message = self.ledger.of_mut(id);
        // A request without one may have left so; the receiver would know of none.
        let (Some(deadline), Some(key)) = (message.deadline, message.key) else { return };
        message.deadline = Some(deadline.min(later));
        let (link, side) = (message.link, message.side);
        self.links[link].end(side).connection.set_deadline(key, later, self.now);
    }

    fn some_pending(&mut self, process: usize) -> Option<u32> {
        let ledger = &self.ledger;
        self.processes[process].pending.retain(|id| ledger.of(*id).outcome.is_none());
        let pending = &self.processes[process].pending;
        if pending.is_empty() { None } else { Some(pending[self.dice.usize(..pending.len())]) }
    }
}
