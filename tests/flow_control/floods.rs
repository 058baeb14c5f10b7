//! H45: what a flood costs, measured, against what the plan says that it may cost at worst.

use std::time::Instant;

use futures_util::future::join_all;
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use procession::prelude::*;
use procession::topology::{Defaults, MESSAGE_BYTES, MemoryBound, Plan};

use crate::actors::*;
use crate::stage::{PATIENCE, memory, peer, pid, signal, story, topology};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("m3_h45_a_flood_of_ten_million_messages_costs_no_more_than_the_plan_says", flood),
        story("m3_h45_a_flood_of_exported_actors_costs_a_window_for_each", flood_of_exports),
        story("m3_requests_that_have_begun_cost_what_was_asked_for", crowd),
    ]
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

/// Eight that flood one, whose process has a second actor to let it go on.
struct Stage {
    running: Running,
    sink: ProcAddr<Peer>,
    valve: ProcAddr<Peer>,
    flooders: Vec<ProcAddr<Flooder>>,
    watched: Vec<Watched>,
}

impl Stage {
    /// All are there and know one another, before anything is measured.
    async fn new(root: &Root) -> procession::Result<Stage> {
        let addresses = vec![ProcAddr::<Peer>::named("sink")];
        let flooders = Process::new("flooder").replicas(FLOODERS).actor::<Flooder>("flooder", addresses);
        let running = root
            .deploy(
                topology()
                    .defaults(Defaults::new().mailbox(WINDOW, 2 << 20))
                    .process(peer("sink", "sink").actor::<Peer>("valve", ()))
                    .process(flooders),
            )
            .await?;
        let (sink, valve) = (running.addr::<Peer>("sink")?, running.addr::<Peer>("valve")?);
        let names = (1..=FLOODERS).map(|index| format!("flooder-{index}"));
        let flooders: Vec<ProcAddr<Flooder>> =
            names.map(|name| running.addr(&name)).collect::<Result<_, _>>()?;
        let pids =
            join_all(flooders.iter().map(|flooder| flooder.send(Rush { count: 1, bytes: BYTES }))).await;
        let bounds = running.plan().memory();
        let mut watched = vec![
            Watched::new(&bounds, "root", Pid::this()),
            Watched::new(&bounds, "sink", pid(&sink).await?),
        ];
        for (index, rushed) in (1..).zip(pids) {
            let pid = Pid::from_raw(rushed?.pid.try_into().unwrap());
            watched.push(Watched::new(&bounds, &format!("flooder-{index}"), pid));
        }
        Ok(Stage { running, sink, valve, flooders, watched })
    }

    /// Each attempts its share; told are those that were taken, and those that were left to an outbox.
    async fn rush(&self, attempts: u64) -> procession::Result<(u64, u64)> {
        let begun = Instant::now();
        let count = attempts / u64::from(FLOODERS);
        let rushes =
            self.flooders.iter().map(|flooder| flooder.send(Rush { count, bytes: BYTES }).timeout(PATIENCE));
        let (mut accepted, mut left) = (0, 0);
        for rushed in join_all(rushes).await {
            let rushed = rushed?;
            assert_eq!(rushed.sent + rushed.full + rushed.left, count, "every attempt has its outcome");
            accepted += rushed.sent;
            left += rushed.left;
        }
        println!("{attempts} attempts in {:?}, {accepted} accepted", begun.elapsed());
        Ok((accepted, left))
    }

    /// That nobody holds more than he may.
    fn check(&self, say: bool) {
        for watched in &self.watched {
            let grown = watched.check();
            if say {
                println!("{} grew by {} KiB of {} KiB", watched.name, grown >> 10, watched.bound >> 10);
            }
        }
    }

    /// What was written while the process was stopped is in its mailboxes when this is answered.
    async fn go_on(&self) -> procession::Result<()> {
        signal(self.watched[1].pid, Signal::SIGCONT);
        for _ in 0..1000 {
            self.valve.send(Double(1)).await?;
        }
        Ok(())
    }

    async fn settled(&self) -> procession::Result<()> {
        for settled in join_all(self.flooders.iter().map(|flooder| flooder.send(Settle))).await {
            settled?;
        }
        Ok(())
    }
}

