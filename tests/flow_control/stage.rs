//! Where a story plays, and what it can see of the processes in it.

use std::future::Future;
use std::time::Duration;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use procession::prelude::*;

use crate::actors::{Peer, WhoAreYou, program};
use crate::played::{played, without_a_child_left};
use crate::transports::{set_transport, transport};

/// Far more than any story takes; whoever runs into it has found a deadlock.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn story<F: Future<Output = procession::Result<()>>>(
    name: &'static str,
    play: impl FnOnce(Root) -> F + Send + 'static,
) -> Trial {
    let transport = transport();
    Trial::test(name, move || {
        set_transport(transport);
        without_a_child_left(played(program(), PATIENCE, play))
    })
}

pub(crate) fn peer(process: &str, actor: &str) -> Process {
    Process::new(process).actor::<Peer>(actor, ())
}

pub(crate) async fn deploy(
    root: &Root,
    processes: impl IntoIterator<Item = Process>,
) -> procession::Result<Running> {
    root.deploy(processes.into_iter().fold(topology(), Topology::process)).await
}

/// An empty topology, over the pipes of the story.
pub(crate) fn topology() -> Topology {
    Topology::new("flow").transport(transport())
}

/// The process that an actor lives in.
pub(crate) async fn pid(peer: &ProcAddr<Peer>) -> procession::Result<Pid> {
    Ok(Pid::from_raw(peer.send(WhoAreYou).await?.try_into().unwrap()))
}

pub(crate) fn signal(pid: Pid, signal: Signal) {
    nix::sys::signal::kill(pid, signal).unwrap();
}

/// Whether a process is stopped.
pub(crate) fn is_stopped(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The state stands behind the name, which is in parentheses.
    stat.rsplit(')').next().unwrap().starts_with(" T")
}

/// A line of `/proc/<pid>/status`, in bytes.
pub(crate) fn memory(pid: Pid, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':')).unwrap();
    value.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
