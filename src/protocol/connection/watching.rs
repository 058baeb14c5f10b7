//! Monitors and links over one connection: references that are given, and the notices that answer them.
//!
//! A notice (`Down`) says that a watched actor ended. It is put on the channel that leads to who is told, behind
//! everything that was submitted there, and needs no credit itself: so it comes after all that the dead one had sent
//! (H58), whether that waits for credit, for the rest of a large body, or in the receiver's mailbox. Where no channel
//! leads there nothing was sent, and it goes by itself.
//!
//! ```text
//!  the side that gave the reference          the side that watches for it
//!
//!   watch -> Given ---- Monitor ------------> Taken --(ended: notify)--> gone
//!              |  '<--- Down, BACK -----------'  |
//!              |                                 |
//!              +--(unwatch)--- Demonitor ------->+--> gone
//!              +--(the linked one here ended:)-->+--> gone: Event::Ended
//!              |   notify ---- Down              |
//!            lost: take_watches                lost: take_watches
//! ```
//!
//! - N-5 a reference that was given leaves exactly one of: a `Down` event, its place in `take_watches` after the
//!   connection was lost, or nothing, if its owner took it back before. What crosses a reference that is gone is
//!   dropped; references rise and are never used twice, so it can't be meant for another.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::channel::ChannelState;
use super::outbound::{Rank, encoded};
use super::receiving::parse;
use super::{Connection, Event, ProtocolError};
use crate::protocol::frame::{BACK, Header, Kind, LINK};
use crate::protocol::watching::{EndReason, Reference, Watch};
use crate::protocol::wire::Cause;

/// References that each side may have given and not be rid of: each costs the other side a place in a table, and at
/// most one notice beyond the windows. As many as a process may have actors.
pub const MAX_WATCHES: usize = 1 << 16;

/// The channel of a notice that goes by itself.
pub(super) const NO_CHANNEL: u32 = u32::MAX;

/// A key of a notice in a channel's queue: no message has this index.
const NOTICE_INDEX: u64 = u32::MAX as u64;

/// What is under way in both directions.
#[derive(Debug, Default)]
pub(super) struct Watches {
    /// References that we gave and that have not ended.
    given: FxHashSet<u64>,
    last_given: u64,
    /// References of the peer of which we have not told the end.
    taken: FxHashSet<u64>,
    last_taken: u64,
    /// Notices that wait on a channel, by their key in its queue.
    waiting: FxHashMap<u64, Notice>,
    last_notice: u64,
}

#[derive(Debug)]
struct Notice {
    header: Header,
    body: Vec<u8>,
}

/// What stands first in a channel's queue.
pub(super) enum First {
    Message(u64, usize),
    Notice(u64),
    /// Behind which all waits.
    Hold(u64),
}

impl<T> Connection<T> {
    /// Asks the peer to tell of an actor's end. With `linked`, the peer is also to be told of an end here.
    ///
    /// # Errors
    /// [`Cause::Full`] with as many as a connection may have; anything else says that the connection is over.
    pub fn watch(&mut self, watch: &Watch, linked: bool) -> Result<Reference, Cause> {
        if let Some(cause) = &self.lost {
            return Err(cause.clone());
        }
        if self.we_left || self.they_left {
            return Err(Cause::ShuttingDown);
        }
        if self.watches.given.len() >= MAX_WATCHES {
            return Err(Cause::Full);
        }
        self.watches.last_given += 1;
        let reference = self.watches.last_given;
        self.watches.given.insert(reference);
        let flags = if linked { LINK } else { 0 };
        let header = Header { correlation: reference, flags, ..Header::new(Kind::Monitor) };
        self.out.frame_of(Rank::Messages, header, watch);
        Ok(Reference(reference))
    }

