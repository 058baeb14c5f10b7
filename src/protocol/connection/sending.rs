//! Messages of ours: submitted, queued while there is no credit, cancelled.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::channel::{Channel, ChannelState, Window, weight, weight_of};
use super::large::CHUNK_BYTES;
use super::outbound::{NotBegun, Rank};
use super::{Connection, Outgoing, SOFT_LIMIT_BYTES, Stage};
use crate::codec::{self, EncodeError, Packed};
use crate::protocol::frame::{Header, Kind, NUMBERED, RIGHT, TRACED};
use crate::protocol::series::Numbering;
use crate::protocol::traceparent::TraceParent;
use crate::protocol::wire::{Cause, MessageId};
use crate::protocol::{Limits, MAX_DESCRIPTORS};
use crate::sys::buffer::Buffer;

/// So many deadlines of ended calls cost less than looking for them.
const KEEP_DEADLINES: usize = 1024;

/// What is wanted of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A reply. Waits for room.
    Call,
    /// Room: an event says when it had some.
    Tell,
    /// Nothing, and no waiting: refused if there is no room now.
    Try,
    /// Nothing; waits for room in the outbox, and is refused if that is full.
    Outbox,
}

/// A message to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Submit {
    /// By `open`.
    pub channel: u32,
    /// Its identity.
    pub message: u32,
    /// What is wanted.
    pub mode: Mode,
    /// How long somebody waits for the reply; 0 is "for ever".
    pub timeout_ms: u32,
    /// By which right: 0 is that by which the channel was opened; any other is by `present`.
    pub right: u32,
}

/// Who waits for the outcome of a message, if it has one later.
#[derive(Debug)]
pub struct Waiting<T> {
    /// What the events about it bring back.
    pub tag: T,
    /// When nobody waits any more.
    pub deadline: Option<Instant>,
}

impl<T> Connection<T> {
    /// Sends a message, or queues it. `Ok(Some(key))` if it can still be cancelled or fail, `Ok(None)` if it is
    /// done: a tell, try or outbox that had room. Who waits is asked for only if there is something to wait for.
    ///
    /// # Errors
    /// The message was not and will not be executed, and there will be no event for it.
    pub fn submit<M: Serialize + ?Sized>(
        &mut self,
        submit: Submit,
        value: &M,
        waiting: impl FnOnce() -> Waiting<T>,
    ) -> Result<Option<u64>, Cause> {
        self.submit_traced(submit, None, value, waiting).map_err(|cause| *cause)
    }

    /// As [`submit`](Self::submit), for a message that belongs to a trace.
    ///
    /// # Errors
    /// As there.
    pub fn submit_traced<M: Serialize + ?Sized>(
        &mut self,
        submit: Submit,
        trace: Option<&TraceParent>,
        value: &M,
        waiting: impl FnOnce() -> Waiting<T>,
    ) -> Result<Option<u64>, Box<Cause>> {
        let result = match trace {
            None => self.try_submit((submit, 0), value, waiting),
            // A pair is its first part and then its second.
            Some(trace) => self.try_submit((submit, TRACED), &(value, trace.to_bytes()), waiting),
        };
        self.check();
        result
    }

    fn try_submit<M: Serialize + ?Sized>(
        &mut self,
        (submit, traced): (Submit, u8),
        value: &M,
        waiting: impl FnOnce() -> Waiting<T>,
    ) -> Result<Option<u64>, Box<Cause>> {
        let channel = &mut self.channels[submit.channel as usize];
        channel.is_used = true;
        let is_open = self.lost.is_none() && !self.we_left && !self.they_left;
        let has_room = channel.queue.is_empty() && channel.admits(0) && channel.more.is_none();
        if !is_open || !has_room || self.out.message_bytes() >= SOFT_LIMIT_BYTES {
            self.refusal(submit)?;
            let channel = &self.channels[submit.channel as usize];
            let full = self.out.message_bytes() >= SOFT_LIMIT_BYTES;
            if full || !channel.queue.is_empty() || !channel.admits(0) {
                return self.submit_later((submit, traced), value, waiting);
            }
        }
        let limits = self.limits_with(submit.right);
        let begins = self.out.position();
        let mut begun = match self.out.begin(Rank::Messages, value, limits) {
            Ok(begun) => begun,
            Err(why) => return self.not_begun(*why, (submit, traced), waiting),
        };
        let mut flags = traced;
        if submit.right > 0 {
            self.out.append(&mut begun, &submit.right.to_le_bytes());
            flags |= RIGHT;
        }
        let bytes = weight_of(begun.length, begun.descriptors.len());
        let channel = &mut self.channels[submit.channel as usize];
        if begun.length > CHUNK_BYTES || !channel.admits(bytes) {
            let body = self.out.take_back(begun, right_bytes(submit.right));
            return Ok(self.queue((submit, traced), body, waiting)?);
        }
        self.large.note_small();
        let sequence = channel.send(bytes);
        if submit.mode != Mode::Call {
            let (message, channel) = (submit.message, submit.channel);
            let header = Header { message, channel, flags, ..Header::new(Kind::Cast) };
            self.out.finish(begun, header);
            return Ok(None);
        }
        let ends = self.out.position();
        let key = self.remember((submit, flags), waiting(), Stage::Sent { sequence, begins, ends });
        let header = call_header(submit.message, submit.channel, key, submit.timeout_ms);
        self.out.finish(begun, Header { flags, ..header });
        Ok(Some(key))
    }

