//! Actors: they take messages as slowly as they like, and answer at once, late, by asking others, or never.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use procession::protocol::connection::{Begin, Mode};
use procession::protocol::wire::{Cause, Failure};

use super::faults::name;
use super::joint::no_reply;
use super::payload::Payload;
use super::scenario::Kind;
use super::world::{State, World};

#[derive(Default)]
pub(crate) struct Actor {
    mailbox: VecDeque<Ticket>,
}

/// A message that arrived, and the duty to answer it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    pub(crate) id: u32,
    pub(crate) link: usize,
    pub(crate) side: usize,
    channel: u32,
    bytes: usize,
    correlation: Option<u64>,
    deadline: Option<Instant>,
    /// It stood aside before.
    has_returned: bool,
    /// It is the notice of an end: no message before this one may be begun after it.
    notice: Option<u32>,
}

/// A request that was begun and is answered later.
pub(crate) struct Held {
    /// None: its handler never answers, and drops it in the end.
    due: Option<Instant>,
    ticket: Ticket,
}

impl World {
    pub(crate) fn newborn(&self) -> Vec<Actor> {
        (0..self.scenario.actors).map(|_| Actor::default()).collect()
    }

    pub(crate) fn arrive(
        &mut self,
        link: usize,
        side: usize,
        (channel, id): (u32, u32),
        bytes: usize,
        correlation: Option<u64>,
        deadline: Option<Instant>,
    ) {
        self.ledger.arrive(id, deadline);
        let limits = self.scenario.limits;
        let end = self.links[link].end(side);
        let process = end.process;
        let served = &mut end.served[channel as usize];
        assert!(served.last.is_none_or(|last| last < id), "W-5: message {id} came after {:?}", served.last);
        served.last = Some(id);
        let (held, new, window) = (served.bytes, bytes as u64, u64::from(limits.window_bytes));
        assert!(
            served.messages < u64::from(limits.window_messages),
            "M-3: a mailbox holds more than granted"
        );
        assert!(held + new <= window || held <= window / 4, "M-3: a mailbox holds {held} and {new} bytes");
        served.messages += 1;
        served.bytes += new;
        let actor = served.actor.expect("nothing is sent on a channel that was refused");
        let mark = end.marks.get(&actor).copied().unwrap_or_default();
        assert!(id >= mark, "W-8: message {id} arrives behind an end that was said before message {mark}");
        let ticket = Ticket {
            id,
            link,
            side,
            channel,
            bytes,
            correlation,
            deadline,
            has_returned: false,
            notice: None,
        };
        if self.processes[process].state != State::Up {
            return self.dismiss(ticket, Cause::Stopping(name(process)));
        }
        if self.happens(self.scenario.refused) {
            return self.dismiss(ticket, Cause::Decode("on request".to_owned()));
        }
        self.processes[process].actors[actor].mailbox.push_back(ticket);
    }

    fn left_the_mailbox(&mut self, ticket: &Ticket) {
        let served = &mut self.links[ticket.link].end(ticket.side).served[ticket.channel as usize];
        served.messages -= 1;
        served.bytes -= ticket.bytes as u64;
    }

    /// It is not handled: as a ticket that is dropped or failed in the mailbox.
    fn dismiss(&mut self, ticket: Ticket, cause: Cause) {
        self.left_the_mailbox(&ticket);
        self.ledger.dismiss(ticket.id);
        let end = self.links[ticket.link].end(ticket.side);
        end.connection.take(ticket.channel, ticket.bytes as u64);
        end.unbounded_bytes += 256;
        if let Some(correlation) = ticket.correlation {
            end.connection.reply_failure(correlation, &Failure::not_executed(cause));
        }
    }

    /// Each actor may take a message, and what is held may be answered. True if anything happened.
    pub(crate) fn act(&mut self, process: usize) -> bool {
        let mut moved = false;
        for actor in 0..self.processes[process].actors.len() {
            while self.settling || self.happens(self.scenario.pace.min(0.9)) {
                let mailbox = &mut self.processes[process].actors[actor].mailbox;
                let Some(mut ticket) = mailbox.pop_front() else { break };
                let overtakes = self.scenario.pools && self.dice.bool();
                if let Some(overtaken) = mailbox.front_mut().filter(|_| overtakes) {
                    std::mem::swap(overtaken, &mut ticket);
                }
                self.take(process, ticket);
                moved = true;
            }
        }
        let (now, settling) = (self.now, self.settling);
        let held = std::mem::take(&mut self.processes[process].held);
        let (due, waiting) =
            held.into_iter().partition(|held| settling || held.due.is_some_and(|due| due <= now));
        self.processes[process].held = waiting;
        for held in due {
            moved = true;
            match held.due {
                Some(_) => self.reply(held.ticket),
                None => self.fail(held.ticket, &no_reply()),
            }
        }
        moved
    }

    /// A notice goes into the mailbox behind what came on its channel.
    pub(crate) fn arrive_notice(&mut self, link: usize, side: usize, channel: u32, mark: u32) {
        let end = self.links[link].end(side);
        let process = end.process;
        let actor = end.served[channel as usize].actor.expect("a channel that was granted");
        if self.processes[process].state != State::Up {
            return end.connection.drop_notice(channel);
        }
        let (correlation, deadline, has_returned) = (None, None, false);
        let notice = Some(mark);
        let ticket =
            Ticket { id: mark, link, side, channel, bytes: 0, correlation, deadline, has_returned, notice };
        self.processes[process].actors[actor].mailbox.push_back(ticket);
    }