    /// Nobody wants to hear of it any more. With `back`, the reference is one that the peer gave. Whether it was there.
    pub fn unwatch(&mut self, reference: Reference, back: bool) -> bool {
        let was = self.watches.of(back).remove(&reference.0);
        if was && self.lost.is_none() {
            let flags = if back { BACK } else { 0 };
            let header = Header { correlation: reference.0, flags, ..Header::new(Kind::Demonitor) };
            self.out.bare(Rank::Messages, header);
        }
        was
    }

    /// An actor here that the reference is about has ended: the peer is told, behind what was submitted on `channel`.
    /// With `back`, the reference is one that the peer gave. Whether it was there.
    pub fn notify(
        &mut self,
        reference: Reference,
        back: bool,
        channel: Option<u32>,
        reason: &EndReason,
    ) -> bool {
        if !self.watches.of(back).remove(&reference.0) {
            return false;
        }
        if self.lost.is_some() {
            return true;
        }
        let flags = if back { BACK } else { 0 };
        let header = Header { correlation: reference.0, flags, ..Header::new(Kind::Down) };
        let notice = Notice { header, body: encoded(reason) };
        match channel.filter(|channel| self.leads_somewhere(*channel)) {
            None => self.send_notice(NO_CHANNEL, &notice),
            Some(channel) if self.may_send_notice(channel) => self.send_notice(channel, &notice),
            Some(channel) => {
                self.watches.last_notice = (self.watches.last_notice + 1) & u64::from(u32::MAX);
                let key = self.watches.last_notice << 32 | NOTICE_INDEX;
                self.watches.waiting.insert(key, notice);
                self.channels[channel as usize].queue.push_back(key);
                self.make_ready(channel);
            }
        }
        self.check();
        true
    }

    /// The references that are left when the connection is lost, each once: those that we gave, and those of the peer.
    pub fn take_watches(&mut self) -> (Vec<Reference>, Vec<Reference>) {
        let sorted = |set: &mut FxHashSet<u64>| {
            let mut all: Vec<Reference> = set.drain().map(Reference).collect();
            all.sort_unstable();
            all
        };
        self.watches.waiting.clear();
        (sorted(&mut self.watches.given), sorted(&mut self.watches.taken))
    }

    fn leads_somewhere(&self, channel: u32) -> bool {
        let state = self.channels.get(channel as usize).map(|channel| &channel.state);
        state.is_some_and(|state| !matches!(state, ChannelState::Refused(_) | ChannelState::Free))
    }

    fn may_send_notice(&self, channel: u32) -> bool {
        let channel = &self.channels[channel as usize];
        matches!(channel.state, ChannelState::Open(_)) && !channel.streaming && channel.queue.is_empty()
    }

    fn send_notice(&mut self, channel: u32, notice: &Notice) {
        self.out.frame(Rank::Messages, Header { channel, ..notice.header }, &notice.body);
    }

    /// Sends a notice that has come to the front of its channel, if the channel is not in the middle of a body.
    pub(super) fn pump_notice(&mut self, channel: u32, key: u64) -> bool {
        let place = &mut self.channels[channel as usize];
        if place.streaming || !matches!(place.state, ChannelState::Open(_)) {
            return false;
        }
        place.queue.pop_front();
        if let Some(notice) = self.watches.waiting.remove(&key) {
            self.send_notice(channel, &notice);
        }
        true
    }

    pub(super) fn is_notice(&self, key: u64) -> bool {
        key & NOTICE_INDEX == NOTICE_INDEX && self.watches.waiting.contains_key(&key)
    }

    /// What waits on a channel will not be sent: its notices are all the same, behind the body that is on its way.
    pub(super) fn keep_notices(&mut self, channel: u32, notices: VecDeque<u64>) {
        if notices.is_empty() {
            return;
        }
        let place = &mut self.channels[channel as usize];
        if matches!(place.state, ChannelState::Open(_)) {
            place.queue = notices;
            return self.make_ready(channel);
        }
        for key in notices {
            if let Some(notice) = self.watches.waiting.remove(&key) {
                self.send_notice(NO_CHANNEL, &notice);
            }
        }
    }