async fn flood(root: Root) -> procession::Result<()> {
    let stage = Stage::new(&root).await?;
    // When the process goes on, its actor does not: its mailbox fills as far as the windows go.
    let held = stage.sink.send(Hold);
    stage.valve.send(Double(1)).await?;
    signal(stage.watched[1].pid, Signal::SIGSTOP);
    let (accepted, left) = stage.rush(ATTEMPTS).await?;
    stage.check(false);
    stage.go_on().await?;
    stage.valve.send(Release).await?;
    held.await?;
    stage.settled().await?;
    let (taken, own) = (stage.sink.send(Taken).await?.0, 2 * u64::from(FLOODERS));
    assert!((accepted..=accepted + left + own).contains(&taken), "{taken} of {accepted} and {left}");
    stage.check(true);
    stage.running.shutdown().await
}

/// Actors that no plan knows.
const EXPORTS: usize = 4;

/// Fewer: what counts is that every window is full.
const ATTEMPTS_AT_EXPORTS: u64 = 1_000_000;

/// What one more actor that somebody may send to adds, by the table of decision 0140: to who takes, and to who sends.
fn another_actor(plan: &Plan) -> (u64, u64) {
    let limits = plan.processes[0].limits;
    let (window, most) = (limits.mailbox.bytes, limits.max_message_bytes);
    let messages = u64::from(limits.mailbox.messages) * MESSAGE_BYTES;
    (2 * window.max(window / 4 + most) + messages, window + most + messages)
}

async fn flood_of_exports(root: Root) -> procession::Result<()> {
    let mut stage = Stage::new(&root).await?;
    let exports = stage.sink.send(Exports(EXPORTS)).await?;
    for aimed in join_all(stage.flooders.iter().map(|flooder| flooder.send(Aim(exports.clone())))).await {
        aimed?;
    }
    let (taking, sending) = another_actor(&stage.running.plan());
    stage.watched[1].bound += EXPORTS as u64 * u64::from(FLOODERS) * taking;
    for flooder in &mut stage.watched[2..] {
        flooder.bound += EXPORTS as u64 * sending;
    }
    let held: Vec<_> = exports.iter().map(|export| export.send(Hold)).collect();
    stage.valve.send(Double(1)).await?;
    signal(stage.watched[1].pid, Signal::SIGSTOP);
    let (accepted, left) = stage.rush(ATTEMPTS_AT_EXPORTS).await?;
    stage.check(false);
    stage.go_on().await?;
    for held in held {
        stage.valve.send(Release).await?;
        held.await?;
    }
    stage.settled().await?;
    let mut taken = 0;
    for export in &exports {
        taken += export.send(Taken).await?.0;
    }
    let own = EXPORTS as u64 * u64::from(FLOODERS);
    assert!((accepted..=accepted + left + own).contains(&taken), "{taken} of {accepted} and {left}");
    stage.check(true);
    stage.running.shutdown().await
}

/// Asks of each that asks; none is answered before all have begun.
const CROWD: u64 = 1000;
const LINGERING_BYTES: usize = 2 << 10;

/// What a request may cost that has begun and holds its message: its bytes, and its future with its place in our
/// tables, in whoever handles it; its message and its future in who asks.
const BEGUN_BYTES: u64 = 2 * LINGERING_BYTES as u64 + 4 * MESSAGE_BYTES;

async fn crowd(root: Root) -> procession::Result<()> {
    let mut stage = Stage::new(&root).await?;
    // No plan knows how many: as many as were asked for.
    stage.watched[1].bound += u64::from(FLOODERS) * CROWD * BEGUN_BYTES;
    for flooder in &mut stage.watched[2..] {
        flooder.bound += CROWD * BEGUN_BYTES;
    }
    signal(stage.watched[1].pid, Signal::SIGSTOP);
    let crowd = |flooder: &ProcAddr<Flooder>| flooder.send(Crowd { count: CROWD, bytes: LINGERING_BYTES });
    let crowds = actix::spawn(join_all(stage.flooders.iter().map(crowd)));
    // Those that ask get no further than their windows while nobody takes.
    for flooder in &stage.flooders {
        flooder.send(Aim(vec![stage.sink.clone()])).await?;
    }
    stage.check(false);
    signal(stage.watched[1].pid, Signal::SIGCONT);
    while stage.valve.send(Lingering).await? < u64::from(FLOODERS) * CROWD {}
    stage.check(true);
    stage.valve.send(Disperse).await?;
    for answered in crowds.await.unwrap() {
        assert_eq!(answered?, CROWD);
    }
    stage.check(true);
    stage.running.shutdown().await
}
