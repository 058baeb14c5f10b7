//! Hosts the actors of a worker: the same engine that supervises processes in the root supervises them here (P-5).
//!
//! - `driver`: carries out what the engine decides, tells it what happened; its own task on the arbiter.
//! - `hosted`: one actor of whatever type through all its lives, and the factory that makes it.
//! - `notes`: what the process is told, and those who wait.
//! - `orders`: what the handle to the runtime asks for, for whichever thread.
//! - `changes`: actors that come and go at run time, and ends that others ask for.
//! - `life`: one life as a future, from `started` to how it ended.

mod changes;
mod driver;
mod hosted;
mod life;
mod notes;
mod orders;

pub(super) use driver::{Host, Orders, Stage};
pub(super) use hosted::{Factories, TypedFactory};
pub(super) use life::PANIC_CODE;
pub(super) use orders::take_orders;
