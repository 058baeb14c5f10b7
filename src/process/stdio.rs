//! Raw stdout and stderr of a worker, as whole lines.

/// How many of the last lines are kept for the report of a death: what a person reads at a glance, and enough
/// for the message and the first frames of a backtrace.
pub const LAST_LINES: usize = 20;
