//! Where a story plays: a root, the processes it deploys, and what it finds afterwards.

use std::future::Future;
use std::time::Duration;

use libtest_mimic::Trial;
use procession::prelude::*;
use procession::runtime::{Event, Events};
use procession::topology::DeclaredActor;

use crate::actors::*;
use crate::played::{played, without_a_child_left};

/// Far more than any story takes; whoever runs into it has found a hang.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn story<F: Future<Output = procession::Result<()>>>(
    name: &'static str,
    play: impl FnOnce(Root) -> F + Send + 'static,
) -> Trial {
    Trial::test(name, move || without_a_child_left(played(program(), PATIENCE, play)))
}

pub(crate) async fn deploy(
    root: &Root,
    processes: impl IntoIterator<Item = Process>,
) -> procession::Result<Running> {
    root.deploy(processes.into_iter().fold(Topology::new("family"), Topology::process)).await
}

/// At once: a story waits for no backoff.
pub(crate) const AT_ONCE: Backoff = Backoff { min: Duration::ZERO, max: Duration::ZERO };

/// A process whose actors are restarted at once.
pub(crate) fn house() -> Process {
    Process::new("house").restart(AT_ONCE).actors(Actors::new().restart(AT_ONCE))
}

pub(crate) fn quiet(
    process: Process,
    name: &str,
    say: impl FnOnce(DeclaredActor) -> DeclaredActor,
) -> Process {
    process.actor_with::<Child>(name, Upbringing::default(), say)
}

/// A child that says in the ledger when it starts and stops.
pub(crate) fn talks(process: Process, name: &str) -> Process {
    let upbringing = Upbringing { nature: Nature::Talks, ledger: Some(ProcAddr::named("ledger")) };
    process.actor::<Child>(name, upbringing)
}

/// The process of the ledger, which outlives the others.
pub(crate) fn archive() -> Process {
    Process::new("archive").actor::<Ledger>("ledger", ())
}

pub(crate) async fn who(child: &ProcAddr<Child>) -> Life {
    loop {
        // One whose mailbox is closing says so, and the next life answers.
        if let Ok(life) = child.send(WhoAreYou).await {
            return life;
        }
        tokio::task::yield_now().await;
    }
}

/// Who lives there once it is another life of its process than that.
pub(crate) async fn who_after(child: &ProcAddr<Child>, before: &Life) -> Life {
    loop {
        let life = who(child).await;
        if life.pid != before.pid {
            return life;
        }
        tokio::task::yield_now().await;
    }
}

/// What the ledger says once it says enough.
pub(crate) async fn read(
    running: &Running,
    enough: impl Fn(&[String]) -> bool,
) -> procession::Result<Vec<String>> {
    let ledger = running.addr::<Ledger>("ledger")?;
    loop {
        let lines = ledger.send(Read).await?;
        if enough(&lines) {
            return Ok(lines);
        }
        tokio::task::yield_now().await;
    }
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

/// How the next process that ends did so.
pub(crate) async fn exit_of(events: &mut Events) -> Exit {
    event(events, |event| match event {
        Event::Exited { death, .. } => Some(death.exit),
        _ => None,
    })
    .await
}

pub(crate) fn kill(life: &Life) {
    let pid = nix::unistd::Pid::from_raw(life.pid.try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}
