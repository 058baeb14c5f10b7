//! What a worker's status page says, in words. Root side, for the report of a death and of a hang.
//!
//! The page is the worker's own word: numbers and texts that it may have written wrongly or on purpose. Here they are
//! cut to what a report may hold; nothing is decided by them but what people and peers are told.

use crate::id::{ProcessId, Slot};
use crate::process::text::cut;
use crate::protocol::control::{Cursor, Handling, InProgress, MAX_IN_PROGRESS};
use crate::sys::status_page::{Name, Reader, Snapshot, Work};

/// A message that comes from the process itself. No process has this number.
pub(super) const HERE: u32 = u32::MAX;

/// The kinds of names on a page: a message's identity with the type of its actor and its own name; an actor's place with
/// its name.
pub(super) const MESSAGE: u8 = b'm';
pub(super) const ACTOR: u8 = b'a';

/// No name that people give is longer, and no path of a type that they can read.
const MAX_NAME_BYTES: usize = 256;

/// What a worker was busy with at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// What was being handled: first what threads were about, then what asynchronous handlers had begun, oldest first.
    pub handling: Vec<Handling>,
    /// How far it had come.
    pub cursor: Cursor,
    /// The kernel's number of each thread that handles something, as the worker says it.
    pub threads: Vec<u32>,
}

/// Reads the page of a process.
pub fn read(process: ProcessId, page: &Reader) -> Status {
    describe(process, &page.look(), || page.names())
}

/// As [`read`], for what the page said before.
pub fn describe(process: ProcessId, seen: &Snapshot, names: impl FnOnce() -> Vec<Name>) -> Status {
    let sync = seen.busy.iter().map(|(_, work)| (work, false));
    let works = || sync.clone().chain(seen.asides.iter().map(|work| (work, true))).take(MAX_IN_PROGRESS);
    // Most deaths and all idle workers handle nothing, and names are the larger part of a page.
    let names = if works().next().is_some() { names() } else { Vec::new() };
    let running = seen.begun.saturating_sub(seen.done);
    let in_progress = |(work, waits): (&Work, bool)| InProgress {
        slot: Slot(work.slot),
        message: work.message,
        sender: if work.sender == HERE { process } else { ProcessId(work.sender) },
        number: work.number,
        waits,
    };
    Status {
        handling: works().map(|(work, waits)| in_words(work, waits, &names)).collect(),
        cursor: Cursor {
            handled: seen.done,
            running,
            unread: seen.taken.saturating_sub(seen.refused).saturating_sub(seen.begun),
            in_progress: works().map(in_progress).collect(),
        },
        threads: seen.busy.iter().map(|(thread, _)| *thread).collect(),
    }
}

fn in_words(work: &Work, waits: bool, names: &[Name]) -> Handling {
    let name_of = |kind: u8, number: u32| {
        // The last one holds: an actor's place may get another actor.
        names.iter().rev().find(|name| name.kind == kind && name.number == number)
    };
    let text = |text: &str| cut(text.to_owned(), MAX_NAME_BYTES);
    let message = name_of(MESSAGE, work.message);
    let actor = name_of(ACTOR, work.slot).or(message).map(|name| text(&name.texts[0]));
    Handling {
        actor: actor.unwrap_or_else(|| format!("actor {}", Slot(work.slot).0)),
        message: message.map_or_else(|| format!("message {:08x}", work.message), |name| text(&name.texts[1])),
        sender: (work.sender != HERE).then_some(ProcessId(work.sender)),
        waits,
        sender_name: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: ProcessId = ProcessId(5);

    fn name(kind: u8, number: u32, texts: [&str; 2]) -> Name {
        Name { kind, number, texts: texts.map(str::to_owned) }
    }

    fn seen() -> Snapshot {
        let add = Work { slot: 0, message: 7, sender: 2, number: 40 };
        let wait = Work { slot: 1, message: 9, sender: HERE, number: 0 };
        Snapshot {
            taken: 10,
            refused: 1,
            begun: 6,
            done: 4,
            busy: vec![(77, add)],
            asides: vec![wait],
            ..Snapshot::default()
        }
    }

    #[test]
    fn p1_a_page_is_put_into_words_and_numbers() {
        let names = vec![
            name(MESSAGE, 7, ["demo::Counter", "Add"]),
            name(ACTOR, 0, ["old", ""]),
            name(ACTOR, 0, ["counter", ""]),
        ];
        let status = describe(ME, &seen(), || names);
        let words: Vec<_> =
            status.handling.iter().map(|h| (&h.actor[..], &h.message[..], h.sender, h.waits)).collect();
        let unnamed = ("actor 1", "message 00000009", None, true);
        assert_eq!(words, [("counter", "Add", Some(ProcessId(2)), false), unnamed]);
        let Cursor { handled, running, unread, in_progress } = status.cursor;
        assert_eq!((handled, running, unread), (4, 2, 3));
        assert_eq!((in_progress[0].sender, in_progress[0].number), (ProcessId(2), 40));
        assert_eq!(in_progress[1].sender, ME);
    }

    #[test]
    fn x1_a_page_that_lies_costs_no_more_than_a_report_may() {
        let busy = vec![(1, Work::default()); 128];
        let lies = Snapshot { begun: 1, done: u64::MAX, refused: 7, busy, ..Snapshot::default() };
        let long = "x".repeat(60_000);
        let status = describe(ME, &lies, || vec![name(MESSAGE, 0, [&long, &long])]);
        assert_eq!((status.cursor.running, status.cursor.unread), (0, 0));
        assert_eq!(status.handling.len(), MAX_IN_PROGRESS);
        assert!(status.handling.iter().all(|h| h.actor.len() + h.message.len() < 1000));
    }
}
