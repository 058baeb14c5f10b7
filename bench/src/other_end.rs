//! The other process of a part that is not Procession's: started with something to talk over, and never left behind.

use std::process::{Child, Stdio};

use crate::part::{Failure, Part};

/// Killed and reaped when it is dropped, if it has not ended by then.
pub(crate) struct OtherEnd(Child);

impl OtherEnd {
    /// Starts this program as the other end of a part, with something to talk over as its stdin.
    pub(crate) fn start(part: &Part, connection: impl Into<Stdio>) -> Result<OtherEnd, Failure> {
        let mut command = Part { answers: true, ..*part }.command()?;
        Ok(OtherEnd(command.stdin(connection).spawn()?))
    }

    /// Its number with the kernel.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for OtherEnd {
    fn drop(&mut self) {
        // Nothing of what it has is needed any more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What another end does first: it ends when who started it does.
pub(crate) fn end_with_parent() -> Result<(), Failure> {
    Ok(nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?)
}
