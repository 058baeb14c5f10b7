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
    let backtrace = panic.backtrace.iter().flat_map(|text| text.lines());
    backtrace.into_iter().try_for_each(|line| write!(f, "\n      {line}"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ProcessName, Signal};
    use crate::process::event::Killed;
    use crate::process::orphans::{Orphan, Orphans};
    use crate::protocol::control::Cursor;
    use crate::sys::pidfd::ResourceUse;

    fn death() -> Death {
        let add = Handling {
            actor: "counter".to_owned(),
            message: "Add".to_owned(),
            sender: Some(crate::id::ProcessId(3)),
            waits: false,
            sender_name: ProcessName::new("left").ok(),
        };
        Death {
            pid: 77,
            exit: Exit::Signal { signal: Signal(libc::SIGABRT), core_dumped: true },
            failure: None,
            panic: Some(PanicReport {
                message: "too much".to_owned(),
                place: "src/counter.rs:7:9".to_owned(),
                thread: "main".to_owned(),
                handling: Some(add.clone()),
                backtrace: Some("0: counter::add\n1: main".to_owned()),
            }),
            handling: vec![add],
            cursor: Cursor { handled: 9, running: 1, unread: 4, in_progress: Vec::new() },
            uptime: Duration::from_millis(1500),
            resources: ResourceUse {
                user: Duration::from_millis(30),
                system: Duration::from_millis(20),
                peak_resident_bytes: 12 << 20,
            },
            last_stderr: vec!["half a word".to_owned(), "and the last".to_owned()],
            killed: None,
            out_of_memory: None,
            orphans: Orphans { killed: 1, left: vec![Orphan { pid: 78, name: "sleep".to_owned() }] },
            restarts: 2,
            budget_left: Some(1),
            lost_lines: 0,
            unsent_frames: 0,
            torn: false,
            drained: true,
        }
    }

    #[test]
    fn p1_the_record_of_a_death_says_all_that_is_known() {
        let record = DeathRecord { death: &death(), asked: false }.to_string();
        let expected = "killed by SIGABRT, core dumped after 1.5s, while counter handled Add from left; \
left behind and not to be killed: 78 (sleep)
    panicked at src/counter.rs:7:9 on thread main: too much (while counter handled Add from left)
      0: counter::add
      1: main
    messages: 9 handled, 1 running, 4 unread; used: 30.0ms user, 20.0ms system, 12 MiB; restarts so far: 2, left: 1; \
the last lines of its stderr:
    half a word
    and the last";
        assert_eq!(record, expected);
    }

    #[test]
    fn p1_why_it_was_killed_is_said_unless_that_was_asked_for() {
        let kill = Exit::Signal { signal: Signal(libc::SIGKILL), core_dumped: false };
        let quiet =
            Death { panic: None, handling: Vec::new(), orphans: Orphans::default(), exit: kill, ..death() };
        let hung = Death { killed: Some(Killed::Hung), ..quiet.clone() };
        let record = DeathRecord { death: &hung, asked: false }.to_string();
        assert!(
            record.starts_with("killed by SIGKILL after 1.5s, by the root, for making no progress\n"),
            "{record}"
        );
        let asked = Death { killed: Some(Killed::Asked), ..quiet.clone() };
        assert_eq!(DeathRecord { death: &asked, asked: true }.to_string(), "killed by SIGKILL after 1.5s");
        let memory = Death { out_of_memory: Some(crate::process::cgroup::OutOfMemory::Group), ..quiet };
        let record = DeathRecord { death: &memory, asked: false }.to_string();
        assert!(record.contains(": its memory cgroup ran out of memory\n"), "{record}");
    }
}
