//! What holds for a process in the end: its own settings, then the defaults, then Procession's.

use std::time::Duration;

use super::placed::{Basis, Placed};
use crate::id::ProcessName;
use crate::protocol::{BusyPoll, DEFAULT_SNAPSHOT_LIMIT};
use crate::supervision::{Backoff, ChildSpec, DEFAULT_START_DEADLINE, Policy, Shutdown};
use crate::topology::catalog::ProgramRef;
use crate::topology::declared::{Hang, OnViolation, Process, Restart, Settings, Transport};
use crate::topology::diagnostic::{Diagnostic, ValuePath};
use crate::topology::plan::{Mailbox, MessageLimits};
use crate::topology::units;

/// Longer than any answer a person waits for, short enough that nothing hangs unnoticed (`M-2`).
pub const DEFAULT_ASK_TIMEOUT: Duration = Duration::from_secs(30);

/// Enough to keep a pipe busy over a scheduling pause, for each pair of sending process and actor.
pub const DEFAULT_MAILBOX_MESSAGES: u32 = 1024;

/// What a thousand messages of 8 KiB take; bounds the memory of a pair of sending process and actor (`M-3`).
pub const DEFAULT_MAILBOX_BYTES: u64 = 8 << 20;

/// A few times what the kernel holds, for each process that asks: one that reads its replies never waits for it.
pub const DEFAULT_REPLY_BUDGET: u64 = 1 << 20;

/// As large as the default mailbox: a larger message could never be sent.
pub const DEFAULT_MAX_MESSAGE_BYTES: u64 = DEFAULT_MAILBOX_BYTES;

/// Settings with nothing left unsaid.
pub(super) struct Merged {
    pub(super) program: ProgramRef,
    /// What was said, by the process or in the defaults.
    pub(super) settings: Settings,
    pub(super) shutdown: Shutdown,
    pub(super) start_deadline: Duration,
    pub(super) ask_timeout: Duration,
    pub(super) busy_poll: BusyPoll,
    pub(super) limits: MessageLimits,
    pub(super) on_violation: OnViolation,
    pub(super) transport: Transport,
    pub(super) hang: Hang,
    pub(super) snapshot_limit: u64,
}

/// Merges, and tells of settings that are well each but not together.
pub(super) fn merge(basis: Basis<'_>, placed: &Placed<'_>, findings: &mut Vec<Diagnostic>) -> Merged {
    let Placed { process, path } = placed;
    let settings = process.settings.or(basis.defaults);
    let scope = Scope { own: &process.settings, path };
    check_backoff(&scope, &settings, findings);
    check_mailbox(&scope, &settings, findings);
    check_meaning(&scope, process, &settings, findings);
    super::actors::check(process, path, &settings, findings);
    Merged {
        program: ProgramRef::new(settings.program.as_deref(), basis.folder),
        shutdown: settings.shutdown.unwrap_or_default(),
        start_deadline: settings.start_deadline.unwrap_or(DEFAULT_START_DEADLINE),
        ask_timeout: settings.ask_timeout.unwrap_or(DEFAULT_ASK_TIMEOUT),
        busy_poll: settings.busy_poll.unwrap_or_default(),
        limits: limits(&settings),
        on_violation: settings.on_violation.unwrap_or_default(),
        transport: settings.transport.unwrap_or_default(),
        hang: hang(&settings),
        snapshot_limit: settings.snapshot_limit.unwrap_or(DEFAULT_SNAPSHOT_LIMIT),
        settings,
    }
}

impl Merged {
    /// The child specification of the process with this name.
    pub(super) fn child(&self, name: ProcessName, significant: bool) -> ChildSpec {
        ChildSpec {
            policy: policy(&self.settings.restart, significant),
            backoff: backoff(&self.settings.restart),
            shutdown: self.shutdown,
            significant,
            start_deadline: self.start_deadline,
            ..ChildSpec::new(name)
        }
    }
}

/// What a process says itself, to tell a fault where it was written.
struct Scope<'s> {
    own: &'s Settings,
    path: &'s ValuePath,
}

impl Scope<'_> {
    /// The process if it says anything of the matter, else the defaults.
    fn of(&self, said: impl Fn(&Settings) -> bool) -> ValuePath {
        if said(self.own) { self.path.clone() } else { super::defaults_path() }
    }
}

/// The policy that was said. Unsaid, it is `permanent`, and of what is significant `temporary`: such a process, actor
/// or group is there to do one job, and whoever wants it tried again says `transient`.
pub(super) fn policy(restart: &Restart, significant: bool) -> Policy {
    let unsaid = if significant { Policy::Temporary } else { Policy::default() };
    restart.policy.unwrap_or(unsaid)
}

