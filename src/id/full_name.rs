//! Names that are given at run time, each within its namespace.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::name::{NameError, check};
use super::short::{is_hashed, short_name};

/// A name or group of a namespace, `players/alice`: two names with a slash between them.
///
/// One that came in an address and is too long for it is a hash, of which the root knows the name: it has neither part.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FullName(Arc<str>);

/// The namespace of the groups that replicas form by themselves.
pub const REPLICAS: &str = "replicas";

impl FullName {
    /// Checks a name: a namespace, a slash, and a name, both as names of actors are.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(name: &str) -> Result<FullName, NameError> {
        let (namespace, own) = name.split_once('/').ok_or(NameError::NoNamespace)?;
        check(namespace)?;
        check(own)?;
        Ok(FullName(Arc::from(name)))
    }

    /// The group that the actors form which replicas of one process have under one declared name.
    ///
    /// # Errors
    /// It is no name of an actor.
    pub fn of_replicas(actor: &str) -> Result<FullName, NameError> {
        FullName::new(&format!("{REPLICAS}/{actor}"))
    }

    /// By which an address names it, and two of the same group are known as that.
    pub fn short(&self) -> std::borrow::Cow<'_, str> {
        short_name(&self.0)
    }

    /// Whether only a hash of it is known here.
    pub fn is_hashed(&self) -> bool {
        is_hashed(&self.0)
    }

    /// The part before the slash.
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// The part after the slash.
    pub fn own(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, own)| own)
    }

    /// Both.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl TryFrom<String> for FullName {
    type Error = NameError;
    /// As `new`, and takes what stands in an address for a long name.
    fn try_from(name: String) -> Result<Self, NameError> {
        if is_hashed(&name) {
            return Ok(FullName(name.into()));
        }
        Self::new(&name)
    }
}

impl From<FullName> for String {
    fn from(name: FullName) -> String {
        name.0.as_ref().to_owned()
    }
}

impl std::str::FromStr for FullName {
    type Err = NameError;
    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_name_has_two_parts() {
        let name = FullName::new("players/alice-2").expect("a name");
        assert_eq!((name.namespace(), name.own()), ("players", "alice-2"));
        assert_eq!(FullName::new("alice"), Err(NameError::NoNamespace));
        assert_eq!(FullName::new("players/"), Err(NameError::Empty));
        assert_eq!(FullName::new("a/b/c"), Err(NameError::Character('/')));
        assert!(serde_json::from_str::<FullName>("\"a\"").is_err());
        let long = FullName::new(&format!("players/{}", "x".repeat(64))).expect("a name");
        let hashed = FullName::try_from(long.short().into_owned()).expect("what stands for it");
        assert_eq!((hashed.short(), hashed.is_hashed(), long.is_hashed()), (long.short(), true, false));
        assert!(FullName::new(hashed.as_str()).is_err(), "nobody writes one by hand");
    }
}
