//! Sending at least once: the message is encoded and given to its series, whichever process its actor lives in (M-6).

use std::sync::Arc;
use std::time::Instant;

use super::actor::ProcMessage;
use super::dispatch::Which;
use super::request::{Pending, Route};
use super::slot::CallSlot;
use crate::id::Capability;
use crate::process::routing::{Keeper, MessageName, Router};
use crate::protocol::connection::Mode;
use crate::protocol::series::Wanted;
use crate::protocol::wire::Cause;

/// Sends a message whose outcome somebody waits for: `mode` is `Call` or `Tell`.
pub(super) fn submit<M: ProcMessage>(
    router: &Arc<Router>,
    id: &Capability,
    which: Which,
    message: M,
    mode: Mode,
) -> Pending<M> {
    let series = router.series(id);
    let slot = Arc::new(CallSlot::<M>::new());
    let waiting = Arc::clone(&slot);
    let (is_call, keeper) = match mode {
        Mode::Call => (true, Keeper::Reply(waiting)),
        _ => (false, Keeper::Room(waiting)),
    };
    let deadline = Instant::now() + router.ask_timeout();
    match series.submit(id, (which.id, MessageName(which.name)), &message, keeper, Wanted::Wait) {
        Ok(None) if !is_call => Pending::Done,
        Ok(ticket) => {
            Pending::new(slot, Some(message), Route::Kept { series, ticket, deadline, timer: None })
        }
        Err(cause) => Pending::failed(cause, Some(message)),
    }
}

/// Sends a message that nobody waits for: `mode` is `Try` or `Outbox`.
pub(super) fn send_now<M: ProcMessage>(
    router: &Arc<Router>,
    id: &Capability,
    which: Which,
    message: M,
    mode: Mode,
) -> Result<(), (Cause, Option<M>)> {
    let wanted = if mode == Mode::Try { Wanted::Now } else { Wanted::Outbox };
    let which = (which.id, MessageName(which.name));
    match router.series(id).submit(id, which, &message, Keeper::Nobody, wanted) {
        Ok(_) => Ok(()),
        Err(cause) => Err((cause, Some(message))),
    }
}
