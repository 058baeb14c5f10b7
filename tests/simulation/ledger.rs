//! What happened to every message, kept by the world, which believes no connection.
//!
//! - W-1 (M-2) Every message ends, and once.
//! - W-2 (M-2) `NotExecuted`: no handler has begun it, and none ever will. `Failed`: one had begun it. After the loss
//!   of a pipe, `Unknown`: all of it was in the pipe. After a deadline, `Unknown`: it left, or its pipe was lost.
//! - W-3 (M-2) A reply is the one that the handler of this message gave.
//! - W-4 (M-7) What was given up before it could leave never leaves.
//! - W-5 (M-1) Messages of one connection to one actor arrive in the order sent, whole, and each once.
//! - W-6 A deadline never reaches the receiver earlier than the sender meant it.

use std::time::Instant;

use procession::protocol::connection::Mode;
use procession::protocol::wire::{Cause, Failure, Verdict};

/// How a message ended for its sender.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// A tell, try or outbox that had room at once.
    Accepted,
    Refused(Cause),
    /// A tell that had room later.
    Sent,
    Replied,
    Failed(Failure),
    Cancelled,
    /// Nobody is left to be told.
    SenderDied,
}

/// How far a message got into the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wire {
    Nothing,
    /// Its header, and not all of it.
    Header,
    Whole,
}

/// What became of it where it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Arrival {
    Not,
    InMailbox,
    /// Answered or buried without being handled.
    Dismissed,
    Begun,
    /// Its handler gave a reply.
    Answered,
}

#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) mode: Mode,
    pub(crate) link: usize,
    pub(crate) side: usize,
    pub(crate) channel: u32,
    pub(crate) key: Option<u64>,
    /// The earliest deadline that it ever had.
    pub(crate) deadline: Option<Instant>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) wire: Wire,
    /// Which message of its channel it is on the wire, from 1.
    pub(crate) position: usize,
    pub(crate) arrival: Arrival,
    may_not_leave: bool,
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) messages: Vec<Message>,
}

impl Ledger {
    pub(crate) fn next_id(&self) -> u32 {
        u32::try_from(self.messages.len()).unwrap()
    }

    pub(crate) fn submit(
        &mut self,
        mode: Mode,
        (link, side, channel): (usize, usize, u32),
        deadline: Option<Instant>,
    ) {
        self.messages.push(Message {
            mode,
            link,
            side,
            channel,
            key: None,
            deadline,
            outcome: None,
            wire: Wire::Nothing,
            position: 0,
            arrival: Arrival::Not,
            may_not_leave: false,
        });
    }

    pub(crate) fn of(&self, id: u32) -> &Message {
        &self.messages[id as usize]
    }

    pub(crate) fn of_mut(&mut self, id: u32) -> &mut Message {
        &mut self.messages[id as usize]
    }

    /// The sender was told how it ended.
    pub(crate) fn end(&mut self, id: u32, outcome: Outcome, pipe_is_lost: bool) {
        let message = self.of_mut(id);
        let told = message.outcome.replace(outcome.clone());
        let revoked = told == Some(Outcome::Accepted) && matches!(outcome, Outcome::Failed(_));
        // What was queued for nobody is a dead letter if it fails: its second outcome, and its last.
        let is_queued = message.key.is_some() && matches!(message.mode, Mode::Try | Mode::Outbox);
        assert!(
            told.is_none() || revoked && is_queued,
            "W-1: message {id} ended as {told:?} and as {outcome:?}: {message:?}"
        );
        match &outcome {
            Outcome::Replied => {
                assert_eq!(message.arrival, Arrival::Answered, "W-3: message {id} was never answered")
            }
            Outcome::Failed(failure) => message.judge(id, failure, pipe_is_lost),
            Outcome::Refused(_) => message.may_not_leave = true,
            _ => {}
        }
    }

    /// The sender gave it up before its channel was granted.
    pub(crate) fn forbid(&mut self, id: u32) {
        self.of_mut(id).may_not_leave = true;
    }

    pub(crate) fn on_wire(&mut self, id: u32, wire: Wire) {
        let message = self.of_mut(id);
        assert!(!message.may_not_leave, "W-4: message {id} left after all: {message:?}");
        assert!(message.wire < wire, "W-5: message {id} left twice");
        message.wire = wire;
    }

