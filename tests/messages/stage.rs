//! Where a story plays: a root, the processes it deploys, and what it finds afterwards.

use std::future::Future;
use std::time::Duration;

use libtest_mimic::Trial;
use procession::address::Cause;
use procession::prelude::*;
use procession::runtime::{Event, Events};

use crate::actors::{Life, Probe, Release, WhoAreYou, program};
use crate::played::{played, without_a_child_left};
use crate::transports::{set_transport, transport};

/// Far more than any story takes; whoever runs into it has found a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What "at once" means on a busy machine.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(1);

pub(crate) fn story<F: Future<Output = procession::Result<()>>>(
    name: &'static str,
    play: impl FnOnce(Root) -> F + Send + 'static,
) -> Trial {
    long_story(name, PATIENCE, play)
}

/// One that may take longer than others.
pub(crate) fn long_story<F: Future<Output = procession::Result<()>>>(
    name: &'static str,
    patience: Duration,
    play: impl FnOnce(Root) -> F + Send + 'static,
) -> Trial {
    let transport = transport();
    checked(name, move || {
        set_transport(transport);
        played(program(), patience, play)
    })
}

/// A test that leaves as many descriptors as it found, and no child.
pub(crate) fn checked(
    name: &'static str,
    play: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        let before = descriptors();
        without_a_child_left(play())?;
        assert_eq!(descriptors(), before, "descriptors leaked");
        Ok(())
    })
}

/// The open descriptors of this process, without the one that lists them.
pub(crate) fn descriptors() -> Vec<String> {
    let links = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
        let entry = entry.ok()?;
        let target = std::fs::read_link(entry.path()).ok()?;
        Some(format!("{} -> {}", entry.file_name().display(), target.display()))
    });
    let mut all: Vec<String> = links.filter(|link| !link.contains("/proc/")).collect();
    all.sort();
    all
}

pub(crate) fn probe(process: &str, actor: &str) -> Process {
    Process::new(process).actor::<Probe>(actor, ())
}

pub(crate) async fn deploy(
    root: &Root,
    processes: impl IntoIterator<Item = Process>,
) -> procession::Result<Running> {
    root.deploy(
        processes.into_iter().fold(Topology::new("stories").transport(transport()), Topology::process),
    )
    .await
}

/// Process `left` with actors `a` and `a2`.
pub(crate) fn left() -> Process {
    probe("left", "a").actor::<Probe>("a2", ())
}

/// Lets go one that waits in process `left`.
pub(crate) async fn release(running: &Running) -> procession::Result<()> {
    Ok(running.addr::<Probe>("a2")?.send(Release).await?)
}

/// One process, `left`.
pub(crate) async fn one(root: &Root) -> procession::Result<(Running, ProcAddr<Probe>)> {
    let running = deploy(root, [left()]).await?;
    let a = running.addr("a")?;
    Ok((running, a))
}

/// Two processes, `left`, and `right` with actor `b`.
pub(crate) async fn two(root: &Root) -> procession::Result<(Running, ProcAddr<Probe>, ProcAddr<Probe>)> {
    let running = deploy(root, [left(), probe("right", "b")]).await?;
    let (a, b) = (running.addr("a")?, running.addr("b")?);
    Ok((running, a, b))
}

/// Who lives there now. A request that reaches a life at its end is repeated: the death may not be known here yet.
pub(crate) async fn who(probe: &ProcAddr<Probe>) -> Life {
    loop {
        match probe.send(WhoAreYou).await {
            Ok(life) => return life,
            Err(error) if matches!(error.cause(), Cause::PeerDied { .. } | Cause::Stopping(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) fn signal(pid: u32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

/// The next event that fits.
pub(crate) async fn event<T>(events: &mut Events, mut fits: impl FnMut(&Event) -> Option<T>) -> T {
    loop {
        let event = events.next().await.expect("it happens before the end");
        if let Some(found) = fits(&event) {
            return found;
        }
    }
}

/// Waits until something that others bring about is so.
pub(crate) async fn until(mut fact: impl FnMut() -> bool) {
    while !fact() {
        tokio::task::yield_now().await;
    }
}
