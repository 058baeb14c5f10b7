//! Procession: the root measures, workers answer.

mod ends;
mod growth;
mod lives;
mod many;
mod messages;

use procession::prelude::*;
use procession::supervision::{Backoff, Intensity};
use procession::topology::Transport;

use super::actors::{Place, Receiver};
use crate::part::{Failure, Part, Reading, Task};

/// How the topology is set. A line in each function for each variant that is worth a figure of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Setting {
    /// What a program has that says nothing.
    Defaults,
    /// Pipes are sockets.
    Sockets,
    /// Likewise, and threads that wait sleep at once.
    NoPolling,
    /// Pipes are in shared memory.
    Shared,
    /// Likewise, and threads that wait sleep at once.
    SharedNoPolling,
}

impl Setting {
    /// An empty topology with the setting.
    fn topology(self) -> Topology {
        match self {
            Setting::Defaults => Topology::new("bench"),
            Setting::Sockets | Setting::NoPolling => Topology::new("bench").transport(Transport::Socket),
            Setting::Shared | Setting::SharedNoPolling => Topology::new("bench").transport(Transport::Shared),
        }
    }

    /// What the thread of an end is told.
    fn place(self, core: Option<usize>) -> Place {
        Place { core, polls: !matches!(self, Setting::NoPolling | Setting::SharedNoPolling) }
    }
}

/// As root, deploys and measures; as worker it never returns.
pub(super) fn measure(part: &Part, setting: Setting) -> Result<Reading, Failure> {
    Program::new().actor::<Receiver>().run(async |root| match part.task {
        Task::Ask | Task::Ask64 | Task::Tell | Task::Payload | Task::HandOver(_) | Task::Rate(_) => {
            messages::measure(&root, part, setting).await
        }
        Task::Spawn => lives::spawn(&root, part, setting).await,
        Task::Restart => lives::restart(&root, part, setting).await,
        Task::Down => ends::down(&root, part, setting).await,
        Task::Stop(count) => ends::stop(&root, setting, count).await,
        Task::RootKilled(_) => Err("it is measured from outside".into()),
        Task::Idle => lives::idle(&root, part, setting).await,
        Task::FanIn => many::fan_in(&root, part, setting).await,
        Task::Control => many::control(&root, part, setting).await,
        Task::AmongProcesses(count) => growth::processes(&root, part, setting, count).await,
        Task::AmongActors(count) => growth::actors(&root, part, setting, count).await,
    })
}

/// As root, deploys and waits to be killed; as worker it never returns.
pub(super) fn be_killed(part: &Part, setting: Setting) -> Result<(), Failure> {
    let Task::RootKilled(count) = part.task else {
        return Err(format!("{:?} has no other end of the bench's own", part.task).into());
    };
    Program::new().actor::<Receiver>().run(async |root| ends::be_killed(&root, setting, count).await)
}

/// A process with one receiver of the same name.
fn receiver(name: &str, place: Place) -> Process {
    Process::new(format!("process-{name}")).actor::<Receiver>(name, place)
}

/// Restarts at once, and never gives up.
fn at_once(process: Process) -> Process {
    use std::time::Duration;
    let budget = Intensity { restarts: 4096, period: Duration::from_secs(1) };
    process.restart(Backoff { min: Duration::ZERO, max: Duration::ZERO }).restart(budget)
}
