//! What a peer's program has in the file system: files and sockets in a folder, memory in `/dev/shm`. All of it is named
//! after the process that measures, so that it can be found and removed, also when somebody was killed.

use std::path::{Path, PathBuf};

/// Where named memory is.
const MEMORY: &str = "/dev/shm";

/// Removes what was left when it is dropped.
pub struct Traces {
    prefix: &'static str,
}

impl Traces {
    /// Of this process, as the one that measures; all names begin with the prefix, which is short, since paths of
    /// sockets are. What earlier ones have left, because they were killed, goes now.
    pub fn new(prefix: &'static str) -> Traces {
        sweep(prefix);
        Traces { prefix }
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        sweep(self.prefix);
    }
}

/// The folder of the process with this number.
pub fn folder(prefix: &str, process: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{prefix}{process}"))
}

/// Removes what is of this process, or of one that is gone.
pub fn sweep(prefix: &str) {
    for place in [std::env::temp_dir(), MEMORY.into()] {
        for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !name.to_str().and_then(|name| owner(prefix, name)).is_some_and(ended) {
                continue;
            }
            // Another one may sweep, too.
            let _ = match entry.file_type() {
                Ok(kind) if kind.is_dir() => std::fs::remove_dir_all(entry.path()),
                _ => std::fs::remove_file(entry.path()),
            };
        }
    }
}

/// The process that something is named after: digits behind the prefix, and perhaps more behind an underscore.
fn owner(prefix: &str, name: &str) -> Option<u32> {
    name.strip_prefix(prefix)?.split('_').next()?.parse().ok()
}

fn ended(owner: u32) -> bool {
    owner == std::process::id() || !Path::new(&format!("/proc/{owner}")).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_this_process_goes_and_what_is_of_a_living_one_stays() {
        let prefix = "procession-traces-test-";
        let (own, parent) = (std::process::id(), std::os::unix::process::parent_id());
        let living = folder(prefix, &parent.to_string());
        let traces = Traces::new(prefix);
        let ours = folder(prefix, &own.to_string());
        std::fs::create_dir(&ours).expect("a folder");
        std::fs::write(ours.join("file"), []).expect("a file in it");
        let memory = Path::new(MEMORY).join(format!("{prefix}{own}_memory"));
        std::fs::write(&memory, []).expect("memory");
        std::fs::create_dir(&living).expect("a folder of somebody else");
        drop(traces);
        let left = (ours.exists(), memory.exists(), living.exists());
        std::fs::remove_dir(&living).expect("it is still there");
        assert_eq!(left, (false, false, true));
    }

    #[test]
    fn only_names_of_processes_have_an_owner() {
        assert_eq!(owner("a-", "a-17"), Some(17));
        assert_eq!(owner("a-", "a-17_more_of_it.data"), Some(17));
        for other in ["a-", "a-x", "a-17x", "b-17", "17"] {
            assert_eq!(owner("a-", other), None, "{other}");
        }
    }
}
