//! The connection with one life of one peer process, without I/O: bytes, commands and `now` go in; bytes, events
//! and the next deadline come out.
//!
//! Not for the control pipe (`protocol::control`), and it knows neither sockets nor actors: `transport` moves
//! the bytes, `process::router` turns the events into deliveries. `T` is whatever the owner wants back with the
//! outcome of a message.
//!
//! Order of calls, in any interleaving: `open`, `submit`, `cancel`, `reply`, `take` ... as the owner likes;
//! [`handle_descriptors`](Connection::handle_descriptors) for those that arrive, before the frame with whose first byte
//! they came; [`handle_frame`](Connection::handle_frame) for each frame that arrives, or [`handle_run`](Connection::handle_run)
//! for several; after any of these, where [`standing`](Connection::standing) says that there is something,
//! [`poll_event`](Connection::poll_event) until `None`, and [`poll_transmit`](Connection::poll_transmit) with
//! [`handle_transmitted`](Connection::handle_transmitted) while the pipe takes bytes;
//! [`handle_timeout`](Connection::handle_timeout) when [`poll_timeout`](Connection::poll_timeout) has come; at
//! last [`handle_lost`](Connection::handle_lost), once.
//!
//! ```text
//!            Hello in                Goodbye in or out              handle_lost
//!  Greeting ----------> Talking ---------------------> Leaving ---------------> Lost
//!     |                    |                                                      ^
//!     +--------------------+------------------------------------------------------+
//! ```
//!
//! Invariants, checked in debug builds after each public call:
//! - N-1 a message that was submitted leaves exactly one outcome: `Sent` (a tell), `Reply` or `Failed`, or it was
//!   cancelled by its owner;
//! - N-2 messages of one channel leave in the order submitted (M-1);
//! - N-3 what waits for credit was not encoded into the outgoing bytes, so the outgoing bytes are bounded by the
//!   soft limit, the replies and our own control frames (M-3);
//! - N-4 a reader never waits: every frame is taken at once, and answered, if at all, by appending bytes (H2);
//! - N-5 a reference that was given to watch an actor leaves exactly one end, see `watching`.

mod answering;
mod budget;
mod channel;
mod closing;
mod deadlines;
mod ending;
mod error;
mod holding;
mod lane;
mod large;
mod outbound;
mod pumping;
mod receiving;
mod regrets;
mod rights;
mod sending;
mod transmit;
mod watching;

#[cfg(test)]
mod descriptor_tests;
#[cfg(test)]
mod pair_tests;

use std::collections::VecDeque;
use std::time::Instant;

use rustc_hash::FxHashMap;
use slab::Slab;

use self::channel::{Channel, Served};
use self::deadlines::Deadlines;
use self::holding::Holds;
use self::large::{Assemblies, LargeSends};
use self::outbound::{Outbound, Rank};
use self::regrets::Regrets;
use self::rights::Presented;
use self::watching::Watches;
use super::control::Preamble;
use super::frame::{Header, Kind, Run};
use super::limits::Limits;
use super::series::Numbering;
use super::traceparent::TraceParent;
use super::watching::{EndReason, Reference, Watch};
use super::wire::{Cause, Failure, Hello, Open};
use crate::codec::descriptor::Carried;
use crate::codec::{Encoded, Packed};
use crate::id::Capability;

pub use self::answering::Begin;
pub use self::error::ProtocolError;
pub use self::rights::MAX_PRESENTED;
pub use self::sending::{Mode, Submit, Waiting};
pub use self::transmit::Transmit;
pub use self::watching::MAX_WATCHES;

