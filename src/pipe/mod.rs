//! Typed object pipes for those who need no actor.
