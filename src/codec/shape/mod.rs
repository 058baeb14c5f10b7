//! What serde makes of a type, found out by letting the type read itself from a deserializer that only takes notes.
//!
//! For comparing what two programs send one another (T-3), and for saying it to people and other languages as JSON
//! Schema. It needs nothing of users: whatever can be a message can be looked at. Not on the way of any message: a shape
//! is found out when another program is met, or when somebody asks.
//!
//! - `form`: the notes.
//! - `look`: looks at a type as often as there is something new to see.
//! - `spot`, `access`: the deserializer.
//! - `names`: which names are one field's.
//! - `samples`: the values that it gives.
//! - `mention`: what addresses say of whom they lead to.
//! - `compare`, `words`: the first difference of two shapes, and how people call it.
//! - `protocol`: the messages of actors.
//! - `schema`: JSON Schema of a shape.

mod access;
mod compare;
mod form;
mod look;
mod mention;
mod names;
mod protocol;
mod samples;
mod schema;
mod spot;
mod words;

#[cfg(test)]
mod tests;

pub use compare::Difference;
pub use form::{Field, Form, Shape, Shapes, TypeShape, Variant};
pub use look::{Looked, readable, wire};
pub(crate) use mention::{Whom, is_looking, mention, mention_weak};
pub use protocol::{ActorKey, ActorProtocol, Collection, MessageShapes, Mismatch, Protocol};
pub use schema::{ACTOR_KEYWORD, MESSAGE_KEYWORD, schema};
