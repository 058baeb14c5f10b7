//! What the runtime does within an actor, in its turn among the messages.

use std::any::Any;

use actix::prelude::*;

type Act = Box<dyn FnOnce(&mut dyn Any, &mut dyn Any) + Send>;

/// Lets the runtime see an actor and its context, after what is in the mailbox before it. The derive implements its
/// handler.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Visit(Act);

impl Visit {
    /// Calls `act` with the actor and its context.
    pub fn new(act: impl FnOnce(&mut dyn Any, &mut dyn Any) + Send + 'static) -> Visit {
        Visit(Box::new(act))
    }
}

/// Handles a visit: called by the derive.
pub fn handle_visit<A: Actor>(actor: &mut A, Visit(act): Visit, context: &mut A::Context) {
    act(actor, context);
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Visit")
    }
}
