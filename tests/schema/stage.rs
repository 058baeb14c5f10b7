//! Where a story plays: a root of one program, and other programs.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use libtest_mimic::Trial;
use procession::prelude::*;

use crate::actors;
use crate::played::{played, without_a_child_left};

/// The first argument of another program; the second is its role.
pub(crate) const PLAY: &str = "play";

/// Far more than any story takes; whoever runs into it has found a hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// A story whose root hosts what that role does; nothing if there is none.
pub(crate) fn story<F: Future<Output = procession::Result<()>>>(
    name: &'static str,
    role: &'static str,
    play: impl FnOnce(Root) -> F + Send + 'static,
) -> Trial {
    Trial::test(name, move || without_a_child_left(played(actors::program(role), PATIENCE, play)))
}

/// Another program: a copy of this one. There are two of them; each is another build than before when it is asked for.
pub(crate) fn copy(which: usize) -> PathBuf {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // Beside this program, so that it may be executed and costs no memory.
        let here = std::env::current_exe().unwrap();
        tempfile::tempdir_in(here.parent().unwrap()).unwrap()
    });
    let path = folder.path().join(format!("copy-{which}"));
    if !path.exists() {
        std::fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
    }
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    let changed = file.metadata().unwrap().modified().unwrap();
    file.set_modified(changed + Duration::from_secs(1)).unwrap();
    path
}

/// A process of that program in that role.
pub(crate) fn process(name: &str, program: &Path, role: &str) -> Process {
    Process::new(name).program(program).args([PLAY, role])
}

/// A topology whose processes are tried once.
pub(crate) fn topology(processes: impl IntoIterator<Item = Process>) -> Topology {
    processes.into_iter().fold(Topology::new("stories"), Topology::process)
}
