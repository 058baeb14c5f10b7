//! What must be true of all messages together: when a pipe is lost, and when the world has come to rest.

use procession::protocol::connection::Mode;

use super::ledger::{Arrival, Outcome, Wire};
use super::scenario::Kind;
use super::world::World;

impl World {
    /// M-5: of the casts that were under way when a pipe was lost those are told as lost of which this side does not know
    /// that they were taken. Requests that were given up or refused before may be among them: whether a credit counts
    /// them can't be known.
    pub(crate) fn account_for(&mut self, link: usize, side: usize, told: u64) {
        let end = self.links[link].end(side);
        assert_eq!(end.connection.outgoing_count(), 0, "W-1: messages are left after the loss");
        let (mut under_way, mut perhaps) = (0_u64, 0_u64);
        for sent in &end.sent {
            let known = sent.credited.max(sent.answered);
            for id in &sent.order[known.min(sent.order.len())..] {
                let message = self.ledger.of(*id);
                under_way += u64::from(message.mode != Mode::Call);
                perhaps += u64::from(message.is_abandoned() || message.was_refused());
            }
        }
        for message in &self.ledger.messages {
            // What the onlooker has not seen was in the outgoing bytes, if it was not still in a queue.
            if (message.link, message.side) == (link, side) && message.position == 0 {
                let is_out = matches!(message.outcome, Some(Outcome::Accepted | Outcome::Sent));
                under_way += u64::from(is_out);
                perhaps += u64::from(message.is_abandoned());
            }
        }
        assert!(
            (under_way..=under_way + perhaps).contains(&told),
            "M-5: {told} casts are told as lost; {under_way} were, and perhaps {perhaps} more"
        );
        end.lost = Some(told);
    }

    /// Nothing is left anywhere, and every message has met its fate.
    pub(crate) fn check_the_end(&self) {
        self.check_watches();
        self.ledger.check_that_all_ended(|link, side| self.links[link].is_lost(side));
        for (number, link) in self.links.iter().enumerate() {
            for (side, end) in link.ends.iter().enumerate() {
                let Some(end) = end else { continue };
                let counters = end.connection.counters();
                assert_eq!(counters.late_replies, end.late_replies, "H42: late replies of link {number}");
                assert_eq!((counters.cancelled, counters.expired), end.not_begun, "link {number}");
                let connection = &end.connection;
                assert_eq!(connection.outgoing_count(), 0, "link {number} still has messages");
                if !end.is_lost {
                    assert_eq!(connection.answering_count(), 0, "link {number} still owes answers");
                    assert!(!connection.has_pending(), "link {number} still has bytes to write");
                }
                self.check_what_vanished(number, side, end.lost);
            }
        }
        if matches!(self.scenario.kind, Kind::Peaceful | Kind::Flood) {
            self.check_that_nothing_failed();
        }
    }

    /// M-5: no cast is lost that was not told. Of a pool the reply to one message is taken as proof that those before it
    /// were taken, too, though a thread may have it in its hands.
    fn check_what_vanished(&self, link: usize, side: usize, told: Option<u64>) {
        let vanished = self.ledger.messages.iter().filter(|message| {
            (message.link, message.side) == (link, side)
                && matches!(message.outcome, Some(Outcome::Accepted | Outcome::Sent))
                && message.arrival <= Arrival::InMailbox
        });
        let vanished = vanished.count() as u64;
        let is_told = vanished <= told.unwrap_or(0) || self.scenario.pools;
        assert!(is_told, "M-5: {vanished} casts vanished, {told:?} were told");
    }

    fn check_that_nothing_failed(&self) {
        for (id, message) in self.ledger.messages.iter().enumerate() {
            let expected = match message.mode {
                Mode::Call => matches!(message.outcome, Some(Outcome::Replied)),
                Mode::Tell => matches!(message.outcome, Some(Outcome::Accepted | Outcome::Sent)),
                Mode::Try | Mode::Outbox => {
                    matches!(message.outcome, Some(Outcome::Accepted | Outcome::Refused(_)))
                }
            };
            assert!(expected, "M-2: nothing went wrong, yet message {id}: {message:?}");
            let arrived = message.wire == Wire::Whole && message.arrival >= Arrival::Begun;
            let refused = matches!(message.outcome, Some(Outcome::Refused(_)));
            assert!(arrived || refused, "M-2: message {id} was not handled: {message:?}");
        }
    }
}
