//! What the messages of each process may cost it at worst (M-3), from the plan alone.
//!
//! The sums are of what is bounded by configuration: see [`MemoryBound`]. Not in them are the program itself, messages
//! that its own futures wait for room with (as many as it has futures), what handlers that have begun hold, what the owners of
//! lent bytes keep beside these, spare buffers of inboxes (128 KiB, and as much for each thread), actors that are not declared but
//! exported, addresses that a process gets in a message and not by its wiring, and messages for which at-least-once is asked by
//! the sender and not by the topology.

use std::collections::BTreeMap;

use serde::Serialize;

use super::plan::{Mailbox, MessageLimits, Plan, PlannedActor, PlannedProcess};
use crate::codec::spare::SPARE_BYTES;
use crate::id::ProcessId;
use crate::protocol::{Delivery, Limits};

/// What the messages of one process may cost it at worst, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryBound {
    /// The process; `root` for the one that deploys.
    pub process: String,
    /// How many processes it has a pipe with, by the wiring: the root, those that it may send to, and those that may
    /// send to it.
    pub peers: usize,
    /// Messages for its actors: a window for each of them and each process that may send to it.
    ///
    /// Counted are twice the bytes of the window, since what is put together or decoded stands beside what it is made
    /// from, and [`MESSAGE_BYTES`] a message. What stays in the process has no encoded size: of it only the latter.
    pub mailboxes: u64,
    /// Messages of its `do_send` that wait: for each actor that it may send to an outbox, and the window that it was
    /// granted, of which there are those behind a hold, where the actor's address was just handed to it. For an actor with
    /// at-least-once also the window of those that were sent and not yet acknowledged.
    pub outboxes: u64,
    /// Replies that were not read yet: the budget for each process that may ask it, and the reply that passes it, as it
    /// is and encoded.
    pub replies: u64,
    /// Buffers of its pipes: [`PIPE_BYTES`] for each, and [`SPARE_BYTES`] for the process, which wait for the next large body.
    pub pipes: u64,
    /// State of actors: `snapshot_limit` for each in the root, which keeps it, and once more for each process that may
    /// just be sending one; twice that for each actor in its own process.
    pub snapshots: u64,
}

/// What a message costs beside its bytes: its envelope in the mailbox or outbox, and its places in our tables.
pub const MESSAGE_BYTES: u64 = 512;

/// What the buffers of a pipe grow to: what one read takes, what one write is given, and the frames at their ends, each
/// twice, as buffers grow by doubling. The kernel's own buffers are not the process's.
pub const PIPE_BYTES: u64 = 1 << 20;

impl MemoryBound {
    /// All together.
    pub fn total(&self) -> u64 {
        [self.outboxes, self.replies, self.pipes, self.snapshots]
            .into_iter()
            .fold(self.mailboxes, u64::saturating_add)
    }
}

impl Plan {
    /// What the messages of each process may cost it at worst; the root first, then in start order.
    pub fn memory(&self) -> Vec<MemoryBound> {
        let root = (ProcessId::ROOT, Place { name: "root", limits: root_limits() });
        let others = self
            .processes
            .iter()
            .map(|process| (process.id, Place { name: process.name.as_str(), limits: process.limits }));
        let places: BTreeMap<ProcessId, Place<'_>> = std::iter::once(root).chain(others).collect();
        let mut bounds: BTreeMap<ProcessId, MemoryBound> =
            places.iter().map(|(id, place)| (*id, MemoryBound::nothing(place.name))).collect();
        for process in &self.processes {
            bounds.entry(process.id).and_modify(|bound| bound.add_own(process));
            bounds.entry(ProcessId::ROOT).and_modify(|bound| bound.add_kept(process));
        }
        let reaches = self.reaches();
        for ((from, to), reached) in &reaches {
            let (Some(sender), Some(taker)) = (places.get(from), places.get(to)) else { continue };
            let is_first_pair = from < to || !reaches.contains_key(&(*to, *from));
            for id in [from, to].into_iter().filter(|_| is_first_pair) {
                bounds.entry(*id).and_modify(MemoryBound::add_pipe);
            }
            bounds
                .entry(*from)
                .and_modify(|bound| bound.add_outboxes(*reached, &sender.limits, &taker.limits));
            bounds.entry(*to).and_modify(|bound| bound.add_sender(*reached, &sender.limits, &taker.limits));
        }
        bounds.into_values().collect()
    }

