//! What the derive knows of an actor.

use syn::{Ident, LitStr, Type};

/// An actor and its protocol.
pub(crate) struct Actor {
    pub(crate) ident: Ident,
    /// Its name in topologies, if it is not its path.
    pub(crate) name: Option<LitStr>,
    pub(crate) messages: Vec<Message>,
}

/// A message that the actor takes from other processes.
pub(crate) struct Message {
    pub(crate) ty: Type,
    /// Its name in the actor's protocol.
    pub(crate) name: LitStr,
}
