//! A topology as it is declared.

use std::path::Path;
use std::sync::Arc;

use super::group::{DeclaredMember, Group, Visited, walk};
use super::namespace::Namespace;
use super::process::Process;
use super::restart::Restart;
use super::settings::Defaults;
use crate::supervision::AutoShutdown;
use crate::topology::diagnostic::{Source, ValuePath};

/// Which processes there are, which actors live where and who may talk to whom.
///
/// ```
/// use procession::topology::{Process, Topology};
/// use serde_json::json;
///
/// let topology = Topology::new("demo")
///     .process(Process::new("left").actor_value("counter", "demo::Counter", json!(0)));
/// assert_eq!(topology.name(), "demo");
/// ```
///
/// Two topologies are equal if they declare the same, whether in Rust or in a file.
#[derive(Clone, Debug)]
pub struct Topology {
    pub(in crate::topology) name: String,
    pub(in crate::topology) restart: Restart,
    pub(in crate::topology) defaults: Defaults,
    pub(in crate::topology) auto_shutdown: Option<AutoShutdown>,
    pub(in crate::topology) members: Vec<DeclaredMember>,
    pub(in crate::topology) namespaces: Vec<Namespace>,
    pub(in crate::topology) source: Option<Arc<Source>>,
}

/// A command that makes programs of a topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildCommand {
    /// As it was written.
    pub text: String,
    /// Split into words; the first is the program to run. Never empty.
    pub words: Vec<String>,
}

impl Topology {
    /// A topology without processes, which a check refuses until it has one.
    pub fn new(name: impl Into<String>) -> Topology {
        Topology {
            name: name.into(),
            restart: Restart::new(),
            defaults: Defaults::new(),
            auto_shutdown: None,
            members: Vec::new(),
            namespaces: Vec::new(),
            source: None,
        }
    }

    /// Adds a process. Processes and groups start in the order in which they are added, and stop in reverse.
    #[must_use]
    pub fn process(mut self, process: Process) -> Topology {
        self.members.push(DeclaredMember::Process(process));
        self
    }

    /// Adds a group of processes.
    #[must_use]
    pub fn group(mut self, group: Group) -> Topology {
        self.members.push(DeclaredMember::Group(group));
        self
    }

    /// Adds a namespace for names and groups that are given at run time.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace) -> Topology {
        self.namespaces.push(namespace);
        self
    }

    /// Whether the topology ends, in order, because its significant processes and groups did; those within groups count
    /// for their group. The default is with the first of them.
    #[must_use]
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Topology {
        self.auto_shutdown = Some(auto_shutdown);
        self
    }

    /// What holds for every process that says nothing else. A second call replaces the first.
    #[must_use]
    pub fn defaults(mut self, defaults: Defaults) -> Topology {
        self.defaults = defaults;
        self
    }

    /// Who is restarted with whom, and how many restarts are too many, among its processes and groups: a `Strategy`,
    /// an `Intensity`, or a [`Restart`] with both. What is not said here is taken from the defaults.
    #[must_use]
    pub fn restart(mut self, restart: impl Into<Restart>) -> Topology {
        self.restart = restart.into().or(&self.restart);
        self
    }

    /// How long a `send` may take when neither the call nor its process says anything else: the
    /// [default](Defaults::ask_timeout) of all processes and of the root.
    #[must_use]
    pub fn ask_timeout(mut self, timeout: std::time::Duration) -> Topology {
        self.defaults.settings.ask_timeout = Some(timeout);
        self
    }

    /// Whether threads of actors look at their pipes for a while before they sleep: the
    /// [default](Defaults::busy_poll) of all processes and of the root.
    #[must_use]
    pub fn busy_poll(mut self, busy_poll: crate::protocol::BusyPoll) -> Topology {
        self.defaults.settings.busy_poll = Some(busy_poll);
        self
    }

    /// What the pipes of the root and of every process are made of that says nothing else: the
    /// [default](Defaults::transport).
    #[must_use]
    pub fn transport(mut self, transport: super::Transport) -> Topology {
        self.defaults.settings.transport = Some(transport);
        self
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The processes, those of groups included, in start order, before replicas are made of them.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        let mut processes = Vec::new();
        walk(&self.members, &ValuePath::root(), &mut |_, visited| {
            if let Visited::Process(process) = visited {
                processes.push(process);
            }
        });
        processes.into_iter()
    }

    /// The file it was read from.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_deref()
    }

    /// The folder of that file, from which its relative paths start.
    pub fn folder(&self) -> Option<&Path> {
        self.source.as_ref().and_then(|source| source.origin().parent())
    }

    /// The commands that make its programs, each once, in start order. One that can't be split into words is left
    /// out here and told by the check.
    pub fn builds(&self) -> Vec<BuildCommand> {
        let mut builds: Vec<BuildCommand> = Vec::new();
        for process in self.processes() {
            let written = process.settings.build.as_ref().or(self.defaults.settings.build.as_ref());
            let Some(text) = written.filter(|text| builds.iter().all(|known| known.text != **text)) else {
                continue;
            };
            if let Some(words) = split_command(text) {
                builds.push(BuildCommand { text: text.clone(), words });
            }
        }
        builds
    }
}

impl PartialEq for Topology {
    fn eq(&self, other: &Topology) -> bool {
        let Topology { name, restart, defaults, auto_shutdown, members, namespaces, source: _ } = self;
        *name == other.name
            && *restart == other.restart
            && *defaults == other.defaults
            && *auto_shutdown == other.auto_shutdown
            && *members == other.members
            && *namespaces == other.namespaces
    }
}

/// The words of a command, if it has any and its quotes are closed.
pub(in crate::topology) fn split_command(text: &str) -> Option<Vec<String>> {
    shlex::split(text).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_build_command_is_run_once() {
        let built = |name: &str, command: &str| Process::new(name).build(command);
        let topology = Topology::new("demo")
            .defaults(Defaults::new().build("make all"))
            .process(built("a", "cargo build --example 'word count'"))
            .process(Process::new("b"))
            .process(Process::new("c"))
            .process(built("d", "make 'all"));
        let words: Vec<_> = topology.builds().into_iter().map(|build| build.words).collect();
        assert_eq!(words, [vec!["cargo", "build", "--example", "word count"], vec!["make", "all"]]);
    }
}
