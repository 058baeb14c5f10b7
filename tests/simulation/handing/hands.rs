//! What a process does for the order of hand-overs: as `process::routing::handover` does it, without its locks.

use std::sync::Arc;

use procession::codec::decode;
use procession::id::{ActorId, Capability, Slot};
use procession::protocol::connection::{Mode, Submit, Waiting};
use procession::protocol::handover::{HoldId, Over, Whom};
use procession::protocol::wire::{Cause, Failure, MessageId, Open};

use super::{ACTOR, Asker, Came, Item, Place, Process, Tag, World, process_of, whom};
use crate::link::id;

impl World {
    /// As `Router::may_be_under_way`.
    pub(super) fn stamp(&self, process: usize, told: usize) -> Option<u32> {
        let Process { handovers, gate, .. } = &self.processes[process];
        handovers.stamp(whom(told)).or_else(|| (process == told && !gate.is_idle()).then_some(0))
    }

    /// As `Peer::channel`.
    pub(super) fn channel(&mut self, pipe: usize, side: usize, to: usize, slot: Slot) -> u32 {
        let end = self.end(pipe, side);
        if let Some(channel) = end.channels.get(&slot.0) {
            return *channel;
        }
        let target = Capability::unsealed(ActorId::declared(id(to), slot));
        let channel = end.connection.open(&Open { target });
        end.channels.insert(slot.0, channel);
        let process = self.pipes[pipe].between[side];
        for hold in self.processes[process].handovers.opened((id(to), slot)) {
            self.put_on(process, hold, pipe, side, channel);
        }
        channel
    }

    pub(super) fn put_on(&mut self, process: usize, hold: HoldId, pipe: usize, side: usize, channel: u32) {
        let key = self.end(pipe, side).connection.hold(channel);
        let place = Place::Channel { pipe, side, channel, key };
        let put = self.processes[process].handovers.put(hold, place);
        assert!(put.is_ok(), "O-1: it has not ended");
    }

    /// As `Router::hold`.
    pub(super) fn hold(&mut self, process: usize, told: usize, giver: usize, stamp: u32) {
        let Some(asked) = self.processes[process].current.get(&giver).copied() else { return };
        let side = self.side_of(asked, process);
        let Some(hold) = self.processes[process].handovers.begin(whom(told)) else { return };
        self.held += 1;
        self.say(|| format!("{process} holds {told}, given by {giver}: {hold:?}"));
        if process == told {
            let place = Place::Gate(self.processes[process].gate.hold());
            self.processes[process].handovers.put(hold, place).unwrap();
        } else if let Some(pipe) = self.processes[process].current.get(&told).copied() {
            let side = self.side_of(pipe, process);
            if let Some(channel) = self.end(pipe, side).channels.get(&ACTOR.0).copied() {
                self.put_on(process, hold, pipe, side, channel);
            }
        }
        let channel = self.channel(asked, side, giver, Slot::SERVICE);
        let submit =
            Submit { channel, message: MessageId::SETTLE.0, mode: Mode::Call, timeout_ms: 0, right: 0 };
        let waiting = || Waiting { tag: Tag::Asked(hold), deadline: None };
        if self.end(asked, side).connection.submit(submit, &(whom(told), stamp), waiting).is_err() {
            self.over(process, hold);
        }
    }

    pub(super) fn over(&mut self, process: usize, hold: HoldId) {
        self.say(|| format!("{process}: {hold:?} is over"));
        let Over { places, asking } = self.processes[process].handovers.end(hold);
        for place in places {
            match place {
                Place::Gate(ticket) => self.processes[process].gate.release_hold(ticket),
                Place::Channel { pipe, side, channel, key } => {
                    if let Some(end) = self.pipes[pipe].ends[side].as_mut() {
                        end.connection.release_hold(channel, key);
                    }
                }
            }
        }
        asking.into_iter().for_each(|asker| self.answer(asker));
    }

    pub(super) fn answer(&mut self, asker: Asker) {
        self.say(|| format!("{asker:?} is answered"));
        if let Some(end) = self.pipes[asker.pipe].ends[asker.side].as_mut() {
            end.connection.reply_failure(asker.correlation, &Failure::not_executed(Cause::Early));
        }
    }

    /// As `Router::settle`.
    pub(super) fn settle(&mut self, process: usize, (target, stamp): (Whom, u32), asker: Asker) {
        let told = process_of(target);
        self.say(|| format!("{process} is asked of {told} by {asker:?}"));
        if told == process {
            let Process { handovers, gate, landed, .. } = &self.processes[process];
            let landed = Arc::clone(landed);
            let later = handovers.places_after(target, stamp).find_map(|place| match place {
                Place::Gate(ticket) => Some(*ticket),
                Place::Channel { .. } => None,
            });
            gate.wait_ahead(later, move |pass| {
                drop(pass);
                landed.lock().unwrap().answers.push(asker);
            });
            return;
        }
        let current = self.processes[process].current.get(&told).copied();
        let way = current.and_then(|pipe| {
            let side = self.side_of(pipe, process);
            Some((pipe, side, self.end(pipe, side).channels.get(&ACTOR.0).copied()?))
        });
        let Some((pipe, side, channel)) = way else {
            let asked = self.processes[process].handovers.ask(target, stamp, asker);
            return asked.unwrap_or_else(|asker| self.answer(asker));
        };
        let submit =
            Submit { channel, message: MessageId::ARRIVED.0, mode: Mode::Call, timeout_ms: 0, right: 0 };
        let waiting = || Waiting { tag: Tag::Settling(asker), deadline: None };
        let later =
            self.processes[process].handovers.places_after(target, stamp).find_map(|place| match place {
                Place::Channel { pipe: at, channel: number, key, .. }
                    if (*at, *number) == (pipe, channel) =>
                {
                    Some(*key)
                }
                _ => None,
            });
        if self.end(pipe, side).connection.submit_ahead(later, submit, &(), waiting).is_err() {
            self.answer(asker);
        }
    }

    pub(super) fn deliver(
        &mut self,
        process: usize,
        (pipe, side, slot): (usize, usize, Slot),
        (channel, message): (u32, u32),
        (body, weight): (Vec<u8>, u64),
        correlation: Option<u64>,
    ) {
        let from = self.pipes[pipe].between[1 - side];
        let asker = |correlation| Asker { pipe, side, correlation };
        if message == MessageId::ARRIVED.0 {
            self.end(pipe, side).connection.take(channel, weight);
            return self.answer(asker(correlation.unwrap()));
        }
        if slot == Slot::SERVICE {
            self.end(pipe, side).connection.take(channel, weight);
            return self.settle(process, decode(&body).unwrap(), asker(correlation.unwrap()));
        }
        let came = Came::By { pipe, side, channel, weight, correlation };
        self.arrive(process, Item { message: message - 100, body, from, came });
    }

    /// The outcome of something that a process had sent.
    pub(super) fn told(&mut self, process: usize, tag: Tag) {
        match tag {
            Tag::Message => {}
            Tag::Asked(hold) => self.over(process, hold),
            Tag::Settling(asker) => self.answer(asker),
        }
        self.land();
    }
}
