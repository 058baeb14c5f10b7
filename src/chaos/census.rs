//! What this process holds: to be counted before and after, by whoever wants to know that nothing was left.

use std::io;

use serde::Serialize;

use crate::sys::environment;

/// A count of what could be left behind. Counted from `/proc`, so what others do meanwhile is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Census {
    /// Open descriptors of this process, without the one that counts them.
    pub descriptors: usize,
    /// Children of this process that live. While it has workers it adopts what dead ones have started, which then counts.
    pub children: usize,
    /// Children of this process that are dead and were not waited for.
    pub zombies: usize,
    /// Processes anywhere that live and bear the mark of a worker of this process.
    pub workers: usize,
    /// Memory of this process that is resident.
    pub resident_bytes: u64,
}

impl Census {
    /// Counts.
    ///
    /// # Errors
    /// There is no `/proc` to read.
    pub fn take() -> io::Result<Census> {
        let own = std::process::id().to_string();
        // The iterator itself holds one.
        let descriptors = std::fs::read_dir("/proc/self/fd")?.count().saturating_sub(1);
        let mut census = Census { descriptors, resident_bytes: resident_bytes()?, ..Census::default() };
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            else {
                continue;
            };
            // Whoever ends while it is looked at counts as gone.
            let Some((is_dead, parent)) = state(pid) else { continue };
            match (parent == own, is_dead) {
                (true, true) => census.zombies += 1,
                (true, false) => census.children += 1,
                (false, _) => {}
            }
            if !is_dead && pid != own && is_worker_of(pid, &own) {
                census.workers += 1;
            }
        }
        Ok(census)
    }
}

/// Whether a process is dead, and whose child it is.
fn state(pid: &str) -> Option<(bool, String)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, spaces and parentheses included.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let (state, parent) = (fields.next()?, fields.next()?);
    Some((matches!(state, "Z" | "X"), parent.to_owned()))
}

/// Whether the environment that a process began with bears the mark of a worker of this root.
fn is_worker_of(pid: &str, root: &str) -> bool {
    let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else { return false };
    let mark = format!("{}=", environment::WORKER);
    environment.split(|byte| *byte == 0).any(|pair| {
        let value = std::str::from_utf8(pair).ok().and_then(|pair| pair.strip_prefix(mark.as_str()));
        let mark = value.and_then(|value| environment::Mark::from_value(value).ok());
        mark.is_some_and(|mark| mark.root.to_string() == root)
    })
}

/// The pages of the second field of `statm`.
fn resident_bytes() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kibibytes.map(|count| count << 10).ok_or_else(|| io::Error::other("/proc/self/status has no VmRSS"))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn children_zombies_and_descriptors_are_told_apart() {
        let before = Census::take().expect("a count");
        assert!(before.resident_bytes > 1 << 20 && before.descriptors >= 3, "{before:?}");
        let mut sleeper = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().expect("sleep");
        let (mut end, writer) = io::pipe().expect("a pipe");
        let mut dead = Command::new("true")
            .stdout(writer.as_fd().try_clone_to_owned().expect("a copy"))
            .spawn()
            .expect("true");
        drop(writer);
        // The pipe ends when it is dead, or as good as: the kernel closes descriptors before it tells the parent.
        io::Read::read_to_end(&mut end, &mut Vec::new()).expect("the end");
        let is_dead = || state(&dead.id().to_string()).is_some_and(|(is_dead, _)| is_dead);
        while !is_dead() {
            std::thread::yield_now();
        }
        // Other tests of this process have children, too, and descriptors, so at least these.
        let during = Census::take().expect("a count");
        assert!(during.children >= 1 && during.zombies >= 1, "{during:?}");
        sleeper.kill().expect("kill");
        sleeper.wait().expect("wait");
        dead.wait().expect("wait");
    }

    #[test]
    fn a_worker_is_known_by_its_mark() {
        let mark = environment::Mark { descriptor: 3, root: 4711 };
        let mut marked = Command::new("sleep")
            .arg("1000")
            .env(environment::WORKER, mark.to_value())
            .spawn()
            .expect("sleep");
        let pid = marked.id().to_string();
        // Until it has executed its program, it has the environment of this one.
        while !is_worker_of(&pid, "4711") {
            std::thread::yield_now();
        }
        assert!(!is_worker_of(&pid, "471"));
        marked.kill().expect("kill");
        marked.wait().expect("wait");
    }
}
