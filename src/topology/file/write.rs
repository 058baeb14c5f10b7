//! Writes a topology as TOML, the way a person would.

use std::collections::HashSet;
use std::fmt::Write;
use std::time::Duration;

use serde_json::Value;

use super::settings::{
    AUTO_SHUTDOWNS, DELIVERIES, ON_HANG, ON_PANIC, ON_VIOLATION, POLICIES, STRATEGIES, TRANSPORTS,
};
use super::value::{inline, key, quoted};
use crate::supervision::Shutdown;
use crate::topology::declared::{
    ActorSettings, Actors, DeclaredActor, DeclaredMember, Group, Namespace, Process, Restart, Settings,
    Topology,
};
use crate::topology::diagnostic::{Diagnostic, Diagnostics, Segment, ValuePath};
use crate::topology::plan::{busy_poll_text, shutdown_text};
use crate::topology::units::{bytes_text, duration_text};

impl Topology {
    /// Writes the topology as TOML that reads back as an equal one.
    ///
    /// What TOML can't say is an error: two processes or two actors of a process with one name, arguments that did
    /// not serialise, a null in a list, a path that is not UTF-8. A member of arguments that is null is left out,
    /// which serde reads as the same `None`.
    pub fn to_toml(&self) -> Result<String, Diagnostics> {
        let mut writer = Writer { out: String::new(), findings: Vec::new() };
        writer.topology(self);
        match writer.findings.is_empty() {
            true => Ok(writer.out),
            false => Err(Diagnostics::new(writer.findings, None)),
        }
    }
}

struct Writer {
    out: String,
    findings: Vec<Diagnostic>,
}

impl Writer {
    fn topology(&mut self, topology: &Topology) {
        self.line("name", Some(quoted(&topology.name)));
        self.line("restart", restart(&topology.restart));
        self.line("auto_shutdown", topology.auto_shutdown.map(|auto| word(auto, &AUTO_SHUTDOWNS)));
        if topology.defaults.settings != Settings::default() {
            self.out.push_str("\n[defaults]\n");
            self.settings(&topology.defaults.settings, &ValuePath::root().key("defaults"));
        }
        self.members(&topology.members, &ValuePath::root());
        self.namespaces(&topology.namespaces);
    }

    fn namespaces(&mut self, namespaces: &[Namespace]) {
        let mut names = HashSet::new();
        for namespace in namespaces {
            let path = ValuePath::root().key("namespace").key(&namespace.name);
            self.unique(&mut names, &namespace.name, &path);
            self.header(&path);
            self.line("register", texts(&namespace.register));
            self.line("lookup", texts(&namespace.lookup));
            self.line("most", namespace.most);
        }
    }

    fn members(&mut self, members: &[DeclaredMember], path: &ValuePath) {
        let (mut processes, mut groups) = (HashSet::new(), HashSet::new());
        for member in members {
            match member {
                DeclaredMember::Process(process) => {
                    let path = path.key("process").key(&process.name);
                    self.unique(&mut processes, &process.name, &path);
                    self.process(process, &path);
                }
                DeclaredMember::Group(group) => {
                    let path = path.key("group").key(&group.name);
                    self.unique(&mut groups, &group.name, &path);
                    self.group(group, &path);
                }
            }
        }
    }

    fn group(&mut self, group: &Group, path: &ValuePath) {
        self.header(path);
        self.line("restart", restart(&group.restart));
        self.line("significant", group.significant.then_some("true"));
        self.line("auto_shutdown", group.auto_shutdown.map(|auto| word(auto, &AUTO_SHUTDOWNS)));
        self.members(&group.members, path);
    }

    fn header(&mut self, path: &ValuePath) {
        let keys: Vec<_> = path
            .segments()
            .iter()
            .filter_map(|segment| match segment {
                Segment::Key(name) => Some(key(name)),
                Segment::Index(_) => None,
            })
            .collect();
        // Writing to a string can't fail.
        let _ = writeln!(self.out, "\n[{}]", keys.join("."));
    }

    fn process(&mut self, process: &Process, path: &ValuePath) {
        self.header(path);
        self.line("replicas", process.replicas);
        self.line("significant", process.significant.then_some("true"));
        self.settings(&process.settings, path);
        self.line("args", texts(&process.args));
        let edges = process.may_send.iter().map(|(to, messages)| {
            let messages: Vec<_> = messages.iter().map(|message| quoted(message)).collect();
            format!("{} = [{}]", key(to), messages.join(", "))
        });
        let edges: Vec<_> = edges.collect();
        self.line("may_send", (!edges.is_empty()).then(|| format!("{{ {} }}", edges.join(", "))));
        let mut names = HashSet::new();
        for actor in &process.actors {
            let path = path.key("actor").key(&actor.name);
            self.unique(&mut names, &actor.name, &path);
            self.actor(actor, &path);
        }
    }

    fn actor(&mut self, actor: &DeclaredActor, path: &ValuePath) {
        let _ = write!(self.out, "actor.{} = {{ type = {}", key(&actor.name), quoted(&actor.type_name));
        let path = path.key("args");
        match &actor.args {
            Ok(Value::Null) => {}
            Ok(args) => {
                self.out.push_str(", args = ");
                inline(args, &path, &mut self.out, &mut self.findings);
            }
            Err(why) => {
                self.findings
                    .push(Diagnostic::error(path, format!("the arguments can't be written as data: {why}")));
            }
        }
        for part in actor_parts(&actor.settings) {
            let _ = write!(self.out, ", {part}");
        }
        self.out.push_str(" }\n");
    }