    /// To how many actors of which other process each may send. The root may send to all.
    fn reaches(&self) -> BTreeMap<(ProcessId, ProcessId), Reached> {
        let mut reaches: BTreeMap<_, Reached> = BTreeMap::new();
        for (process, actor) in self.actors() {
            reaches.entry((ProcessId::ROOT, process.id)).or_default().add(actor);
        }
        for process in &self.processes {
            for wired in process.wired.iter().filter(|wired| wired.id.process != process.id) {
                if let Some((_, actor)) = self.actor_by_id(wired.id) {
                    reaches.entry((process.id, wired.id.process)).or_default().add(actor);
                }
            }
        }
        reaches
    }
}

/// A process, the root included.
struct Place<'p> {
    name: &'p str,
    limits: MessageLimits,
}

/// Actors of one process that another may send to.
#[derive(Clone, Copy, Default)]
struct Reached {
    actors: u64,
    /// Those of them for which what was sent is kept until it is acknowledged.
    at_least_once: u64,
}

impl Reached {
    fn add(&mut self, actor: &PlannedActor) {
        self.actors += 1;
        self.at_least_once += u64::from(actor.rules.delivery == Delivery::AtLeastOnce);
    }
}

impl MemoryBound {
    fn nothing(name: &str) -> MemoryBound {
        let (peers, mailboxes, outboxes, replies, snapshots) = Default::default();
        let pipes = SPARE_BYTES as u64;
        MemoryBound { process: name.to_owned(), peers, mailboxes, outboxes, replies, pipes, snapshots }
    }

    /// What a process has without any other: a window and an outbox for what it sends to its own actors, and of each
    /// the state that it gave last, with a copy on the way to the root.
    fn add_own(&mut self, process: &PlannedProcess) {
        let actors = process.actors.len() as u64;
        self.mailboxes += actors * 2 * u64::from(process.limits.mailbox.messages) * MESSAGE_BYTES;
        self.snapshots += actors * 2 * process.snapshot_limit;
    }

    /// What the root keeps for the actors of a process, and one state that just comes.
    fn add_kept(&mut self, process: &PlannedProcess) {
        self.snapshots += (process.actors.len() as u64 + 1) * process.snapshot_limit;
    }

    fn add_pipe(&mut self) {
        self.peers += 1;
        self.pipes += PIPE_BYTES;
    }

    /// Another process may be sent to.
    fn add_outboxes(&mut self, reached: Reached, own: &MessageLimits, theirs: &MessageLimits) {
        // An outbox has the sender's own window, and takes one more message while there is any room in it.
        let outbox =
            own.mailbox.bytes + theirs.max_message_bytes + u64::from(own.mailbox.messages) * MESSAGE_BYTES;
        // Where a hold keeps what there is credit for, that waits here as well.
        let held = theirs.mailbox.bytes + u64::from(theirs.mailbox.messages) * MESSAGE_BYTES;
        let each = outbox.saturating_add(held);
        self.outboxes = self.outboxes.saturating_add(reached.actors.saturating_mul(each));
        self.outboxes =
            self.outboxes.saturating_add(reached.at_least_once.saturating_mul(sent_and_kept(theirs)));
    }

    /// Another process may send.
    fn add_sender(&mut self, reached: Reached, theirs: &MessageLimits, own: &MessageLimits) {
        let window = u64::from(own.mailbox.messages) * MESSAGE_BYTES + 2 * window_bytes(own);
        self.mailboxes = self.mailboxes.saturating_add(reached.actors.saturating_mul(window));
        self.replies = self.replies.saturating_add(own.reply_budget + 2 * theirs.max_message_bytes);
    }
}

/// What is under way to one actor at most: all of the window, or a quarter of it and the largest message (C-2).
fn window_bytes(limits: &MessageLimits) -> u64 {
    let bytes = limits.mailbox.bytes;
    bytes.max(bytes / 4 + limits.max_message_bytes)
}

