//! Watchers: they watch, link, look away; who they watch ends, or its process does.
//!
//! - W-7 (N-5) Each watch ends once: told, left when its pipe is lost, or taken back; and none that was taken back is told.
//! - W-8 (H58) Nothing that was submitted to the watcher before the end was said arrives behind it.

use std::collections::BTreeMap;

use procession::id::{ActorId, Capability, Slot};
use procession::protocol::watching::{EndReason, Reference, Watch};

use super::link::id;
use super::world::{State, World};

/// One watch, by the pipe, the side that gave the reference, and the reference.
pub(crate) type Key = (usize, usize, Reference);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    Given,
    Told,
    Left,
    TakenBack,
    /// Its watcher's process is gone.
    Orphaned,
}

/// An actor of ours that a peer watches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed {
    key: Key,
    /// Which of the peer's actors is told; none if nobody with an address is.
    watcher: Option<usize>,
    linked: bool,
}

#[derive(Default)]
pub(crate) struct Watches {
    pub(crate) fates: BTreeMap<Key, Fate>,
    /// What was watched, on the other side.
    pub(crate) observed: Vec<Observed>,
    /// Links that may end at the side that made them.
    linked: Vec<(Key, usize)>,
    /// With each end that was said: the next message at that time, and whose mailbox it is about.
    said: BTreeMap<(Key, bool), (u32, Option<usize>)>,
}

fn actor(actor: usize, process: usize) -> ActorId {
    ActorId::declared(id(process), Slot(u32::try_from(actor).unwrap()))
}

impl World {
    /// What a process watches, forgets or ends in a round.
    pub(crate) fn watch_some(&mut self, process: usize) {
        if self.happens(self.scenario.watches) {
            self.watch_one(process);
        }
        if self.happens(self.scenario.watches / 3.0) {
            self.look_away(process);
        }
        if self.happens(self.scenario.watches / 2.0) {
            self.end_one(process);
        }
        if self.happens(self.scenario.watches / 4.0) {
            self.end_a_linked_one(process);
        }
    }

    fn watch_one(&mut self, process: usize) {
        let other = (process + self.dice.usize(1..self.processes.len())) % self.processes.len();
        let whom = self.dice.usize(..=self.scenario.actors);
        let (link, side) = self.link_to(process, other);
        let watcher = (self.dice.u8(..5) > 0).then(|| self.dice.usize(..self.scenario.actors));
        let linked = watcher.is_some() && self.dice.bool();
        let watch = Watch {
            target: Capability::unsealed(actor(whom, other)),
            watcher: watcher.map(|watcher| actor(watcher, process)),
        };
        let end = self.links[link].end(side);
        end.unbounded_bytes += 256;
        let Ok(reference) = end.connection.watch(&watch, linked) else { return };
        self.say(|| format!("{process} watches {other}/{whom}: {reference:?} of link {link}"));
        let previous = self.watches.fates.insert((link, side, reference), Fate::Given);
        assert_eq!(previous, None, "W-7: {reference:?} is given twice");
        if linked {
            self.watches.linked.push(((link, side, reference), whom));
        }
    }

    /// The ends of pipes at which a process can still say something.
    fn may_speak(&self, (link, side): (usize, usize), process: usize) -> bool {
        let end = self.links[link].ends[side].as_ref();
        end.is_some_and(|end| end.process == process && !end.is_lost)
    }

    fn look_away(&mut self, process: usize) {
        let given: Vec<Key> = self
            .watches
            .fates
            .iter()
            .filter(|((link, side, _), fate)| {
                **fate == Fate::Given && self.may_speak((*link, *side), process)
            })
            .map(|(key, _)| *key)
            .collect();
        if given.is_empty() {
            return;
        }
        let (link, side, reference) = given[self.dice.usize(..given.len())];
        let end = self.links[link].end(side);
        end.unbounded_bytes += 64;
        assert!(end.connection.unwatch(reference, false), "W-7: {reference:?} is not told and not there");
        self.watches.fates.insert((link, side, reference), Fate::TakenBack);
    }

    /// An actor ends that a peer watches; or the peer is unlinked.
    fn end_one(&mut self, process: usize) {
        let ours: Vec<usize> = (0..self.watches.observed.len())
            .filter(|at| {
                let (link, side, _) = self.watches.observed[*at].key;
                self.may_speak((link, 1 - side), process)
            })
            .collect();
        if ours.is_empty() {
            return;
        }
        let observed = self.watches.observed.swap_remove(ours[self.dice.usize(..ours.len())]);
        let (link, side, reference) = observed.key;
        if observed.linked && self.dice.u8(..3) == 0 {
            let end = self.links[link].end(1 - side);
            end.unbounded_bytes += 64;
            assert!(end.connection.unwatch(reference, true), "W-7: {reference:?} is observed and not there");
            return;
        }
        self.tell(observed);
    }

