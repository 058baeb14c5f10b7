//! A part: one subject doing one task once, in a process of its own, so that nothing of one measurement (pinned
//! threads, warm memory, runtimes) is left for the next. The part is told in the environment, because the workers of
//! Procession and the other ends of peers are the same executable and find it there, too.

use std::ops::Deref;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

pub(crate) use procession_bench_clock::work::{Failure, Reading, Task, Work};

use crate::subjects::Subject;

/// The environment variable with a part.
const VARIABLE: &str = "PROCESSION_BENCH_PART";

/// One measurement of one subject.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Who.
    pub(crate) subject: Subject,
    /// What, where, and for how long.
    pub(crate) work: Work,
    /// Whether this process answers the one that measures.
    pub(crate) answers: bool,
}

impl Deref for Part {
    type Target = Work;

    fn deref(&self) -> &Work {
        &self.work
    }
}

impl Part {
    /// The part of who measures.
    pub(crate) fn new(subject: Subject, work: Work) -> Part {
        Part { subject, work, answers: false }
    }

    /// The part of this process, if it has one.
    pub(crate) fn of_this_process() -> Option<Result<Part, Failure>> {
        let told = std::env::var(VARIABLE).ok()?;
        Some(serde_json::from_str(&told).map_err(Failure::from))
    }

    /// This program, told to play the part.
    pub(crate) fn command(&self) -> Result<Command, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(VARIABLE, serde_json::to_string(self)?);
        Ok(command)
    }

    /// Has another process play the part, and waits for what it found.
    pub(crate) fn run(&self) -> Result<Reading, Failure> {
        let mut command = self.command()?;
        // A worker that is killed on purpose needs no warning.
        command.env("RUST_LOG", "error").stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output()?;
        if !output.status.success() {
            return Err(format!("{:?} of {:?}: {}", self.task, self.subject, output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}