/// See the [module](self).
#[derive(Debug)]
pub struct Connection<T> {
    ours: Hello,
    /// What the peer said in its `Hello`.
    theirs: Option<Limits>,
    same_build: bool,
    out: Outbound,
    /// Channels to the peer's actors, by number.
    channels: Vec<Channel>,
    /// Those that lead to nobody.
    free: Vec<u32>,
    /// How many are `Closing` or `Shut`.
    closing: usize,
    /// With how many channels in use those without are looked for.
    sweep_at: usize,
    regrets: Regrets,
    /// Channels to our actors, by the peer's number.
    served: Vec<Served>,
    outgoing: Slab<Outgoing<T>>,
    /// Keys are never used twice (H42): the slab's index, and above it this counter.
    next_generation: u32,
    /// The peer's requests that have no answer yet.
    answering: FxHashMap<u64, Asked>,
    large: LargeSends,
    assemblies: Assemblies,
    /// Descriptors that came and belong to frames that are not whole yet; nothing where the rest of a frame's were lost.
    arrived: VecDeque<Option<Carried>>,
    deadlines: Deadlines,
    /// Channels whose queue may be able to move, each at most once.
    ready: VecDeque<u32>,
    /// Channels of the peer with messages aside of which none is on its way back.
    stalled: Vec<u32>,
    /// Channels of the peer whose credits are withheld.
    withheld: Vec<u32>,
    watches: Watches,
    holds: Holds,
    /// How many rights were presented, by us and by the peer, on channels that are not closed.
    presented: Presented,
    events: VecDeque<Event<'static, T>>,
    we_left: bool,
    they_left: bool,
    /// Why the connection is over, once it is.
    lost: Option<Cause>,
    counters: Counters,
}

/// What is to be done for a connection.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// `poll_transmit` may have something.
    pub has_bytes: bool,
    /// `poll_event` has something.
    pub has_events: bool,
    /// When `handle_timeout` should be called.
    pub timeout: Option<Instant>,
}

/// What happened on a connection that nobody waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Replies to requests that had been given up.
    pub late_replies: u64,
    /// Requests that were not handled because they had been cancelled.
    pub cancelled: u64,
    /// Requests that were not handled because their deadline had passed.
    pub expired: u64,
}

/// A message of ours that has no outcome yet.
#[derive(Debug)]
struct Outgoing<T> {
    generation: u32,
    tag: T,
    kind: Kind,
    wants_sent: bool,
    in_outbox: bool,
    channel: u32,
    message: u32,
    deadline: Option<Instant>,
    /// Whether a large reply is on its way.
    reply_announced: bool,
    /// Of its frame.
    flags: u8,
    /// By which it is sent.
    right: u32,
    stage: Stage,
}

/// ```text
///  Waiting --credit--> Streaming --last chunk--> Sent --Reply--> (gone)
///     |------------------------------------------^
/// ```
#[derive(Debug)]
enum Stage {
    /// For credit, encoded.
    Waiting(Packed),
    /// Large, and not yet whole in the outgoing bytes.
    Streaming { sequence: u64 },
    /// In the outgoing bytes from `begins` to `ends`, as message `sequence` of its channel.
    Sent { sequence: u64, begins: u64, ends: u64 },
}

/// A request of the peer.
#[derive(Debug)]
struct Asked {
    /// Its sender gave it up.
    cancelled: bool,
    /// Which message of its channel it is: the first is 1.
    sequence: u64,
}

