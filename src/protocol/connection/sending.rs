//! Messages of ours: submitted, queued while there is no credit, cancelled.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::channel::{Channel, ChannelState};
use super::large::{CHUNK_BYTES, LargeSend};
use super::{Connection, Event, Outgoing, SOFT_LIMIT_BYTES, Stage};
use crate::codec::{self, EncodeError};
use crate::protocol::frame::{CHUNKED, Header, Kind};
use crate::protocol::wire::{Cause, Failure, Large, Open};

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
    /// When nobody waits any more.
    pub deadline: Option<Instant>,
}

/// A message that was refused at once: it was not and will not be executed.
#[derive(Debug, PartialEq)]
pub struct NotSent<T> {
    /// The message's.
    pub tag: T,
    /// Why.
    pub cause: Cause,
}

impl<T> Connection<T> {
    /// Opens a channel. Messages may be submitted at once; they wait for the answer.
    pub fn open(&mut self, open: &Open) -> u32 {
        let channel = u32::try_from(self.channels.len()).expect("fewer channels than actors");
        self.channels.push(Channel::opening());
        self.out.frame_of(Header { channel, ..Header::new(Kind::Open) }, open);
        channel
    }

    /// Sends a message, or queues it. `Ok(Some(key))` if it can still be cancelled or fail, `Ok(None)` if it is
    /// done: a tell, try or outbox that had room.
    ///
    /// # Errors
    /// The tag comes back with the reason, and there will be no event for it.
    pub fn submit<M: Serialize + ?Sized>(
        &mut self,
        submit: Submit,
        value: &M,
        tag: T,
        now: Instant,
    ) -> Result<Option<u64>, NotSent<T>> {
        let result = self.try_submit(submit, value, tag, now);
        self.check();
        result
    }

    fn try_submit<M: Serialize + ?Sized>(
        &mut self,
        submit: Submit,
        value: &M,
        tag: T,
        now: Instant,
    ) -> Result<Option<u64>, NotSent<T>> {
        if let Some(cause) = &self.lost {
            return Err(NotSent { tag, cause: cause.clone() });
        }
        let channel = &self.channels[submit.channel as usize];
        if let ChannelState::Closed(cause) = &channel.state {
            return Err(NotSent { tag, cause: cause.clone() });
        }
        if self.we_left || self.they_left {
            return Err(NotSent { tag, cause: Cause::ShuttingDown });
        }
        let direct =
            channel.queue.is_empty() && channel.admits(0) && self.out.pending().len() < SOFT_LIMIT_BYTES;
        if !direct {
            let opening = matches!(channel.state, ChannelState::Opening);
            let submit = match submit.mode {
                // Nobody knows yet how much room there is: the outbox has some.
                Mode::Try if opening => Submit { mode: Mode::Outbox, ..submit },
                Mode::Try if !self.may_try(submit.channel) => {
                    return Err(NotSent { tag, cause: Cause::Full });
                }
                _ => submit,
            };
            return match codec::encode(value, self.limit()) {
                Ok(body) => self.queue(submit, body, tag),
                Err(error) => Err(NotSent { tag, cause: self.cause_of(error) }),
            };
        }
        let limit = self.limit();
        let begins = self.out.position();
        let begun = match self.out.begin(value, limit) {
            Ok(begun) => begun,
            Err(error) => return Err(NotSent { tag, cause: self.cause_of(error) }),
        };
        let bytes = begun.length as u64;
        if begun.length > CHUNK_BYTES || !self.channels[submit.channel as usize].admits(bytes) {
            let body = self.out.take_back(begun);
            return self.queue(submit, body, tag);
        }
        let sequence = self.channels[submit.channel as usize].send(bytes);
        if submit.mode != Mode::Call {
            let header =
                Header { message: submit.message, channel: submit.channel, ..Header::new(Kind::Cast) };
            self.out.finish(begun, header);
            return Ok(None);
        }
        let ends = self.out.position();
        let key = self.remember(submit, tag, Stage::Sent { sequence, begins, ends });
        let header = call_header(submit.message, submit.channel, key, submit.deadline, now);
        self.out.finish(begun, header);
        Ok(Some(key))
    }

    /// Whether a `try_send` may go ahead although the outgoing bytes are over their soft limit: it has credit.
    fn may_try(&self, channel: u32) -> bool {
        let channel = &self.channels[channel as usize];
        channel.queue.is_empty() && channel.admits(0)
    }

    /// How large an encoded message may be: what the peer accepts, or, before it said so, what we accept.
    fn limit(&self) -> usize {
        self.theirs.as_ref().unwrap_or(&self.ours.limits).max_message_bytes as usize
    }

