//! Restart decisions, without I/O: what to start, stop and give up, from what ended and when.

mod spec;

pub use spec::{
    Backoff, ChildSpec, DEFAULT_START_DEADLINE, GroupSpec, Intensity, Member, Policy, Shutdown, Strategy,
    TERMINATE_GRACE,
};