/// What came of frames, deadlines and credits.
#[derive(Debug, PartialEq)]
pub enum Event<'a, T> {
    /// The peer said who it is, and it is whom we expect.
    Greeted(Hello),
    /// The peer wants a channel to one of our actors: answer with `grant` or `refuse`.
    Open {
        /// The channel.
        channel: u32,
        /// What it asks.
        open: Open,
    },
    /// A message for one of our actors.
    Deliver(Delivery<'a>),
    /// Messages for one of our actors, by the right 0 of their channel, that want no answer.
    Casts(Run<'a>),
    /// The peer shows another right to send on one of its channels. Its messages come behind it.
    Present {
        /// The channel.
        channel: u32,
        /// Its number.
        right: u32,
        /// What it shows.
        capability: Capability,
    },
    /// The peer closed one of its channels: what it led to is needed no more.
    Closed {
        /// The channel.
        channel: u32,
    },
    /// A channel of ours is closed: say [`release`](Connection::release), under the lock of whoever looks channels up.
    Shut {
        /// The channel.
        channel: u32,
    },
    /// There is room for replies again: the first message that stands aside on this channel should be put into
    /// its mailbox anew, and then [`begin_again`](Connection::begin_again).
    Resume {
        /// The channel.
        channel: u32,
    },
    /// The reply to a call.
    Reply {
        /// The call's.
        tag: T,
        /// Its bytes and descriptors.
        body: Encoded<'a>,
    },
    /// A tell has left the queue: there was room for it.
    Sent {
        /// The tell's.
        tag: T,
    },
    /// A call without a reply, or a tell or cast that never left.
    Failed {
        /// The message's.
        tag: T,
        /// Why, and what became of it.
        failure: Failure,
    },
    /// The peer wants to hear of the end of an actor of ours: say [`notify`](Connection::notify) when it has ended, and at
    /// once if there is none.
    Watch {
        /// Names it from now on.
        reference: Reference,
        /// Whose end, and who is told.
        watch: Watch,
        /// Whether the peer will tell of an end on its side, too.
        linked: bool,
    },
    /// The peer does not want to hear of it any more; or, if the reference is ours, has unlinked.
    Unwatch {
        /// Which.
        reference: Reference,
        /// Whether the peer gave it.
        back: bool,
    },
    /// Who the reference is about has ended. Where it came on a channel it must take its place behind what came there
    /// before: see [`begin_notice`](Connection::begin_notice).
    Ended {
        /// On which channel.
        channel: Option<u32>,
        /// Which.
        reference: Reference,
        /// Whether the peer gave it.
        back: bool,
        /// How.
        reason: EndReason,
    },
    /// The peer stops: no new message should go there.
    Goodbye,
}

/// A message that came for one of our actors.
#[derive(Debug, PartialEq)]
pub struct Delivery<'a> {
    /// Its channel.
    pub channel: u32,
    /// Its identity.
    pub message: u32,
    /// Its bytes and descriptors.
    pub body: Encoded<'a>,
    /// What it counts in its window: for `take` and `begin`.
    pub weight: u64,
    /// To answer with; none for a cast.
    pub correlation: Option<u64>,
    /// When nobody waits any more.
    pub deadline: Option<Instant>,
    /// The right by which it comes: that of the `Open`, 0, or one that was presented.
    pub right: u32,
    /// What few messages have.
    pub beside: Option<Box<Beside>>,
}

/// What came with a message besides.
#[derive(Debug, PartialEq)]
pub struct Beside {
    /// Which message of its series it is, if of any.
    pub numbering: Option<Numbering>,
    /// The trace that it belongs to, if to any.
    pub trace: Option<TraceParent>,
}

/// How far the outgoing bytes are filled from the queues: enough for one large write, little enough that a
/// credit or reply behind it leaves soon.
const SOFT_LIMIT_BYTES: usize = 128 << 10;

/// Channels that are open at once: each actor of a process once, as many as a process may have.
pub const MAX_CHANNELS: usize = 1 << 20;

impl<T> Connection<T> {
    /// A connection in `Greeting`; its preamble and `Hello` are the first bytes to transmit.
    pub fn new(ours: Hello) -> Connection<T> {
        let mut out = Outbound::default();
        out.raw(&Preamble::ours());
        out.frame_of(Rank::Control, Header::new(Kind::Hello), &ours);
        Connection {
            ours,
            theirs: None,
            same_build: false,
            out,
            channels: Vec::new(),
            free: Vec::new(),
            closing: 0,
            sweep_at: 0,
            regrets: Regrets::default(),
            served: Vec::new(),
            outgoing: Slab::new(),
            next_generation: 0,
            answering: FxHashMap::default(),
            large: LargeSends::default(),
            assemblies: Assemblies::default(),
            arrived: VecDeque::new(),
            deadlines: Deadlines::default(),
            ready: VecDeque::new(),
            stalled: Vec::new(),
            withheld: Vec::new(),
            watches: Watches::default(),
            holds: Holds::default(),
            presented: Presented::default(),
            events: VecDeque::new(),
            we_left: false,
            they_left: false,
            lost: None,
            counters: Counters::default(),
        }
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event<'static, T>> {
        self.events.pop_front()
    }