    fn take_notice(&mut self, process: usize, ticket: Ticket, mark: u32) {
        let Ticket { link, side, channel, has_returned, .. } = ticket;
        let end = self.links[link].end(side);
        end.unbounded_bytes += 64;
        let (begin, next) = match has_returned {
            true => end.connection.begin_notice_again(channel),
            false => (end.connection.begin_notice(channel), false),
        };
        let line = self.processes[process].aside.entry((link, side, channel)).or_default();
        if begin == Begin::Aside {
            return line.push_back(Ticket { has_returned: true, ..ticket });
        }
        let overtaken = line.iter().find(|waiting| waiting.notice.is_none() && waiting.id < mark);
        assert!(overtaken.is_none(), "W-8: an end is told before {overtaken:?}, which stands aside");
        if next {
            self.resume(link, side, channel);
        }
    }

    fn take(&mut self, process: usize, ticket: Ticket) {
        if let Some(mark) = ticket.notice {
            return self.take_notice(process, ticket, mark);
        }
        let now = self.now;
        let Ticket { link, side, channel, bytes, correlation, deadline, has_returned, .. } = ticket;
        let end = self.links[link].end(side);
        end.unbounded_bytes += 256;
        let connection = &mut end.connection;
        let (begin, next) = match has_returned {
            true => connection.begin_again(channel, bytes as u64, correlation, deadline, now),
            false => (connection.begin(channel, bytes as u64, correlation, deadline, now), false),
        };
        if begin == Begin::Aside {
            let line = self.processes[process].aside.entry((link, side, channel)).or_default();
            let ticket = Ticket { has_returned: true, ..ticket };
            return if has_returned { line.push_front(ticket) } else { line.push_back(ticket) };
        }
        self.left_the_mailbox(&ticket);
        if next {
            self.resume(link, side, channel);
        }
        let end = self.links[link].end(side);
        let is_cancelled = correlation.is_some_and(|correlation| end.cancelled.contains(&correlation));
        let is_late = deadline.is_some_and(|deadline| deadline <= now);
        match begin {
            Begin::Proceed => {
                assert!(!is_cancelled, "M-7: message {} is handled after it was cancelled", ticket.id);
                assert!(!is_late, "M-2: message {} is handled after its deadline", ticket.id);
                let last = end.served[channel as usize].last_begun.replace(ticket.id);
                let in_turn = last.is_none_or(|last| last < ticket.id);
                assert!(self.scenario.pools || in_turn, "M-1: message {} is begun after {last:?}", ticket.id);
                self.ledger.begin(ticket.id);
                return self.handle(process, ticket);
            }
            Begin::Cancelled => {
                assert!(is_cancelled, "message {} was not cancelled", ticket.id);
                end.not_begun.0 += 1;
            }
            Begin::Expired => {
                assert!(is_late, "message {} is not late", ticket.id);
                end.not_begun.1 += 1;
            }
            Begin::Aside => unreachable!("said above"),
            Begin::Left => {
                let failure = Failure::not_executed(Cause::Stopping(name(process)));
                if let Some(correlation) = correlation {
                    end.connection.reply_failure(correlation, &failure);
                }
            }
        }
        self.ledger.dismiss(ticket.id);
    }

    /// There is room for the reply to the first message that stands aside.
    pub(crate) fn resume(&mut self, link: usize, side: usize, channel: u32) {
        let end = self.links[link].end(side);
        let actor = end.served[channel as usize].actor.expect("it was granted");
        let process = &mut self.processes[end.process];
        let line = process.aside.get_mut(&(link, side, channel)).expect("somebody stands aside");
        let first = line.pop_front().expect("somebody stands aside");
        process.actors[actor].mailbox.push_back(first);
    }

    fn handle(&mut self, process: usize, ticket: Ticket) {
        if ticket.correlation.is_none() {
            return;
        }
        if self.happens(self.scenario.silent) {
            return self.processes[process].held.push(Held { due: None, ticket });
        }
        let forwards = self.happens(self.scenario.forwards) && !self.settling;
        if let Some(asked) = forwards.then(|| self.send_one(process, Mode::Call)).flatten() {
            self.processes[process].forwarded.insert(asked, ticket);
            return;
        }
        let is_timeless = matches!(self.scenario.kind, Kind::Peaceful | Kind::Flood);
        match self.dice.u8(..10) {
            0 if !is_timeless => self.fail(ticket, &no_reply()),
            1..=3 => {
                let due = self.now + Duration::from_micros(self.dice.u64(..50_000));
                self.processes[process].held.push(Held { due: Some(due), ticket });
            }
            _ => self.reply(ticket),
        }
    }

    pub(crate) fn reply(&mut self, ticket: Ticket) {
        let large = self.scenario.large;
        let bytes =
            if self.happens(large) { self.dice.usize(30_000..100_000) } else { self.dice.usize(..300) };
        self.ledger.answer(ticket.id);
        let end = self.links[ticket.link].end(ticket.side);
        end.unbounded_bytes += bytes + 256;
        let correlation = ticket.correlation.expect("only requests are answered");
        end.connection.reply(correlation, &Payload::reply(ticket.id, bytes));
    }

    fn fail(&mut self, ticket: Ticket, failure: &Failure) {
        let end = self.links[ticket.link].end(ticket.side);
        end.unbounded_bytes += 256;
        let correlation = ticket.correlation.expect("only requests are answered");
        end.connection.reply_failure(correlation, failure);
    }
}
