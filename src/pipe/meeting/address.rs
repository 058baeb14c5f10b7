//! Where pipes are met.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::sys::rendezvous::Place;

/// Where a listener is: a socket file, or a name in Linux's abstract namespace.
///
/// A file is protected by the permissions of its directory. An abstract name is not protected at all, and
/// anybody on the machine (in the network namespace) may take it first: ask for a key or check the peer's
/// user there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A socket file.
    Path(PathBuf),
    /// An abstract name, without the zero byte that it begins with in Python and in the kernel.
    Abstract(Vec<u8>),
}

impl Address {
    /// A socket file.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Address::Path(path.into())
    }

    /// A name in Linux's abstract namespace.
    pub fn abstract_name(name: impl AsRef<[u8]>) -> Self {
        Address::Abstract(name.as_ref().to_vec())
    }

    pub(super) fn place(&self) -> Place<'_> {
        match self {
            Address::Path(path) => Place::Path(path),
            Address::Abstract(name) => Place::Abstract(name),
        }
    }
}

/// As Python writes addresses: a text that begins with a zero byte is an abstract name, any other a path.
impl From<&OsStr> for Address {
    fn from(text: &OsStr) -> Self {
        match text.as_bytes().split_first() {
            Some((0, name)) => Address::abstract_name(name),
            _ => Address::path(text),
        }
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        Address::from(OsStr::new(text))
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Address::path(path)
    }
}

/// Abstract names with `@` in front, as ss(8) shows them.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Path(path) => path.display().fmt(f),
            Address::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
        }
    }
}
