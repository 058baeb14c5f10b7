//! Control groups: one of its own for each worker, where this root may make one, and whether the kernel has killed in
//! one for want of memory. Root side.
//!
//! A group holds everything that a worker ever starts, whatever that does with its session, its environment or its
//! parents; it is killed as a whole when the worker is dead (H22). Only the second hierarchy (cgroup2) can do that. No
//! controller is asked for, so nothing is limited and nothing accounted otherwise than before.
//!
//! ```text
//!  <where the root itself is>/procession-<pid namespace>-<pid>-<start>/<process>.<incarnation>
//! ```
//!
//! A root that was killed leaves its folder behind, with what its workers had started in it; the next root that starts
//! in the same place kills and removes it.

use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::id::{Incarnation, ProcessId};
use crate::sys::proc;

/// Set to `0` in the root's environment, no groups are made.
pub const SWITCH: &str = "PROCESSION_CGROUP";

/// The names of roots' folders begin so.
const PREFIX: &str = "procession-";

/// How long what was killed may take to be gone, and how often that is looked at.
const GONE_DEADLINE: Duration = Duration::from_millis(500);
const GONE_STEPS: u32 = 9;

/// A worker's group. Dropped, it is removed if nobody is in it.
#[derive(Debug)]
pub(super) struct Cgroup {
    folder: PathBuf,
    removed: bool,
}

impl Cgroup {
    /// A new group; none where this root may not make any.
    pub(super) fn make(process: ProcessId, incarnation: Incarnation) -> Option<Cgroup> {
        let roots = roots_folder()?;
        let folder = roots.join(format!("{process}.{incarnation}"));
        fs::create_dir_all(&folder).ok()?;
        let cgroup = Cgroup { folder, removed: false };
        // Who may not write there puts nobody in; dropped, the group is removed.
        fs::OpenOptions::new().write(true).open(cgroup.folder.join("cgroup.procs")).ok()?;
        Some(cgroup)
    }

