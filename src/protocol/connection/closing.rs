//! Channels that nobody uses any more are closed, and their numbers used again, so that the tables of both sides are as
//! long as what is in use (M-3).
//!
//! The opener looks through its channels when there are as many more than the last time as were used again by then, and closes those
//! on which nothing was sent since then and nothing is owed; but none where more than a quarter of those that it has opened since had been closed so, which
//! says that more are in use than it keeps. What is submitted while a channel closes waits, and opens it
//! again. The receiver answers when everything that had arrived was taken, and frees its place first.
//!
//! ```text
//!  opener: Close ------------------------> receiver: waits until all was taken
//!          what is submitted now waits
//!          <------------------------ Closed   says no more about this number
//!          Open, the same number -------->    for whoever waits, or for another actor
//! ```

use super::channel::{Channel, ChannelState, Served};
use super::outbound::Rank;
use super::{Connection, Event, MAX_CHANNELS, ProtocolError};
use crate::id::Capability;
use crate::protocol::frame::{Header, Kind};
use crate::protocol::wire::{Cause, Open};

/// Fewer channels than this are not worth looking through.
const SWEEP_FROM: usize = 1024;

/// With so many some are closed whatever was closed before: the rest is for what is opened until those are.
const SWEEP_BY: usize = MAX_CHANNELS / 4 * 3;

/// `in_use`, and so many that were opened since the last look, of so many places.
fn is_look_due(in_use: usize, sweep_at: usize, opened: usize, places: usize) -> bool {
    // A look costs as much as there are places.
    in_use >= sweep_at.clamp(SWEEP_FROM, SWEEP_BY) && opened >= places / 16
}

impl<T> Connection<T> {
    /// Opens a channel. Messages may be submitted at once; they wait for the answer.
    ///
    /// With as many channels as a connection may have, all of them in use, the channel refuses everything as `Full`.
    pub fn open(&mut self, open: &Open) -> u32 {
        self.regrets.note_opened(&open.target);
        let in_use = self.channels.len() - self.free.len() - self.closing;
        if is_look_due(in_use, self.sweep_at, self.regrets.opened(), self.channels.len()) {
            let are_kept = self.regrets.prevail() && in_use < SWEEP_BY;
            self.look_through_channels(!are_kept);
        }
        let number = self.free.pop().unwrap_or_else(|| {
            // The one past the last stands for all that have no place.
            let next = self.channels.len().min(MAX_CHANNELS);
            if next == self.channels.len() {
                self.channels.push(Channel::opening(open.target));
            }
            u32::try_from(next).expect("channels are numbered in u32")
        });
        let place = &mut self.channels[number as usize];
        *place = place.renewed(open.target);
        if number as usize >= MAX_CHANNELS {
            place.state = ChannelState::Refused(Cause::Full);
            return number;
        }
        self.out.frame_of(Rank::Messages, Header { channel: number, ..Header::new(Kind::Open) }, open);
        number
    }

    /// How many targets the number of a channel had before its present one. Whoever remembers a number compares.
    pub fn uses_of(&self, channel: u32) -> u32 {
        self.channels[channel as usize].uses
    }

    /// Closes, if it is to, what was not used since the last time and nothing is owed on.
    fn look_through_channels(&mut self, closes: bool) {
        for (_, outgoing) in &self.outgoing {
            self.channels[outgoing.channel as usize].is_used = true;
        }
        let (mut left, mut used_again) = (0, 0);
        for number in 0..self.channels.len() {
            let channel = &mut self.channels[number];
            if matches!(channel.state, ChannelState::Free | ChannelState::Closing | ChannelState::Shut) {
                continue;
            }
            let is_settled = matches!(channel.state, ChannelState::Open(_) | ChannelState::Refused(_))
                && channel.queue.is_empty()
                && !channel.streaming
                && number < MAX_CHANNELS;
            let (is_used, is_new) =
                (std::mem::take(&mut channel.is_used), std::mem::take(&mut channel.is_new));
            if is_used || !is_settled || !closes {
                left += 1;
                used_again += usize::from(is_used && !is_new);
                continue;
            }
            channel.state = ChannelState::Closing;
            self.regrets.note_closed(&channel.target);
            self.closing += 1;
            let number = u32::try_from(number).expect("channels are numbered in u32");
            self.out.bare(Rank::Messages, Header { channel: number, ..Header::new(Kind::Close) });
        }
        // Room for those that are used again and again. Those that are new may be used no more.
        let room = if closes { used_again.max(SWEEP_FROM / 2) } else { left };
        self.sweep_at = left + room;
    }

