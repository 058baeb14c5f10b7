//! Names that people give: topologies, groups, processes, actors.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ProcessId;

/// Why a name is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing between the quotes.
    #[error("a name can't be empty")]
    Empty,
    /// More than [`MAX_NAME_BYTES`].
    #[error("a name can't be longer than {MAX_NAME_BYTES} bytes, and this has {0}")]
    TooLong(usize),
    /// Something else than letters, digits, `_`, `-` and `.`, or a start that is neither letter nor digit.
    #[error(
        "a name starts with a letter or digit and goes on with letters, digits, `_`, `-` or `.`; {0:?} is not allowed here"
    )]
    Character(char),
    /// One of those that have a namespace, without it.
    #[error("a name has its namespace before it, `players/alice`")]
    NoNamespace,
}

/// Names stand in every log line and in the title of a process, so they stay short.
pub const MAX_NAME_BYTES: usize = 64;

pub(super) fn check(name: &str) -> Result<(), NameError> {
    if name.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong(name.len()));
    }
    let first = name.chars().next().ok_or(NameError::Empty)?;
    if !first.is_ascii_alphanumeric() {
        return Err(NameError::Character(first));
    }
    match name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))) {
        Some(wrong) => Err(NameError::Character(wrong)),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a name: 1 to 64 bytes, a letter or digit, then letters, digits, `_`, `-` and `.`.
            pub fn new(name: &str) -> Result<Self, NameError> {
                check(name)?;
                Ok($name(Arc::from(name)))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(&name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }
    };
}

name! {
    /// What a process is called, `left` or `right-2`: unique in its topology.
    ProcessName
}
name! {
    /// What an actor is called: unique in its topology, whichever process it lives in.
    ActorName
}
name! {
    /// What a topology is called.
    TopologyName
}
name! {
    /// What a group of processes is called: unique in its topology.
    GroupName
}
name! {
    /// What a supervised child is called, be it a process or an actor.
    ChildName
}

impl ProcessName {
    /// What a process is called whose name is not known.
    pub(crate) fn of_number(process: ProcessId) -> ProcessName {
        ProcessName(Arc::from(process.to_string()))
    }
}

impl From<ProcessName> for ChildName {
    fn from(name: ProcessName) -> ChildName {
        ChildName(name.0)
    }
}

impl From<ActorName> for ChildName {
    fn from(name: ActorName) -> ChildName {
        ChildName(name.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(ProcessName::new("right-2").is_ok());
        assert_eq!(ProcessName::new(""), Err(NameError::Empty));
        assert_eq!(ProcessName::new("-x"), Err(NameError::Character('-')));
        assert_eq!(ActorName::new("a b"), Err(NameError::Character(' ')));
        assert_eq!(ActorName::new(&"x".repeat(65)), Err(NameError::TooLong(65)));
    }

    #[test]
    fn a_bad_name_does_not_deserialise() {
        assert!(serde_json::from_str::<ActorName>("\"fine\"").is_ok());
        assert!(serde_json::from_str::<ActorName>("\"not fine\"").is_err());
    }
}