    /// The folder itself, by which a child is born in the group.
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        Ok(fs::File::open(&self.folder)?.into())
    }

    /// Who is in it, and in those beneath it.
    pub(super) fn members(&self) -> Vec<i32> {
        members(&self.folder)
    }

    /// Whether a process, dead perhaps and not reaped, belongs to it.
    pub(super) fn holds(&self, place: &Place) -> bool {
        place.unified().is_some_and(|folder| folder.starts_with(&self.folder))
    }

    /// Whether somebody is in it.
    pub(super) fn is_populated(&self) -> bool {
        let events = fs::read_to_string(self.folder.join("cgroup.events")).unwrap_or_default();
        events.lines().any(|line| line == "populated 1")
    }

    /// Kills all that is in it.
    pub(super) fn kill(&self) {
        kill(&self.folder);
    }

    /// Removes it once nobody is in it; who still is after a while is returned.
    pub(super) async fn end(mut self) -> Vec<i32> {
        for step in 0..GONE_STEPS {
            if self.remove() {
                return Vec::new();
            }
            // 1, 2, 4 ms, and so on: half a second in all.
            tokio::time::sleep(GONE_DEADLINE / (1 << (GONE_STEPS - step))).await;
        }
        if self.remove() { Vec::new() } else { self.members() }
    }

    fn remove(&mut self) -> bool {
        if self.removed {
            return true;
        }
        self.removed = remove(&self.folder);
        if let Some(roots) = self.folder.parent().filter(|_| self.removed) {
            // It is empty when this was the last one.
            let _ = fs::remove_dir(roots);
        }
        self.removed
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The groups right beneath one: those that a root within a worker has made.
fn beneath(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

fn members(folder: &Path) -> Vec<i32> {
    let list = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let own = list.lines().flat_map(str::parse);
    own.chain(beneath(folder).flat_map(|inner| members(&inner))).collect()
}

/// The deepest first. Whether it is gone.
fn remove(folder: &Path) -> bool {
    let gone = |removed: io::Result<()>| match removed {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    // Most have none beneath them.
    gone(fs::remove_dir(folder)) || {
        for inner in beneath(folder) {
            remove(&inner);
        }
        gone(fs::remove_dir(folder))
    }
}

fn kill(folder: &Path) {
    if fs::write(folder.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    // Before Linux 5.14: one by one, and again for those that were born meanwhile.
    for _ in 0..GONE_STEPS {
        for pid in members(folder) {
            // Between the look and the opening a number could be reused; the second look makes sure.
            if let Ok(pidfd) = crate::sys::pidfd::Pidfd::open(pid)
                && members(folder).contains(&pid)
            {
                let _ = pidfd.signal(crate::id::Signal(libc::SIGKILL));
            }
        }
    }
}

/// Kills what dead roots have left where this one is, and removes their groups.
pub(super) async fn sweep_stale() {
    let Some(own) = own_folder() else { return };
    let entries = fs::read_dir(own).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| is_stale(&entry.file_name().to_string_lossy())) {
        for life in beneath(&entry.path()) {
            kill(&life);
            Cgroup { folder: life, removed: false }.end().await;
        }
        let _ = fs::remove_dir(entry.path());
    }
}

/// Whether this is the name of a root's folder, and that root is dead. Of other namespaces nothing is known.
fn is_stale(name: &str) -> bool {
    let mut parts = name.strip_prefix(PREFIX).into_iter().flat_map(|rest| rest.split('-'));
    let (Some(namespace), Some(pid), Some(started), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let (Ok(pid), Ok(started)) = (pid.parse::<i32>(), started.parse::<u64>()) else { return false };
    Some(namespace) == pid_namespace().as_deref()
        && match proc::stat(pid) {
            Ok(stat) => stat.started != started || stat.state == proc::State::Dead,
            // It may be hidden from us, or there is no descriptor left to look with.
            Err(_) => is_nobody(pid),
        }
}

/// Whether nobody has this number.
fn is_nobody(pid: i32) -> bool {
    let asked = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None);
    asked == Err(nix::errno::Errno::ESRCH)
}

/// `pid:[4026531836]` without its decoration.
fn pid_namespace() -> Option<String> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(link.to_str()?.chars().filter(char::is_ascii_digit).collect())
}

/// Where the groups of this root's workers are.
pub(super) fn roots_folder() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let make = || {
        if std::env::var_os(SWITCH).is_some_and(|value| value == "0") {
            return None;
        }
        let pid = i32::try_from(std::process::id()).ok()?;
        let started = proc::stat(pid).ok()?.started;
        let name = format!("{PREFIX}{}-{pid}-{started}", pid_namespace()?);
        let folder = own_folder()?.join(name);
        // Where it can't be made now, it never can.
        fs::create_dir_all(&folder).ok()?;
        Some(folder)
    };
    FOLDER.get_or_init(make).as_deref()
}

/// The folder of the group that this process is in.
fn own_folder() -> Option<PathBuf> {
    let pid = i32::try_from(std::process::id()).ok()?;
    Place::of(pid).unified()
}

fn unified() -> Option<&'static Mount> {
    static MOUNT: OnceLock<Option<Mount>> = OnceLock::new();
    MOUNT.get_or_init(|| mounted("cgroup2", "")).as_ref()
}

/// Where a hierarchy is mounted, and which part of it.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    root: String,
    at: PathBuf,
}

impl Mount {
    fn folder_of(&self, path: &str) -> Option<PathBuf> {
        let within = Path::new(path).strip_prefix(&self.root).ok()?;
        Some(self.at.join(within))
    }
}

fn mounted(kind: &str, controller: &str) -> Option<Mount> {
    parse_mounts(&fs::read_to_string("/proc/self/mountinfo").ok()?, kind, controller)
}

/// `31 23 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory`
fn parse_mounts(text: &str, kind: &str, controller: &str) -> Option<Mount> {
    text.lines().find_map(|line| {
        let (place, source) = line.split_once(" - ")?;
        let (mut place, mut source) = (place.split(' ').skip(3), source.split(' '));
        let (root, at) = (place.next()?, place.next()?);
        let is_kind = source.next()? == kind;
        let options = source.nth(1)?;
        let fits =
            is_kind && (controller.is_empty() || options.split(',').any(|option| option == controller));
        fits.then(|| Mount { root: root.to_owned(), at: PathBuf::from(at) })
    })
}

/// In which groups a process is, as the kernel tells it: nowhere, if it is reaped or that can't be read.
#[derive(Debug)]
pub(super) struct Place(String);

impl Place {
    pub(super) fn of(pid: i32) -> Place {
        Place(fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default())
    }

    /// Its folder in the second hierarchy.
    fn unified(&self) -> Option<PathBuf> {
        unified()?.folder_of(&parse_path(&self.0, "")?)
    }

