//! Where a story plays: a root, the processes it deploys, and what it finds afterwards.

use std::future::Future;
use std::time::Duration;

use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use procession::address::{Cause, NameState};
use procession::prelude::*;

use crate::actors::{Me, Member, NameChanges, WhoAreYou, program};
use crate::played::{played, without_a_child_left};

/// Far more than any story takes; whoever runs into it has found a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than anything takes that a story waits for.
pub(crate) const LONG: Duration = Duration::from_secs(30);

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

/// The open descriptors of this process, without the one that lists them.
fn descriptors() -> Vec<String> {
    let links = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
        let entry = entry.ok()?;
        let target = std::fs::read_link(entry.path()).ok()?;
        Some(format!("{} -> {}", entry.file_name().display(), target.display()))
    });
    let mut all: Vec<String> = links.filter(|link| !link.contains("/proc/")).collect();
    all.sort();
    all
}

/// Process `NAME` with the actors `NAME` and `NAME-too`.
pub(crate) fn process(name: &str) -> Process {
    Process::new(name).actor::<Member>(name, ()).actor::<Member>(format!("{name}-too"), ())
}

/// Where all may do all in namespace `all`.
pub(crate) fn topology() -> Topology {
    Topology::new("groups")
        .restart(Intensity { restarts: 50, period: Duration::from_secs(1) })
        .namespace(Namespace::new("all").register(["*"]).lookup(["*"]).most(20))
}

/// As `topology`, where only `a` registers and only `b` looks up in `some`.
pub(crate) fn with_some() -> Topology {
    topology().namespace(Namespace::new("some").register(["a"]).lookup(["b"]))
}

/// The processes `a`, `b` and `c`.
pub(crate) async fn three(root: &Root) -> procession::Result<(Running, [ProcAddr<Member>; 3])> {
    let topology = ["a", "b", "c"].into_iter().map(process).fold(with_some(), Topology::process);
    let running = root.deploy(topology).await?;
    let members = [running.addr("a")?, running.addr("b")?, running.addr("c")?];
    Ok((running, members))
}

/// Who lives there now. A request that reaches a life at its end is repeated: the death may not be known here yet.
pub(crate) async fn who(member: &ProcAddr<Member>) -> Me {
    loop {
        match member.send(WhoAreYou).await {
            Ok(me) => return me,
            Err(error) if matches!(error.cause(), Cause::PeerDied { .. } | Cause::Stopping(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Kills the process of an actor, and returns when its next life answers.
pub(crate) async fn kill(member: &ProcAddr<Member>) {
    let before = who(member).await;
    signal(before.pid, Signal::SIGKILL);
    while who(member).await.pid == before.pid {}
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

/// Waits until something that others bring about is so.
pub(crate) async fn until<F: Future<Output = bool>>(mut fact: impl FnMut() -> F) {
    while !fact().await {
        tokio::task::yield_now().await;
    }
}

/// Waits until a watcher was told that the name came to this; then everything that it was told.
pub(crate) async fn told(watcher: &ProcAddr<Member>, fits: impl Fn(&NameState) -> bool) -> Vec<NameState> {
    loop {
        let changes = watcher.send(NameChanges).await.unwrap();
        assert!(changes.is_sorted_by(|one, next| one.version < next.version), "{changes:?}");
        if changes.last().is_some_and(|changed| fits(&changed.state)) {
            return changes.into_iter().map(|changed| changed.state).collect();
        }
    }
}

pub(crate) fn is_free(state: &NameState) -> bool {
    *state == NameState::Free
}

pub(crate) fn is_away(state: &NameState) -> bool {
    matches!(state, NameState::Away(_))
}

/// Whether it is held by that life of its holder.
pub(crate) fn is_here(life: u64) -> impl Fn(&NameState) -> bool {
    move |state| matches!(state, NameState::Here(holder) if holder.life == life)
}