pub(super) fn backoff(restart: &Restart) -> Backoff {
    let unsaid = Backoff::default();
    Backoff { min: restart.backoff_min.unwrap_or(unsaid.min), max: restart.backoff_max.unwrap_or(unsaid.max) }
}

fn check_backoff(scope: &Scope<'_>, settings: &Settings, findings: &mut Vec<Diagnostic>) {
    let path = scope.of(|own| own.restart.backoff_min.is_some() || own.restart.backoff_max.is_some());
    check_backoff_at(&settings.restart, path, findings);
}

/// Tells of a backoff that would shrink; `path` is what has the `restart`.
pub(super) fn check_backoff_at(restart: &Restart, path: ValuePath, findings: &mut Vec<Diagnostic>) {
    let Backoff { min, max } = backoff(restart);
    if min <= max {
        return;
    }
    let path = path.key("restart").key("backoff");
    let (min, max) = (units::duration_text(min), units::duration_text(max));
    let message = format!("the backoff would start at {min} and end at {max}");
    let help = format!("`min` is at most `max`: {{ min = \"{max}\", max = \"{min}\" }}");
    findings.push(Diagnostic::error(path, message).help(help));
}

fn hang(settings: &Settings) -> Hang {
    let unsaid = Hang::default();
    Hang {
        after: settings.hang_after.unwrap_or(unsaid.after),
        then: settings.hang_then.unwrap_or(unsaid.then),
    }
}

/// The limits on messages. Where one of size and mailbox is said, the other makes room for it.
fn limits(settings: &Settings) -> MessageLimits {
    let message = settings.max_message_bytes;
    let bytes = settings.mailbox_bytes.unwrap_or(DEFAULT_MAILBOX_BYTES.max(message.unwrap_or(0)));
    MessageLimits {
        max_message_bytes: message.unwrap_or(DEFAULT_MAX_MESSAGE_BYTES.min(bytes)),
        mailbox: Mailbox { messages: settings.mailbox_messages.unwrap_or(DEFAULT_MAILBOX_MESSAGES), bytes },
        reply_budget: settings.reply_budget.unwrap_or(DEFAULT_REPLY_BUDGET),
        pipe_buffer: settings.pipe_buffer,
    }
}

fn check_mailbox(scope: &Scope<'_>, settings: &Settings, findings: &mut Vec<Diagnostic>) {
    let MessageLimits { max_message_bytes, mailbox, .. } = limits(settings);
    if max_message_bytes <= mailbox.bytes {
        return;
    }
    let path = scope.of(|own| own.max_message_bytes.is_some() || own.mailbox_bytes.is_some());
    let (message, room) = (units::bytes_text(max_message_bytes), units::bytes_text(mailbox.bytes));
    let complaint = format!(
        "a message may have {message}, but the mailbox has room for {room}, so it could never be sent"
    );
    let help = format!("mailbox = {{ bytes = \"{message}\" }}, or max_message_bytes = \"{room}\"");
    findings.push(Diagnostic::error(path.key("max_message_bytes"), complaint).help(help));
}

/// Settings that are allowed and do nothing, or not what they say.
fn check_meaning(scope: &Scope<'_>, process: &Process, settings: &Settings, findings: &mut Vec<Diagnostic>) {
    let policy = policy(&settings.restart, process.significant);
    let restart = scope.path.key("restart");
    if process.significant && policy == Policy::Permanent {
        let around = if scope.path.segments().len() > 2 { "its group" } else { "the topology" };
        let message = format!("a permanent process is always restarted, so its end never ends {around}");
        let help =
            "leave the policy out, or restart = { policy = \"transient\" }, or leave `significant` out";
        findings.push(Diagnostic::error(scope.path.key("significant"), message).help(help));
    }
    if policy == Policy::Temporary
        && (process.settings.restart.backoff_min.or(process.settings.restart.backoff_max)).is_some()
    {
        let message = "a temporary process is never restarted, so its backoff is never used";
        findings.push(Diagnostic::warning(restart.key("backoff"), message).help("leave it out"));
    }
    if process.settings.restart.strategy.is_some() && process.replicas.is_none() {
        let message = "the strategy of a process is for its replicas, and this has none";
        let help = "say it at the top for all processes, restart = { strategy = \"...\" }, or add `replicas`";
        findings.push(Diagnostic::warning(restart.key("strategy"), message).help(help));
    }
}
