//! One pipe between two lives of processes: a connection at each end, and what an onlooker sees pass.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use procession::id::{BuildId, Incarnation, ProcessId};
use procession::protocol::Limits;
use procession::protocol::connection::Connection;
use procession::protocol::frame::{CHUNKED, FrameReader, Header, Kind};
use procession::protocol::wire::{Hello, Large};

use super::ledger::Wire;
use super::stream::Stream;

pub(crate) struct Link {
    /// None before the root has made the pipe, and after the process is gone.
    pub(crate) ends: [Option<End>; 2],
    /// What each end writes.
    pub(crate) streams: [Stream; 2],
    pub(crate) introduced: bool,
}

/// One end of a pipe, as its process has it.
pub(crate) struct End {
    pub(crate) process: usize,
    pub(crate) life: u32,
    /// Whom it expects at the other end.
    pub(crate) peer: (usize, u32),
    pub(crate) connection: Connection<u32>,
    pub(crate) reader: FrameReader,
    pub(crate) greeted: bool,
    /// Our channels to actors of the peer.
    pub(crate) channels: BTreeMap<usize, u32>,
    /// The peer's channels to our actors; none where that was refused.
    pub(crate) served: Vec<Served>,
    /// When its messages get their verdicts, once the pipe has ended.
    pub(crate) dies_at: Option<Instant>,
    pub(crate) is_lost: bool,
    /// How many casts it told as lost in the end.
    pub(crate) lost: Option<u64>,
    pub(crate) seen: Seen,
    pub(crate) sent: Vec<Sent>,
    /// Requests of the peer that it gave up.
    pub(crate) cancelled: BTreeSet<u64>,
    /// What the counters of the connection must say.
    pub(crate) late_replies: u64,
    pub(crate) not_begun: (u64, u64),
    /// Large replies on their way in: the request, the bytes to come, and whether it was counted as late.
    pub(crate) large_replies: BTreeMap<u32, (u32, u32, bool)>,
    /// For each of our actors: what was submitted before this must not arrive any more.
    pub(crate) marks: BTreeMap<usize, u32>,
    /// Bytes of answers and of our own frames since nothing was pending, which nothing holds back yet.
    pub(crate) unbounded_bytes: usize,
}

/// A channel that the peer may send on.
#[derive(Default)]
pub(crate) struct Served {
    pub(crate) actor: Option<usize>,
    pub(crate) last: Option<u32>,
    pub(crate) last_begun: Option<u32>,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// A channel that we send on, as the onlooker sees it.
#[derive(Default)]
pub(crate) struct Sent {
    /// Its messages, as their headers entered the pipe.
    pub(crate) order: Vec<u32>,
    /// How many the peer reported as taken.
    pub(crate) credited: usize,
    /// The last one that was answered, and all before it.
    pub(crate) answered: usize,
    pub(crate) is_granted: bool,
}

/// Cuts what an end writes into frames.
#[derive(Default)]
pub(crate) struct Seen {
    reader: FrameReader,
    greeted: bool,
    /// Large bodies of messages on their way: the message, and the bytes to come.
    streams: BTreeMap<u32, (u32, u32)>,
    /// Which message a request is.
    pub(crate) requests: BTreeMap<u64, u32>,
}

impl Link {
    pub(crate) fn end(&mut self, side: usize) -> &mut End {
        self.ends[side].as_mut().expect("an end")
    }

    pub(crate) fn is_lost(&self, side: usize) -> bool {
        self.ends[side].as_ref().is_none_or(|end| end.is_lost)
    }
}

impl End {
    pub(crate) fn new((process, life): (usize, u32), peer: (usize, u32), limits: Limits) -> End {
        let hello = Hello::new(id(process), Incarnation(life), BuildId(1), limits);
        End {
            process,
            life,
            peer,
            connection: Connection::new(hello),
            reader: FrameReader::default(),
            greeted: false,
            channels: BTreeMap::new(),
            served: Vec::new(),
            dies_at: None,
            is_lost: false,
            lost: None,
            seen: Seen::default(),
            sent: Vec::new(),
            cancelled: BTreeSet::new(),
            late_replies: 0,
            not_begun: (0, 0),
            large_replies: BTreeMap::new(),
            marks: BTreeMap::new(),
            unbounded_bytes: 0,
        }
    }

    /// Whether it still reads and writes.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_lost && self.dies_at.is_none()
    }

    pub(crate) fn sent_on(&mut self, channel: u32) -> &mut Sent {
        let wanted = channel as usize + 1;
        if self.sent.len() < wanted {
            self.sent.resize_with(wanted, Sent::default);
        }
        &mut self.sent[channel as usize]
    }
}

pub(crate) fn id(process: usize) -> ProcessId {
    ProcessId(u32::try_from(process).unwrap() + 1)
}

impl Seen {
    /// Looks at bytes that entered the pipe. Returns how far which messages have come, and those of one channel in
    /// order.
    pub(crate) fn look(&mut self, mut bytes: &[u8]) -> Vec<(u32, u32, Wire)> {
        let mut seen = Vec::new();
        while !bytes.is_empty() {
            feed(&mut self.reader, &mut bytes);
            if !self.greeted {
                self.greeted = self.reader.take_preamble().expect("our own preamble");
            }
            while self.greeted {
                let Some(frame) = self.reader.next().expect("our own frames") else { break };
                let (header, body) = (frame.header, frame.body);
                match header.kind {
                    Kind::Call | Kind::Cast => {
                        seen.push(note(header, body, &mut self.streams, &mut self.requests))
                    }
                    Kind::Chunk => {
                        if let Some((message, left)) = self.streams.get_mut(&header.channel) {
                            *left -= u32::try_from(body.len()).unwrap();
                            if *left == 0 {
                                seen.push((*message, u32::MAX, Wire::Whole));
                                self.streams.remove(&header.channel);
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        seen
    }
}

fn note(
    header: Header,
    body: &[u8],
    streams: &mut BTreeMap<u32, (u32, u32)>,
    requests: &mut BTreeMap<u64, u32>,
) -> (u32, u32, Wire) {
    if header.kind == Kind::Call {
        let previous = requests.insert(header.correlation, header.message);
        assert_eq!(previous, None, "H42: correlation {} is used twice", header.correlation);
    }
    if header.flags & CHUNKED == 0 {
        return (header.message, header.channel, Wire::Whole);
    }
    let large: Large = procession::codec::decode(body).expect("our own announcement");
    streams.insert(large.stream, (header.message, large.total));
    (header.message, header.channel, Wire::Header)
}

/// Moves bytes into a reader as far as it has room.
pub(crate) fn feed(reader: &mut FrameReader, bytes: &mut &[u8]) {
    let room = reader.room();
    let (now, later) = bytes.split_at(room.len().min(bytes.len()));
    room[..now.len()].copy_from_slice(now);
    reader.advance(now.len());
    *bytes = later;
}
