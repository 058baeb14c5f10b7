//! Which member of a group gets a message: a choice by what the sender knows, and nothing else.

mod choice;
mod ring;

pub use choice::{Choice, Routing, choose};
pub use ring::{POINTS, Ring, hash_key, hash_place};
