//! A peer that is a program of its own: the bench tells it its work in the environment, it starts itself as the
//! other end, and prints one reading.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::work::{Failure, Reading, Work};

/// The environment variable with an errand.
const VARIABLE: &str = "PROCESSION_BENCH_ERRAND";

/// What a peer's program is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Errand {
    /// What is measured: its name in the JSON, since one program may know two ways.
    pub name: String,
    /// What to do.
    pub work: Work,
    /// Where the end that measures is to be met; nothing for that end itself.
    pub meeting: Option<String>,
}

impl Errand {
    /// A program that is told the errand.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Result<Command, Failure> {
        let mut command = Command::new(program);
        command.env(VARIABLE, serde_json::to_string(self)?);
        Ok(command)
    }

    /// This program as the other end, that has to meet this one at some place; it has something as its stdin.
    pub fn other_end(&self, meeting: &str, stdin: impl Into<Stdio>) -> Result<OtherEnd, Failure> {
        let errand = Errand { meeting: Some(meeting.to_owned()), ..self.clone() };
        OtherEnd::start(errand.command(std::env::current_exe()?)?.stdin(stdin))
    }
}

/// The main function of a peer: measures or answers, as it was told.
pub fn play(
    measure: impl FnOnce(&Errand) -> Result<Reading, Failure>,
    answer: impl FnOnce(&Errand, &str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let told =
        std::env::var(VARIABLE).map_err(|_| "the bench starts this program: procession-bench --peers")?;
    let errand: Errand = serde_json::from_str(&told)?;
    if let Some(meeting) = &errand.meeting {
        end_with_parent()?;
        return answer(&errand, meeting);
    }
    let reading = measure(&errand)?;
    Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string(&reading)?)?)
}

/// The other process of a measurement. Killed and reaped when it is dropped, if it has not ended by then.
pub struct OtherEnd(Child);

impl OtherEnd {
    /// Starts it.
    pub fn start(command: &mut Command) -> Result<OtherEnd, Failure> {
        Ok(OtherEnd(command.spawn()?))
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> Result<(), Failure> {
        Ok(self.0.wait().map(drop)?)
    }

    /// Its number with the kernel.
    pub fn pid(&self) -> u32 {
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
pub fn end_with_parent() -> Result<(), Failure> {
    Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?)
}
