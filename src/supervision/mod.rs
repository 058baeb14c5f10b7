//! Restart decisions, without I/O: what to start, stop and give up, from what ended and when.
//!
//! This is OTP's supervisor as a state machine. It knows no process, clock or task: what happened and the time go
//! in, what to do and the next deadline come out. The root drives one for its processes, every worker one for its actors.
//!
//! What OTP leaves to its runtime, or decides otherwise because its processes cost nothing, is decided so:
//!
//! - Restarts wait ([`Backoff`]), and a topology as a whole has at most [`MAX_RESTARTS_PER_SECOND`]; OTP restarts
//!   at once. A group that gave up is started again with the backoff of the child that brought it down.
//! - A significant child or group is never restarted after a normal end, even if it is permanent, which OTP forbids: such
//!   a one is work to be done. Where its group ends with it is said by the group's [`AutoShutdown`], as in OTP.
//! - What was added at run time comes back with a restart of its group; in OTP only what `init` names does.
//! - A topology in which every child has ended for good ends too, as [`Outcome::Completed`] with the last exit, unless the
//!   engine is [lasting](Engine::lasting), as that of the actors in a process is.
//! - A child that ends before it was ready failed to start, whatever its code.
//! - As in OTP, and often overlooked: a restart of several brings back transient members that had ended normally,
//!   and stops temporary ones for good.
//!
//! # The grid
#![doc = include_str!("grid.md")]

mod action;
mod backoff;
mod child;
mod children;
mod engine;
mod failure;
mod intensity;
mod invariants;
mod operator;
mod progress;
mod shutdown;
mod spec;
mod strategy;
mod tree;

#[cfg(test)]
mod tests;

pub use action::{Action, ChildId, GroupId, NotRestarted, Note, Outcome, Refused, StopStep};
pub(crate) use backoff::Dice;
pub use child::{AfterStop, ChildState, Phase};
pub use engine::Engine;
pub use intensity::{MAX_INTENSITY, MAX_RESTARTS_PER_SECOND};
pub use spec::{
    AutoShutdown, Backoff, ChildSpec, DEFAULT_START_DEADLINE, GroupSpec, Intensity, Member, Policy, Shutdown,
    Strategy, TERMINATE_GRACE,
};
