//! What a message of another process carries through the mailbox: the right to answer, and the duty to.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde::Serialize;

use super::peer::Peer;
use crate::protocol::connection::Begin;
use crate::protocol::wire::{Cause, Failure};

/// Answers one message of a peer, exactly once. Dropped unanswered, it answers by itself: `NotExecuted` if no
/// handler had begun, otherwise that there is no reply (H40).
#[derive(Debug)]
pub struct Ticket {
    peer: Arc<Peer>,
    channel: u32,
    bytes: u64,
    correlation: Option<u64>,
    deadline: Option<Instant>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    InMailbox,
    Begun,
    Answered,
}

impl Ticket {
    pub(super) fn new(
        peer: Arc<Peer>,
        channel: u32,
        bytes: u64,
        correlation: Option<u64>,
        deadline: Option<Instant>,
    ) -> Ticket {
        peer.tickets.fetch_add(1, Ordering::AcqRel);
        Ticket { peer, channel, bytes, correlation, deadline, stage: Stage::InMailbox }
    }

    /// Whether the sender waits for a reply.
    pub fn wants_reply(&self) -> bool {
        self.correlation.is_some()
    }

    /// The message leaves the mailbox to be handled. False if it must not be, because its sender has cancelled it or
    /// its deadline has passed (M-7), or this process has said goodbye.
    pub fn begin(&mut self) -> bool {
        self.stage = Stage::Begun;
        let (channel, bytes, deadline) = (self.channel, self.bytes, self.deadline);
        let correlation = self.correlation;
        let now = Instant::now();
        match self.peer.with(|connection| connection.begin(channel, bytes, correlation, deadline, now)) {
            Begin::Proceed => true,
            Begin::Cancelled | Begin::Expired => {
                self.stage = Stage::Answered;
                false
            }
            Begin::Left => {
                self.stage = Stage::InMailbox;
                let cause = self.peer.our_name().map_or(Cause::ActorStopped, Cause::Stopping);
                self.answer(&Failure::not_executed(cause));
                false
            }
        }
    }

    /// The reply.
    pub fn reply<R: Serialize + ?Sized>(mut self, value: &R) {
        self.stage = Stage::Answered;
        if let Some(correlation) = self.correlation {
            self.peer.with(|connection| connection.reply(correlation, value));
        }
    }

    /// Why there is none.
    pub fn fail(mut self, failure: &Failure) {
        self.answer(failure);
    }

    fn answer(&mut self, failure: &Failure) {
        let begun = std::mem::replace(&mut self.stage, Stage::Answered) != Stage::InMailbox;
        let (channel, bytes, correlation) = (self.channel, self.bytes, self.correlation);
        self.peer.with(|connection| {
            if !begun {
                connection.take(channel, bytes);
            }
            if let Some(correlation) = correlation {
                connection.reply_failure(correlation, failure);
            }
        });
        if correlation.is_none() && !begun {
            self.peer.bury_inbound(failure);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.answer_unanswered();
        self.peer.tickets.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Ticket {
    fn answer_unanswered(&mut self) {
        match self.stage {
            Stage::Answered => {}
            Stage::InMailbox => self.answer(&Failure::not_executed(Cause::ActorStopped)),
            Stage::Begun if self.correlation.is_none() => {}
            Stage::Begun if std::thread::panicking() => {
                let message = crate::process::handling::last_panic();
                self.answer(&Failure::failed(Cause::Panicked(message)));
            }
            Stage::Begun => self.answer(&Failure::failed(Cause::NoReply)),
        }
    }
}
