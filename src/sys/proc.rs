//! What the kernel says of a process in `/proc`: how it is, how long it ran, who its parent is.
//!
//! Numbers of processes are reused, so a caller asks only about a child that is not reaped yet, or takes the answer
//! for what it is: of whoever has the number now.

use std::io;
use std::time::Duration;

/// How a process or thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs, or wants to.
    Running,
    /// It waits for something.
    Waiting,
    /// It was stopped by a signal.
    Stopped,
    /// A debugger has stopped it.
    Traced,
    /// It is dead.
    Dead,
}

/// The parts of `/proc/<pid>/stat` that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// How it is.
    pub state: State,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// It is on its way out, and has perhaps no memory any more; of its first thread.
    pub is_ending: bool,
    /// When it started, in ticks since the machine did: with its number, what tells it from all others.
    pub started: u64,
}

/// How long the first thread of a process has had the processor, and how long it has waited for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// It ran.
    pub ran: Duration,
    /// It could have run, and others did.
    pub queued: Duration,
}

/// How a process is.
///
/// # Errors
/// There is none with that number, or it must not be asked about.
pub fn stat(pid: i32) -> io::Result<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat"))?;
    parse_stat(&String::from_utf8_lossy(&text)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The kernel's flag of a thread that has begun to exit, which `proc(5)` shows as it is.
const PF_EXITING: u64 = 0x4;

fn parse_stat(text: &str) -> Option<Stat> {
    // The name may hold anything, closing parentheses too; nothing after it does.
    let mut fields = text[text.rfind(')')? + 1..].split_ascii_whitespace();
    let state = match fields.next()? {
        "R" => State::Running,
        "T" => State::Stopped,
        "t" => State::Traced,
        "Z" | "X" => State::Dead,
        _ => State::Waiting,
    };
    let (parent, group) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    // The 9th and the 22nd field; the group was the 5th.
    let flags: u64 = fields.nth(3)?.parse().ok()?;
    let started = fields.nth(12)?.parse().ok()?;
    Some(Stat { state, parent, group, is_ending: flags & PF_EXITING != 0, started })
}

/// How long the first thread of a process ran and waited to run; nothing where the kernel does not count that.
pub fn turns(pid: i32) -> Option<Turns> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat")).ok()?;
    let mut fields = text.split_ascii_whitespace().map(str::parse);
    let mut next = || fields.next()?.ok().map(Duration::from_nanos);
    Some(Turns { ran: next()?, queued: next()? })
}

/// Whether the kernel is writing the core of a process.
pub fn dumps_core(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| {
        status.lines().any(|line| line.split_ascii_whitespace().eq(["CoreDumping:", "1"]))
    })
}

/// The environment with which a process began; nothing of one that is dead.
///
/// # Errors
/// It is gone, or belongs to somebody else.
pub fn environment(pid: i32) -> io::Result<Vec<u8>> {
    std::fs::read(format!("/proc/{pid}/environ"))
}

/// The limit of file locks of a process, dead ones that are not reaped included; none if there is no limit.
pub fn locks_limit(pid: i32) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max file locks"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// What a process is called.
pub fn name(pid: i32) -> String {
    let name = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().to_owned()
}

/// What a process was started with: its arguments, each with a zero at its end. Nothing of one that is dead or of another
/// user.
pub fn arguments(pid: i32) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

/// The children of this process, whichever of its threads started them.
pub fn children() -> Vec<(i32, Stat)> {
    let own = std::process::id();
    let of_thread = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("children")).ok();
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists: Option<Vec<String>> = threads.map(of_thread).collect();
    let candidates: Vec<i32> = match lists.filter(|lists| !lists.is_empty()) {
        Some(lists) => {
            lists.iter().flat_map(|list| list.split_ascii_whitespace()).flat_map(str::parse).collect()
        }
        // A kernel without these lists: everybody is asked.
        None => all(),
    };
    let is_ours = |(_, stat): &(i32, Stat)| u32::try_from(stat.parent) == Ok(own);
    candidates.into_iter().filter_map(|pid| Some((pid, stat(pid).ok()?))).filter(is_ours).collect()
}

fn all() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_hides_nothing() {
        let text = "42 (a) R (b)) t 7 8 9 0 -1 4194304 101 0 0 0 0 0 0 0 20 0 1 0 417973 3133440";
        let stat = Stat { state: State::Traced, parent: 7, group: 8, is_ending: false, started: 417_973 };
        assert_eq!(parse_stat(text), Some(stat));
        assert_eq!(parse_stat(&text.replace("4194304", "4228100")), Some(Stat { is_ending: true, ..stat }));
        for end in 0..text.len() - 8 {
            parse_stat(&text[..end]);
        }
        assert_eq!(parse_stat("42 (a"), None);
    }

    #[test]
    fn this_process_runs_and_its_child_is_found() {
        let pid = i32::try_from(std::process::id()).expect("a pid");
        assert!(stat(pid).expect("stat").state != State::Dead);
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().expect("sleep");
        assert!(children().iter().any(|(pid, _)| u32::try_from(*pid) == Ok(child.id())));
        let pid = i32::try_from(child.id()).expect("a pid");
        assert!(!stat(pid).expect("it lives").is_ending);
        child.kill().expect("kill");
        while stat(pid).expect("it is not reaped").state != State::Dead {
            std::thread::yield_now();
        }
        assert!(stat(pid).expect("it is not reaped").is_ending);
        child.wait().expect("wait");
    }
}
