//! Every setting by itself, where it is written: counts, spans of time, sizes, names of variables, commands.

use std::time::Duration;

use super::placed::{Placed, PlacedGroup};
use crate::protocol::keeping;
use crate::protocol::{BusyPoll, MAX_BUSY_POLL};
use crate::supervision::Shutdown;
use crate::topology::declared::{
    ActorSettings, Actors, DeclaredActor, Restart, Settings, Topology, split_command,
};
use crate::topology::diagnostic::{Diagnostic, ValuePath};
use crate::topology::units::{self, MAX_DURATION};

/// More messages ahead of their handling are a leak, not a buffer.
pub const MAX_MAILBOX_MESSAGES: u32 = 1 << 20;

/// The largest message, and the largest mailbox: larger data belongs into a file or shared memory.
pub const MAX_MESSAGE_BYTES: u64 = 1 << 30;

/// More deliveries of what kills its actor are a crash loop with a name.
pub const MAX_ATTEMPTS: u32 = 1000;

/// The largest state that the root keeps for an actor: half of what a control frame carries. Larger state belongs into a
/// file or a database.
pub const MAX_SNAPSHOT_BYTES: u64 = keeping::MAX_SNAPSHOT_BYTES as u64;

/// The shortest time after which a process counts as hung: a busy machine keeps a thread waiting for as long.
pub const MIN_HANG_AFTER: Duration = Duration::from_millis(100);

/// What Procession tells its workers by; see `process`.
const RESERVED_VARIABLES: &str = "PROCESSION_";

