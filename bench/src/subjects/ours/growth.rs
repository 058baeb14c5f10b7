//! What a message costs when there are more processes, and more actors in one.

use std::time::Duration;

use procession::prelude::*;

use super::messages::ask;
use super::{Setting, receiver};
use crate::drive;
use crate::part::{Failure, Part, Reading};
use crate::processes;
use crate::subjects::actors::{Confirm, Hatch, Note, Receiver, WORDS, Who};

/// Among `count` processes, the root one of them: to one of them while the others have nothing to do (which is what the
/// number costs), and to all in turn (which adds a wake for each).
pub(super) async fn processes(
    root: &Root,
    part: &Part,
    setting: Setting,
    count: u16,
) -> Result<Reading, Failure> {
    let workers = count - 1;
    let process = receiver("far", setting.place(None)).replicas(workers.into()).start_deadline(PATIENCE);
    let running = root.deploy(setting.topology().process(process)).await?;
    let names = (1..=workers).map(|number| format!("far-{number}"));
    let all = names.map(|name| running.addr::<Receiver>(&name)).collect::<Result<Vec<_>, _>>()?;
    let before = processes::memory(std::process::id())?;
    for worker in &all {
        worker.send(Who).await?;
    }
    let connections = (processes::memory(std::process::id())? - before) * 1024.0 / f64::from(workers);
    let one = all[..1].to_vec();
    let (part, turns) = (*part, all);
    let (one, turns) = actix::spawn(async move {
        let one = costs(&part, one).await?;
        Ok::<_, Failure>((one, costs(&part, turns).await?))
    })
    .await??;
    running.shutdown().await?;
    let reading = Reading::new(one.0).with("ask64_ns", one.0).with("tell_ns", one.1);
    let reading = reading.with("in_turn_ask64_ns", turns.0).with("in_turn_tell_ns", turns.1);
    Ok(reading.with("connection_kib", connections))
}

/// To `count` actors of one process, in turn.
pub(super) async fn actors(
    root: &Root,
    part: &Part,
    setting: Setting,
    count: u32,
) -> Result<Reading, Failure> {
    let running = root.deploy(setting.topology().process(receiver("far", setting.place(None)))).await?;
    let far = running.addr::<Receiver>("far")?;
    let pid = far.send(Who).await?;
    let (here, there) = (processes::memory(std::process::id())?, processes::memory(pid)?);
    let hatched = far.send(Hatch(count)).timeout(PATIENCE).await?;
    if hatched.len() != usize::try_from(count)? {
        return Err(format!("{} of {count} actors were made", hatched.len()).into());
    }
    // Each is used some times, so that its channel is there and stays: addresses that are used once are not worth one.
    for _ in 0..USES {
        for one in &hatched {
            one.tell(Note(WORDS)).await?;
        }
        settle(&far, u64::from(count)).await?;
    }
    let each = |grown: f64| grown * f64::from(1 << 20) / f64::from(count);
    let here = each(processes::memory(std::process::id())? - here);
    let there = each(processes::memory(pid)? - there);
    let part = *part;
    let (ask64, tell) = actix::spawn(async move { costs(&part, hatched).await }).await??;
    running.shutdown().await?;
    let reading = Reading::new(ask64).with("ask64_ns", ask64).with("tell_ns", tell);
    Ok(reading.with("address_bytes", here).with("actor_bytes", there))
}

/// The time of a request, sixty-four under way, and of a one-way message, to all of them in turn, in ns.
async fn costs(part: &Part, far: Vec<ProcAddr<Receiver>>) -> Result<(f64, f64), Failure> {
    let mut turn = far.iter().cycle();
    let ask64 = drive::asks64(part, || ask(turn.next().unwrap_or(&far[0]))).await?;
    let tell = drive::tells(part, || tell(part.batch(), &far)).await?;
    Ok((1e3 / ask64.value, 1e3 / tell.value))
}

async fn tell(count: u64, far: &[ProcAddr<Receiver>]) -> Result<(), Failure> {
    let batch = usize::try_from(count)?;
    for one in far.iter().cycle().take(batch) {
        one.tell(Note(WORDS)).await?;
    }
    // Each process counts for itself. Of many actors in one process, one answers for all.
    let mut left = count;
    while left > 0 {
        for one in far.iter().take(MOST_PROCESSES) {
            left -= one.send(Confirm).await?;
            if left == 0 {
                break;
            }
        }
    }
    Ok(())
}

/// How often an actor is told something before it is measured.
const USES: usize = 3;

/// More processes than any step has.
const MOST_PROCESSES: usize = 1_000;

/// Until the notes of a process were handled.
async fn settle(far: &ProcAddr<Receiver>, notes: u64) -> Result<(), Failure> {
    let mut left = notes;
    while left > 0 {
        left -= far.send(Confirm).await?;
    }
    Ok(())
}

/// Hundreds of processes start on a few cores.
const PATIENCE: Duration = Duration::from_secs(60);
