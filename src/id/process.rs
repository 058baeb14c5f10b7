//! Which process, and which life of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a process in its topology: 0 is the root, workers count from 1 in start order.
///
/// A restarted process keeps its number and gets the next [`Incarnation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessId(pub u32);

impl ProcessId {
    /// The process that deploys.
    pub const ROOT: ProcessId = ProcessId(0);

    /// Whether this is the process that deploys.
    pub fn is_root(self) -> bool {
        self == Self::ROOT
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Which life of a restarted process: the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u32);

impl Incarnation {
    /// The first life.
    pub const FIRST: Incarnation = Incarnation(1);
    /// "Whichever lives now": the incarnation of an address that survives restarts.
    pub const ANY: Incarnation = Incarnation(0);

    /// The life after this one.
    ///
    /// # Panics
    /// After 4 294 967 295 lives, which at one restart a millisecond takes seven weeks.
    #[must_use]
    pub fn next(self) -> Incarnation {
        Incarnation(self.0.checked_add(1).expect("fewer than 2^32 incarnations"))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
