//! What outlives a root that was killed, and cleans up after it: kills what is left in the control groups of its workers, and
//! removes them. Root side.
//!
//! A shell that does nothing but wait for the end of its input, which nobody writes to: it comes when the root ends, whatever
//! ended it. The workers themselves are dead by then (the kernel's death signal); what they had started is not (P-2, H22).
//! A deployment that ends leaves no groups and takes its janitor with it. Where there are no groups there is no janitor.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cgroup;
use crate::sys::pidfd::Child;
use crate::sys::proc;
use crate::sys::spawn;

const SHELL: &str = "/bin/sh";

/// What it calls itself, behind its script.
const NAME: &str = "procession-janitor";

/// Of the folder that is its first argument, with the groups of a root's workers; those of roots within workers lie deeper. The shell's
/// own commands, but for `rmdir` and `sleep`. Before Linux 5.14 processes are killed one by one. What was killed may take
/// a moment to be gone, so there are rounds.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
PATH=/usr/bin:/bin
read -r _
end() {
    echo 1 > "$1/cgroup.kill" || while read -r pid; do kill -KILL "$pid"; done < "$1/cgroup.procs"
    for group in "$1"/*/; do
        [ -d "$group" ] && (end "${group%/}")
    done
    rmdir "$1"
}
rounds=0
while [ -d "$1" ] && [ "$rounds" -lt 100 ]; do
    end "$1" || sleep 0.01
    rounds=$((rounds + 1))
done
"#;

/// How long one that has work at an orderly end may take: its own hundred rounds.
const DONE_DEADLINE: Duration = Duration::from_secs(2);

/// Whether that process calls itself one. That of a root within a worker dies with the worker, as all that the worker has
/// started; but nobody has forgotten to end it, so it is none that the worker left behind.
pub(super) fn is_one(pid: i32) -> bool {
    proc::arguments(pid).split(|byte| *byte == 0).nth(3) == Some(NAME.as_bytes())
}

/// Dropped, it ends, and the groups are gone.
#[derive(Debug)]
pub struct Janitor {
    /// Until it is dropped.
    child: Option<Child>,
    /// Its end is the sign.
    lifeline: Option<OwnedFd>,
    folder: PathBuf,
}

impl Janitor {
    /// Starts one, where this root has made groups. `None` also where there is no shell: then what is left waits for the next
    /// root in the same place.
    pub fn start() -> Option<Janitor> {
        let folder = cgroup::roots_folder()?.to_owned();
        let (input, lifeline) = std::io::pipe().ok()?;
        let arguments = [OsString::from("-c"), SCRIPT.into(), NAME.into(), (&folder).into()];
        match spawn::spawn_to_outlive(Path::new(SHELL), &arguments, &input.into()) {
            Ok(child) => Some(Janitor { child: Some(child), lifeline: Some(lifeline.into()), folder }),
            Err(error) => {
                tracing::debug!(target: "procession", %error, "nobody cleans up after this process if it is killed");
                None
            }
        }
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let Some(child) = self.child.take().filter(|_| self.folder.exists()) else { return };
        // Something is left although all workers were reaped: it is given its time. Then dropping the child kills it. Who drops
        // the janitor has others to serve meanwhile.
        let waits = move || {
            child.pidfd().wait_until_dead(DONE_DEADLINE);
        };
        // Without a thread it ends by itself, unreaped until this process ends.
        let _ = std::thread::Builder::new().name(NAME.to_owned()).spawn(waits);
    }
}
