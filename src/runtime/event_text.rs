//! Deaths and hangs as people read them: one sentence, and below it what is known.

use std::fmt;
use std::time::Duration;

use super::progress::HangKind;
use crate::id::Exit;
use crate::process::event::Death;
use crate::protocol::control::{Handling, PanicReport};
use crate::topology::OnHang;

/// "counter handled Add from left"
pub(super) struct Handled<'a>(pub(super) &'a Handling);

impl fmt::Display for Handled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Handling { actor, message, sender, waits, sender_name } = self.0;
        write!(f, "{actor} handled {message}")?;
        match (sender_name, sender) {
            (Some(name), _) => write!(f, " from {name}")?,
            (None, Some(number)) => write!(f, " from process {number}")?,
            (None, None) => {}
        }
        if *waits { f.write_str(", which waited") } else { Ok(()) }
    }
}

/// The same of several, a comma between two.
struct AllHandled<'a>(&'a [Handling]);

impl fmt::Display for AllHandled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, handling) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { "; " }, Handled(handling))?;
        }
        Ok(())
    }
}

/// What is said of a process that makes no progress, after its name.
pub(super) struct Hang<'a> {
    pub(super) kind: HangKind,
    pub(super) handling: &'a [Handling],
    pub(super) stalled: Duration,
    pub(super) alive: bool,
    pub(super) then: OnHang,
}

impl fmt::Display for Hang<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "makes no progress since {:.1?}: it {}", self.stalled, self.kind.in_words())?;
        if !self.handling.is_empty() {
            write!(f, " (while {})", AllHandled(self.handling))?;
        }
        if self.kind != HangKind::Stopped {
            f.write_str(if self.alive {
                "; its control thread answers"
            } else {
                "; nor is it alive otherwise"
            })?;
        }
        f.write_str(match self.then {
            OnHang::Log => "",
            OnHang::Kill => "; it is killed",
            OnHang::Abort => "; it is aborted",
        })
    }
}

/// What is said of a death, after the name of who died.
pub(super) struct DeathRecord<'a> {
    pub(super) death: &'a Death,
    pub(super) asked: bool,
}

impl fmt::Display for DeathRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeathRecord { death, asked } = self;
        let how = match (asked, death.exit) {
            (true, Exit::Code(0)) => "stopped".to_owned(),
            (_, exit) => exit.to_string(),
        };
        write!(f, "{how} after {:.1?}", death.uptime)?;
        if !asked && let Some(why) = death.killed {
            write!(f, ", {why}")?;
        }
        if let Some(who) = death.out_of_memory {
            write!(f, ": {who}")?;
        }
        if !death.handling.is_empty() {
            write!(f, ", while {}", AllHandled(&death.handling))?;
        }
        write_left(f, death)?;
        if *asked || death.exit.is_success() {
            return Ok(());
        }
        if let Some(panic) = &death.panic {
            write_panic(f, panic)?;
        }
        write_numbers(f, death)?;
        if death.last_stderr.is_empty() {
            return Ok(());
        }
        f.write_str("; the last lines of its stderr:")?;
        death.last_stderr.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

fn write_left(f: &mut fmt::Formatter<'_>, death: &Death) -> fmt::Result {
    if death.orphans.left.is_empty() {
        return Ok(());
    }
    f.write_str("; left behind and not to be killed:")?;
    death.orphans.left.iter().try_for_each(|orphan| write!(f, " {} ({})", orphan.pid, orphan.name))
}

fn write_panic(f: &mut fmt::Formatter<'_>, panic: &PanicReport) -> fmt::Result {
    write!(f, "\n    panicked at {} on thread {}: {}", panic.place, panic.thread, panic.message)?;
    if let Some(handling) = &panic.handling {
        write!(f, " (while {})", Handled(handling))?;
    }
    // The backtrace is in the details, and among the lines of stderr.
    Ok(())
}

fn write_numbers(f: &mut fmt::Formatter<'_>, death: &Death) -> fmt::Result {
    let cursor = &death.cursor;
    write!(
        f,
        "\n    messages: {} handled, {} running, {} unread",
        cursor.handled, cursor.running, cursor.unread
    )?;
    let used = &death.resources;
    let mebibytes = used.peak_resident_bytes >> 20;
    write!(f, "; used: {:.1?} user, {:.1?} system, {mebibytes} MiB", used.user, used.system)?;
    write!(f, "; restarts so far: {}", death.restarts)?;
    match death.budget_left {
        Some(left) => write!(f, ", left: {left}"),
        None => Ok(()),
    }
}