    /// Why nothing can be sent there, if so.
    fn refusal(&self, submit: Submit) -> Result<(), Cause> {
        if let Some(cause) = &self.lost {
            return Err(cause.clone());
        }
        let channel = &self.channels[submit.channel as usize];
        if let ChannelState::Refused(cause) = &channel.state {
            return Err(cause.clone());
        }
        // What asks whether all has arrived asks by no right.
        if let Some(cause) = channel.denied(submit.right).filter(|_| submit.message != MessageId::ARRIVED.0) {
            return Err(cause.clone());
        }
        if self.we_left || self.they_left { Err(Cause::ShuttingDown) } else { Ok(()) }
    }

    /// There is no room now.
    #[inline(never)]
    fn submit_later<M: Serialize + ?Sized>(
        &mut self,
        (submit, traced): (Submit, u8),
        value: &M,
        waiting: impl FnOnce() -> Waiting<T>,
    ) -> Result<Option<u64>, Box<Cause>> {
        let channel = &self.channels[submit.channel as usize];
        let opening = !matches!(channel.state, ChannelState::Open(_)) || channel.holds > 0;
        let submit = match submit.mode {
            // Nobody knows yet how much room there is: the outbox has some.
            Mode::Try if opening => Submit { mode: Mode::Outbox, ..submit },
            Mode::Try if !self.may_try(submit.channel) => return Err(Cause::Full.into()),
            // Before it is encoded: a flood that finds no room should cost little.
            Mode::Outbox if !channel.has_outbox(self.own_window()) => return Err(Cause::Full.into()),
            _ => submit,
        };
        let mut near = Vec::new();
        let (limit_bytes, most) = self.limits_with(submit.right);
        match codec::encode_or_apart(value, &mut near, (limit_bytes, CHUNK_BYTES), most) {
            Ok((apart, descriptors)) => {
                let bytes = apart.unwrap_or_else(|| Buffer::from(near).into());
                Ok(self.queue((submit, traced), Packed { bytes, descriptors }, waiting)?)
            }
            Err(error) => Err(self.cause_of(error).into()),
        }
    }

    /// It is no frame.
    #[inline(never)]
    fn not_begun(
        &mut self,
        why: NotBegun,
        (submit, traced): (Submit, u8),
        waiting: impl FnOnce() -> Waiting<T>,
    ) -> Result<Option<u64>, Box<Cause>> {
        match why {
            NotBegun::Apart(large) => Ok(self.queue((submit, traced), large, waiting)?),
            NotBegun::Failed(error) => Err(self.cause_of(error).into()),
        }
    }

    /// What this side grants, which is how wide its outboxes are as well.
    fn own_window(&self) -> Window {
        let Limits { window_messages, window_bytes, .. } = self.ours.limits;
        Window { messages: window_messages.into(), bytes: window_bytes.into() }
    }

    /// Whether a `try_send` may go ahead although the outgoing bytes are over their soft limit: it has credit.
    fn may_try(&self, channel: u32) -> bool {
        let channel = &self.channels[channel as usize];
        channel.queue.is_empty() && channel.admits(0)
    }

    /// How many bytes and descriptors an encoded message may have: what the peer accepts, or, before it said so, what
    /// we accept.
    pub(super) fn send_limits(&self) -> (usize, usize) {
        let limits = self.theirs.as_ref().unwrap_or(&self.ours.limits);
        (limits.max_message_bytes as usize, usize::from(limits.max_descriptors.min(MAX_DESCRIPTORS)))
    }

