//! Pipes between the processes: made, written, read, cut, and lost with a process.

use std::collections::BTreeMap;

use procession::id::{BuildId, Incarnation, ProcessName, Slot};
use procession::protocol::connection::{Connection, Delivery, Event};
use procession::protocol::frame::FrameReader;
use procession::protocol::wire::{Cause, Hello};

use super::{End, Pipe, Process, World, newborn};
use crate::link::{feed, id};
use crate::stream::Stream;

impl World {
    pub(super) fn pipe_to(&mut self, from: usize, to: usize) -> (usize, usize) {
        if let Some(pipe) = self.processes[from].current.get(&to) {
            return (*pipe, self.side_of(*pipe, from));
        }
        let life = |process: usize| Incarnation(self.processes[process].life);
        let end = |process: usize| End {
            connection: Connection::new(Hello::new(id(process), life(process), BuildId(1), self.limits)),
            reader: FrameReader::default(),
            greeted: false,
            channels: BTreeMap::new(),
            served: Vec::new(),
        };
        let streams = [Stream::new(self.capacity), Stream::new(self.capacity)];
        let ends = [Some(end(from)), Some(end(to))];
        let pipe = self.pipes.len();
        self.pipes.push(Pipe { between: [from, to], ends, streams, introduced: false });
        self.say(|| format!("pipe {pipe} between {from} and {to}"));
        self.end_way(from, to);
        self.processes[from].current.insert(to, pipe);
        self.processes[to].current.insert(from, pipe);
        (pipe, 0)
    }

    pub(super) fn side_of(&self, pipe: usize, process: usize) -> usize {
        usize::from(self.pipes[pipe].between[0] != process)
    }

    pub(super) fn end(&mut self, pipe: usize, side: usize) -> &mut End {
        self.pipes[pipe].ends[side].as_mut().unwrap()
    }

    pub(super) fn transmit(&mut self, pipe: usize, side: usize, most: usize) -> bool {
        let now = self.now;
        let Pipe { ends, streams, introduced, .. } = &mut self.pipes[pipe];
        let Some(end) = ends[side].as_mut().filter(|_| *introduced) else { return false };
        if streams[side].is_stalled(now) {
            return false;
        }
        let pending = end.connection.poll_transmit(now);
        let bytes = pending[..pending.len().min(streams[side].room()).min(most)].to_vec();
        end.connection.handle_transmitted(bytes.len());
        streams[side].write(&bytes);
        self.drain(pipe, side);
        !bytes.is_empty()
    }

    pub(super) fn receive(&mut self, pipe: usize, side: usize, most: usize) -> bool {
        let Pipe { ends, streams, introduced, .. } = &mut self.pipes[pipe];
        let stream = &mut streams[1 - side];
        if ends[side].is_none() || !*introduced || stream.is_stalled(self.now) {
            return false;
        }
        if stream.is_at_end() {
            self.lose(pipe, side);
            return true;
        }
        let bytes = stream.read(most);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let end = self.end(pipe, side);
            feed(&mut end.reader, &mut rest);
            end.greeted = end.greeted || end.reader.take_preamble().unwrap();
            while self.take_frame(pipe, side) {}
        }
        self.drain(pipe, side);
        !bytes.is_empty()
    }

    pub(super) fn take_frame(&mut self, pipe: usize, side: usize) -> bool {
        let (now, process) = (self.now, self.pipes[pipe].between[side]);
        let end = self.end(pipe, side);
        let mut reader = std::mem::take(&mut end.reader);
        let Some(frame) = end.greeted.then(|| reader.next().unwrap()).flatten() else {
            end.reader = reader;
            return false;
        };
        let event = end.connection.handle_frame(frame, now).unwrap();
        match event {
            Some(Event::Open { channel, open }) => {
                assert_eq!(channel as usize, end.served.len());
                end.served.push(open.target.slot());
                end.connection.grant(channel);
            }
            Some(Event::Deliver(Delivery { channel, message, body, weight, correlation, .. })) => {
                let (slot, body) = (end.served[channel as usize], body.bytes.to_vec());
                end.reader = reader;
                self.deliver(process, (pipe, side, slot), (channel, message), (body, weight), correlation);
                return true;
            }
            Some(Event::Reply { tag, .. } | Event::Failed { tag, .. }) => {
                end.reader = reader;
                self.told(process, tag);
                return true;
            }
            _ => {}
        }
        self.end(pipe, side).reader = reader;
        true
    }

    pub(super) fn drain(&mut self, pipe: usize, side: usize) {
        let process = self.pipes[pipe].between[side];
        while let Some(event) =
            self.pipes[pipe].ends[side].as_mut().and_then(|end| end.connection.poll_event())
        {
            if let Event::Reply { tag, .. } | Event::Failed { tag, .. } = event {
                self.told(process, tag);
            }
        }
    }

    /// The pipe has ended for this side.
    pub(super) fn lose(&mut self, pipe: usize, side: usize) {
        let Some(mut end) = self.pipes[pipe].ends[side].take() else { return };
        let (process, other) = (self.pipes[pipe].between[side], self.pipes[pipe].between[1 - side]);
        self.pipes[pipe].streams[side].close_writer();
        self.pipes[pipe].streams[1 - side].close_reader();
        self.say(|| format!("{process} loses pipe {pipe}"));
        self.end_way(process, other);
        if self.processes[process].current.get(&other) == Some(&pipe) {
            self.processes[process].current.remove(&other);
        }
        for slot in std::mem::take(&mut end.channels).into_keys() {
            self.processes[process].handovers.closed((id(other), Slot(slot)));
        }
        let (process_name, incarnation) = (ProcessName::new("peer").unwrap(), Incarnation(1));
        end.connection.handle_lost(&Cause::PeerDied { process: process_name, incarnation, exit: None });
        while let Some(event) = end.connection.poll_event() {
            if let Event::Reply { tag, .. } | Event::Failed { tag, .. } = event {
                self.told(process, tag);
            }
        }
    }

    pub(super) fn cut(&mut self, pipe: usize) {
        let [one, other] = self.pipes[pipe].between;
        self.say(|| format!("pipe {pipe} is cut"));
        self.end_way(one, other);
        for stream in &mut self.pipes[pipe].streams {
            let kept = self.dice.usize(..=stream.available());
            stream.cut(kept);
        }
    }

    /// The process is gone, with what it had not written; the next life comes when it is next looked at.
    pub(super) fn kill(&mut self, process: usize) {
        self.say(|| format!("{process} is killed"));
        for other in 0..self.processes.len() {
            self.end_way(process, other);
        }
        for pipe in &mut self.pipes {
            let Some(side) = pipe.between.iter().position(|end| *end == process) else { continue };
            if pipe.ends[side].take().is_some() {
                pipe.streams[side].close_writer();
                pipe.streams[1 - side].close_reader();
                pipe.introduced = true;
            }
        }
        let window = self.limits.window_messages;
        let life = self.processes[process].life + 1;
        self.processes[process] = Process { is_down: true, ..newborn(life, window) };
    }
}
