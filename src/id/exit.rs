//! How a process ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a POSIX signal, shown by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Signal(pub i32);

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nix::sys::signal::Signal::try_from(self.0) {
            Ok(known) => f.write_str(known.as_str()),
            Err(_) => write!(f, "signal {}", self.0),
        }
    }
}

/// How a process ended, as the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Exit {
    /// It returned or called exit with this code; 0 is success.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// Which.
        signal: Signal,
        /// Whether the kernel wrote a core.
        core_dumped: bool,
    },
}

impl Exit {
    /// Whether the process ended of itself with code 0.
    pub fn is_success(self) -> bool {
        self == Exit::Code(0)
    }

    /// The code that a shell would show: the code itself, or 128 and the signal's number.
    pub fn shell_code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal { signal, .. } => 128 + signal.0,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exited with code {code}"),
            Exit::Signal { signal, core_dumped: false } => write!(f, "killed by {signal}"),
            Exit::Signal { signal, core_dumped: true } => write!(f, "killed by {signal}, core dumped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_reads_as_a_sentence() {
        assert_eq!(Exit::Code(3).to_string(), "exited with code 3");
        assert_eq!(Exit::Signal { signal: Signal(11), core_dumped: false }.to_string(), "killed by SIGSEGV");
        assert_eq!(Exit::Signal { signal: Signal(9), core_dumped: false }.shell_code(), 137);
    }
}