    pub(crate) fn arrive(&mut self, id: u32, deadline: Option<Instant>) {
        let message = self.of_mut(id);
        assert_eq!(message.arrival, Arrival::Not, "W-5: message {id} arrived twice");
        message.arrival = Arrival::InMailbox;
        if message.mode == Mode::Call {
            assert_eq!(deadline.is_some(), message.deadline.is_some(), "W-6: message {id}");
            assert!(deadline >= message.deadline, "W-6: message {id} has less time there than here");
        }
    }

    pub(crate) fn dismiss(&mut self, id: u32) {
        let message = self.of_mut(id);
        assert_eq!(message.arrival, Arrival::InMailbox, "a message is dismissed from the mailbox");
        message.arrival = Arrival::Dismissed;
    }

    pub(crate) fn begin(&mut self, id: u32) {
        let message = self.of_mut(id);
        assert_eq!(message.arrival, Arrival::InMailbox, "a message is begun once, from the mailbox");
        assert!(!message.is_not_executed(), "W-2: message {id} is handled after all: {message:?}");
        message.arrival = Arrival::Begun;
    }

    pub(crate) fn answer(&mut self, id: u32) {
        self.of_mut(id).arrival = Arrival::Answered;
    }

    /// Nobody will be told any more what became of the messages that a process sent.
    pub(crate) fn sender_died(&mut self, link: usize, side: usize) {
        for message in &mut self.messages {
            if (message.link, message.side) == (link, side) && message.outcome.is_none() {
                message.outcome = Some(Outcome::SenderDied);
            }
        }
    }

    /// W-1, at the end of the world.
    pub(crate) fn check_that_all_ended(&self, lost: impl Fn(usize, usize) -> bool) {
        for (id, message) in self.messages.iter().enumerate() {
            assert!(message.outcome.is_some(), "W-1: message {id} never ended: {message:?}");
            let gone = lost(message.link, message.side);
            if message.may_have_left_after_a_deadline() {
                assert!(
                    gone || message.wire > Wire::Nothing,
                    "W-2: message {id} did not leave, yet its verdict is unknown: {message:?}"
                );
            }
            let accepted = matches!(message.outcome, Some(Outcome::Accepted | Outcome::Sent));
            assert!(
                !accepted || gone || message.arrival >= Arrival::Dismissed,
                "M-5: cast {id} vanished: {message:?}"
            );
        }
    }
}

impl Message {
    fn judge(&mut self, id: u32, failure: &Failure, pipe_is_lost: bool) {
        let timed_out = failure.cause == Cause::TimedOut;
        match failure.verdict {
            Verdict::NotExecuted => {
                let handled = matches!(self.arrival, Arrival::Begun | Arrival::Answered);
                assert!(!handled, "W-2: message {id} was handled, and {failure:?}: {self:?}");
                // What the peer itself refused has been there.
                self.may_not_leave = self.wire == Wire::Nothing;
            }
            Verdict::Failed => {
                assert_eq!(self.arrival, Arrival::Begun, "W-2: no handler of message {id} failed");
            }
            Verdict::Unknown if pipe_is_lost => {
                assert_eq!(self.wire, Wire::Whole, "W-2: message {id} did not leave whole: {failure:?}");
            }
            Verdict::Unknown => assert!(timed_out, "W-2: message {id}: {failure:?} while its pipe is well"),
        }
    }

    fn is_not_executed(&self) -> bool {
        matches!(&self.outcome, Some(Outcome::Failed(Failure { verdict: Verdict::NotExecuted, .. })))
            || matches!(self.outcome, Some(Outcome::Refused(_)))
    }

    fn may_have_left_after_a_deadline(&self) -> bool {
        let timed_out = Failure::unknown(Cause::TimedOut);
        matches!(&self.outcome, Some(Outcome::Failed(failure)) if *failure == timed_out)
    }

    /// Whether the peer answered that it was not executed.
    pub(crate) fn was_refused(&self) -> bool {
        let by_loss = |cause: &Cause| {
            matches!(cause, Cause::PeerDied { .. } | Cause::ShuttingDown | Cause::Unreachable { .. })
        };
        matches!(&self.outcome, Some(Outcome::Failed(Failure { verdict: Verdict::NotExecuted, cause })) if !by_loss(cause))
    }

    /// Whether its sender gave it up while it may have been on its way.
    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Cancelled)) || self.may_have_left_after_a_deadline()
    }
}
