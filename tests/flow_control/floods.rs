//! H45: what a flood costs, measured, against what the plan says that it may cost at worst.

use std::time::Instant;

use futures_util::future::join_all;
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use procession::prelude::*;
use procession::topology::{Defaults, MemoryBound};

use crate::actors::*;
use crate::stage::{PATIENCE, memory, peer, pid, signal, story};

pub(crate) fn stories() -> Vec<Trial> {
    vec![story("m3_h45_a_flood_of_ten_million_messages_costs_no_more_than_the_plan_says", flood)]
}

const FLOODERS: u32 = 8;
const ATTEMPTS: u64 = 10_000_000;
const BYTES: usize = 30 << 10;

/// Fewer than unsaid, since debug builds look at every message under way after each attempt.
const WINDOW: u32 = 32;

/// The bound, and what was there before the flood.
struct Watched {
    name: String,
    pid: Pid,
    before: u64,
    bound: u64,
}

impl Watched {
    fn new(bounds: &[MemoryBound], name: &str, pid: Pid) -> Watched {
        let bound = bounds.iter().find(|bound| bound.process == name).unwrap();
        Watched { name: name.to_owned(), pid, before: memory(pid, "VmRSS"), bound: bound.total() }
    }

    /// How much the most is that it ever held over what it held before.
    fn check(&self) -> u64 {
        let grown = memory(self.pid, "VmHWM").saturating_sub(self.before);
        assert!(grown <= self.bound, "{} grew by {grown} bytes, of {}", self.name, self.bound);
        grown
    }
}

async fn flood(root: Root) -> procession::Result<()> {
    let addresses = vec![ProcAddr::<Peer>::named("sink")];
    let topology = Topology::new("flow")
        .defaults(Defaults::new().mailbox(WINDOW, 2 << 20))
        .process(peer("sink", "sink").actor::<Peer>("valve", ()))
        .process(Process::new("flooder").replicas(FLOODERS).actor::<Flooder>("flooder", addresses));
    let running = root.deploy(topology).await?;
    let (sink, valve) = (running.addr::<Peer>("sink")?, running.addr::<Peer>("valve")?);
    let flooders: Vec<ProcAddr<Flooder>> =
        (1..=FLOODERS).map(|index| running.addr(&format!("flooder-{index}"))).collect::<Result<_, _>>()?;
    // They know one another before anything is measured.
    let rush = |count| Rush { count, bytes: BYTES };
    let pids = join_all(flooders.iter().map(|flooder| flooder.send(rush(1)))).await;
    let bounds = running.plan().memory();
    let mut watched =
        vec![Watched::new(&bounds, "root", Pid::this()), Watched::new(&bounds, "sink", pid(&sink).await?)];
    for (index, rushed) in (1..).zip(pids) {
        let pid = Pid::from_raw(rushed?.pid.try_into().unwrap());
        watched.push(Watched::new(&bounds, &format!("flooder-{index}"), pid));
    }
    // When the process goes on, its actor does not: its mailbox fills as far as the windows go.
    let held = sink.send(Hold);
    valve.send(Double(1)).await?;
    signal(watched[1].pid, Signal::SIGSTOP);
    let begun = Instant::now();
    let rushes =
        flooders.iter().map(|flooder| flooder.send(rush(ATTEMPTS / u64::from(FLOODERS))).timeout(PATIENCE));
    let (mut accepted, mut left) = (0, 0);
    for rushed in join_all(rushes).await {
        let rushed = rushed?;
        let outcomes = rushed.sent + rushed.full + rushed.left;
        assert_eq!(outcomes, ATTEMPTS / u64::from(FLOODERS), "every attempt has its outcome");
        accepted += rushed.sent;
        left += rushed.left;
    }
    println!("{ATTEMPTS} attempts in {:?}, {accepted} accepted", begun.elapsed());
    for watched in &watched {
        watched.check();
    }
    signal(watched[1].pid, Signal::SIGCONT);
    // What was written while it was stopped is in its mailboxes when this is answered by the process that goes on.
    for _ in 0..1000 {
        valve.send(Double(1)).await?;
    }
    valve.send(Release).await?;
    held.await?;
    for settled in join_all(flooders.iter().map(|flooder| flooder.send(Settle))).await {
        settled?;
    }
    let (taken, own) = (sink.send(Taken).await?.0, 2 * u64::from(FLOODERS));
    assert!((accepted..=accepted + left + own).contains(&taken), "{taken} of {accepted} and {left}");
    for watched in &watched {
        let grown = watched.check();
        println!("{} grew by {} KiB of {} KiB", watched.name, grown >> 10, watched.bound >> 10);
    }
    running.shutdown().await
}