    pub(super) fn cause_of(&self, error: EncodeError) -> Cause {
        match error {
            EncodeError::TooLarge { limit } => {
                Cause::TooLarge { limit: u32::try_from(limit).unwrap_or(u32::MAX) }
            }
            EncodeError::Value(reason) => Cause::Encode(reason),
        }
    }

    fn queue(&mut self, submit: Submit, body: Vec<u8>, tag: T) -> Result<Option<u64>, NotSent<T>> {
        let bytes = body.len() as u64;
        let window = self.ours.limits;
        let channel = &mut self.channels[submit.channel as usize];
        let admitted_at_once = channel.queue.is_empty() && channel.admits(bytes);
        match submit.mode {
            Mode::Try if !admitted_at_once => {
                return Err(NotSent { tag, cause: Cause::Full });
            }
            Mode::Outbox if !admitted_at_once => {
                let full = channel.outbox_messages >= u64::from(window.window_messages)
                    || channel.outbox_bytes >= u64::from(window.window_bytes);
                if full {
                    return Err(NotSent { tag, cause: Cause::Full });
                }
            }
            _ => {}
        }
        if submit.mode == Mode::Outbox {
            channel.outbox_messages += 1;
            channel.outbox_bytes += bytes;
        }
        let key = self.remember(submit, tag, Stage::Waiting(body));
        let channel = &mut self.channels[submit.channel as usize];
        channel.queue.push_back(key);
        self.make_ready(submit.channel);
        Ok(Some(key))
    }

