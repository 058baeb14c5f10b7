//! The other process of a part that is not Procession's: started with something to talk over, and never left behind.

use std::process::Stdio;

pub(crate) use procession_bench_clock::peer::{OtherEnd, end_with_parent};

use crate::part::{Failure, Part};

/// Starts this program as the other end of a part, with something to talk over as its stdin.
pub(crate) fn other_end(part: &Part, connection: impl Into<Stdio>) -> Result<OtherEnd, Failure> {
    OtherEnd::start(Part { answers: true, ..*part }.command()?.stdin(connection))
}
