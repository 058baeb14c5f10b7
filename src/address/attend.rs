//! Who tells of an actor's end: a future in the actor's own context, or, until that runs, a message in its mailbox.
//!
//! Both end with the actor, however it ends, and behind it: actix drops the actor first, then its mailbox, then its
//! futures. Sent only to actors that somebody watches, so others cost nothing.

use std::sync::Arc;

use actix::prelude::*;

use super::actor::ProcActor;
use crate::process::handling;
use crate::process::routing::Ends;
use crate::protocol::watching::EndReason;

/// Asks an actor to tell of its end. Not for users: the derive implements its handler.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Attend(Option<Attendance>);

/// Tells when it is dropped.
#[derive(Debug)]
struct Attendance {
    ends: Arc<Ends>,
}

impl Attend {
    pub(super) fn new(ends: Arc<Ends>) -> Attend {
        Attend(Some(Attendance { ends }))
    }
}

impl Drop for Attendance {
    /// In the middle of the actor's end: what it still holds may send in its own `Drop`, so its end is told by a task
    /// of its own, which runs after that.
    fn drop(&mut self) {
        let reason = match std::thread::panicking() {
            true => EndReason::Panicked(handling::last_panic()),
            false => EndReason::Normal,
        };
        // What is asked for from now on comes too late.
        let reason = self.ends.reason_or(reason);
        let tell = Tell { ends: Arc::clone(&self.ends), reason: Some(reason) };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // A runtime that ends drops it without running it, which tells, too.
            drop(runtime.spawn(async move { drop(tell) }));
        }
    }
}

struct Tell {
    ends: Arc<Ends>,
    reason: Option<EndReason>,
}

impl Drop for Tell {
    fn drop(&mut self) {
        if let Some(reason) = self.reason.take() {
            self.ends.end(reason);
        }
    }
}

/// What ends the task of an actor that was ended by a link: its supervisor sees it as it sees a panic.
#[derive(Clone, Debug)]
pub struct EndedByLink(pub EndReason);

/// From now on the actor's context tells of its end, and ends it when that is wanted: what the derive's handler calls.
pub fn handle_attend<A: ProcActor>(mut attend: Attend, context: &mut A::Context) {
    if let (Some(serving), Some(attendance)) = (A::serving(), attend.0.take()) {
        (serving.keep)(context, Box::pin(serve(attendance)));
    }
}

async fn serve(attendance: Attendance) {
    let reason = attendance.ends.asked().await;
    tracing::warn!(target: "procession", "an actor is ended: {reason}");
    // Not the hook: nothing went wrong in this actor. Unwinding drops the attendance with all the rest.
    handling::unwind_by_link(&reason.to_string(), Box::new(EndedByLink(reason)));
}