    pub(super) fn on_monitor<'a>(
        &mut self,
        header: Header,
        body: &[u8],
    ) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let watch: Watch = parse(Kind::Monitor, body)?;
        let reference = Reference(header.correlation);
        if reference.0 <= self.watches.last_taken || self.watches.taken.len() >= MAX_WATCHES {
            return Err(ProtocolError::Reference(reference.0));
        }
        self.watches.last_taken = reference.0;
        self.watches.taken.insert(reference.0);
        Ok(Some(Event::Watch { reference, watch, linked: header.flags & LINK != 0 }))
    }

    pub(super) fn on_demonitor<'a>(&mut self, header: Header) -> Result<Option<Event<'a, T>>, ProtocolError> {
        // A reference that they gave, unless they say that it is one of ours.
        let back = header.flags & BACK == 0;
        let reference = Reference(header.correlation);
        let was = self.watches.remove_known(reference, back)?;
        Ok(was.then_some(Event::Unwatch { reference, back }))
    }

    pub(super) fn on_down<'a>(
        &mut self,
        header: Header,
        body: &[u8],
    ) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let reason: EndReason = parse(Kind::Down, body)?;
        let back = header.flags & BACK == 0;
        let reference = Reference(header.correlation);
        let channel = (header.channel != NO_CHANNEL).then_some(header.channel);
        if let Some(channel) = channel {
            let served = self.served.get(channel as usize);
            if served.is_none_or(|served| !served.answered || served.streaming) {
                return Err(ProtocolError::Channel(channel));
            }
        }
        if !self.watches.remove_known(reference, back)? {
            return Ok(None);
        }
        if let Some(channel) = channel {
            self.served[channel as usize].notices += 1;
        }
        Ok(Some(Event::Ended { channel, reference, back, reason }))
    }

    /// A notice that this side makes itself takes its place on a channel of the peer, behind what has arrived there.
    /// Whether there is such a channel.
    pub fn place_notice(&mut self, channel: u32) -> bool {
        match self.served.get_mut(channel as usize).filter(|served| !served.is_free) {
            Some(served) => {
                served.notices += 1;
                true
            }
            None => false,
        }
    }

    /// A notice comes out of the mailbox: see [`begin`](Self::begin). It counts in no window.
    pub fn begin_notice(&mut self, channel: u32) -> super::Begin {
        if !self.we_left && self.stands_aside(channel, false) {
            return super::Begin::Aside;
        }
        self.drop_notice(channel);
        if self.we_left { super::Begin::Left } else { super::Begin::Proceed }
    }

    /// As [`begin_again`](Self::begin_again), for a notice that stood aside.
    pub fn begin_notice_again(&mut self, channel: u32) -> (super::Begin, bool) {
        self.drop_notice(channel);
        let begin = if self.we_left { super::Begin::Left } else { super::Begin::Proceed };
        (begin, self.came_back(channel))
    }

    /// A notice has left the mailbox, told or not.
    pub fn drop_notice(&mut self, channel: u32) {
        let Some(served) = self.served.get_mut(channel as usize) else { return };
        served.notices = served.notices.saturating_sub(1);
        if served.is_closing && self.lost.is_none() {
            self.finish_closing(channel);
        }
    }
}

impl Watches {
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    /// The references of one side: those of the peer, or ours.
    fn of(&mut self, back: bool) -> &mut FxHashSet<u64> {
        if back { &mut self.taken } else { &mut self.given }
    }

    /// Removes a reference; whether it was there. One that was never given is a violation.
    fn remove_known(&mut self, reference: Reference, back: bool) -> Result<bool, ProtocolError> {
        let last = if back { self.last_taken } else { self.last_given };
        if reference.0 == 0 || reference.0 > last {
            return Err(ProtocolError::Reference(reference.0));
        }
        Ok(self.of(back).remove(&reference.0))
    }
}