    /// The same, for a message that comes by this right.
    fn limits_with(&self, right: u32) -> (usize, usize) {
        let (bytes, descriptors) = self.send_limits();
        (bytes.saturating_sub(right_bytes(right)), descriptors)
    }

    pub(super) fn cause_of(&self, error: EncodeError) -> Cause {
        match error {
            EncodeError::TooLarge { limit } => {
                Cause::TooLarge { limit: u32::try_from(limit).unwrap_or(u32::MAX) }
            }
            EncodeError::Value(reason) => Cause::Encode(reason),
        }
    }

    /// Sends a message of a series as a call: its body, encoded, and the descriptors are those of the message, its
    /// numbering is put behind them. As for `submit`.
    ///
    /// # Errors
    /// As for `submit`.
    pub fn submit_numbered(
        &mut self,
        (channel, message, right): (u32, u32, u32),
        (numbering, trace): (&Numbering, Option<TraceParent>),
        mut body: Packed,
        tag: T,
    ) -> Result<(), Cause> {
        let submit = Submit { channel, message, mode: Mode::Call, timeout_ms: 0, right };
        self.refusal(submit)?;
        self.channels[channel as usize].is_used = true;
        if let Some(trace) = trace {
            body.bytes.push(&trace.to_bytes());
        }
        if right > 0 {
            body.bytes.push(&right.to_le_bytes());
        }
        body.bytes.push(&numbering.to_bytes());
        let flags = if trace.is_some() { NUMBERED | TRACED } else { NUMBERED };
        self.queue_whole((submit, flags), body, || Waiting { tag, deadline: None })?;
        self.check();
        Ok(())
    }

    /// The window that the peer granted a channel, messages and bytes, once it did.
    pub fn window_of(&self, channel: u32) -> Option<(u64, u64)> {
        match self.channels.get(channel as usize)?.state {
            ChannelState::Open(window) => Some((window.messages, window.bytes)),
            _ => None,
        }
    }

    fn queue(
        &mut self,
        (submit, flags): (Submit, u8),
        mut body: Packed,
        waiting: impl FnOnce() -> Waiting<T>,
    ) -> Result<Option<u64>, Cause> {
        if submit.right > 0 {
            body.bytes.push(&submit.right.to_le_bytes());
        }
        self.queue_whole((submit, flags), body, waiting)
    }

    fn queue_whole(
        &mut self,
        (submit, flags): (Submit, u8),
        body: Packed,
        waiting: impl FnOnce() -> Waiting<T>,
    ) -> Result<Option<u64>, Cause> {
        let bytes = weight(&body);
        let own = self.own_window();
        let channel = &mut self.channels[submit.channel as usize];
        let admitted_at_once = channel.queue.is_empty() && channel.admits(bytes);
        match submit.mode {
            Mode::Try if !admitted_at_once => {
                return Err(Cause::Full);
            }
            Mode::Outbox if !admitted_at_once && !channel.has_outbox(own) => return Err(Cause::Full),
            _ => {}
        }
        if submit.mode == Mode::Outbox {
            channel.outbox_messages += 1;
            channel.outbox_bytes += bytes;
        }
        let key = self.remember((submit, flags), waiting(), Stage::Waiting(body));
        let channel = &mut self.channels[submit.channel as usize];
        channel.queue.push_back(key);
        self.make_ready(submit.channel);
        Ok(Some(key))
    }

    fn remember(&mut self, (submit, flags): (Submit, u8), waiting: Waiting<T>, stage: Stage) -> u64 {
        let Waiting { tag, deadline } = waiting;
        self.next_generation = self.next_generation.wrapping_add(1);
        let call = submit.mode == Mode::Call;
        let index = self.outgoing.insert(Outgoing {
            generation: self.next_generation,
            tag,
            kind: if call { Kind::Call } else { Kind::Cast },
            wants_sent: submit.mode == Mode::Tell,
            in_outbox: submit.mode == Mode::Outbox,
            channel: submit.channel,
            message: submit.message,
            deadline,
            reply_announced: false,
            flags: if submit.right > 0 { flags | RIGHT } else { flags },
            right: submit.right,
            stage,
        });
        let key = self.key_of(index);
        if let Some(deadline) = deadline {
            self.deadlines.push(deadline, key);
            self.sweep_deadlines();
        }
        key
    }

    /// Forgets the deadlines of what has ended: of a slow call and many fast ones after it, only the slow one's is
    /// found from the top.
    fn sweep_deadlines(&mut self) {
        if self.deadlines.len() > 2 * self.outgoing.len() + KEEP_DEADLINES {
            let mut deadlines = std::mem::take(&mut self.deadlines);
            deadlines.retain(|key| self.index_of(key).is_some());
            self.deadlines = deadlines;
        }
    }

