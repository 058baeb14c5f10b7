//! Procession: the root measures, a worker answers.

use procession::prelude::*;

use super::actors::{Confirm, Echo, Note, Receiver, WORDS};
use crate::cores;
use crate::drive;
use crate::part::{Failure, Part, Reading, Task};

/// How the topology is set. A line for each variant that is worth a figure of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Setting {
    /// What a program has that says nothing.
    Defaults,
}

impl Setting {
    /// An empty topology with the setting.
    fn topology(self) -> Topology {
        match self {
            Setting::Defaults => Topology::new("bench"),
        }
    }
}

/// As root, deploys and measures; as worker it never returns.
pub(super) fn measure(part: &Part, setting: Setting) -> Result<Reading, Failure> {
    Program::new().actor::<Receiver>().run(async |root| {
        let far = part.placement.far()?;
        let process = Process::new("receiver").actor::<Receiver>("receiver", far);
        let running = root.deploy(setting.topology().process(process)).await?;
        // Not before: the worker would inherit it, and count the cores that it has.
        cores::pin(part.placement.near()?)?;
        let receiver = running.addr::<Receiver>("receiver")?;
        // A task, as actors are: the future of `run` itself is polled only after a look at the operating system.
        let reading = actix::spawn(drive(*part, receiver)).await??;
        running.shutdown().await?;
        Ok(reading)
    })
}

async fn drive(part: Part, receiver: ProcAddr<Receiver>) -> Result<Reading, Failure> {
    match part.task {
        Task::Ask => drive::asks(&part, || ask(&receiver)).await,
        Task::Ask64 => drive::asks64(&part, || ask(&receiver)).await,
        Task::Tell => drive::tells(&part, || tell(part.batch(), &receiver)).await,
    }
}

/// Leaves at once, not when it is first waited for.
fn ask(receiver: &ProcAddr<Receiver>) -> impl Future<Output = Result<(), Failure>> + use<> {
    let request = receiver.send(Echo(WORDS));
    async {
        request.await?;
        Ok(())
    }
}

async fn tell(count: u64, receiver: &ProcAddr<Receiver>) -> Result<(), Failure> {
    for _ in 0..count {
        receiver.tell(Note(WORDS)).await?;
    }
    confirmed(receiver.send(Confirm).await?, count)
}

/// That nothing was lost on the way.
pub(super) fn confirmed(found: u64, count: u64) -> Result<(), Failure> {
    if found == count { Ok(()) } else { Err(format!("{found} of {count} messages arrived").into()) }
}
