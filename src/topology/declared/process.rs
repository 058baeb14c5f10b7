//! A process as it is declared.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::actor::DeclaredActor;
use super::settings::{Settings, settings_methods};
use crate::topology::MAX_REPLICAS;

/// A process, or several equal ones.
///
/// ```
/// use procession::supervision::Policy;
/// use procession::topology::Process;
/// use serde_json::json;
///
/// Process::new("right")
///     .replicas(4)
///     .restart(Policy::Transient)
///     .actor_value("doubler", "demo::Doubler", json!({ "out": { "addr": "counter" } }));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    pub(in crate::topology) name: String,
    pub(in crate::topology) replicas: Option<u32>,
    pub(in crate::topology) significant: bool,
    pub(in crate::topology) args: Vec<String>,
    pub(in crate::topology) actors: Vec<DeclaredActor>,
    pub(in crate::topology) may_send: Vec<(String, Vec<String>)>,
    pub(in crate::topology) settings: Settings,
}

impl Process {
    /// A process without actors, which a topology refuses until it has one.
    pub fn new(name: impl Into<String>) -> Process {
        Process {
            name: name.into(),
            replicas: None,
            significant: false,
            args: Vec::new(),
            actors: Vec::new(),
            may_send: Vec::new(),
            settings: Settings::default(),
        }
    }

    /// What it is called; with replicas, the part before `-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As it goes to the root of a topology that it is to join.
    pub(crate) fn to_json(&self) -> Result<String, String> {
        if let Some(why) = self.actors.iter().find_map(|actor| actor.args.as_ref().err()) {
            return Err(why.clone());
        }
        serde_json::to_string(self).map_err(|error| error.to_string())
    }

    /// As it comes from the process that wants it.
    pub(crate) fn from_json(text: &str) -> Result<Process, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// What its replicas are called, or itself.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        let count = self.replicas.map_or(1, |count| count.min(MAX_REPLICAS));
        let is_numbered = self.replicas.is_some();
        (1..=count)
            .map(move |index| if is_numbered { format!("{}-{index}", self.name) } else { self.name.clone() })
    }

    /// Adds an actor.
    #[must_use]
    pub fn declare(mut self, actor: DeclaredActor) -> Process {
        self.actors.push(actor);
        self
    }

    /// Adds an actor whose type is known by its name alone: [`DeclaredActor::new`].
    #[must_use]
    pub fn actor_value(self, name: impl Into<String>, type_name: impl Into<String>, args: Value) -> Process {
        self.declare(DeclaredActor::new(name, type_name, args))
    }

    /// Makes `count` processes of this one, `right-1`, `right-2` and so on, each with its own actors `doubler-1`,
    /// `doubler-2` and so on. One replica is `right-1`, so that adding a second renames nothing.
    #[must_use]
    pub fn replicas(mut self, count: u32) -> Process {
        self.replicas = Some(count);
        self
    }

    /// Adds an argument to the program's command line.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Process {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments to the program's command line.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Process {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Lets the process send these messages alone to an actor that it is wired to, by name; `doubler-*` means all replicas.
    /// Others are refused by the actor's process, and this one is blamed. What it hands the address on to is restricted
    /// alike (A-3).
    #[must_use]
    pub fn may_send(
        mut self,
        to: impl Into<String>,
        messages: impl IntoIterator<Item = impl Into<String>>,
    ) -> Process {
        self.may_send.push((to.into(), messages.into_iter().map(Into::into).collect()));
        self
    }

    /// Whether its group, and outside of groups the whole topology, ends in order when this process ends and is not
    /// restarted.
    #[must_use]
    pub fn significant(mut self, significant: bool) -> Process {
        self.significant = significant;
        self
    }
}

settings_methods!(Process);
