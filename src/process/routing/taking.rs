//! The series that arrive for one actor, and what a handler may know of its message's place in them (M-6).

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::protocol::series::{Numbering, SeriesId, Take, Taking};

/// How an at-least-once message came to its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Who sent it: one life of a process.
    pub series: SeriesId,
    /// Its number among what that sender sends this actor: the first is 1, each has a greater one than those before it.
    pub number: u64,
    /// Which delivery this is: 1, and one more for each before it that may have reached a handler.
    pub attempt: u32,
}

/// What this process has begun of each series to one of its actors.
#[derive(Debug, Default)]
pub(super) struct Takings(Mutex<Vec<(SeriesId, Shared)>>);

type Shared = Arc<Mutex<Taking>>;

/// Of one life of a process: it has one series to the actor at a time, and begins another only when everything of that was
/// settled. Of the one before it a copy may still come, from a connection that broke.
const MOST_OF_A_SENDER: usize = 2;

/// Processes that send to one actor at least once. One that is forgotten and still sends has what is under way refused
/// once more than it must, and loses nothing.
const MOST: usize = 4096;

thread_local! {
    static CURRENT: Cell<Option<Arrival>> = const { Cell::new(None) };
}

impl Arrival {
    /// Within a handler: how the message came that is being handled. None if it was sent at most once; and none in what an
    /// asynchronous handler does after it has returned its future, so ask before.
    pub fn current() -> Option<Arrival> {
        CURRENT.try_with(Cell::get).ok().flatten()
    }

    /// The message of this arrival is handled until the guard is dropped.
    pub(crate) fn enter(self) -> Arrived {
        Arrived { before: CURRENT.try_with(|current| current.replace(Some(self))).ok().flatten() }
    }
}

/// Puts back what was being handled before.
#[must_use = "handling ends when the guard is dropped"]
pub(crate) struct Arrived {
    before: Option<Arrival>,
}

impl Drop for Arrived {
    fn drop(&mut self) {
        // A thread that is being torn down has nothing to put back.
        let _ = CURRENT.try_with(|current| current.set(self.before));
    }
}

impl Takings {
    /// That of a series; a new one if it is not known.
    fn of(&self, id: SeriesId) -> Shared {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, taking)) = all.iter().rev().find(|(known, _)| *known == id) {
            return Arc::clone(taking);
        }
        // The lives before it send no more. What of them waits in the mailbox has its series by itself.
        all.retain(|(known, _)| known.process != id.process || known.incarnation >= id.incarnation);
        let of_sender = |(known, _): &(SeriesId, Shared)| known.process == id.process;
        if all.iter().filter(|entry| of_sender(entry)).count() >= MOST_OF_A_SENDER
            && let Some(oldest) = all.iter().position(of_sender)
        {
            all.remove(oldest);
        }
        if all.len() >= MOST {
            all.remove(0);
        }
        let taking = Shared::default();
        all.push((id, Arc::clone(&taking)));
        taking
    }

    pub(super) fn numbered(&self, id: SeriesId, numbering: Numbering, in_order: bool) -> Numbered {
        let taking = in_order.then(|| self.of(id));
        Numbered { id, numbering, taking }
    }
}

/// The place of one message that arrived.
#[derive(Debug)]
pub(super) struct Numbered {
    id: SeriesId,
    numbering: Numbering,
    /// None where several handle at once, so that there is no order to keep.
    taking: Option<Shared>,
}

impl Numbered {
    fn lock(&self) -> Option<MutexGuard<'_, Taking>> {
        self.taking.as_ref().map(|taking| taking.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn begin(&self) -> Take {
        self.lock().map_or(Take::Handle, |mut taking| taking.begin(&self.numbering))
    }

    pub(super) fn finish(&self) {
        if let Some(mut taking) = self.lock() {
            taking.finish(self.numbering.number);
        }
    }

    pub(super) fn fail(&self) {
        if let Some(mut taking) = self.lock() {
            taking.fail(self.numbering.number);
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.numbering.number
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.numbering.quiet
    }

    pub(super) fn arrival(&self) -> Arrival {
        let Numbering { number, attempt, .. } = self.numbering;
        Arrival { series: self.id, number, attempt: attempt.into() }
    }
}