    fn remember(&mut self, submit: Submit, tag: T, stage: Stage) -> u64 {
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
            deadline: submit.deadline,
            stage,
        });
        let key = self.key_of(index);
        if let Some(deadline) = submit.deadline {
            self.deadlines.push(Reverse((deadline, key)));
        }
        key
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
        self.forget(index, key);
        self.check();
        true
    }

    /// Removes an outgoing message without an event, and tells the peer where that helps.
    pub(super) fn forget(&mut self, index: usize, key: u64) -> Outgoing<T> {
        let outgoing = self.outgoing.remove(index);
        match &outgoing.stage {
            Stage::Waiting(body) if outgoing.in_outbox => {
                let bytes = body.len() as u64;
                self.channels[outgoing.channel as usize].leave_outbox(bytes);
            }
            // A cancel that overtakes the request's last chunk would be for nobody: `pump_large` sends it.
            Stage::Waiting(_) | Stage::Streaming { .. } => {}
            Stage::Sent { .. } => self.out.control(Kind::Cancel, key, 0),
        }
        outgoing
    }

    /// Gives a call another deadline; the peer learns it if the call has not left yet.
    pub fn set_deadline(&mut self, key: u64, deadline: Instant, now: Instant) {
        let Some(index) = self.index_of(key) else { return };
        let outgoing = &mut self.outgoing[index];
        outgoing.deadline = Some(deadline);
        if let Stage::Sent { begins, .. } = outgoing.stage {
            self.out.patch_extra(begins, remaining_ms(Some(deadline), now));
        }
        self.deadlines.push(Reverse((deadline, key)));
    }

    /// Fills the outgoing bytes from the large bodies and the queues, in turn, up to the soft limit.
    pub(super) fn pump(&mut self, now: Instant) {
        while self.out.pending().len() < SOFT_LIMIT_BYTES {
            let chunked = self.pump_large();
            let queued = self.pump_queue(now);
            if !chunked && !queued {
                break;
            }
        }
        self.check();
    }

    fn pump_large(&mut self) -> bool {
        let Some(mut large) = self.large.turn.pop_front() else { return false };
        let end = (large.offset + CHUNK_BYTES).min(large.body.len());
        let header = Header { channel: large.stream, ..Header::new(Kind::Chunk) };
        self.out.frame(header, &large.body[large.offset..end]);
        large.offset = end;
        if end < large.body.len() {
            self.large.turn.push_back(large);
            return true;
        }
        if let Some(channel) = large.channel {
            self.channels[channel as usize].streaming = false;
            self.make_ready(channel);
        }
        let Some(key) = large.key else { return true };
        let ends = self.out.position();
        match self.index_of(key).map(|index| &mut self.outgoing[index].stage) {
            Some(stage) => {
                if let Stage::Streaming { sequence } = *stage {
                    // Its header is no longer in the outgoing bytes: nothing of it can be patched.
                    *stage = Stage::Sent { sequence, begins: u64::MAX, ends };
                }
            }
            None => self.out.control(Kind::Cancel, key, 0),
        }
        true
    }

    /// Moves one message from the next ready channel.
    fn pump_queue(&mut self, now: Instant) -> bool {
        while let Some(channel) = self.ready.pop_front() {
            self.channels[channel as usize].is_ready = false;
            let Some((key, index)) = self.first_waiting(channel) else { continue };
            let bytes = match &self.outgoing[index].stage {
                Stage::Waiting(body) => body.len() as u64,
                _ => continue,
            };
            if !self.channels[channel as usize].admits(bytes) {
                continue;
            }
            self.channels[channel as usize].queue.pop_front();
            self.send_waiting(key, index, now);
            if !self.channels[channel as usize].queue.is_empty() {
                self.make_ready(channel);
            }
            return true;
        }
        false
    }

    /// The first message of a queue that was not cancelled.
    fn first_waiting(&mut self, channel: u32) -> Option<(u64, usize)> {
        loop {
            let key = *self.channels[channel as usize].queue.front()?;
            match self.index_of(key) {
                Some(index) => return Some((key, index)),
                None => self.channels[channel as usize].queue.pop_front(),
            };
        }
    }

    fn send_waiting(&mut self, key: u64, index: usize, now: Instant) {
        let limit = self.limit();
        let outgoing = &mut self.outgoing[index];
        let (channel, kind, message) = (outgoing.channel, outgoing.kind, outgoing.message);
        let Stage::Waiting(body) = std::mem::replace(&mut outgoing.stage, Stage::Streaming { sequence: 0 })
        else {
            unreachable!("only waiting messages are in a queue");
        };
        let bytes = body.len() as u64;
        if outgoing.in_outbox {
            self.channels[channel as usize].leave_outbox(bytes);
        }
        // It was encoded before the peer had said what it accepts.
        if body.len() > limit {
            let tag = self.outgoing.remove(index).tag;
            let failure = Failure::not_executed(self.cause_of(EncodeError::TooLarge { limit }));
            self.events.push_back(Event::Failed { tag, failure });
            return;
        }
        let sequence = self.channels[channel as usize].send(bytes);
        let deadline = outgoing.deadline;
        let header = match kind {
            Kind::Call => call_header(message, channel, key, deadline, now),
            _ => Header { message, channel, ..Header::new(Kind::Cast) },
        };
        let begins = self.out.position();
        let is_call = kind == Kind::Call;
        let stage = if body.len() > CHUNK_BYTES {
            self.start_large(header, body, Some(channel), is_call.then_some(key));
            Stage::Streaming { sequence }
        } else {
            self.out.frame(header, &body);
            Stage::Sent { sequence, begins, ends: self.out.position() }
        };
        if is_call {
            self.outgoing[index].stage = stage;
            return;
        }
        let done = self.outgoing.remove(index);
        if done.wants_sent {
            self.events.push_back(Event::Sent { tag: done.tag });
        }
    }

    /// Announces a large body; its chunks follow in turn.
    pub(super) fn start_large(
        &mut self,
        header: Header,
        body: Vec<u8>,
        channel: Option<u32>,
        key: Option<u64>,
    ) {
        let stream = self.large.stream();
        let total = u32::try_from(body.len()).expect("a message is at most max_message_bytes, a u32");
        let header = Header { flags: header.flags | CHUNKED, ..header };
        self.out.frame_of(header, &Large { stream, total });
        if let Some(channel) = channel {
            self.channels[channel as usize].streaming = true;
        }
        self.large.turn.push_back(LargeSend { stream, body, offset: 0, channel, key });
    }

    /// Ends every message that waits on a channel.
    pub(super) fn fail_queue(&mut self, channel: u32, cause: &Cause) {
        while let Some((key, index)) = self.first_waiting(channel) {
            self.channels[channel as usize].queue.pop_front();
            let outgoing = self.forget(index, key);
            let failure = Failure::not_executed(cause.clone());
            self.events.push_back(Event::Failed { tag: outgoing.tag, failure });
        }
    }
}

impl Channel {
    fn leave_outbox(&mut self, bytes: u64) {
        self.outbox_messages -= 1;
        self.outbox_bytes -= bytes;
    }
}

fn call_header(message: u32, channel: u32, key: u64, deadline: Option<Instant>, now: Instant) -> Header {
    let extra = remaining_ms(deadline, now);
    Header { message, channel, correlation: key, extra, ..Header::new(Kind::Call) }
}

/// A deadline as it travels: the milliseconds left, rounded up, at least 1; 0 is "none" (H56).
fn remaining_ms(deadline: Option<Instant>, now: Instant) -> u32 {
    let Some(deadline) = deadline else { return 0 };
    let left = deadline.saturating_duration_since(now) + Duration::from_nanos(999_999);
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1)
}
