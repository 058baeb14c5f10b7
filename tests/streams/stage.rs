//! Where a story plays.

use std::future::Future;
use std::time::Duration;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use procession::prelude::*;

use crate::actors::{Spring, WhoAreYou, program};
use crate::played::{played, without_a_child_left};

/// Far more than any story takes; whoever runs into it has found a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) fn story<F: Future<Output = procession::Result<()>>>(
    name: &'static str,
    play: impl FnOnce(Root) -> F + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        let before = descriptors();
        without_a_child_left(played(program(), PATIENCE, play))?;
        assert_eq!(descriptors(), before, "descriptors leaked");
        Ok(())
    })
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

pub(crate) fn spring(process: &str, actor: &str) -> Process {
    Process::new(process).actor::<Spring>(actor, ())
}

pub(crate) async fn deploy(
    root: &Root,
    processes: impl IntoIterator<Item = Process>,
) -> procession::Result<Running> {
    root.deploy(processes.into_iter().fold(Topology::new("streams"), Topology::process)).await
}

/// `left` with the actors `a` and `a2`, and `right` with `b`.
pub(crate) async fn two(root: &Root) -> procession::Result<(Running, ProcAddr<Spring>, ProcAddr<Spring>)> {
    let left = spring("left", "a").actor::<Spring>("a2", ());
    let running = deploy(root, [left, spring("right", "b")]).await?;
    let (a, b) = (running.addr("a")?, running.addr("b")?);
    Ok((running, a, b))
}

pub(crate) async fn kill(whom: &ProcAddr<Spring>) -> procession::Result<()> {
    let pid = whom.send(WhoAreYou).await?;
    signal(pid, Signal::SIGKILL);
    Ok(())
}

/// To a process of the story.
pub(crate) fn signal(pid: u32, signal: Signal) {
    nix::sys::signal::kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

/// A line of `/proc/<pid>/status`, in bytes.
pub(crate) fn memory(pid: u32, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':')).unwrap();
    value.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
