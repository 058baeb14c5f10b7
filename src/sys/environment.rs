//! The marks in a worker's environment by which it knows that it is one.

/// Tells a process that it was started as a worker: `<descriptor>:<pid of the root>`.
pub const WORKER: &str = "PROCESSION_WORKER";

/// How many workers deep this process is; absent means 0.
pub const DEPTH: &str = "PROCESSION_DEPTH";

/// A worker may itself be the root of other workers, and so on this deep. Real nesting is one or two; a program
/// that starts itself by mistake is stopped here, with a few processes (H25).
pub const MAX_DEPTH: u32 = 8;