/// What a sender keeps, encoded, of that until it is acknowledged.
fn sent_and_kept(theirs: &MessageLimits) -> u64 {
    u64::from(theirs.mailbox.messages) * MESSAGE_BYTES + window_bytes(theirs)
}

/// The root's are the connections' own defaults.
fn root_limits() -> MessageLimits {
    let Limits { max_message_bytes, window_messages, window_bytes, reply_bytes, .. } = Limits::default();
    MessageLimits {
        max_message_bytes: max_message_bytes.into(),
        mailbox: Mailbox { messages: window_messages, bytes: window_bytes.into() },
        reply_budget: reply_bytes.into(),
        pipe_buffer: None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::topology::{Catalog, ProgramFacts, ProgramProblem, ProgramRef, Topology};

    struct Unasked;

    impl Catalog for Unasked {
        fn program(&self, _: &ProgramRef) -> Result<ProgramFacts, ProgramProblem> {
            Ok(ProgramFacts { path: "/bin/true".into(), types: None })
        }
    }

    #[test]
    fn h45_the_worst_case_follows_from_the_wiring_and_the_limits() {
        let text = r#"
            name = "demo"
            [defaults]
            max_message_bytes = "1KiB"
            mailbox = { messages = 10, bytes = "4KiB" }
            reply_budget = "16KiB"
            [process.sink]
            actor.one = { type = "t::A" }
            actor.two = { type = "t::A" }
            [process.source]
            replicas = 3
            actor.from = { type = "t::B", args = { to = { addr = "one" } } }
        "#;
        let plan =
            Topology::from_toml(text, Path::new("t.toml")).expect("TOML").plan(&Unasked).expect("sound");
        let bounds = plan.memory();
        let [root, sink, source, _, _] = bounds.as_slice() else { panic!("{bounds:?}") };
        const WINDOW: u64 = 10 * MESSAGE_BYTES + 2 * (4 << 10);
        const LOCAL: u64 = 2 * 10 * MESSAGE_BYTES;
        // Two actors for the root, one for each source.
        assert_eq!(
            (sink.process.as_str(), sink.peers, sink.pipes),
            ("sink", 4, 4 * PIPE_BYTES + SPARE_BYTES as u64)
        );
        assert_eq!((sink.mailboxes, sink.outboxes), (5 * WINDOW + 2 * LOCAL, 0));
        let of_root = u64::from(Limits::default().max_message_bytes);
        assert_eq!(sink.replies, 4 * (16 << 10) + 3 * (2 << 10) + 2 * of_root);
        assert_eq!((source.process.as_str(), source.peers), ("source-1", 2));
        assert_eq!(source.mailboxes, WINDOW + LOCAL);
        assert_eq!(source.outboxes, 2 * (4 << 10) + (1 << 10) + 2 * 10 * MESSAGE_BYTES);
        assert_eq!((root.process.as_str(), root.peers, root.mailboxes, root.replies), ("root", 4, 0, 0));
        assert_eq!(root.total(), root.outboxes + root.snapshots + root.pipes);
    }

    #[test]
    fn what_is_kept_for_the_next_life_is_counted() {
        let text = r#"
            name = "demo"
            [defaults]
            max_message_bytes = "1KiB"
            mailbox = { messages = 10, bytes = "4KiB" }
            [process.sink]
            snapshot_limit = "3KiB"
            actor.one = { type = "t::A", delivery = "at_least_once" }
            actor.two = { type = "t::A" }
            [process.source]
            snapshot_limit = 0
            actor.from = { type = "t::B", args = [{ addr = "one" }, { addr = "two" }] }
        "#;
        let plan =
            Topology::from_toml(text, Path::new("t.toml")).expect("TOML").plan(&Unasked).expect("sound");
        let bounds = plan.memory();
        let [root, sink, source] = bounds.as_slice() else { panic!("{bounds:?}") };
        assert_eq!((root.snapshots, sink.snapshots, source.snapshots), (9 << 10, 12 << 10, 0));
        const OUTBOX: u64 = 2 * (4 << 10) + (1 << 10) + 2 * 10 * MESSAGE_BYTES;
        const KEPT: u64 = (4 << 10) + 10 * MESSAGE_BYTES;
        assert_eq!(source.outboxes, 2 * OUTBOX + KEPT);
    }
}
