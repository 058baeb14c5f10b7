//! A namespace as it is declared: who may give names in it at run time, and who may look them up.

/// Names and groups that are given at run time, and the processes that may give and use them.
///
/// ```
/// use procession::topology::{Namespace, Process, Topology};
/// use serde_json::json;
///
/// Topology::new("game")
///     .namespace(Namespace::new("players").register(["room-*"]).lookup(["*"]))
///     .process(Process::new("room").actor_value("room", "game::Room", json!(null)).replicas(4))
///     .process(Process::new("front").actor_value("front", "game::Front", json!(null)));
/// ```
///
/// A process is meant by its name; all replicas of one by `NAME-*`; every process, those included that are started at run
/// time, by `*`. The root may do everything in every namespace. Who is not meant may do nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    pub(in crate::topology) name: String,
    pub(in crate::topology) register: Vec<String>,
    pub(in crate::topology) lookup: Vec<String>,
    pub(in crate::topology) most: Option<u32>,
}

impl Namespace {
    /// A namespace that the root alone uses.
    pub fn new(name: impl Into<String>) -> Namespace {
        Namespace { name: name.into(), register: Vec::new(), lookup: Vec::new(), most: None }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Processes that may register names and let actors join groups. What is said in several calls adds up.
    #[must_use]
    pub fn register(mut self, processes: impl IntoIterator<Item = impl Into<String>>) -> Namespace {
        self.register.extend(processes.into_iter().map(Into::into));
        self
    }

    /// Processes that may look names up, watch them, and send to groups. What is said in several calls adds up.
    #[must_use]
    pub fn lookup(mut self, processes: impl IntoIterator<Item = impl Into<String>>) -> Namespace {
        self.lookup.extend(processes.into_iter().map(Into::into));
        self
    }

    /// How many names and groups it may have together. The default is 1024.
    #[must_use]
    pub fn most(mut self, most: u32) -> Namespace {
        self.most = Some(most);
        self
    }
}
