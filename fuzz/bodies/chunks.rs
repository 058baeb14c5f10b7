//! Any order of announcements and chunks: what is put together again is what was sent, and what breaks the rules is
//! refused, by a model that knows nothing of the connection.

use std::collections::BTreeMap;
use std::time::Instant;

use procession::id::{ActorId, BuildId, Capability, Incarnation, ProcessId, Slot};
use procession::protocol::Limits;
use procession::protocol::connection::{Connection, Delivery, Event, ProtocolError};
use procession::protocol::frame::{CHUNKED, Frame, Header, Kind};
use procession::protocol::wire::{Hello, Large, Open};

const CHANNELS: u32 = 4;
const LIMITS: Limits = Limits {
    max_message_bytes: 1 << 16,
    window_messages: 1 << 20,
    window_bytes: 1 << 30,
    reply_bytes: 1 << 20,
    max_descriptors: 0,
};

struct Model {
    connection: Connection<()>,
    now: Instant,
    /// Bodies on their way: their channel, their length, and what has come.
    streams: BTreeMap<u32, (u32, u32, Vec<u8>)>,
    next: u8,
}

impl Model {
    fn new() -> Model {
        let hello = |process| Hello::new(ProcessId(process), Incarnation::FIRST, BuildId(1), LIMITS);
        let mut model = Model {
            connection: Connection::new(hello(1)),
            now: Instant::now(),
            streams: BTreeMap::new(),
            next: 0,
        };
        model.give(Header::new(Kind::Hello), &encoded(&hello(2))).expect("an honest hello");
        for channel in 0..CHANNELS {
            let open = Open { target: Capability::unsealed(ActorId::declared(ProcessId(1), Slot(channel))) };
            model
                .give(Header { channel, ..Header::new(Kind::Open) }, &encoded(&open))
                .expect("an honest open");
            model.connection.grant(channel);
        }
        model
    }

    /// The body that was delivered, if any, and its channel.
    fn give(&mut self, header: Header, body: &[u8]) -> Result<Option<(u32, Vec<u8>)>, ProtocolError> {
        let header = Header { length: u32::try_from(body.len()).expect("short"), ..header };
        let event = self.connection.handle_frame(Frame { header, body }, self.now)?;
        Ok(delivered(event).map(|delivered| self.take(delivered)))
    }

    fn take(&mut self, (channel, body, weight): (u32, Vec<u8>, u64)) -> (u32, Vec<u8>) {
        self.connection.take(channel, weight);
        (channel, body)
    }

    /// A chunk of which half is held, and the rest is read into its place, in two parts.
    fn give_in_place(&mut self, stream: u32, bytes: &[u8]) -> Result<Option<(u32, Vec<u8>)>, ProtocolError> {
        let length = u32::try_from(bytes.len()).expect("short");
        let header = Header { channel: stream, length, ..Header::new(Kind::Chunk) };
        let (held, mut rest) = bytes.split_at(bytes.len() / 2);
        if !self.connection.begin_chunk(header, held)? {
            return self.give(header, bytes);
        }
        let mut whole = None;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().div_ceil(2));
            self.connection.chunk_place(stream, rest.len())?.extend_from_slice(now);
            assert_eq!(whole, None, "not whole before its end");
            whole = delivered(self.connection.chunk_arrived(stream, now.len(), self.now)?);
            rest = later;
        }
        Ok(whole.map(|delivered| self.take(delivered)))
    }

    /// False once something was refused, as it had to be.
    fn announce(&mut self, channel: u32, stream: u32, total: u32) -> bool {
        let busy = self.streams.values().any(|(taken, ..)| *taken == channel);
        let allowed = channel < CHANNELS
            && !busy
            && (1..=LIMITS.max_message_bytes).contains(&total)
            && !self.streams.contains_key(&stream);
        let header = Header { channel, flags: CHUNKED, ..Header::new(Kind::Cast) };
        let given = self.give(header, &encoded(&Large { stream, total }));
        assert_eq!(
            given.is_ok(),
            allowed,
            "announcement of {total} bytes as {stream} on {channel}: {given:?}"
        );
        self.streams.insert(stream, (channel, total, Vec::new()));
        allowed
    }

    fn chunk(&mut self, stream: u32, length: usize, in_place: bool) -> bool {
        let left = self.streams.get(&stream).map_or(0, |(_, total, came)| *total as usize - came.len());
        let allowed = length > 0 && length <= left;
        self.next = self.next.wrapping_add(1);
        let bytes = vec![self.next; length];
        // What is held whole is a frame.
        let given = match in_place && length > 1 {
            true => self.give_in_place(stream, &bytes),
            false => self.give(Header { channel: stream, ..Header::new(Kind::Chunk) }, &bytes),
        };
        assert_eq!(given.is_ok(), allowed, "{length} bytes of {stream}, of which {left} are left: {given:?}");
        if !allowed {
            return false;
        }
        let (_, _, came) = self.streams.get_mut(&stream).expect("allowed");
        came.extend(bytes);
        let whole = (length == left).then(|| self.streams.remove(&stream).expect("allowed"));
        let whole = whole.map(|(channel, _, body)| (channel, body));
        assert_eq!(given, Ok(whole), "the body of {stream}");
        true
    }
}

fn delivered(event: Option<Event<'_, ()>>) -> Option<(u32, Vec<u8>, u64)> {
    match event {
        Some(Event::Deliver(Delivery { channel, body, weight, .. })) => {
            Some((channel, body.bytes.to_vec(), weight))
        }
        _ => None,
    }
}

fn encoded<T: serde::Serialize>(value: &T) -> Vec<u8> {
    procession::codec::encode(value, 1000).expect("small")
}

/// The target: each four bytes of the input are a step.
pub(crate) fn run(input: &[u8]) {
    let mut model = Model::new();
    for step in input.chunks_exact(4) {
        let (stream, length) = (u32::from(step[1] % 8), u32::from(u16::from_le_bytes([step[2], step[3]])));
        let in_place = step[0] & 4 != 0;
        let goes_on = match step[0] % 4 {
            0 => model.announce(u32::from(step[0] / 4) % (CHANNELS + 1), stream, length),
            1 => model.announce(stream % CHANNELS, stream, length % 50),
            // As much as is left, which ends it.
            2 => match model.streams.get(&stream) {
                Some((_, total, came)) => model.chunk(stream, *total as usize - came.len(), in_place),
                None => true,
            },
            _ => model.chunk(stream, length as usize % 60, in_place),
        };
        if !goes_on {
            return;
        }
    }
}
