//! What iceoryx2 leaves in the file system when an end of it is killed: services and sockets in a folder, memory in
//! `/dev/shm`. All of it is named after the process that measures, so that it can be found and removed.

use std::path::{Path, PathBuf};

use iceoryx2::prelude::{Config, FileName, SemanticString};
use procession_bench_clock::work::Failure;

/// How all names begin. Short, since paths of sockets are.
const PREFIX: &str = "procession-iox2-";

/// Where the memory is.
const MEMORY: &str = "/dev/shm";

/// Removes what was left when it is dropped.
pub(crate) struct Traces(());

impl Traces {
    /// Of this process. What earlier ones have left, because they were killed, goes now.
    pub(crate) fn new() -> Traces {
        sweep();
        Traces(())
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        sweep();
    }
}

/// Where ends meet that the process with this number has started.
pub(crate) fn config(meeting: &str) -> Result<Config, Failure> {
    let mut config = Config::default();
    let folder = folder().join(format!("{PREFIX}{meeting}"));
    let folder = folder.to_str().ok_or("a path that is no text")?;
    config.global.set_root_path(&iceoryx2::prelude::Path::new(folder.as_bytes())?);
    config.global.prefix = FileName::new(format!("{PREFIX}{meeting}_").as_bytes())?;
    Ok(config)
}

fn folder() -> PathBuf {
    std::env::temp_dir()
}

/// Removes what is of this process, or of one that is gone.
pub(crate) fn sweep() {
    for place in [folder(), MEMORY.into()] {
        for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !name.to_str().and_then(owner).is_some_and(ended) {
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

/// The process that something is named after.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('_').next()?.parse().ok()
}

fn ended(owner: u32) -> bool {
    owner == std::process::id() || !Path::new(&format!("/proc/{owner}")).exists()
}
