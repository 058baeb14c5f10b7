//! Who wants to hear of dead letters: of this process, or of every process of the topology (M-5).
//!
//! ```text
//!  subscribe --this process: its own letters--------------------------------> recipient
//!      '-------the topology: LettersToRoot::Subscribe --> root --> every other process: its letters --> recipient
//! ```
//!
//! A letter about a letter is never sent, and what a slow subscriber has no room for is missed: the letters of a process
//! are numbered, so a gap says how many.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix::prelude::*;

use super::context;
use super::recipient::ProcRecipient;
use crate::codec;
use crate::id::ProcessId;
use crate::process::routing::{DeadLetter, LetterReport, Router};
use crate::protocol::control::ToRoot;
use crate::protocol::letters::{LettersToRoot, LettersToWorker, MAX_RECIPIENT_BYTES, Subscription};
use crate::protocol::wire::{Cause, Failure};

impl Message for DeadLetter {
    type Result = ();
}

/// Whose dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LettersOf {
    /// Those of this process.
    ThisProcess,
    /// Those of every process of the topology that runs, those that are started later included.
    Topology,
}

/// Somebody hears of dead letters until this is dropped, or until nobody lives at the address.
#[must_use = "dropping it ends the subscription; keep it, or call `keep`"]
pub struct LetterSubscription {
    number: u64,
    of: LettersOf,
    off: Arc<AtomicBool>,
    kept: bool,
}

impl LetterSubscription {
    /// Lets it stand for as long as this process lives.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for LetterSubscription {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        self.off.store(true, Ordering::Release);
        if let (LettersOf::Topology, Some(router)) = (self.of, context::current()) {
            let number = self.number;
            router.say(ToRoot::Letters(LettersToRoot::Unsubscribe { number }));
        }
    }
}

impl fmt::Debug for LetterSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LetterSubscription({}, {:?})", self.number, self.of)
    }
}

static LAST_NUMBER: AtomicU64 = AtomicU64::new(0);

/// Tells `to` of each dead letter from now on. [`DeadLetter`] must be in the list of its actor's messages.
///
/// It is told without waiting: what it has no room for is missed, which the numbers of the letters show.
///
/// # Errors
/// [`Cause::NoRuntime`] outside `Program::run`; [`Cause::UnknownName`] if `to` is a name that is not known here.
pub fn subscribe_dead_letters(
    to: ProcRecipient<DeadLetter>,
    of: LettersOf,
) -> Result<LetterSubscription, Failure> {
    let router = context::current().ok_or(Failure::not_executed(Cause::NoRuntime))?;
    to.which().map_err(Failure::not_executed)?;
    let number = LAST_NUMBER.fetch_add(1, Ordering::Relaxed) + 1;
    if of == LettersOf::Topology {
        let to = codec::encode(&to, MAX_RECIPIENT_BYTES)
            .map_err(|error| Failure::not_executed(Cause::Encode(error.to_string())))?;
        router.say(ToRoot::Letters(LettersToRoot::Subscribe { number, to }));
    }
    let off = hand_on(&router, to);
    Ok(LetterSubscription { number, of, off, kept: false })
}

/// The dead letters of this process: how many, by reason, and the last ones with their bytes where those were kept. None
/// outside `Program::run`.
pub fn dead_letters() -> Option<LetterReport> {
    context::current().map(|router| router.dead_letters().report())
}

/// Hands each letter of this process on, until what is returned says so.
fn hand_on(router: &Router, to: ProcRecipient<DeadLetter>) -> Arc<AtomicBool> {
    let off = Arc::new(AtomicBool::new(false));
    let is_off = Arc::clone(&off);
    router.dead_letters().subscribe(move |letter| {
        if is_off.load(Ordering::Acquire) {
            return false;
        }
        if letter.message.as_deref() == Some("DeadLetter") {
            return true;
        }
        match to.try_send(letter.clone()) {
            Ok(()) => true,
            Err(error) => !is_for_ever(error.cause()),
        }
    });
    off
}

/// Nobody will ever be told there.
fn is_for_ever(cause: &Cause) -> bool {
    matches!(cause, Cause::NoActor(_) | Cause::ActorStopped | Cause::Stale { .. } | Cause::NotAccepted { .. })
}

/// A subscription of another process, and what ends it.
type Theirs = ((ProcessId, u64), Arc<AtomicBool>);

/// Those of other processes that are told here, to end them.
static THEIRS: Mutex<Vec<Theirs>> = Mutex::new(Vec::new());

/// What the root says about subscriptions of other processes.
pub(super) fn subscribing(router: &Arc<Router>, asked: &LettersToWorker) {
    let mut theirs = THEIRS.lock().unwrap_or_else(PoisonError::into_inner);
    match asked {
        LettersToWorker::Subscribe(Subscription { owner, number, to }) => {
            let is_known = theirs.iter().any(|(key, _)| *key == (*owner, *number));
            // The root checks nothing that it can't read; what is no recipient is told nothing.
            if let (false, Ok(to)) = (is_known, codec::decode(to)) {
                theirs.push(((*owner, *number), hand_on(router, to)));
            }
        }
        LettersToWorker::Unsubscribe { owner, number } => {
            theirs.retain(|(key, off)| {
                let is_over = *key == (*owner, *number);
                off.fetch_or(is_over, Ordering::AcqRel);
                !is_over
            });
        }
        LettersToWorker::Report { .. } => {}
    }
}
