//! At-least-once delivery, without I/O: both ends of a numbered series of messages from one life of a process to one
//! actor (M-6).
//!
//! Each message travels as a call whose reply is its acknowledgement, over whatever connection there is; so a
//! connection's verdicts, windows, chunks and descriptors are as for any call. A [`Numbering`] at the end of its body says
//! which message of its series it is, and which of those that the sender still keeps is the one before it.
//!
//! ```text
//!  sender: Keeping                                      receiver: Taking, one for each series
//!    submit --room--> kept, numbered --poll_send-->  7 after 6   begun = 6: handled, begun = 7
//!    waits, oldest first, for room                   9 after 8   begun = 7: too early, refused
//!    handle_return: done: forgotten                  5 after 0   begun = 7: was handled, acknowledged
//!                   else: kept, and sent again from the first that came back, when all after it have come back
//! ```
//!
//! Invariants, checked in debug builds after each public call of [`Keeping`]:
//! - K-1 what was submitted is kept until it was acknowledged or given up with a cause;
//! - K-2 messages are sent in the order of their numbers, and none while one after it is under way;
//! - K-3 what is kept is within the window, or is one large message;
//! - K-4 one of which a process may have died is under way alone, so that the next death names the culprit.
//!
//! And of [`Taking`], for as long as the receiver's process lives:
//! - K-5 a message is begun only when all before it that the sender still keeps were begun;
//! - K-6 a message whose handler is done is not handled again, unless its sender waits for the reply that was lost.

mod judgement;
mod keeping;
mod numbering;
mod taking;

#[cfg(test)]
mod tests;

pub use judgement::{Culprit, Return, culprit, judge};
pub use keeping::{Keeping, Room, Settled, Submitted, Wanted};
pub use numbering::{Numbering, SeriesId};
pub use taking::{Take, Taking};
