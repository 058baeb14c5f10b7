//! A process as it is declared.

use serde_json::Value;

use super::actor::DeclaredActor;
use super::settings::{Settings, settings_methods};

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
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    pub(in crate::topology) name: String,
    pub(in crate::topology) replicas: Option<u32>,
    pub(in crate::topology) significant: bool,
    pub(in crate::topology) args: Vec<String>,
    pub(in crate::topology) actors: Vec<DeclaredActor>,
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
            settings: Settings::default(),
        }
    }

    /// What it is called; with replicas, the part before `-1`.
    pub fn name(&self) -> &str {
        &self.name
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

    /// Whether its group, and outside of groups the whole topology, ends in order when this process ends and is not
    /// restarted.
    #[must_use]
    pub fn significant(mut self, significant: bool) -> Process {
        self.significant = significant;
        self
    }
}

settings_methods!(Process);