/// Tells everything that is wrong with single values of a topology.
pub(super) fn check(
    topology: &Topology,
    placed: &[Placed<'_>],
    groups: &[PlacedGroup<'_>],
    findings: &mut Vec<Diagnostic>,
) {
    let mut checker = Checker { findings: &mut *findings };
    checker.topology_restart(&topology.restart);
    checker.settings(&topology.defaults.settings, &super::defaults_path());
    for PlacedGroup { group, path, .. } in groups {
        checker.restart(&group.restart, &path.key("restart"));
    }
    processes(placed, findings);
}

/// The same of processes alone.
pub(super) fn processes(placed: &[Placed<'_>], findings: &mut Vec<Diagnostic>) {
    let mut checker = Checker { findings };
    for Placed { process, path } in placed {
        checker.settings(&process.settings, path);
        for (index, arg) in process.args.iter().enumerate() {
            checker.text(arg, &path.key("args").index(index));
        }
        for actor in &process.actors {
            checker.actor(actor, &path.key("actor").key(&actor.name));
        }
    }
}

struct Checker<'f> {
    findings: &'f mut Vec<Diagnostic>,
}

impl Checker<'_> {
    fn tell(&mut self, path: ValuePath, message: impl Into<String>, help: &str) {
        self.findings.push(Diagnostic::error(path, message).help(help));
    }

    fn topology_restart(&mut self, restart: &Restart) {
        let path = ValuePath::root().key("restart");
        if restart.speaks_of_a_process() {
            let part = if restart.policy.is_some() { "policy" } else { "backoff" };
            let message = format!("a {part} belongs to a process, and this is for all processes together");
            self.tell(path.key(part), message, "say it in the process, or in [defaults] for each of them");
        }
        self.restart(restart, &path);
    }

    fn actor(&mut self, actor: &DeclaredActor, path: &ValuePath) {
        if actor.type_name.is_empty() {
            let message = format!("actor `{}` has no type", actor.name);
            self.tell(path.key("type"), message, "type = \"...\", as its program registers it");
        }
        let ActorSettings { restart, shutdown, attempts, .. } = &actor.settings;
        let restart_path = path.key("restart");
        if let Some(part) = restart.part_of_a_group() {
            let message = format!("`{part}` belongs to all actors of a process together");
            self.tell(restart_path.key(part), message, "say it in the process: actors.restart = { ... }");
        }
        self.restart(restart, &restart_path);
        self.shutdown(*shutdown, path);
        self.attempts(*attempts, path);
    }

    fn actors(&mut self, actors: &Actors, path: &ValuePath) {
        self.restart(&actors.restart, &path.key("restart"));
        self.shutdown(actors.shutdown, path);
        self.attempts(actors.attempts, path);
    }

    fn shutdown(&mut self, shutdown: Option<Shutdown>, path: &ValuePath) {
        if let Some(Shutdown::Timeout(grace)) = shutdown {
            self.span(Some(grace), &path.key("shutdown"), Zero::Fine);
        }
    }

    fn attempts(&mut self, attempts: Option<u32>, path: &ValuePath) {
        let path = path.key("attempts");
        let help = format!("from 1 to {MAX_ATTEMPTS}");
        match attempts {
            Some(0) => self.tell(path, "`attempts` can't be zero: no message would ever be delivered", &help),
            Some(attempts) if attempts > MAX_ATTEMPTS => {
                self.tell(path, format!("{attempts} attempts are too many"), &help);
            }
            _ => {}
        }
    }

    fn hang(&mut self, after: Option<Duration>, path: &ValuePath) {
        match after {
            Some(after) if after < MIN_HANG_AFTER => {
                let (after, least) = (units::duration_text(after), units::duration_text(MIN_HANG_AFTER));
                let message = format!("{after} without progress is no hang: a busy machine does that");
                self.tell(path.clone(), message, &format!("at least {least}, such as \"10s\""));
            }
            after => self.span(after, path, Zero::Fine),
        }
    }

    fn snapshot(&mut self, limit: Option<u64>, path: &ValuePath) {
        if let Some(limit) = limit.filter(|limit| *limit > MAX_SNAPSHOT_BYTES) {
            let (limit, most) = (units::bytes_text(limit), units::bytes_text(MAX_SNAPSHOT_BYTES));
            let help = format!("at most {most}; keep larger state in a file or a database");
            self.tell(path.clone(), format!("{limit} of state for each actor is too much"), &help);
        }
    }

    fn restart(&mut self, restart: &Restart, path: &ValuePath) {
        self.span(restart.period, &path.key("period"), Zero::Wrong("no restart would ever be one too many"));
        let backoff = path.key("backoff");
        self.span(restart.backoff_min, &backoff.key("min"), Zero::Fine);
        self.span(restart.backoff_max, &backoff.key("max"), Zero::Fine);
    }

    fn settings(&mut self, settings: &Settings, path: &ValuePath) {
        self.restart(&settings.restart, &path.key("restart"));
        self.shutdown(settings.shutdown, path);
        self.actors(&settings.actors, &path.key("actors"));
        self.hang(settings.hang_after, &path.key("hang").key("after"));
        self.snapshot(settings.snapshot_limit, &path.key("snapshot_limit"));
        self.span(
            settings.start_deadline,
            &path.key("start_deadline"),
            Zero::Wrong("no process would ever be ready in time"),
        );
        self.span(
            settings.ask_timeout,
            &path.key("ask_timeout"),
            Zero::Wrong("no `send` would ever be answered in time"),
        );
        self.busy_poll(settings.busy_poll, &path.key("busy_poll"));
        self.size(
            settings.max_message_bytes,
            &path.key("max_message_bytes"),
            "no message would ever be accepted",
        );
        let mailbox = path.key("mailbox");
        self.size(settings.mailbox_bytes, &mailbox.key("bytes"), "no message would ever fit");
        self.count(settings.mailbox_messages, &mailbox.key("messages"));
        self.size(
            settings.reply_budget,
            &path.key("reply_budget"),
            "no request would ever be begun while a reply waits",
        );
        self.size(settings.pipe_buffer, &path.key("pipe_buffer"), "nothing would ever pass");
        self.program(settings, path);
        for (name, value) in &settings.env {
            self.variable(name, value, &path.key("env").key(name));
        }
    }

    fn span(&mut self, span: Option<Duration>, path: &ValuePath, zero: Zero) {
        match (span, zero) {
            (Some(Duration::ZERO), Zero::Wrong(consequence)) => {
                self.tell(
                    path.clone(),
                    format!("{} can't be zero: {consequence}", path.subject()),
                    "a span of time such as \"30s\"",
                );
            }
            (Some(span), _) if span > MAX_DURATION => {
                let limit = units::duration_text(MAX_DURATION);
                self.tell(
                    path.clone(),
                    format!("{} is too long", units::duration_text(span)),
                    &format!("at most {limit}"),
                );
            }
            _ => {}
        }
    }

    fn busy_poll(&mut self, busy_poll: Option<BusyPoll>, path: &ValuePath) {
        let Some(BusyPoll::For(time)) = busy_poll else { return };
        if time.is_zero() || time > MAX_BUSY_POLL {
            let limit = units::duration_text(MAX_BUSY_POLL);
            self.tell(
                path.clone(),
                format!("{} can't be {}", path.subject(), units::duration_text(time)),
                &format!("up to {limit}, \"off\" or \"auto\""),
            );
        }
    }

    fn size(&mut self, size: Option<u64>, path: &ValuePath, zero: &str) {
        match size {
            Some(0) => self.tell(
                path.clone(),
                format!("{} can't be zero: {zero}", path.subject()),
                "a size such as \"8MiB\"",
            ),
            Some(size) if size > MAX_MESSAGE_BYTES => {
                let (size, limit) = (units::bytes_text(size), units::bytes_text(MAX_MESSAGE_BYTES));
                self.tell(
                    path.clone(),
                    format!("{size} is too much"),
                    &format!("at most {limit}; pass larger data in a file"),
                );
            }
            _ => {}
        }
    }

    fn count(&mut self, count: Option<u32>, path: &ValuePath) {
        let help = format!("from 1 to {MAX_MAILBOX_MESSAGES}");
        match count {
            Some(0) => {
                self.tell(path.clone(), "`messages` can't be zero: no message would ever be sent", &help)
            }
            Some(count) if count > MAX_MAILBOX_MESSAGES => {
                self.tell(path.clone(), format!("{count} messages are too many"), &help);
            }
            _ => {}
        }
    }

    fn program(&mut self, settings: &Settings, path: &ValuePath) {
        if let Some(program) = &settings.program {
            let path = path.key("program");
            match program.as_os_str().as_encoded_bytes() {
                [] => self.tell(
                    path,
                    "the program has no name",
                    "a path, or leave it out to run the program that deploys",
                ),
                bytes if bytes.contains(&0) => self.nul(path),
                _ => {}
            }
        }
        if let Some(build) = &settings.build
            && split_command(build).is_none()
        {
            let message = "`build` is no command: it is empty, or a quote is not closed";
            self.tell(path.key("build"), message, "words as in a shell: \"cargo build --release\"");
        }
    }

    fn variable(&mut self, name: &str, value: &str, path: &ValuePath) {
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = format!("{name:?} is no name for a variable");
            self.findings.push(
                Diagnostic::error(path.clone(), message).on_key().help("it is not empty and has no `=`"),
            );
        }
        if name.starts_with(RESERVED_VARIABLES) {
            let message =
                format!("variables that start with `{RESERVED_VARIABLES}` are set by Procession itself");
            self.findings.push(Diagnostic::error(path.clone(), message).on_key().help("another name"));
        }
        self.text(value, path);
    }

    fn text(&mut self, text: &str, path: &ValuePath) {
        if text.contains('\0') {
            self.nul(path.clone());
        }
    }

    fn nul(&mut self, path: ValuePath) {
        let message =
            format!("{} has a NUL in it, which no argument, variable or path can have", path.subject());
        self.tell(path, message, "leave it out");
    }
}

/// What a span of no length means.
#[derive(Clone, Copy)]
enum Zero {
    Fine,
    Wrong(&'static str),
}
