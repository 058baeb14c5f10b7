//! Where a story plays: a root, the processes it deploys, and what it finds afterwards.

use std::future::Future;
use std::time::Duration;

use libtest_mimic::Trial;
use procession::chaos::Census;
use procession::prelude::*;
use procession::topology::Defaults;

use crate::actors::{Counter, WhoAreYou, program};
use crate::played::{played, without_a_child_left};

/// Far more than any story takes; whoever runs into it has found a hang.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) fn story<F: Future<Output = procession::Result<()>>>(
    name: &'static str,
    play: impl FnOnce(Root) -> F + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        let before = Census::take()?;
        without_a_child_left(played(program(), PATIENCE, play))?;
        // The thread of the chaos closes its pipes when it hears that their processes are gone.
        while Census::take()?.descriptors > before.descriptors {
            std::thread::yield_now();
        }
        let after = Census::take()?;
        assert_eq!((after.children, after.zombies, after.workers), (0, 0, 0), "{after:?}");
        Ok(())
    })
}

/// Processes with a counter each, of the same names, which may die as often as they like.
pub(crate) async fn deploy<const N: usize>(
    root: &Root,
    names: [&str; N],
) -> procession::Result<(Running, [ProcAddr<Counter>; N])> {
    let often = Intensity { restarts: 4000, period: ms(1000) };
    let defaults = Defaults::new().restart(Backoff { min: ms(1), max: ms(2) });
    let topology = Topology::new("chaos").restart(often).defaults(defaults);
    let topology = names.iter().fold(topology, |topology, name| topology.process(counter(name)));
    let running = root.deploy(topology).await?;
    let mut addresses = Vec::new();
    for name in names {
        addresses.push(running.addr(name)?);
    }
    Ok((running, addresses.try_into().unwrap()))
}

/// A process with a counter of its name.
pub(crate) fn counter(name: &str) -> Process {
    Process::new(name).actor::<Counter>(name, ())
}

/// Number with the kernel and life of a counter's process; asked again if it dies meanwhile.
pub(crate) async fn who(counter: &ProcAddr<Counter>) -> (u32, u32) {
    loop {
        if let Ok(who) = counter.send(WhoAreYou).await {
            return who;
        }
    }
}

/// Waits until something that others bring about is so.
pub(crate) async fn until(mut fact: impl FnMut() -> bool) {
    while !fact() {
        tokio::task::yield_now().await;
    }
}

/// Whether a process is stopped.
pub(crate) fn stands(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}