    /// The bytes to write next; empty if there are none now.
    pub fn poll_transmit(&mut self, now: Instant) -> Transmit<'_> {
        self.pump(now);
        match self.out.is_empty() {
            true => self.large.begin_chunk(),
            false => self.large.put_back(),
        }
        match &self.large.under_way {
            Some(chunk) => chunk.offer(),
            None => self.out.offer(),
        }
    }

    /// Says how many of the bytes of `poll_transmit` were written.
    pub fn handle_transmitted(&mut self, bytes: usize) {
        if self.large.under_way.is_none() {
            self.out.written(bytes);
            self.large.note_others(bytes, self.out.left_position());
        } else if let Some(large) = self.large.written(bytes) {
            self.chunk_is_out(large, self.out.left_position());
        }
        self.settle();
        self.check();
    }

    /// Whether `poll_transmit` or `poll_event` may have something: ask before sleeping.
    #[inline]
    pub fn has_pending(&self) -> bool {
        self.has_bytes() || !self.events.is_empty()
    }

    /// Whether `poll_transmit` may have something.
    #[inline]
    pub fn has_bytes(&self) -> bool {
        !self.out.is_empty() || !self.large.is_empty() || !self.ready.is_empty()
    }

    /// What is to be done for it now, and when there is something again.
    pub fn standing(&mut self) -> Standing {
        let (has_bytes, has_events) = (self.has_bytes(), !self.events.is_empty());
        Standing { has_bytes, has_events, timeout: self.poll_timeout() }
    }

    /// Whether small messages leave beside large bodies, so that the kernel should hold little of these (M-4).
    pub fn wants_shallow(&self) -> bool {
        self.large.are_accompanied()
    }

    /// What nobody waits for.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether the peer runs the same executable; false before it greeted.
    pub fn is_same_build(&self) -> bool {
        self.same_build
    }

    /// Whether no message can be submitted any more: the connection ended, or either side said goodbye.
    pub fn is_over(&self) -> bool {
        self.lost.is_some() || self.we_left || self.they_left
    }

    /// Whether its pipe has ended, and everything on it has its outcome.
    pub fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Messages of ours without an outcome.
    pub fn outgoing_count(&self) -> usize {
        self.outgoing.len()
    }

    /// Whether tells or casts wait for credit, or are not yet whole in the outgoing bytes, or those are not written. Before
    /// the peer has said a word there is none in them.
    pub fn has_casts_waiting(&self) -> bool {
        !self.is_over()
            && (!self.out.is_empty() && self.theirs.is_some()
                || !self.large.is_empty()
                || self.outgoing.iter().any(|(_, outgoing)| outgoing.kind == Kind::Cast))
    }

    /// Requests of the peer without an answer.
    pub fn answering_count(&self) -> usize {
        self.answering.len()
    }

    fn key_of(&self, index: usize) -> u64 {
        u64::from(self.outgoing[index].generation) << 32 | index as u64
    }

    /// The outgoing message of a key, if it has no outcome yet.
    fn index_of(&self, key: u64) -> Option<usize> {
        let index = usize::try_from(key & u64::from(u32::MAX)).ok()?;
        let outgoing = self.outgoing.get(index)?;
        (u64::from(outgoing.generation) == key >> 32).then_some(index)
    }

    #[cfg(debug_assertions)]
    fn check(&self) {
        for (_, outgoing) in &self.outgoing {
            let waits = matches!(outgoing.stage, Stage::Waiting(_));
            let open = self.channels.get(outgoing.channel as usize);
            assert!(open.is_some(), "N-1: an outgoing message without a channel");
            assert!(
                waits || outgoing.kind == Kind::Call || matches!(outgoing.stage, Stage::Streaming { .. }),
                "N-1: a tell or cast that was sent is done"
            );
        }
        assert!(self.ready.len() <= self.channels.len(), "a channel is ready at most once");
    }

    #[cfg(not(debug_assertions))]
    #[inline]
    fn check(&self) {}
}
