//! What a failure of one delivery means for the message.

use crate::id::{Exit, ProcessId, Slot};
use crate::protocol::control::{Cursor, InProgress};
use crate::protocol::wire::{Cause, Failure, Verdict};

/// What came of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// It was handled, whether or not its reply could be told: it is forgotten.
    Handled,
    /// No handler saw it, and one may yet: it is sent again.
    Refused,
    /// Nobody can tell, and it is sent again.
    Unknown(Culprit),
    /// Its handler took it and ended with the actor, or without an answer.
    Killed,
    /// It can't be delivered, now or ever.
    Hopeless,
}

/// Of which message a process died, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Culprit {
    /// Of this one.
    This,
    /// Of something else, or it did not die.
    Other,
    /// Not known: the first that has no outcome is held for it.
    Unknown,
}

/// Judges a failure. `follows` says whether the address follows its actor into its next life; `culprit` is who is to
/// blame if the process died.
pub fn judge(failure: &Failure, follows: bool, culprit: Culprit) -> Return {
    match (&failure.cause, failure.verdict) {
        // The handler ran to its end; only its result has not come.
        (Cause::Encode(_) | Cause::TooLarge { .. } | Cause::Decode(_), Verdict::Failed) => Return::Handled,
        (Cause::Poison { .. }, _) => Return::Hopeless,
        // Its handler was dropped with an actor that somebody else stopped.
        (Cause::ActorStopped, Verdict::Failed) => Return::Unknown(Culprit::Other),
        (_, Verdict::Failed) => Return::Killed,
        (Cause::PeerDied { exit, .. }, Verdict::Unknown) => Return::Unknown(match exit {
            // It ended by itself, or it lives and only the pipe is gone.
            Some(Exit::Code(0)) | None => Culprit::Other,
            Some(_) => culprit,
        }),
        (_, Verdict::Unknown) => Return::Unknown(Culprit::Other),
        (Cause::ActorStopped, Verdict::NotExecuted) if !follows => Return::Hopeless,
        (
            Cause::ActorStopped
            | Cause::Early
            | Cause::Stopping(_)
            | Cause::PeerDied { .. }
            | Cause::Protocol { .. }
            | Cause::Cancelled
            | Cause::TimedOut,
            Verdict::NotExecuted,
        ) => Return::Refused,
        (_, Verdict::NotExecuted) => Return::Hopeless,
    }
}

/// Whether a process died of a message: by its sender, its actor and its number, and by what the process was busy with.
pub fn culprit(cursor: &Cursor, message: (ProcessId, Slot, u64)) -> Culprit {
    let of = |busy: &InProgress| (busy.sender, busy.slot, busy.number);
    let mut at_work = cursor.in_progress.iter().filter(|busy| !busy.waits).peekable();
    if at_work.peek().is_some() {
        return if at_work.any(|busy| of(busy) == message) { Culprit::This } else { Culprit::Other };
    }
    // No thread was in a handler; what they had begun and was waiting may have ended it all the same.
    let told = cursor.in_progress.len() as u64;
    match cursor.in_progress.iter().any(|busy| of(busy) == message) || cursor.running > told {
        true => Culprit::Unknown,
        false => Culprit::Other,
    }
}
