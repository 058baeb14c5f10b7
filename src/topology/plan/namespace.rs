//! A namespace that will be there.

use std::fmt;

use serde::Serialize;

use super::serial;

/// Names and groups of run time, and who may give and use them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedNamespace {
    /// What it is called.
    pub name: String,
    /// Who may register names and join groups, beside the root.
    #[serde(serialize_with = "serial::displays")]
    pub register: Vec<Whom>,
    /// Who may look names up and send to groups, beside the root.
    #[serde(serialize_with = "serial::displays")]
    pub lookup: Vec<Whom>,
    /// How many names and groups there may be together.
    pub most: u32,
}

/// Which processes are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// `*`: every process, those included that are started later.
    All,
    /// The process of this name.
    Process(String),
    /// `NAME-*`: every replica of this one.
    Replicas(String),
}

impl Whom {
    /// What a topology means by it.
    pub(in crate::topology) fn of(written: &str) -> Whom {
        match (written, written.strip_suffix("-*")) {
            ("*", _) => Whom::All,
            (_, Some(base)) => Whom::Replicas(base.to_owned()),
            (name, None) => Whom::Process(name.to_owned()),
        }
    }

    /// Whether a process of this name is meant; `base` is its name before its number, if it is a replica.
    pub fn means(&self, name: &str, base: Option<&str>) -> bool {
        match self {
            Whom::All => true,
            Whom::Process(meant) => meant == name,
            Whom::Replicas(meant) => base == Some(meant.as_str()),
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whom::All => f.write_str("*"),
            Whom::Process(name) => f.write_str(name),
            Whom::Replicas(base) => write!(f, "{base}-*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_meant() {
        let (all, one, each) = (Whom::of("*"), Whom::of("left"), Whom::of("right-*"));
        assert!(all.means("anybody", None) && one.means("left", None) && !one.means("right", None));
        assert!(each.means("right-2", Some("right")));
        // It only looks like one.
        assert!(!each.means("right-2", None) && !each.means("right", None));
        assert_eq!([all, one, each].map(|whom| whom.to_string()), ["*", "left", "right-*"]);
    }
}
