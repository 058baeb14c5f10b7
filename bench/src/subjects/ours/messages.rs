//! Messages between the root and one worker.

use bytes::Bytes;
use procession::prelude::*;

use super::{Setting, receiver};
use crate::drive::{self, PAYLOAD};
use crate::part::{Failure, Part, Reading, Task};
use crate::subjects::actors::{Confirm, Echo, Note, Payload, Receiver, WORDS, confirmed};

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
        Task::Payload => {
            let payload = Payload(Bytes::from(vec![1; PAYLOAD]));
            drive::payloads(&part, || payloads(part.payloads(), &payload, &far)).await
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

async fn payloads(count: usize, payload: &Payload, far: &ProcAddr<Receiver>) -> Result<(), Failure> {
    for _ in 0..count {
        far.tell(payload.clone()).await?;
    }
    confirmed(far.send(Confirm).await?, u64::try_from(count)?)
}
