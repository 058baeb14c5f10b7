//! Control groups of the roots of stories.

use std::path::PathBuf;

/// Why this process may make no group of its own in the second hierarchy.
pub(crate) fn no_cgroup() -> Option<String> {
    let Some(own) = own_group() else { return Some("cgroup2 is not mounted".to_owned()) };
    let probe = own.join(format!("procession-test-{}", std::process::id()));
    match std::fs::create_dir(&probe) {
        Ok(()) => std::fs::remove_dir(&probe).err().map(|error| error.to_string()),
        Err(error) => Some(format!("{}: {error}", probe.display())),
    }
}

/// Where the second hierarchy is mounted.
pub(crate) fn mount() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    Some(line.split(' ').nth(4).unwrap().into())
}

fn own_group() -> Option<PathBuf> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(mount()?.join(path))
}

/// The groups of the workers of a root.
pub(crate) fn groups_of(root: u32) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(own_group().unwrap()).unwrap().flatten().map(|entry| entry.path());
    let of_root = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("procession-") && name.split('-').nth(2) == Some(&root.to_string())
    };
    entries.filter(of_root).collect()
}
