//! The sending end: what is kept until it is acknowledged.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::judgement::{Culprit, Return};
use super::numbering::Numbering;

/// How much may be kept: the window that the consumer grants, as for what is under way without being kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Messages.
    pub messages: u64,
    /// Bytes; what is over a quarter of it by itself is kept alone.
    pub bytes: u64,
}

/// What is wanted of a message that finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// To wait.
    Wait,
    /// To be given back.
    Now,
    /// To wait in the outbox, which is as large as the window, or else to be given back.
    Outbox,
}

/// What became of a message that was submitted.
#[derive(Debug, PartialEq, Eq)]
pub enum Submitted<T> {
    /// It is kept.
    Kept,
    /// It waits for room, and can be cancelled by this ticket.
    Waits(u64),
    /// There is no room.
    Full(T),
}

/// A message that is kept no more.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled<T> {
    /// What was submitted.
    pub value: T,
    /// Whether a delivery of it may have reached a handler.
    pub may_have_run: bool,
    /// Whether it had room; else it was never delivered.
    pub was_kept: bool,
}

/// The messages of one series, see [`super`]. `T` is what the owner keeps of each.
///
/// Order of calls: `submit` and `cancel` as the owner likes; `handle_return` once for each that `poll_send` gave; after
/// any of these `poll_send` until `None`, and `poll_admitted` until `None`; again when `poll_timeout` has come.
#[derive(Debug)]
pub struct Keeping<T> {
    series: u32,
    room: Room,
    last_number: u64,
    /// By number. Those under way come before all others, while nothing has to come back.
    kept: VecDeque<Kept<T>>,
    kept_bytes: u64,
    under_way: usize,
    waiting: VecDeque<Waiting<T>>,
    last_ticket: u64,
    outbox: Room,
    admitted: VecDeque<T>,
    /// A message with this number came back; so will all after it, and until then none is sent.
    back_to: Option<u64>,
    /// The first whose outcome nobody knows since a death of which nobody knows the cause.
    suspect: Option<u64>,
    /// How often in a row messages came back without one that was handled between.
    setbacks: u32,
    resume_at: Option<Instant>,
}

#[derive(Debug)]
struct Kept<T> {
    number: u64,
    bytes: u64,
    quiet: bool,
    attempt: u16,
    deaths: u16,
    /// It was under way when a process died, perhaps of it.
    is_suspect: bool,
    is_under_way: bool,
    value: T,
}

impl<T> Kept<T> {
    fn blame(&mut self) {
        self.deaths = self.deaths.saturating_add(1);
        self.is_suspect = true;
    }
}

#[derive(Debug)]
struct Waiting<T> {
    ticket: u64,
    bytes: u64,
    quiet: bool,
    in_outbox: bool,
    value: T,
}

