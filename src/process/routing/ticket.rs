//! What a message of another process carries through the mailbox: the right to answer, and the duty to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde::Serialize;

use super::aside::Return;
use super::peer::Peer;
use super::taking::{Arrival, Numbered};
use crate::codec;
use crate::id::{ProcessId, Slot};
use crate::process::handling::{Asked, Naming, Taken, Work};
use crate::protocol::connection::Begin;
use crate::protocol::json::{JsonFault, JsonReply};
use crate::protocol::series::Take;
use crate::protocol::traceparent::TraceParent;
use crate::protocol::wire::{Cause, Failure};

/// Answers one message of a peer, exactly once. Dropped unanswered, it answers by itself: `NotExecuted` if no
/// handler had begun, otherwise that there is no reply (H40).
#[derive(Debug)]
pub struct Ticket {
    peer: Arc<Peer>,
    channel: u32,
    /// Whom it is for.
    slot: Slot,
    bytes: u64,
    correlation: Option<u64>,
    deadline: Option<Instant>,
    stage: Stage,
    /// Whether it stood aside before.
    has_returned: bool,
    /// Whether it has left the mailbox as one of a run, which says so.
    has_left: bool,
    /// Until it is handled.
    taken: Option<Taken>,
    /// A notice of an end: it has a place, and counts in no window.
    is_notice: bool,
    /// Of a message of a series (M-6).
    numbered: Option<Box<Numbered>>,
    /// The sender knows no types: the result goes as JSON.
    as_json: bool,
    /// Of a message of a trace.
    trace: Option<Box<TraceParent>>,
}

/// Whether a message is handled.
#[derive(Debug)]
pub enum Start {
    /// Now.
    Now,
    /// Not at all: its sender has cancelled it, its deadline has passed (M-7), or this process has said goodbye.
    Never,
    /// Not yet: its sender has too many replies to read. It must be put aside.
    Later(Place),
}

/// Where a message stands aside.
#[derive(Debug)]
pub struct Place {
    peer: Arc<Peer>,
    channel: u32,
    is_first: bool,
}

impl Place {
    /// Keeps the message until `back` should put it into the mailbox again.
    pub fn keep(self, back: Return) {
        self.peer.put_aside(self.channel, self.is_first, back);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    InMailbox,
    Begun,
    Answered,
}

/// Tickets of a run, counted at once.
pub(super) struct Tickets<'a> {
    peer: &'a Arc<Peer>,
    left: u64,
}

impl<'a> Tickets<'a> {
    /// So many, or fewer.
    pub(super) fn reserve(peer: &'a Arc<Peer>, most: usize) -> Tickets<'a> {
        peer.tickets.fetch_add(most as u64, Ordering::AcqRel);
        Tickets { peer, left: most as u64 }
    }

    /// The next one.
    pub(super) fn ticket(
        &mut self,
        channel: u32,
        bytes: u64,
        correlation: Option<u64>,
        deadline: Option<Instant>,
        slot: Slot,
    ) -> Ticket {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => drop(self.peer.tickets.fetch_add(1, Ordering::AcqRel)),
        }
        let mut ticket =
            Ticket::counted(Arc::clone(self.peer), channel, bytes, correlation, deadline, Taken::new());
        ticket.slot = slot;
        ticket
    }
}

