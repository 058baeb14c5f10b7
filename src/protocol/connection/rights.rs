//! Rights on a channel: by which address a message comes.
//!
//! An actor has one channel, one window and one order for all that a process sends to it (M-1), by whatever address. The
//! address that opened the channel is right 0 and costs its messages nothing. Any other is presented once and numbered,
//! and its messages bear the number. The receiver checks an address when it is presented, and says `Denied` of one that
//! is good for nothing: then what waits for it fails at the sender, and the channel lives on for the others.
//!
//! ```text
//!  sender: Open (right 0) ------------------> receiver checks it once
//!          Present (right 1) ---------------> and this
//!          Call, Cast ----------------------> by right 0
//!          Call, Cast with RIGHT, 1 --------> by right 1
//!          <----------------- Denied (1)      it was revoked
//! ```

use super::channel::{Channel, ChannelState};
use super::outbound::Rank;
use super::receiving::parse;
use super::{Connection, Event, ProtocolError, Stage};
use crate::codec::Encoded;
use crate::id::Capability;
use crate::protocol::frame::{Header, Kind, RIGHT};
use crate::protocol::wire::{Cause, Failure, MessageId};

/// Rights beside those that opened channels, over all channels of a side: each costs the receiver a place in a table for
/// as long as the channel is open.
pub const MAX_PRESENTED: usize = 1 << 16;

/// How many of both sides there are.
#[derive(Debug, Default)]
pub(super) struct Presented {
    pub(super) ours: usize,
    pub(super) theirs: usize,
}

/// What few channels have.
#[derive(Debug, Default)]
pub(super) struct More {
    /// The first is right 1.
    pub(super) rights: Vec<Capability>,
    /// Rights that are good for nothing, and why.
    denied: Vec<(u32, Cause)>,
}

impl Channel {
    /// Why nothing may be sent by this right, if that was said.
    pub(super) fn denied(&self, right: u32) -> Option<&Cause> {
        let more = self.more.as_ref()?;
        more.denied.iter().find(|(denied, _)| *denied == right).map(|(_, cause)| cause)
    }
}

impl<T> Connection<T> {
    /// Shows another right to send on a channel, and gives its number there.
    ///
    /// # Errors
    /// [`Cause::Full`] with as many as a connection may have.
    pub fn present(&mut self, channel: u32, capability: &Capability) -> Result<u32, Cause> {
        if self.presented.ours >= MAX_PRESENTED {
            return Err(Cause::Full);
        }
        self.presented.ours += 1;
        let place = &mut self.channels[channel as usize];
        let more = place.more.get_or_insert_default();
        more.rights.push(*capability);
        let right = u32::try_from(more.rights.len()).expect("fewer than MAX_PRESENTED");
        // Behind `Close` it has no place; with the channel it is shown again.
        if !matches!(place.state, ChannelState::Closing | ChannelState::Shut) {
            self.send_present(channel, right, capability);
        }
        Ok(right)
    }

    fn send_present(&mut self, channel: u32, right: u32, capability: &Capability) {
        let header = Header { channel, correlation: right.into(), ..Header::new(Kind::Present) };
        self.out.frame_of(Rank::Messages, header, capability);
    }

    /// A channel that was closed is opened again for what waits on it.
    pub(super) fn present_again(&mut self, channel: u32) {
        let more = self.channels[channel as usize].more.as_ref();
        let rights = more.map(|more| more.rights.clone()).unwrap_or_default();
        for (right, capability) in (1..).zip(&rights) {
            self.send_present(channel, right, capability);
        }
    }

    /// Tells the peer that a right of its is good for nothing, or for nothing any more.
    pub fn deny(&mut self, channel: u32, right: u32, cause: &Cause) {
        let lives = self.served.get(channel as usize).is_some_and(|served| !served.is_free);
        if lives && self.lost.is_none() {
            let header = Header { channel, correlation: right.into(), ..Header::new(Kind::Denied) };
            self.out.frame_of(Rank::Control, header, cause);
        }
        self.check();
    }

    /// A right of ours is good for nothing: what waits for it fails, and nothing more is sent by it.
    pub fn handle_denied(&mut self, channel: u32, right: u32, cause: &Cause) {
        let Some(place) = self.channels.get_mut(channel as usize) else { return };
        let more = place.more.get_or_insert_default();
        if !more.denied.iter().any(|(denied, _)| *denied == right) {
            more.denied.push((right, cause.clone()));
        }
        let keys: Vec<u64> = place.queue.iter().copied().collect();
        for key in keys {
            let Some(index) = self.index_of(key) else { continue };
            let outgoing = &self.outgoing[index];
            // What asks whether all has arrived asks by no right.
            let is_by_it = outgoing.right == right && outgoing.message != MessageId::ARRIVED.0;
            if is_by_it && matches!(outgoing.stage, Stage::Waiting(_)) {
                let tag = self.forget(index, key).tag;
                let failure = Failure::not_executed(cause.clone());
                self.events.push_back(Event::Failed { tag, failure });
            }
        }
        self.check();
    }

    pub(super) fn on_present<'a>(
        &mut self,
        header: Header,
        body: &[u8],
    ) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let capability: Capability = parse(Kind::Present, body)?;
        let (channel, wrong) = (header.channel, ProtocolError::Right(header.channel, header.correlation));
        let served = self.served.get_mut(channel as usize).filter(|served| !served.is_free);
        let served = served.filter(|served| !served.is_closing).ok_or(ProtocolError::Channel(channel))?;
        if header.correlation != u64::from(served.presented) + 1 || self.presented.theirs >= MAX_PRESENTED {
            return Err(wrong);
        }
        served.presented += 1;
        self.presented.theirs += 1;
        Ok(Some(Event::Present { channel, right: served.presented, capability }))
    }

    pub(super) fn on_denied<'a>(
        &mut self,
        header: Header,
        body: &[u8],
    ) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let cause: Cause = parse(Kind::Denied, body)?;
        let channel =
            self.channels.get(header.channel as usize).ok_or(ProtocolError::Channel(header.channel))?;
        let shown = channel.more.as_ref().map_or(0, |more| more.rights.len());
        match u32::try_from(header.correlation) {
            Ok(right) if right as usize <= shown => {
                self.handle_denied(header.channel, right, &cause);
                Ok(None)
            }
            _ => Err(ProtocolError::Right(header.channel, header.correlation)),
        }
    }

    /// Takes the number of the right off the end of a body that has one.
    pub(super) fn take_right(&self, header: Header, body: &mut Encoded<'_>) -> Result<u32, ProtocolError> {
        if header.flags & RIGHT == 0 {
            return Ok(0);
        }
        let Some((rest, number)) = body.bytes.split_last_chunk() else {
            let reason = "it has no room for the number of a right".to_owned();
            return Err(ProtocolError::Body { kind: header.kind, reason });
        };
        let (right, end) = (u32::from_le_bytes(*number), rest.len());
        if right == 0 || right > self.served[header.channel as usize].presented {
            return Err(ProtocolError::Right(header.channel, right.into()));
        }
        body.bytes.truncate(end);
        Ok(right)
    }
}
