//! Workers that do not answer: stopped, looping, blocked; told apart, and no false alarm (P-3, H51).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use nix::sys::signal::Signal as Name;
use procession::id::Signal;
use procession::prelude::*;
use procession::process::event::Killed;
use procession::runtime::{Event, Events, HangKind};
use procession::topology::OnHang;

use crate::actors::{Nothing, Probe, Wait, WhoAreYou};
use crate::stage::{PATIENCE, deploy, event, long_story, probe, release, signal, story, who};

pub(crate) fn stories() -> Vec<Trial> {
    vec![
        story("p3_an_endless_loop_is_named_with_its_message_and_may_end", looping),
        story("p3_a_blocked_arbiter_is_told_from_a_loop", blocked),
        story("p3_a_stopped_process_is_told_from_both", stopped),
        story("p3_by_policy_a_hung_process_is_killed_and_restarted", killed),
        story("p3_by_policy_a_hung_process_is_aborted", aborted),
        story("p3_by_policy_a_stopped_process_is_aborted_too", aborted_while_stopped),
        story("p3_what_waits_asynchronously_is_no_hang", waiting),
        long_story("h51_no_false_alarm_while_every_core_is_busy", busy_time() + PATIENCE, busy_machine),
        story("p3_watching_wakes_no_idle_worker", idle),
    ]
}

messages! {
    /// Runs until that file is there.
    Spin(PathBuf) -> "()";
    /// Waits for that file, as for a lock.
    Block(PathBuf) -> "()";
    /// Computes for so many milliseconds of the processor's time.
    Compute(u64) -> "u64";
}

/// Does not let its thread go.
#[derive(ProcActor)]
#[proc_actor(messages(Spin, Block, Compute))]
pub(crate) struct Hog;

impl Actor for Hog {
    type Context = Context<Self>;
}

impl Spawn for Hog {
    type Args = ();

    fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> {
        Ok(Hog)
    }
}

impl Handler<Spin> for Hog {
    type Result = ();

    fn handle(&mut self, Spin(until): Spin, _: &mut Context<Self>) {
        while !until.exists() {
            (0..10_000).for_each(|_| std::hint::spin_loop());
        }
    }
}

impl Handler<Block> for Hog {
    type Result = ();