/// After the second setback in a row the next delivery waits so long, and twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// What cannot be delivered is tried so often at least: a look costs a message there and back.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl<T: Clone> Keeping<T> {
    /// A series with nothing in it.
    pub fn new(series: u32, room: Room) -> Keeping<T> {
        Keeping {
            series,
            room,
            last_number: 0,
            kept: VecDeque::new(),
            kept_bytes: 0,
            under_way: 0,
            waiting: VecDeque::new(),
            last_ticket: 0,
            outbox: Room { messages: 0, bytes: 0 },
            admitted: VecDeque::new(),
            back_to: None,
            suspect: None,
            setbacks: 0,
            resume_at: None,
        }
    }

    /// The consumer grants so much.
    pub fn set_room(&mut self, room: Room) {
        if self.room != room {
            self.room = room;
            self.admit();
        }
    }

    /// Whether there is nothing kept and nothing waits.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.waiting.is_empty()
    }

    /// How many messages are under way.
    pub fn under_way(&self) -> u64 {
        self.under_way as u64
    }

    /// Keeps a message, or lets it wait. `quiet`: nobody wants its reply.
    pub fn submit(&mut self, value: T, bytes: u64, quiet: bool, wanted: Wanted) -> Submitted<T> {
        if self.waiting.is_empty() && self.has_room_for(bytes) {
            self.keep(value, bytes, quiet);
            self.check();
            return Submitted::Kept;
        }
        let full = self.outbox.messages >= self.room.messages || self.outbox.bytes >= self.room.bytes;
        let in_outbox = match wanted {
            Wanted::Now => return Submitted::Full(value),
            Wanted::Outbox if full => return Submitted::Full(value),
            Wanted::Outbox => true,
            Wanted::Wait => false,
        };
        if in_outbox {
            self.outbox.messages += 1;
            self.outbox.bytes += bytes;
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.waiting.push_back(Waiting { ticket, bytes, quiet, in_outbox, value });
        self.check();
        Submitted::Waits(ticket)
    }

    fn has_room_for(&self, bytes: u64) -> bool {
        let fits = self.kept_bytes.saturating_add(bytes) <= self.room.bytes
            || self.kept_bytes <= self.room.bytes / 4;
        (self.kept.len() as u64) < self.room.messages.max(1) && fits
    }

    fn keep(&mut self, value: T, bytes: u64, quiet: bool) {
        self.last_number += 1;
        self.kept_bytes += bytes;
        let number = self.last_number;
        self.kept.push_back(Kept {
            number,
            bytes,
            quiet,
            attempt: 1,
            deaths: 0,
            is_suspect: false,
            is_under_way: false,
            value,
        });
    }

    fn admit(&mut self) {
        while let Some(first) = self.waiting.front() {
            if !self.has_room_for(first.bytes) {
                break;
            }
            let Some(Waiting { bytes, quiet, in_outbox, value, .. }) = self.waiting.pop_front() else {
                break;
            };
            self.leave_outbox(in_outbox, bytes);
            self.admitted.push_back(value.clone());
            self.keep(value, bytes, quiet);
        }
    }

    fn leave_outbox(&mut self, in_outbox: bool, bytes: u64) {
        if in_outbox {
            self.outbox.messages -= 1;
            self.outbox.bytes -= bytes;
        }
    }

    /// One that waited and now has room.
    pub fn poll_admitted(&mut self) -> Option<T> {
        self.admitted.pop_front()
    }

    /// Takes back what waits for room; none if it waits no more.
    pub fn cancel(&mut self, ticket: u64) -> Option<T> {
        // Tickets rise along the line.
        let at = self.waiting.binary_search_by_key(&ticket, |waiting| waiting.ticket).ok()?;
        let Waiting { bytes, in_outbox, value, .. } = self.waiting.remove(at)?;
        self.leave_outbox(in_outbox, bytes);
        // The next may be smaller.
        self.admit();
        self.check();
        Some(value)
    }

    /// The next message to send, if one is to be sent now. It is under way from then on, until `handle_return`.
    pub fn poll_send(&mut self, now: Instant) -> Option<(Numbering, T)> {
        if let Some(back_to) = self.back_to {
            let before = self.kept.partition_point(|kept| kept.number < back_to);
            if self.under_way > before {
                return None;
            }
            self.come_to_rest(now);
        }
        if self.resume_at.is_some_and(|at| now < at) {
            return None;
        }
        self.resume_at = None;
        let next = self.under_way;
        let is_alone = next == 0;
        let is_suspect = self.kept.get(next)?.is_suspect;
        if !is_alone && (is_suspect || self.kept[0].is_suspect) {
            return None;
        }
        let previous = next.checked_sub(1).map_or(0, |before| self.kept[before].number);
        self.under_way += 1;
        let Kept { number, attempt, deaths, quiet, ref mut is_under_way, ref value, .. } = self.kept[next];
        *is_under_way = true;
        let numbering = Numbering { series: self.series, attempt, deaths, quiet, number, previous };
        let value = value.clone();
        self.check();
        Some((numbering, value))
    }

    /// All that had to come back has: who is held for a death, and how long the next delivery waits.
    fn come_to_rest(&mut self, now: Instant) {
        self.back_to = None;
        if let Some(number) = self.suspect.take()
            && let Some(at) = self.find(number)
        {
            self.kept[at].blame();
        }
        if let Some(doublings) = self.setbacks.checked_sub(2) {
            let pause = FIRST_PAUSE.saturating_mul(1 << doublings.min(10)).min(LONGEST_PAUSE);
            self.resume_at = Some(now + pause);
        }
    }

    /// When `poll_send` may have something that it has not now.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.resume_at
    }

    fn find(&self, number: u64) -> Option<usize> {
        self.kept.binary_search_by_key(&number, |kept| kept.number).ok()
    }

    /// What came of the delivery of a message. Gives it back if it is kept no more.
    pub fn handle_return(&mut self, number: u64, what: Return) -> Option<Settled<T>> {
        let at = self.find(number)?;
        if !std::mem::replace(&mut self.kept[at].is_under_way, false) {
            return None;
        }
        self.under_way -= 1;
        let settled = match what {
            Return::Handled => {
                self.setbacks = 0;
                self.remove(at)
            }
            Return::Hopeless => {
                // Those after it name it as the one before them.
                self.send_back_to(number);
                self.setbacks = 0;
                self.remove(at)
            }
            Return::Refused | Return::Unknown(_) | Return::Killed => {
                self.send_back_to(number);
                self.count(at, what);
                None
            }
        };
        self.admit();
        self.check();
        settled
    }

    fn send_back_to(&mut self, number: u64) {
        self.setbacks = self.setbacks.saturating_add(u32::from(self.back_to.is_none()));
        self.back_to = Some(self.back_to.map_or(number, |first| first.min(number)));
    }

    fn count(&mut self, at: usize, what: Return) {
        let kept = &mut self.kept[at];
        match what {
            Return::Unknown(culprit) => {
                kept.attempt = kept.attempt.saturating_add(1);
                match culprit {
                    Culprit::This => kept.blame(),
                    Culprit::Other => {}
                    Culprit::Unknown => {
                        kept.is_suspect = true;
                        let number = kept.number;
                        self.suspect = Some(self.suspect.map_or(number, |first| first.min(number)));
                    }
                }
            }
            Return::Killed => {
                kept.attempt = kept.attempt.saturating_add(1);
                kept.blame();
            }
            Return::Refused | Return::Handled | Return::Hopeless => {}
        }
    }

    fn remove(&mut self, at: usize) -> Option<Settled<T>> {
        let Kept { bytes, attempt, value, .. } = self.kept.remove(at)?;
        self.kept_bytes -= bytes;
        Some(Settled { value, may_have_run: attempt > 1, was_kept: true })
    }

    /// Gives up everything of these that is not under way: what was kept, and what waited. In the order of the sends.
    pub fn give_up(&mut self, which: impl Fn(&T) -> bool) -> Vec<Settled<T>> {
        let mut given_up = Vec::new();
        for at in (0..self.kept.len()).rev() {
            if !self.kept[at].is_under_way && which(&self.kept[at].value) {
                given_up.extend(self.remove(at));
            }
        }
        given_up.reverse();
        for waiting in std::mem::take(&mut self.waiting) {
            if !which(&waiting.value) {
                self.waiting.push_back(waiting);
                continue;
            }
            self.leave_outbox(waiting.in_outbox, waiting.bytes);
            given_up.push(Settled { value: waiting.value, may_have_run: false, was_kept: false });
        }
        // Others may have waited for their room.
        self.admit();
        self.check();
        given_up
    }

    #[cfg(debug_assertions)]
    fn check(&self) {
        let on_the_way = |kept: &&Kept<T>| kept.is_under_way;
        assert_eq!(self.kept.iter().filter(on_the_way).count(), self.under_way, "K-1: each comes back once");
        let prefix = self.kept.iter().take_while(on_the_way).count();
        assert!(
            self.back_to.is_some() || prefix == self.under_way,
            "K-2: nothing after one that is to be sent is under way"
        );
        assert_eq!(self.kept.iter().map(|kept| kept.bytes).sum::<u64>(), self.kept_bytes, "K-3");
        let suspects = self.kept.iter().filter(on_the_way).any(|kept| kept.is_suspect);
        assert!(!suspects || self.under_way == 1, "K-4: who may have killed is alone");
    }

    #[cfg(not(debug_assertions))]
    #[inline]
    fn check(&self) {}
}