    fn settings(&mut self, settings: &Settings, path: &ValuePath) {
        let program = settings.program.as_ref().map(|program| program.to_str().ok_or(program));
        match program {
            Some(Ok(program)) => self.line("program", Some(quoted(program))),
            Some(Err(program)) => {
                let message = format!("{} can't be written: it is not UTF-8", program.display());
                self.findings.push(Diagnostic::error(path.key("program"), message));
            }
            None => {}
        }
        self.line("build", settings.build.as_deref().map(quoted));
        let env: Vec<_> =
            settings.env.iter().map(|(name, value)| format!("{} = {}", key(name), quoted(value))).collect();
        self.line("env", table(env));
        self.line("restart", restart(&settings.restart));
        self.line("shutdown", settings.shutdown.map(|shutdown| quoted(&shutdown_text(shutdown))));
        self.line("start_deadline", settings.start_deadline.map(span));
        self.line("ask_timeout", settings.ask_timeout.map(span));
        self.line("busy_poll", settings.busy_poll.map(|busy_poll| quoted(&busy_poll_text(busy_poll))));
        self.line("max_message_bytes", settings.max_message_bytes.map(size));
        let mailbox = [
            settings.mailbox_messages.map(|messages| format!("messages = {messages}")),
            settings.mailbox_bytes.map(|bytes| format!("bytes = {}", size(bytes))),
        ];
        self.line("mailbox", table(mailbox.into_iter().flatten().collect()));
        self.line("on_violation", settings.on_violation.map(|policy| word(policy, &ON_VIOLATION)));
        self.line("reply_budget", settings.reply_budget.map(size));
        self.line("pipe_buffer", settings.pipe_buffer.map(size));
        self.line("transport", settings.transport.map(|transport| word(transport, &TRANSPORTS)));
        self.line("panic", settings.panic.map(|panic| word(panic, &ON_PANIC)));
        self.line("actors", actors(&settings.actors));
        let hang = [
            settings.hang_after.map(|after| format!("after = {}", span(after))),
            settings.hang_then.map(|then| format!("then = {}", word(then, &ON_HANG))),
        ];
        self.line("hang", table(hang.into_iter().flatten().collect()));
        self.line("snapshot_limit", settings.snapshot_limit.map(size));
    }

    fn line(&mut self, key: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            let _ = writeln!(self.out, "{key} = {value}");
        }
    }

    fn unique<'n>(&mut self, names: &mut HashSet<&'n str>, name: &'n str, path: &ValuePath) {
        if !names.insert(name) {
            self.findings
                .push(Diagnostic::error(path.clone(), format!("a second table can't be called `{name}`")));
        }
    }
}

/// A list of texts; an empty one is not said.
fn texts(texts: &[String]) -> Option<String> {
    let quoted: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
    (!quoted.is_empty()).then(|| format!("[{}]", quoted.join(", ")))
}

fn restart(restart: &Restart) -> Option<String> {
    let backoff = [
        restart.backoff_min.map(|min| format!("min = {}", span(min))),
        restart.backoff_max.map(|max| format!("max = {}", span(max))),
    ];
    let parts = [
        restart.policy.map(|policy| format!("policy = {}", word(policy, &POLICIES))),
        restart.strategy.map(|strategy| format!("strategy = {}", word(strategy, &STRATEGIES))),
        restart.intensity.map(|intensity| format!("intensity = {intensity}")),
        restart.period.map(|period| format!("period = {}", span(period))),
        table(backoff.into_iter().flatten().collect()).map(|backoff| format!("backoff = {backoff}")),
    ];
    table(parts.into_iter().flatten().collect())
}

fn actors(actors: &Actors) -> Option<String> {
    let parts = [
        restart(&actors.restart).map(|restart| format!("restart = {restart}")),
        actors.auto_shutdown.map(|auto| format!("auto_shutdown = {}", word(auto, &AUTO_SHUTDOWNS))),
        actors.shutdown.map(stopping),
        actors.delivery.map(|delivery| format!("delivery = {}", word(delivery, &DELIVERIES))),
        actors.attempts.map(|attempts| format!("attempts = {attempts}")),
    ];
    table(parts.into_iter().flatten().collect())
}

fn actor_parts(settings: &ActorSettings) -> impl Iterator<Item = String> {
    let parts = [
        restart(&settings.restart).map(|restart| format!("restart = {restart}")),
        settings.shutdown.map(stopping),
        settings.significant.then(|| "significant = true".to_owned()),
        settings.panic.map(|panic| format!("panic = {}", word(panic, &ON_PANIC))),
        settings.delivery.map(|delivery| format!("delivery = {}", word(delivery, &DELIVERIES))),
        settings.attempts.map(|attempts| format!("attempts = {attempts}")),
    ];
    parts.into_iter().flatten()
}

fn stopping(shutdown: Shutdown) -> String {
    format!("shutdown = {}", quoted(&shutdown_text(shutdown)))
}

fn table(members: Vec<String>) -> Option<String> {
    (!members.is_empty()).then(|| format!("{{ {} }}", members.join(", ")))
}

fn word<T: PartialEq>(value: T, words: &[(&'static str, T)]) -> String {
    let word = words.iter().find(|(_, candidate)| *candidate == value);
    quoted(word.map(|(word, _)| *word).expect("every choice has its word"))
}

fn span(duration: Duration) -> String {
    quoted(&duration_text(duration))
}

fn size(bytes: u64) -> String {
    quoted(&bytes_text(bytes))
}
