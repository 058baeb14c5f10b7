//! Many workers.

use std::time::{Duration, Instant};

use procession::prelude::*;

use super::{Setting, receiver};
use crate::drive;
use crate::part::{Failure, Part, Reading};
use crate::subjects::actors::{Confirm, Feed, Receiver, confirmed};

/// Workers that tell one.
struct Many {
    running: Running,
    far: ProcAddr<Receiver>,
    senders: Vec<ProcAddr<Receiver>>,
}

impl Many {
    async fn start(root: &Root, part: &Part, setting: Setting) -> Result<Many, Failure> {
        let place = setting.place(None);
        let topology = setting.topology().process(receiver("far", place));
        let senders = receiver("sender", place).replicas(part.senders().into());
        let running = root.deploy(topology.process(senders)).await?;
        let far = running.addr::<Receiver>("far")?;
        let names = (1..=part.senders()).map(|number| format!("sender-{number}"));
        let senders = names.map(|name| running.addr::<Receiver>(&name)).collect::<Result<Vec<_>, _>>()?;
        Ok(Many { running, far, senders })
    }
}

/// Each tells its share, until all have arrived.
async fn batch(part: &Part, far: &ProcAddr<Receiver>, senders: &[ProcAddr<Receiver>]) -> Result<(), Failure> {
    let notes = part.batch() / u64::from(part.senders());
    let feeds: Vec<_> = senders.iter().map(|sender| sender.send(Feed { to: far.clone(), notes })).collect();
    for feed in feeds {
        feed.await??;
    }
    confirmed(far.send(Confirm).await?, notes * u64::from(part.senders()))
}

pub(super) async fn fan_in(root: &Root, part: &Part, setting: Setting) -> Result<Reading, Failure> {
    let Many { running, far, senders } = Many::start(root, part, setting).await?;
    let reading = drive::tells(part, || batch(part, &far, &senders)).await?;
    running.shutdown().await?;
    Ok(reading)
}

/// So long passes between two questions, since those of an operator are rare.
const PAUSE: Duration = Duration::from_millis(1);

/// What a question to a worker's runtime takes on its control pipe, first while nothing happens and then while every
/// pipe of data that leads to the worker is full.
pub(super) async fn control(root: &Root, part: &Part, setting: Setting) -> Result<Reading, Failure> {
    let Many { running, far, senders } = Many::start(root, part, setting).await?;
    // All pipes are there before anything is measured.
    batch(part, &far, &senders).await?;
    let idle = drive::tail_ms(questions(&running, part.question_time(), || true).await?);
    let flood = actix::spawn({
        let (part, until) = (*part, Instant::now() + part.question_time());
        async move {
            let mut batches = 0;
            while Instant::now() < until {
                batch(&part, &far, &senders).await?;
                batches += 1;
            }
            Ok::<u64, Failure>(batches)
        }
    });
    let flooded = questions(&running, part.question_time(), || !flood.is_finished()).await?;
    let (asked, messages) = (flooded.len(), flood.await?? * part.batch());
    running.shutdown().await?;
    let reading = drive::tail_ms(flooded).with("idle_p99", idle.value).with("questions", asked as f64);
    Ok(reading.with("messages", messages as f64))
}

/// The time of each question until the time is up, or something else is over.
async fn questions(
    running: &Running,
    time: Duration,
    go_on: impl Fn() -> bool,
) -> Result<Vec<Duration>, Failure> {
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < time && go_on() {
        let before = Instant::now();
        running.dead_letters("process-far").await?;
        times.push(before.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    Ok(times)
}
