//! Messages between the root and one worker.

use std::time::Instant;

use bytes::Bytes;
use procession::blob::Blob;
use procession::prelude::*;

use super::{Setting, receiver};
use crate::drive::{self, PAYLOAD};
use crate::part::{Failure, Part, Reading, Task};
use crate::subjects::Subject;
use crate::subjects::actors::{BlobPayload, Confirm, Echo, Look, Note, Payload, Receiver, WORDS, confirmed};

pub(super) async fn measure(root: &Root, part: &Part, setting: Setting) -> Result<Reading, Failure> {
    let far = setting.place(part.placement.far()?);
    let running = root.deploy(setting.topology().process(receiver("far", far))).await?;
    // Not before: the worker would inherit it, and count the cores that it has.
    setting.place(part.placement.near()?).take()?;
    let far = running.addr::<Receiver>("far")?;
    // A task, as actors are: the future of `run` itself is polled only after a look at the operating system.
    let reading = actix::spawn(drive(*part, far)).await??;
    running.shutdown().await?;
    Ok(reading)
}

async fn drive(part: Part, far: ProcAddr<Receiver>) -> Result<Reading, Failure> {
    match part.task {
        Task::Ask => drive::asks(&part, || ask(&far)).await,
        Task::Ask64 => drive::asks64(&part, || ask(&far)).await,
        Task::Tell => drive::tells(&part, || tell(part.batch(), &far)).await,
        Task::Rate(rate) => drive::at_rate(&part, rate, || ask(&far)).await,
        Task::Payload if part.subject == Subject::ProcessionBlobs => {
            let bytes = vec![1; PAYLOAD];
            let tell = async || Ok(far.tell(BlobPayload(Blob::copy_from(&bytes)?)).await?);
            drive::payloads(&part, || payloads(part.payloads(), &tell, &far)).await
        }
        Task::HandOver(bytes) => hand_over(&part, usize::try_from(bytes)?, &far).await,
        Task::Payload => {
            let payload = Payload(Bytes::from(vec![1; PAYLOAD]));
            let tell = async || Ok(far.tell(payload.clone()).await?);
            drive::payloads(&part, || payloads(part.payloads(), &tell, &far)).await
        }
        other => Err(format!("{other:?} is measured elsewhere").into()),
    }
}

/// Leaves at once, not when it is first waited for.
pub(super) fn ask(far: &ProcAddr<Receiver>) -> impl Future<Output = Result<(), Failure>> + use<> {
    let request = far.send(Echo(WORDS));
    async {
        request.await?;
        Ok(())
    }
}

async fn tell(count: u64, far: &ProcAddr<Receiver>) -> Result<(), Failure> {
    for _ in 0..count {
        far.tell(Note(WORDS)).await?;
    }
    confirmed(far.send(Confirm).await?, count)
}

async fn payloads(
    count: usize,
    tell: &impl AsyncFn() -> Result<(), Failure>,
    far: &ProcAddr<Receiver>,
) -> Result<(), Failure> {
    for _ in 0..count {
        tell().await?;
    }
    confirmed(far.send(Confirm).await?, u64::try_from(count)?)
}

/// A blob that was made before goes over; what making it takes is told beside it.
async fn hand_over(part: &Part, bytes: usize, far: &ProcAddr<Receiver>) -> Result<Reading, Failure> {
    let content = vec![1; bytes];
    let before = Instant::now();
    let blob = Blob::copy_from(&content)?;
    let making = before.elapsed();
    let reading = drive::asks(part, || {
        let look = far.send(Look(blob.clone()));
        async move { confirmed(look.await?, bytes as u64) }
    });
    Ok(reading.await?.with("making", making.as_secs_f64() * 1e6))
}
