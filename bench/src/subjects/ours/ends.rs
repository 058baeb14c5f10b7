//! How many workers end: in order, and when their root is killed.

use std::io::Write;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procession::address::Down;
use procession::prelude::*;
use tokio::sync::mpsc;

use super::{Setting, at_once, receiver};
use crate::drive;
use crate::part::{Failure, Part, Reading};
use crate::processes::{BETWEEN_KILLS, random_moment};
use crate::subjects::actors::{Receiver, WasDown, Watch, Who, now};

/// Hundreds of processes start on a few cores.
const PATIENCE: Duration = Duration::from_secs(60);

/// Workers that have answered once, and their numbers with the kernel.
async fn many(root: &Root, setting: Setting, count: u16) -> Result<(Running, Vec<u32>), Failure> {
    let process = receiver("far", setting.place(None)).replicas(count.into()).start_deadline(PATIENCE);
    let running = root.deploy(setting.topology().process(process)).await?;
    let mut pids = Vec::new();
    for number in 1..=count {
        pids.push(running.addr::<Receiver>(&format!("far-{number}"))?.send(Who).await?);
    }
    Ok((running, pids))
}

/// Until all are told to stop, have drained and are reaped, one after the other.
pub(super) async fn stop(root: &Root, setting: Setting, count: u16) -> Result<Reading, Failure> {
    let (running, _) = many(root, setting, count).await?;
    let before = Instant::now();
    running.shutdown().await?;
    Ok(drive::milliseconds(vec![before.elapsed()]))
}

/// Says who is there, and waits for the end.
pub(super) async fn be_killed(root: &Root, setting: Setting, count: u16) -> Result<(), Failure> {
    let (_running, pids) = many(root, setting, count).await?;
    let words: Vec<String> = pids.iter().map(u32::to_string).collect();
    writeln!(std::io::stdout(), "{}", words.join(" "))?;
    std::future::pending().await
}

/// An actor of the root that is told of ends.
struct Ear(mpsc::Sender<Duration>);

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<Down> for Ear {
    type Result = ();

    fn handle(&mut self, _: Down, _: &mut Context<Self>) {
        // There is room for the one end of each round.
        let _ = now().map(|now| self.0.try_send(now));
    }
}

/// Longer than an end takes to be told on a machine that has time; nobody asks meanwhile, since an ask would wake whoever is to be told.
const TOLD: Duration = Duration::from_millis(40);

/// When a watcher was told, by the clock of the machine.
async fn was_told(watcher: &ProcAddr<Receiver>) -> Result<Duration, Failure> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        tokio::time::sleep(TOLD).await;
        if let Some(heard) = watcher.send(WasDown).await? {
            return Ok(Duration::from_nanos(heard));
        }
    }
    Err("the watcher was not told".into())
}

/// From SIGKILL until an actor of another worker is told, and until one of the root is.
pub(super) async fn down(root: &Root, part: &Part, setting: Setting) -> Result<Reading, Failure> {
    let place = setting.place(None);
    let topology = setting.topology().process(at_once(receiver("far", place)));
    let running = root.deploy(topology.process(receiver("watcher", place))).await?;
    let (far, watcher) = (running.addr::<Receiver>("far")?, running.addr::<Receiver>("watcher")?);
    let (tell, mut told) = mpsc::channel(4);
    let ear = Ear(tell).start();
    let (mut there, mut here) = (Vec::new(), Vec::new());
    for _ in 0..part.kills() {
        let pid = loop {
            // The first after a death may reach the dead life.
            if let Ok(pid) = far.send(Who).await {
                break Pid::from_raw(pid.try_into()?);
            }
        };
        let _monitor = far.monitor(ear.clone().recipient::<Down>())?;
        watcher.send(Watch(far.clone())).await??;
        tokio::time::sleep(random_moment(BETWEEN_KILLS)).await;
        let before = now()?;
        kill(pid, Signal::SIGKILL)?;
        let heard = tokio::time::timeout(PATIENCE, told.recv()).await?;
        here.push(heard.ok_or("the ear is gone")?.saturating_sub(before));
        there.push(was_told(&watcher).await?.saturating_sub(before));
    }
    running.shutdown().await?;
    let here = drive::tail_ms(here);
    let root_p50 = here.details.get("p50").copied().unwrap_or(f64::NAN);
    Ok(drive::tail_ms(there).with("root_p99", here.value).with("root_p50", root_p50))
}