impl Drop for Tickets<'_> {
    fn drop(&mut self) {
        if self.left > 0 {
            self.peer.tickets.fetch_sub(self.left, Ordering::AcqRel);
        }
    }
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
        Ticket::counted(peer, channel, bytes, correlation, deadline, Taken::new())
    }

    /// One that the peer's tickets and what was taken in count already.
    pub(super) fn counted(
        peer: Arc<Peer>,
        channel: u32,
        bytes: u64,
        correlation: Option<u64>,
        deadline: Option<Instant>,
        taken: Taken,
    ) -> Ticket {
        let (slot, stage, taken) = (Slot::FIRST_DYNAMIC, Stage::InMailbox, Some(taken));
        let (has_returned, has_left, is_notice, numbered) = (false, false, false, None);
        Ticket {
            peer,
            channel,
            slot,
            bytes,
            correlation,
            deadline,
            stage,
            has_returned,
            has_left,
            taken,
            is_notice,
            numbered,
            as_json: false,
            trace: None,
        }
    }

    #[cold]
    pub(super) fn set_trace(&mut self, trace: TraceParent) {
        self.trace = Some(Box::new(trace));
    }

    /// The trace that it belongs to, if to any.
    #[inline]
    pub fn trace(&self) -> Option<&TraceParent> {
        self.trace.as_deref()
    }

    /// The process that sent it.
    #[inline]
    pub fn sender(&self) -> ProcessId {
        self.peer.process
    }

    /// Says for whom it is.
    pub(super) fn set_slot(&mut self, slot: Slot) {
        self.slot = slot;
    }

    /// The result is to go as JSON.
    pub fn answer_as_json(&mut self) {
        self.as_json = true;
    }

    /// What is shown while it is handled.
    #[inline]
    pub fn work(&self, naming: &Naming) -> Work {
        let number = self.numbered.as_ref().map_or(0, |numbered| numbered.number());
        naming.from(self.peer.process, self.slot, number)
    }

    /// Which call it is to answer.
    #[inline]
    pub fn asked(&self) -> Option<Asked> {
        let (connection, relayed) = (self.peer.number, self.is_answered_here());
        self.correlation.map(|correlation| Asked { connection, correlation, relayed })
    }

    /// Whether nobody else can answer it directly: the reply acknowledges the message, or goes as JSON, which only its own
    /// process knows.
    #[inline]
    pub fn is_answered_here(&self) -> bool {
        self.numbered.is_some() || self.as_json
    }

    /// Somebody else answers it, by another way: nothing more is said about it here.
    ///
    /// The connection hears of it a moment later: whoever has the responder may be a message that is being encoded, which
    /// is done under the lock of a connection, perhaps of this one.
    pub fn hand_over(mut self) {
        self.stage = Stage::Answered;
        let Some(correlation) = self.correlation else { return };
        let Some(arbiter) = self.peer.router.upgrade().and_then(|router| router.arbiter()) else { return };
        let peer = Arc::clone(&self.peer);
        arbiter.spawn(async move { peer.with(|connection| connection.hand_over(correlation)) });
    }

    /// Whether its sender has cancelled it.
    pub fn is_cancelled(&self) -> bool {
        self.correlation.is_some_and(|correlation| {
            self.peer.with_silently(|connection| connection.is_cancelled(correlation))
        })
    }

    /// It is to be handled now: for [`handling::enter`](crate::process::handling::enter).
    #[inline]
    pub fn taken(&mut self) -> Option<Taken> {
        self.taken.take()
    }

    /// The place of a notice behind what came on this channel.
    pub(super) fn notice(peer: Arc<Peer>, channel: u32) -> Ticket {
        let mut ticket = Ticket::new(peer, channel, 0, None, None);
        ticket.is_notice = true;
        ticket
    }

    /// Whoever gave it says that it has left the mailbox.
    pub(super) fn set_left(&mut self) {
        self.has_left = true;
    }

    /// On which channel it came.
    pub(super) fn channel(&self) -> u32 {
        self.channel
    }

    /// The same, of a message of a series.
    pub(super) fn numbered(mut self, numbered: Numbered) -> Ticket {
        self.numbered = Some(Box::new(numbered));
        self
    }

    /// Whether the sender waits for a reply, or for an acknowledgement.
    #[inline]
    pub fn wants_reply(&self) -> bool {
        self.correlation.is_some()
    }

    /// Which delivery of its series it is, if of any.
    #[inline]
    pub fn arrival(&self) -> Option<Arrival> {
        self.numbered.as_ref().map(|numbered| numbered.arrival())
    }

    /// The message leaves the mailbox to be handled, if it may be.
    #[inline]
    pub fn begin(&mut self) -> Start {
        self.stage = Stage::Begun;
        if self.has_left {
            return Start::Now;
        }
        let (channel, bytes, deadline) = (self.channel, self.bytes, self.deadline);
        let correlation = self.correlation;
        // Only a deadline is compared with it, so without one any time will do.
        let now = deadline.map_or(self.peer.born, |_| Instant::now());
        let (has_returned, is_notice) = (self.has_returned, self.is_notice);
        let (begin, next) = self.peer.with(|connection| match (is_notice, has_returned) {
            (false, false) => (connection.begin(channel, bytes, correlation, deadline, now), false),
            (false, true) => connection.begin_again(channel, bytes, correlation, deadline, now),
            (true, false) => (connection.begin_notice(channel), false),
            (true, true) => connection.begin_notice_again(channel),
        });
        if next {
            self.peer.resume(channel);
        }
        match begin {
            Begin::Proceed => self.begin_numbered(),
            Begin::Left if self.is_notice => {
                self.stage = Stage::Answered;
                Start::Never
            }
            Begin::Cancelled | Begin::Expired => {
                self.stage = Stage::Answered;
                Start::Never
            }
            Begin::Aside => {
                self.stage = Stage::InMailbox;
                self.has_returned = true;
                Start::Later(Place { peer: Arc::clone(&self.peer), channel, is_first: has_returned })
            }
            Begin::Left => {
                self.stage = Stage::InMailbox;
                let cause = self.peer.our_name().map_or(Cause::ActorStopped, Cause::Stopping);
                // It has left the mailbox, whatever is said of it.
                self.has_returned = false;
                self.answer(&Failure::not_executed(cause));
                Start::Never
            }
        }
    }

    /// Whether a message of a series is handled now; any other is.
    #[inline]
    fn begin_numbered(&mut self) -> Start {
        let Some(numbered) = &self.numbered else { return Start::Now };
        match numbered.begin() {
            Take::Handle => Start::Now,
            Take::Done => {
                self.stage = Stage::Answered;
                self.send_reply(&());
                Start::Never
            }
            Take::Early => {
                // It was taken from the mailbox, and its series knows nothing of it.
                self.numbered = None;
                self.answer(&Failure::not_executed(Cause::Early));
                Start::Never
            }
        }
    }

    /// The reply.
    pub fn reply<R: Serialize + ?Sized>(mut self, value: &R) {
        self.stage = Stage::Answered;
        match self.numbered.take() {
            None => self.send_reply(value),
            Some(numbered) => {
                numbered.finish();
                match numbered.is_quiet() {
                    true => self.send_reply(&()),
                    false => self.send_reply(value),
                }
            }
        }
    }

    fn send_reply<R: Serialize + ?Sized>(&self, value: &R) {
        let Some(correlation) = self.correlation else { return };
        if self.as_json {
            return self.send_json(correlation, value);
        }
        self.peer.encode::<R, _>(|connection| connection.reply(correlation, value));
    }

    #[cold]
    fn send_json<R: Serialize + ?Sized>(&self, correlation: u64, value: &R) {
        let written = catch_unwind(AssertUnwindSafe(|| serde_json::to_string(value)));
        let why = match written {
            Ok(Ok(text)) => {
                return self.peer.with(|connection| connection.reply(correlation, &JsonReply(text)));
            }
            Ok(Err(error)) => codec::cut(error.to_string()),
            Err(_) => "its Serialize panicked".to_owned(),
        };
        let failure = Failure::failed(Cause::Json(JsonFault::Result(why)));
        self.peer.with(|connection| connection.reply_failure(correlation, &failure));
    }

    /// Why there is none.
    pub fn fail(mut self, failure: &Failure) {
        self.answer(failure);
    }

    fn answer(&mut self, failure: &Failure) {
        let begun = std::mem::replace(&mut self.stage, Stage::Answered) != Stage::InMailbox;
        if let Some(numbered) = self.numbered.take().filter(|_| begun) {
            numbered.fail();
        }
        let (channel, bytes, correlation) = (self.channel, self.bytes, self.correlation);
        let (returns, is_notice) = (!begun && self.has_returned, self.is_notice);
        let has_left = self.has_left;
        let next = self.peer.with(|connection| {
            match (begun, is_notice) {
                (true, _) => {}
                (false, true) => connection.drop_notice(channel),
                (false, false) if has_left => {}
                (false, false) => connection.take(channel, bytes),
            }
            if let Some(correlation) = correlation {
                connection.reply_failure(correlation, failure);
            }
            returns && connection.came_back(channel)
        });
        if next {
            self.peer.resume(channel);
        }
        if correlation.is_none() && !begun && !is_notice {
            self.peer.bury_inbound(1, failure);
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