    /// Its folder in the first hierarchy's memory controller.
    fn memory(&self) -> Option<PathBuf> {
        static MOUNT: OnceLock<Option<Mount>> = OnceLock::new();
        let mount = MOUNT.get_or_init(|| mounted("cgroup", "memory")).as_ref()?;
        mount.folder_of(&parse_path(&self.0, "memory")?)
    }
}

/// `4:memory:/a/b` or `0::/a/b`
fn parse_path(text: &str, controller: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let controllers = parts.next()?;
        let fits = match controller {
            "" => controllers.is_empty(),
            controller => controllers.split(',').any(|one| one == controller),
        };
        fits.then(|| parts.next().map(str::to_owned))?
    })
}

/// How often the kernel has killed for want of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kills {
    /// In which file, and how often.
    group: Option<(PathBuf, u64)>,
    machine: Option<u64>,
}

/// Who ran out of memory when the kernel killed a worker for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutOfMemory {
    /// The memory cgroup in which the worker was.
    Group,
    /// Some cgroup, or the machine: the kernel has killed somebody, and this worker died of SIGKILL that nobody here
    /// sent.
    Machine,
}

impl std::fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            OutOfMemory::Group => "its memory cgroup ran out of memory",
            OutOfMemory::Machine => "the machine or a cgroup ran out of memory meanwhile",
        })
    }
}

impl Kills {
    /// How often that has happened until now in this place.
    pub(super) fn until_now(place: &Place) -> Kills {
        let second = place.unified().and_then(|folder| counted(folder.join("memory.events")));
        let first = || counted(place.memory()?.join("memory.oom_control"));
        let machine = counted(PathBuf::from("/proc/vmstat")).map(|(_, count)| count);
        Kills { group: second.or_else(first), machine }
    }

    /// Who has run out of memory since then.
    pub(super) fn since(&self) -> Option<OutOfMemory> {
        let grew = |path: &Path, before: u64| counted(path.to_owned()).is_some_and(|(_, now)| now > before);
        if self.group.as_ref().is_some_and(|(path, before)| grew(path, *before)) {
            return Some(OutOfMemory::Group);
        }
        let machine = self.machine.is_some_and(|before| grew(Path::new("/proc/vmstat"), before));
        machine.then_some(OutOfMemory::Machine)
    }
}

/// More than `/proc/vmstat` has: such files have no length that could be asked for, and each read makes all of it anew.
const COUNTS_BYTES: usize = 16 << 10;

fn counted(path: PathBuf) -> Option<(PathBuf, u64)> {
    let mut text = String::with_capacity(COUNTS_BYTES);
    fs::File::open(&path).ok()?.read_to_string(&mut text).ok()?;
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())?;
    Some((path, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_and_paths_are_read() {
        let text = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
                    35 31 0:32 /a /sys/fs/cgroup/memory rw,relatime shared:1 - cgroup cgroup rw,memory\n\
                    41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let memory = parse_mounts(text, "cgroup", "memory").expect("it is there");
        assert_eq!(memory.folder_of("/a/b"), Some(PathBuf::from("/sys/fs/cgroup/memory/b")));
        assert_eq!(memory.folder_of("/b"), None, "not under what is mounted");
        let unified = parse_mounts(text, "cgroup2", "").expect("it is there");
        assert_eq!(unified.folder_of("/"), Some(PathBuf::from("/sys/fs/cgroup/unified/")));
        assert_eq!(parse_mounts(text, "cgroup", "cpu"), None);
        let text = "4:cpu,memory:/a:b\n0::/c\n";
        assert_eq!(parse_path(text, "memory").as_deref(), Some("/a:b"));
        assert_eq!(parse_path(text, "").as_deref(), Some("/c"));
    }

    #[test]
    fn p2_only_dead_roots_of_this_namespace_are_stale() {
        let namespace = pid_namespace().expect("a namespace");
        let pid = i32::try_from(std::process::id()).expect("a pid");
        let started = proc::stat(pid).expect("stat").started;
        assert!(!is_stale(&format!("{PREFIX}{namespace}-{pid}-{started}")), "it lives");
        assert!(is_stale(&format!("{PREFIX}{namespace}-{pid}-{}", started + 1)), "its number was reused");
        for other in
            [format!("{PREFIX}1-{pid}-1"), format!("{PREFIX}{namespace}-x-1"), "elsewhere".to_owned()]
        {
            assert!(!is_stale(&other), "{other}");
        }
    }
}