    /// Says that who was watched has ended.
    fn tell(&mut self, observed: Observed) {
        let (link, side, reference) = observed.key;
        let mark = self.ledger.next_id();
        let end = self.links[link].end(1 - side);
        end.unbounded_bytes += 128;
        let channel = observed.watcher.and_then(|watcher| end.channels.get(&watcher).copied());
        let reason = EndReason::Panicked("as told".to_owned());
        assert!(end.connection.notify(reference, true, channel, &reason), "W-7: {reference:?} is not there");
        self.watches.said.insert((observed.key, true), (mark, observed.watcher));
        self.drain(link, 1 - side, false);
    }

    /// One that had made a link ends.
    fn end_a_linked_one(&mut self, process: usize) {
        let ours = self.watches.linked.iter().position(|((link, side, reference), _)| {
            let is_given = self.watches.fates.get(&(*link, *side, *reference)) == Some(&Fate::Given);
            is_given && self.may_speak((*link, *side), process)
        });
        let Some(at) = ours else { return };
        let (key, whom) = self.watches.linked.swap_remove(at);
        let (link, side, reference) = key;
        let mark = self.ledger.next_id();
        let end = self.links[link].end(side);
        end.unbounded_bytes += 128;
        let channel = end.channels.get(&whom).copied();
        assert!(end.connection.notify(reference, false, channel, &EndReason::Normal));
        self.watches.fates.insert(key, Fate::TakenBack);
        self.watches.said.insert((key, false), (mark, Some(whom)));
        self.drain(link, side, false);
    }

    /// The peer of this end wants to watch.
    pub(crate) fn watched(
        &mut self,
        link: usize,
        side: usize,
        reference: Reference,
        watch: &Watch,
        linked: bool,
    ) {
        let watcher = watch.watcher.map(|watcher| watcher.slot.0 as usize);
        let observed = Observed { key: (link, 1 - side, reference), watcher, linked };
        let process = self.links[link].end(side).process;
        let exists = (watch.target.slot().0 as usize) < self.scenario.actors;
        match exists && self.processes[process].state == State::Up {
            true => self.watches.observed.push(observed),
            false => self.tell(observed),
        }
    }

    /// The peer has taken a watch back; or has unlinked.
    pub(crate) fn unwatched(&mut self, link: usize, side: usize, reference: Reference, back: bool) {
        if back {
            self.watches.observed.retain(|observed| observed.key != (link, 1 - side, reference));
        } else {
            let fate = self.watches.fates.insert((link, side, reference), Fate::TakenBack);
            assert_eq!(fate, Some(Fate::Given), "W-7: {reference:?} is unlinked");
        }
    }

    /// This end is told of an end.
    pub(crate) fn is_told(
        &mut self,
        link: usize,
        side: usize,
        channel: Option<u32>,
        reference: Reference,
        back: bool,
    ) {
        let key = if back { (link, 1 - side, reference) } else { (link, side, reference) };
        if back {
            let before = self.watches.observed.len();
            self.watches.observed.retain(|observed| observed.key != key);
            assert_eq!(self.watches.observed.len() + 1, before, "W-7: {reference:?} is not observed");
        } else {
            let fate = self.watches.fates.insert(key, Fate::Told);
            assert_eq!(fate, Some(Fate::Given), "W-7: {reference:?} is told");
        }
        let (mark, whose) = self.watches.said[&(key, !back)];
        let end = self.links[link].end(side);
        if let Some(whose) = whose {
            let marked = end.marks.entry(whose).or_default();
            *marked = (*marked).max(mark);
        }
        if let Some(channel) = channel {
            assert_eq!(end.served[channel as usize].actor, whose, "W-8: on the channel of another");
            self.arrive_notice(link, side, channel, mark);
        }
    }

    /// A pipe is lost: what is left of the watches of this end is told by its process, and what the peer watched here is
    /// its own affair.
    pub(crate) fn lose_watches(&mut self, link: usize, side: usize) {
        let (given, _) = self.links[link].end(side).connection.take_watches();
        for reference in given {
            let fate = self.watches.fates.insert((link, side, reference), Fate::Left);
            assert_eq!(fate, Some(Fate::Given), "W-7: {reference:?} is left");
        }
        self.watches.observed.retain(|observed| (observed.key.0, 1 - observed.key.1) != (link, side));
        let forgotten = self
            .watches
            .fates
            .iter()
            .find(|((of, at, _), fate)| (*of, *at) == (link, side) && **fate == Fate::Given);
        assert_eq!(forgotten, None, "W-7: a watch is lost with its pipe");
    }

    /// A process is gone, and who watched in it.
    pub(crate) fn orphan_watches(&mut self, link: usize, side: usize) {
        for ((of, at, _), fate) in &mut self.watches.fates {
            if (*of, *at) == (link, side) && *fate == Fate::Given {
                *fate = Fate::Orphaned;
            }
        }
        self.watches.observed.retain(|observed| (observed.key.0, 1 - observed.key.1) != (link, side));
    }

    /// Whatever was said has been heard.
    pub(crate) fn check_watches(&self) {
        for (key, fate) in self.watches.fates.iter().filter(|(_, fate)| **fate == Fate::Given) {
            let is_observed = self.watches.observed.iter().any(|observed| observed.key == *key);
            assert!(is_observed, "W-7: nobody will tell of {key:?}, and nobody has: {fate:?}");
        }
    }
}