    fn handle(&mut self, Block(until): Block, _: &mut Context<Self>) {
        while !until.exists() {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

impl Handler<Compute> for Hog {
    type Result = u64;

    fn handle(&mut self, Compute(ms): Compute, _: &mut Context<Self>) -> u64 {
        let own = || {
            let times = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_THREAD).unwrap();
            times.user_time().tv_sec() * 1_000_000 + times.user_time().tv_usec()
        };
        let end = own() + i64::try_from(ms).unwrap() * 1000;
        while own() < end {}
        ms
    }
}

const SOON: Duration = Duration::from_millis(400);

async fn hog(root: &Root, then: OnHang) -> procession::Result<(Running, ProcAddr<Hog>)> {
    let left = Process::new("left").actor::<Hog>("hog", ()).hang(SOON, then);
    let running = deploy(root, [left, probe("right", "b")]).await?;
    let hog = running.addr("hog")?;
    Ok((running, hog))
}

struct Seen {
    kind: HangKind,
    message: Option<String>,
    sender: Option<String>,
    alive: bool,
    stalled: Duration,
}

async fn hung(events: &mut Events) -> Seen {
    event(events, |event| match event {
        Event::Hung { process, kind, handling, alive, stalled, .. } => {
            assert_eq!(process.as_str(), "left", "nobody else hangs");
            Some(Seen {
                kind: *kind,
                message: handling.first().map(|handling| handling.message.clone()),
                sender: handling
                    .first()
                    .and_then(|handling| Some(handling.sender_name.as_ref()?.to_string())),
                alive: *alive,
                stalled: *stalled,
            })
        }
        _ => None,
    })
    .await
}

async fn recovered(events: &mut Events) {
    event(events, |event| matches!(event, Event::Recovered { .. }).then_some(())).await;
}

async fn pid(running: &Running, name: &str) -> procession::Result<u32> {
    let processes = running.processes().await?;
    let process = processes.iter().find(|process| process.name.as_str() == name).unwrap();
    Ok(process.pid.unwrap().unsigned_abs())
}

async fn looping(root: Root) -> procession::Result<()> {
    let (running, hog) = hog(&root, OnHang::Log).await?;
    let mut events = running.events();
    let folder = tempfile::tempdir().unwrap();
    let end = folder.path().join("end");
    let request = hog.send(Spin(end.clone()));
    let seen = hung(&mut events).await;
    assert_eq!((seen.kind, seen.message.as_deref()), (HangKind::Looping, Some("Spin")));
    assert_eq!((seen.sender.as_deref(), seen.alive), (Some("root"), true));
    assert!(seen.stalled >= SOON, "{:?}", seen.stalled);
    std::fs::write(end, "").unwrap();
    request.await?;
    recovered(&mut events).await;
    running.shutdown().await
}

async fn blocked(root: Root) -> procession::Result<()> {
    let (running, hog) = hog(&root, OnHang::Log).await?;
    let mut events = running.events();
    let folder = tempfile::tempdir().unwrap();
    let end = folder.path().join("end");
    let request = hog.send(Block(end.clone()));
    let seen = hung(&mut events).await;
    assert_eq!((seen.kind, seen.message.as_deref(), seen.alive), (HangKind::Blocked, Some("Block"), true));
    std::fs::write(end, "").unwrap();
    request.await?;
    recovered(&mut events).await;
    running.shutdown().await
}

async fn stopped(root: Root) -> procession::Result<()> {
    let (running, hog) = hog(&root, OnHang::Log).await?;
    let mut events = running.events();
    let left = pid(&running, "left").await?;
    signal(left, Name::SIGSTOP);
    let seen = hung(&mut events).await;
    assert_eq!((seen.kind, seen.message, seen.alive), (HangKind::Stopped, None, false));
    signal(left, Name::SIGCONT);
    recovered(&mut events).await;
    assert_eq!(hog.send(Compute(1)).await?, 1);
    running.shutdown().await
}

async fn killed(root: Root) -> procession::Result<()> {
    let (running, hog) = hog(&root, OnHang::Kill).await?;
    let mut events = running.events();
    hog.send(Spin("/there/is/no/such/file".into())).await.unwrap_err();
    let death = event(&mut events, |event| match event {
        Event::Exited { death, asked: false, .. } => Some(death.clone()),
        _ => None,
    })
    .await;
    assert_eq!(death.exit, Exit::Signal { signal: Signal(libc::SIGKILL), core_dumped: false });
    assert_eq!((death.killed, death.out_of_memory), (Some(Killed::Hung), None));
    assert_eq!(death.handling[0].message, "Spin");
    assert_eq!(hog.send(Compute(1)).await?, 1, "its next life answers");
    running.shutdown().await
}

async fn aborted(root: Root) -> procession::Result<()> {
    let (running, hog) = hog(&root, OnHang::Abort).await?;
    let mut events = running.events();
    hog.send(Block("/there/is/no/such/file".into())).await.unwrap_err();
    expect_abort(&mut events).await;
    assert_eq!(hog.send(Compute(1)).await?, 1);
    running.shutdown().await
}

async fn aborted_while_stopped(root: Root) -> procession::Result<()> {
    let (running, _) = hog(&root, OnHang::Abort).await?;
    let mut events = running.events();
    signal(pid(&running, "left").await?, Name::SIGSTOP);
    expect_abort(&mut events).await;
    running.shutdown().await
}

async fn expect_abort(events: &mut Events) {
    let death = event(events, |event| match event {
        Event::Exited { death, asked: false, .. } => Some(death.clone()),
        _ => None,
    })
    .await;
    assert!(matches!(death.exit, Exit::Signal { signal: Signal(libc::SIGABRT), .. }), "{:?}", death.exit);
    assert_eq!(death.killed, Some(Killed::Hung));
}

/// No event of a hang until now.
fn assert_quiet(events: &mut Events) {
    while let Some(event) = futures_util::FutureExt::now_or_never(events.next()).flatten() {
        assert!(!matches!(event, Event::Hung { .. } | Event::Recovered { .. }), "{event}");
    }
}

async fn waiting(root: Root) -> procession::Result<()> {
    let left = probe("left", "a").actor::<Probe>("a2", ()).hang(Duration::from_millis(100), OnHang::Kill);
    // One that really hangs tells when enough time has passed.
    let other = Process::new("other").actor::<Hog>("hog", ()).hang(Duration::from_secs(1), OnHang::Log);
    let running = deploy(&root, [left, other]).await?;
    let (mut events, mut clock) = (running.events(), running.events());
    let (a, first) = (running.addr::<Probe>("a")?, pid(&running, "left").await?);
    let request = a.send(Wait);
    who(&a).await;
    let other = pid(&running, "other").await?;
    signal(other, Name::SIGSTOP);
    event(&mut clock, |event| matches!(event, Event::Hung { .. }).then_some(())).await;
    signal(other, Name::SIGCONT);
    release(&running).await?;
    request.await?;
    assert_eq!(a.send(WhoAreYou).await?.pid, first);
    while let Some(event) = futures_util::FutureExt::now_or_never(events.next()).flatten() {
        assert!(!matches!(&event, Event::Hung { process, .. } if process.as_str() == "left"), "{event}");
    }
    running.shutdown().await
}

/// How long the machine is kept busy; `PROCESSION_BUSY_SECONDS=60` for the whole of it.
fn busy_time() -> Duration {
    let seconds = std::env::var("PROCESSION_BUSY_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}

async fn busy_machine(root: Root) -> procession::Result<()> {
    let after = Duration::from_secs(2);
    let process = |name: &str| Process::new(name).hang(after, OnHang::Kill);
    let busy = process("busy").actor::<Hog>("hog", ());
    let running = deploy(&root, [busy, process("idle").actor::<Probe>("a", ())]).await?;
    let mut events = running.events();
    let over = Arc::new(AtomicBool::new(false));
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let hogs: Vec<_> = (0..cores * 2)
        .map(|_| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || while !over.load(Ordering::Relaxed) {})
        })
        .collect();
    let end = Instant::now() + busy_time();
    let hog = running.addr::<Hog>("hog")?;
    while Instant::now() < end {
        // A third of a second of the processor, which takes several of the clock.
        let request = hog.send(Compute(300)).timeout(Duration::from_secs(60));
        request.await?;
    }
    over.store(true, Ordering::Relaxed);
    hogs.into_iter().for_each(|hog| hog.join().unwrap());
    running.addr::<Probe>("a")?.send(Nothing).await?;
    assert_quiet(&mut events);
    running.shutdown().await
}

/// How often the threads of a process have slept and woken.
fn switches(pid: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_thread = |thread: std::fs::DirEntry| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
        line.split_ascii_whitespace().last().unwrap().parse::<u64>().unwrap()
    };
    threads.map(|thread| of_thread(thread.unwrap())).sum()
}

async fn idle(root: Root) -> procession::Result<()> {
    let quick = probe("quick", "a").hang(Duration::from_millis(100), OnHang::Kill);
    let slow = Process::new("slow").actor::<Hog>("hog", ()).hang(Duration::from_secs(2), OnHang::Log);
    let running = deploy(&root, [quick, slow]).await?;
    let mut events = running.events();
    let (quick, slow) = (pid(&running, "quick").await?, pid(&running, "slow").await?);
    // What it does after its birth is over when it has not woken for a while; that the other hangs tells the time.
    let mut before;
    loop {
        before = switches(quick);
        signal(slow, Name::SIGSTOP);
        event(&mut events, |event| matches!(event, Event::Hung { .. }).then_some(())).await;
        signal(slow, Name::SIGCONT);
        recovered(&mut events).await;
        if switches(quick) == before {
            break;
        }
    }
    running.shutdown().await
}
