//! How messages and connections end: deadlines, goodbyes, losses.

use std::time::Instant;

use super::large::{Assemblies, LargeSends};
use super::outbound::Rank;
use super::{Connection, Event, Stage};
use crate::protocol::frame::{Header, Kind};
use crate::protocol::wire::{Cause, Failure, Verdict};

impl<T> Connection<T> {
    /// When `handle_timeout` should be called next.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        while let Some((deadline, key)) = self.deadlines.first() {
            match self.index_of(key) {
                // A call whose deadline was moved stands there twice.
                Some(index) if self.outgoing[index].deadline == Some(deadline) => return Some(deadline),
                _ => self.deadlines.pop(),
            };
        }
        None
    }

    /// Ends every message whose deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(deadline) = self.poll_timeout() {
            if deadline > now {
                break;
            }
            let Some((_, key)) = self.deadlines.pop() else { break };
            let Some(index) = self.index_of(key) else { continue };
            let (tag, failure) = self.time_out(index, key);
            self.events.push_back(Event::Failed { tag, failure });
        }
        self.check();
    }

    fn time_out(&mut self, index: usize, key: u64) -> (T, Failure) {
        let waited = matches!(self.outgoing[index].stage, Stage::Waiting(_));
        let outgoing = self.forget(index, key);
        self.sweep_queue(outgoing.channel);
        let failure = match waited {
            true => Failure::not_executed(Cause::TimedOut),
            false => Failure::unknown(Cause::TimedOut),
        };
        (outgoing.tag, failure)
    }

    /// When a message of ours ends, if it has no outcome yet and does end.
    pub fn deadline_of(&self, key: u64) -> Option<Instant> {
        self.outgoing[self.index_of(key)?].deadline
    }

    /// Ends one message if its deadline has passed, for who waits where a blocked driver would not tell. There will be
    /// no event for it. None if it has time left, or an outcome, which the driver tells.
    pub fn expire(&mut self, key: u64, now: Instant) -> Option<Failure> {
        if self.deadline_of(key)? > now {
            return None;
        }
        let index = self.index_of(key)?;
        let (_, failure) = self.time_out(index, key);
        self.check();
        Some(failure)
    }

    /// Says that this side stops: reports exactly what was taken, so that the peer can tell what was not, and
    /// ends what still waits here. New messages are refused on both sides; answers are still given.
    pub fn leave(&mut self) {
        if std::mem::replace(&mut self.we_left, true) {
            return;
        }
        self.fail_waiting(&Cause::ShuttingDown);
        self.report_all();
        self.out.bare(Rank::Control, Header::new(Kind::Goodbye));
        self.settle();
        self.check();
    }

    /// The peer stops: what still waits here will never be taken there.
    pub fn fail_waiting(&mut self, cause: &Cause) {
        for channel in 0..self.channels.len() {
            self.fail_queue(u32::try_from(channel).expect("channels are numbered in u32"), cause);
        }
    }

    /// Reports every message that was begun, so that all others are known not to be.
    fn report_all(&mut self) {
        for channel in 0..self.served.len() {
            if let Some(taken) = self.served[channel].report_finally() {
                self.send_credit(u32::try_from(channel).expect("channels are numbered in u32"), taken);
            }
        }
    }

    /// Whether the peer says that it stops.
    pub fn has_left(&self) -> bool {
        self.they_left
    }

    /// The pipe has ended: every message of ours without an outcome gets one, with this cause.
    ///
    /// The verdict is `NotExecuted` where it can be proven: the message has not left, or not whole, or the peer
    /// has said goodbye without having taken it. Otherwise it is `Unknown`. Returns how many messages without a waiting
    /// sender were sent of which nobody knows whether they were taken: at most so many are lost.
    pub fn handle_lost(&mut self, cause: &Cause) -> u64 {
        self.lost = Some(cause.clone());
        self.settle();
        let mut calls = 0;
        let keys: Vec<usize> = self.outgoing.iter().map(|(index, _)| index).collect();
        for index in keys {
            let outgoing = self.outgoing.remove(index);
            let channel = &self.channels[outgoing.channel as usize];
            if let Stage::Streaming { sequence } | Stage::Sent { sequence, .. } = outgoing.stage {
                calls += u64::from(sequence > channel.known_taken());
            }
            let verdict = match outgoing.stage {
                Stage::Waiting(_) | Stage::Streaming { .. } => Verdict::NotExecuted,
                Stage::Sent { ends, .. } if !self.out.has_left(ends) => Verdict::NotExecuted,
                Stage::Sent { sequence, .. } if self.they_left && sequence > channel.taken() => {
                    Verdict::NotExecuted
                }
                Stage::Sent { .. } => Verdict::Unknown,
            };
            let failure = Failure { verdict, cause: cause.clone() };
            self.events.push_back(Event::Failed { tag: outgoing.tag, failure });
        }
        // Nobody gets these any more; whoever still holds the connection must not hold them open.
        self.out.drop_descriptors();
        self.arrived.clear();
        self.assemblies = Assemblies::default();
        self.large = LargeSends::default();
        let under_way: u64 = self.channels.iter().map(|channel| channel.under_way()).sum();
        under_way.saturating_sub(calls)
    }
}