    /// The receiver has taken everything: who knows the channel by its target decides, by [`release`](Self::release).
    pub(super) fn on_closed<'a>(&mut self, header: Header) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let channel = self
            .channels
            .get_mut(header.channel as usize)
            .filter(|channel| matches!(channel.state, ChannelState::Closing))
            .ok_or(ProtocolError::Channel(header.channel))?;
        channel.state = ChannelState::Shut;
        Ok(Some(Event::Shut { channel: header.channel }))
    }

    /// Frees a channel that was shut, and says whom it led to; or opens it again, if somebody waits for it.
    pub fn release(&mut self, number: u32) -> Option<Capability> {
        let waits = self.first_waiting(number).is_some();
        let channel = self.channels.get_mut(number as usize)?;
        if !matches!(channel.state, ChannelState::Shut) {
            return None;
        }
        self.closing -= 1;
        let target = channel.target;
        let more = channel.more.take();
        if !waits {
            self.presented.ours -= more.map_or(0, |more| more.rights.len());
            *channel = channel.renewed(target);
            channel.uses = channel.uses.wrapping_add(1);
            channel.state = ChannelState::Free;
            self.free.push(number);
            return Some(target);
        }
        let fresh = channel.renewed(target);
        let shut = std::mem::replace(channel, fresh);
        (channel.queue, channel.holds) = (shut.queue, shut.holds);
        channel.more = more;
        (channel.outbox_messages, channel.outbox_bytes) = (shut.outbox_messages, shut.outbox_bytes);
        self.regrets.note_opened(&target);
        let open = Open { target };
        self.out.frame_of(Rank::Messages, Header { channel: number, ..Header::new(Kind::Open) }, &open);
        self.present_again(number);
        None
    }

    /// The peer needs one of its channels no more.
    pub(super) fn on_close<'a>(&mut self, header: Header) -> Result<Option<Event<'a, T>>, ProtocolError> {
        let served = self
            .served
            .get_mut(header.channel as usize)
            .filter(|served| !served.is_free && !served.is_closing && !served.streaming)
            .ok_or(ProtocolError::Channel(header.channel))?;
        // Nothing more may be sent on it.
        served.answered = false;
        served.is_closing = true;
        self.finish_closing(header.channel);
        Ok(None)
    }

    /// Frees the place of a channel that the peer closes, once everything was taken.
    pub(super) fn finish_closing(&mut self, number: u32) {
        let served = &mut self.served[number as usize];
        if !served.is_closing || !served.is_taken() {
            return;
        }
        self.presented.theirs -= served.presented as usize;
        *served = Served::new(served.window);
        served.is_free = true;
        self.out.bare(Rank::Control, Header { channel: number, ..Header::new(Kind::Closed) });
        self.events.push_back(Event::Closed { channel: number });
    }

    /// A place for a channel that the peer opens: the next, or one that is free. Whether there is.
    pub(super) fn place_served(&mut self, number: u32) -> bool {
        let fresh = Served::new(self.our_window());
        let next = self.served.len();
        match self.served.get_mut(number as usize) {
            Some(served) if served.is_free => *served = fresh,
            None if number as usize == next && next < MAX_CHANNELS => self.served.push(fresh),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::pair_tests::Pair;
    use std::collections::BTreeMap;

    use super::super::{Mode, Submit, Waiting};
    use super::*;
    use crate::id::{ProcessId, Slot};

    fn open(pair: &mut Pair, slot: u32) -> u32 {
        pair.left.open(&Open { target: target(slot) })
    }

    fn target(slot: u32) -> Capability {
        Capability::unsealed(crate::id::ActorId::declared(ProcessId(2), Slot(slot)))
    }

    /// Opens a channel to each of so many actors and sends one message on each, and has it taken.
    fn visit(pair: &mut Pair, slots: std::ops::Range<u32>) -> Vec<u32> {
        slots
            .map(|slot| {
                let channel = open(pair, slot);
                pair.step(usize::MAX);
                pair.right.grant(channel);
                pair.step(usize::MAX);
                pair.submit(channel, Mode::Try, b"x", slot).expect("room");
                pair.step(usize::MAX);
                pair.right.take(channel, 9);
                pair.step(usize::MAX);
                channel
            })
            .collect()
    }

    /// As the owner of the left connection does, with those that were shut.
    fn release(pair: &mut Pair) -> Vec<Capability> {
        if pair.left.closing == 0 {
            return Vec::new();
        }
        let shut: Vec<u32> = (0..u32::try_from(pair.left.channels.len()).expect("few"))
            .filter(|number| matches!(pair.left.channels[*number as usize].state, ChannelState::Shut))
            .collect();
        shut.into_iter().filter_map(|number| pair.left.release(number)).collect()
    }

    #[test]
    fn m3_channels_without_use_are_closed_and_their_numbers_used_again() {
        let mut pair = Pair::new();
        let mut highest = 0;
        for round in 0..20 {
            let channels = visit(&mut pair, round * 1000..(round + 1) * 1000);
            highest = channels.into_iter().max().max(Some(highest)).expect("some");
            release(&mut pair);
        }
        assert!(highest < 5000, "{highest}: both tables are as long as what was in use");
        assert_eq!(pair.right.served.len(), highest as usize + 1);
    }

    /// One message to that actor, by the channel that leads to it or by a new one. Whether it was opened.
    fn tell(pair: &mut Pair, channels: &mut BTreeMap<u32, u32>, slot: u32) -> bool {
        let known = channels.get(&slot).copied();
        if let Some(channel) = known {
            pair.submit(channel, Mode::Try, b"x", slot).expect("room");
            pair.step(usize::MAX);
            pair.right.take(channel, 9);
            pair.step(usize::MAX);
        } else {
            channels.insert(slot, visit(pair, slot..slot + 1)[0]);
        }
        for shut in release(pair) {
            channels.remove(&shut.slot().0);
        }
        known.is_none()
    }

    #[test]
    fn m3_more_actors_than_are_kept_that_are_used_in_turn_are_not_opened_for_each_message() {
        let (mut pair, mut channels) = (Pair::new(), BTreeMap::new());
        let count = 2500;
        let in_turn = |pair: &mut Pair, channels: &mut BTreeMap<u32, u32>| -> usize {
            (0..count).map(|slot| usize::from(tell(pair, channels, slot))).sum()
        };
        let opened = [(); 4].map(|()| in_turn(&mut pair, &mut channels));
        assert!(opened[1] > 0, "the first round is taken for actors that are used once: {opened:?}");
        assert_eq!(opened[3], 0, "{opened:?}");
        // Beside them others are used once, and do not stay.
        let mut opened = Vec::new();
        for slot in count..8 * count {
            tell(&mut pair, &mut channels, slot);
            opened.push(tell(&mut pair, &mut channels, slot % count));
        }
        let again = opened.iter().rev().take(count as usize).filter(|opened| **opened).count();
        assert_eq!(again, 0, "those that are used in turn stay");
        assert!(pair.left.channels.len() <= 4 * count as usize, "{}", pair.left.channels.len());
    }

    #[test]
    fn m3_a_table_that_is_nearly_full_is_looked_through_again_and_again() {
        // Nothing but a look closes channels.
        assert!(is_look_due(SWEEP_BY, usize::MAX, MAX_CHANNELS / 16, MAX_CHANNELS));
        assert!(is_look_due(MAX_CHANNELS, usize::MAX, MAX_CHANNELS / 16, MAX_CHANNELS));
        assert!(!is_look_due(MAX_CHANNELS, usize::MAX, 1, MAX_CHANNELS), "not for each that is opened");
        assert!(!is_look_due(SWEEP_FROM - 1, 0, SWEEP_FROM, SWEEP_FROM));
    }

    #[test]
    fn m1_what_is_submitted_while_a_channel_closes_waits_and_opens_it_again() {
        let mut pair = Pair::new();
        let channels = visit(&mut pair, 0..1024);
        // The first look finds everything used, the second finds it unused.
        pair.left.look_through_channels(true);
        pair.left.look_through_channels(true);
        pair.submit(channels[0], Mode::Tell, b"later", 5000).expect("queued");
        assert_eq!(
            pair.submit(channels[1], Mode::Try, b"later", 5001),
            Ok(pair.left_key()),
            "as while it opens"
        );
        pair.step(usize::MAX);
        pair.opens.clear();
        let released = release(&mut pair);
        assert_eq!(released.len(), 1022);
        pair.step(usize::MAX);
        pair.opens.sort_unstable();
        for channel in std::mem::take(&mut pair.opens) {
            if [channels[0], channels[1]].contains(&channel) {
                pair.right.grant(channel);
            }
        }
        pair.step(usize::MAX);
        let last: Vec<u32> = pair.delivered.iter().rev().take(2).map(|(message, ..)| *message).collect();
        assert!(last.contains(&5000) && last.contains(&5001), "{last:?}");
        assert_eq!((pair.left.uses_of(channels[0]), pair.left.uses_of(channels[5])), (0, 1));
    }

    #[test]
    fn m1_a_right_that_is_shown_while_a_channel_closes_is_shown_with_the_next() {
        let mut pair = Pair::new();
        let channel = visit(&mut pair, 0..1)[0];
        pair.left.look_through_channels(true);
        pair.left.look_through_channels(true);
        assert!(matches!(pair.left.channels[channel as usize].state, ChannelState::Closing));
        let right = pair.left.present(channel, &target(0)).expect("room");
        let submit = Submit { channel, message: 77, mode: Mode::Tell, timeout_ms: 0, right };
        pair.left.submit(submit, &(), || Waiting { tag: 77, deadline: None }).expect("queued");
        // No violation, and the right is there where the message needs it.
        pair.step(usize::MAX);
        pair.opens.clear();
        assert!(release(&mut pair).is_empty(), "somebody waits");
        pair.step(usize::MAX);
        assert_eq!(std::mem::take(&mut pair.opens), [channel]);
        pair.right.grant(channel);
        pair.step(usize::MAX);
        assert_eq!(pair.delivered.last().map(|(message, ..)| *message), Some(77));
        assert_eq!((pair.left.presented.ours, pair.right.presented.theirs), (1, 1));
    }

    #[test]
    fn m2_a_channel_is_closed_when_everything_was_taken_and_not_before() {
        let mut pair = Pair::new();
        let channel = visit(&mut pair, 0..1)[0];
        pair.submit(channel, Mode::Try, b"slow", 7).expect("room");
        pair.left.look_through_channels(true);
        pair.left.look_through_channels(true);
        pair.step(usize::MAX);
        assert!(release(&mut pair).is_empty());
        pair.right.take(channel, 12);
        pair.step(usize::MAX);
        assert_eq!(release(&mut pair), [target(0)]);
        // A call that has no reply yet keeps its channel.
        let channel = visit(&mut pair, 1..2)[0];
        let submit = Submit { channel, message: 8, mode: Mode::Call, timeout_ms: 0, right: 0 };
        pair.left.submit(submit, &(), || Waiting { tag: 8, deadline: None }).expect("sent");
        pair.left.look_through_channels(true);
        pair.left.look_through_channels(true);
        assert!(matches!(pair.left.channels[channel as usize].state, ChannelState::Open(_)));
    }

    #[test]
    fn x1_a_message_on_a_closed_channel_is_a_violation() {
        let mut pair = Pair::new();
        let channel = visit(&mut pair, 0..1)[0];
        pair.left.look_through_channels(true);
        pair.left.look_through_channels(true);
        pair.step(usize::MAX);
        // A hostile peer goes on.
        pair.left.channels[channel as usize].state =
            ChannelState::Open(super::super::channel::Window { messages: 9, bytes: 99 });
        pair.submit(channel, Mode::Try, b"", 1).expect("sent");
        assert_eq!(pair.exchange(usize::MAX), Err(ProtocolError::Window(channel)));
    }
}