    pub(super) fn make_ready(&mut self, channel: u32) {
        let is_ready = &mut self.channels[channel as usize].is_ready;
        if !std::mem::replace(is_ready, true) {
            self.ready.push_back(channel);
        }
    }

    /// Nobody waits for this message any more: if it still waits for credit, it is never sent; if it was sent,
    /// the peer is told (M-7). There will be no event for it. Returns whether it had no outcome yet.
    pub fn cancel(&mut self, key: u64) -> bool {
        let Some(index) = self.index_of(key) else { return false };
        let channel = self.forget(index, key).channel;
        self.sweep_queue(channel);
        self.check();
        true
    }

    /// Takes back a message of which nothing has left yet. There will be no event for it then.
    pub fn withdraw(&mut self, key: u64) -> bool {
        let waits =
            self.index_of(key).is_some_and(|index| matches!(self.outgoing[index].stage, Stage::Waiting(_)));
        waits && self.cancel(key)
    }

    /// Takes out a call that somebody else answers than who was asked, with the deadline that it has. As with a reply, there
    /// will be no event for it. None if it has its outcome, or was not sent yet.
    pub fn take_out(&mut self, key: u64) -> Option<(T, Option<Instant>)> {
        let index = self.index_of(key)?;
        let Stage::Sent { sequence, .. } = self.outgoing[index].stage else { return None };
        let channel = self.outgoing[index].channel as usize;
        self.channels[channel].answer(sequence);
        let taken = self.outgoing.remove(index);
        self.check();
        Some((taken.tag, taken.deadline))
    }

    /// Forgets what was cancelled in a queue, once that is most of it: a sender that gives up and tries again must not
    /// make the queue of a stuck actor grow.
    pub(super) fn sweep_queue(&mut self, channel: u32) {
        let queue = &mut self.channels[channel as usize].queue;
        if queue.len() > 64 && queue.len() > 2 * (self.outgoing.len() + self.watches.waiting_count()) {
            let mut queue = std::mem::take(queue);
            queue.retain(|key| self.index_of(*key).is_some() || self.is_notice(*key) || self.is_hold(*key));
            self.channels[channel as usize].queue = queue;
        }
    }

    /// Removes an outgoing message without an event, and tells the peer where that helps.
    pub(super) fn forget(&mut self, index: usize, key: u64) -> Outgoing<T> {
        let outgoing = self.outgoing.remove(index);
        match &outgoing.stage {
            Stage::Waiting(body) if outgoing.in_outbox => {
                let bytes = weight(body);
                self.channels[outgoing.channel as usize].leave_outbox(bytes);
            }
            Stage::Waiting(_) => {}
            // A cancel that overtakes the request's last chunk would be for nobody: it follows the last (`chunk_is_out`).
            Stage::Streaming { .. } => {}
            Stage::Sent { ends, .. } => self.out.cancel(key, *ends),
        }
        outgoing
    }

    /// Gives a call another deadline; the peer learns it if the call has not left yet. False if there is no such call: it has
    /// its outcome, or others answer it.
    pub fn set_deadline(&mut self, key: u64, deadline: Instant, now: Instant) -> bool {
        let Some(index) = self.index_of(key) else { return false };
        let outgoing = &mut self.outgoing[index];
        outgoing.deadline = Some(deadline);
        if let Stage::Sent { begins, .. } = outgoing.stage {
            self.out.patch_extra(begins, remaining_ms(Some(deadline), now));
        }
        self.deadlines.push_apart(deadline, key);
        true
    }
}

/// What the number of a right adds to a body.
fn right_bytes(right: u32) -> usize {
    if right > 0 { size_of::<u32>() } else { 0 }
}

impl Channel {
    pub(super) fn leave_outbox(&mut self, bytes: u64) {
        self.outbox_messages -= 1;
        self.outbox_bytes -= bytes;
    }
}

pub(super) fn call_header(message: u32, channel: u32, key: u64, timeout_ms: u32) -> Header {
    Header { message, channel, correlation: key, extra: timeout_ms, ..Header::new(Kind::Call) }
}

/// A deadline as it travels: the milliseconds left, rounded up, at least 1; 0 is "none" (H56).
pub(super) fn remaining_ms(deadline: Option<Instant>, now: Instant) -> u32 {
    let Some(deadline) = deadline else { return 0 };
    let left = deadline.saturating_duration_since(now) + Duration::from_nanos(999_999);
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1)
}
