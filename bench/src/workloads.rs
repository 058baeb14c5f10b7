//! Every workload: what is measured, who is compared, and what must hold. A variant of Procession, or another peer,
//! is a line in one of the lists.

use serde_json::Value;

use crate::blob;
use crate::cores::Placement;
use crate::growth;
use crate::latency;
use crate::orphans;
use crate::part::{Failure, Task};
use crate::peers::Present;
use crate::pipes;
use crate::subjects::{Setting, Subject};
use crate::targets::{self, Target};

/// What every workload is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Fewer rounds and less time: to see that it works, not to publish.
    pub(crate) quick: bool,
    /// Who takes part because `--peers` asked for it.
    pub(crate) peers: Present,
    /// How many rounds, if it was said.
    pub(crate) rounds: Option<usize>,
}

pub(crate) type Outcome = Result<Value, Failure>;

/// A name, and how it is measured.
pub(crate) struct Workload {
    /// As it is called on the command line and in the JSON.
    pub(crate) name: &'static str,
    /// How.
    pub(crate) kind: Kind,
}

impl Workload {
    /// The task of its peers.
    pub(crate) fn task(&self) -> Option<Task> {
        match &self.kind {
            Kind::Compared(comparison) => Some(comparison.task),
            Kind::Own(_) => (self.name == "root_killed").then_some(Task::RootKilled(0)),
        }
    }
}

/// How a workload is measured.
pub(crate) enum Kind {
    /// Several subjects take turns in one task.
    Compared(Comparison),
    /// In its own way.
    Own(fn(Options) -> Outcome),
}

/// Several subjects that take turns in one task.
pub(crate) struct Comparison {
    /// What they do.
    pub(crate) task: Task,
    /// Where.
    pub(crate) placement: Placement,
    /// The unit of the figures.
    pub(crate) unit: &'static str,
    /// Who, by the name in the JSON.
    pub(crate) subjects: &'static [(&'static str, Subject)],
    /// What must hold.
    pub(crate) targets: &'static [Target],
}

/// All of them, in the order of the report.
pub(crate) const WORKLOADS: &[Workload] = &[
    compared("ask", Task::Ask, Placement::TwoCores, "µs", targets::ASK, ASK),
    compared("ask_one_core", Task::Ask, Placement::OneCore, "µs", targets::ASK_ONE_CORE, ASK_ONE_CORE),
    compared("ask64", Task::Ask64, Placement::TwoCores, "M/s", targets::ASK64, STREAMS),
    compared("tell", Task::Tell, Placement::TwoCores, "M/s", targets::TELL, STREAMS),
    compared("payload", Task::Payload, Placement::TwoCores, "GiB/s", targets::PAYLOAD, PAYLOAD),
    Workload { name: "blob", kind: Kind::Own(blob::run) },
    compared("spawn", Task::Spawn, Placement::Anywhere, "ms", targets::SPAWN, SPAWN),
    compared("restart", Task::Restart, Placement::Anywhere, "ms", targets::RESTART, PROCESSES),
    compared("down", Task::Down, Placement::Awake, "ms", targets::DOWN, PROCESSES),
    compared("down_halting", Task::Down, Placement::Anywhere, "ms", &[], PROCESSES),
    compared("stop", Task::Stop(STOPPED), Placement::Anywhere, "ms", targets::STOP, PROCESSES),
    Workload { name: "root_killed", kind: Kind::Own(orphans::run) },
    compared("idle", Task::Idle, Placement::Anywhere, "MiB", targets::IDLE, PROCESSES),
    compared("fan_in", Task::FanIn, Placement::Anywhere, "M/s", targets::FAN_IN, FAN_IN),
    compared("control", Task::Control, Placement::Anywhere, "ms", targets::CONTROL, CONTROL),
    Workload { name: "growth", kind: Kind::Own(growth::run) },
    Workload { name: "latency", kind: Kind::Own(latency::run) },
    Workload { name: "pipes", kind: Kind::Own(pipes::run) },
];

/// Processes that are stopped together.
pub(crate) const STOPPED: u16 = 200;

type Subjects = &'static [(&'static str, Subject)];

const DEFAULTS: Subject = Subject::Procession(Setting::Defaults);
const OURS: Subject = Subject::Procession(Setting::Sockets);
const NO_POLLING: Subject = Subject::Procession(Setting::NoPolling);
const SHARED: Subject = Subject::Procession(Setting::Shared);
const SHARED_NO_POLLING: Subject = Subject::Procession(Setting::SharedNoPolling);

const ASK: Subjects = &[
    ("procession", OURS),
    ("procession_no_polling", NO_POLLING),
    ("procession_shared", SHARED),
    ("procession_shared_no_polling", SHARED_NO_POLLING),
    ("limit", Subject::Socketpair),
    ("limit_polling", Subject::SocketpairPolling),
    ("limit_ring", Subject::Ring),
    ("actix_thread", Subject::ActixThread),
    ("actix_arbiters", Subject::ActixArbiters),
    ("ipc_channel", Subject::IpcChannel),
    ("ipc_channel_threads", Subject::IpcChannelThreads),
];

/// Without the one that polls and never sleeps: nobody answers while it does.
const ASK_ONE_CORE: Subjects = &[
    ("procession", OURS),
    ("procession_no_polling", NO_POLLING),
    ("procession_shared", SHARED),
    ("procession_shared_no_polling", SHARED_NO_POLLING),
    ("limit", Subject::Socketpair),
    ("limit_ring", Subject::Ring),
    ("actix_thread", Subject::ActixThread),
    ("actix_arbiters", Subject::ActixArbiters),
    ("ipc_channel", Subject::IpcChannel),
    ("ipc_channel_threads", Subject::IpcChannelThreads),
];

const STREAMS: Subjects = &[
    ("procession", OURS),
    ("procession_no_polling", NO_POLLING),
    ("procession_shared", SHARED),
    ("procession_shared_no_polling", SHARED_NO_POLLING),
    ("limit", Subject::Socketpair),
    ("limit_each", Subject::SocketpairEach),
    ("limit_ring", Subject::Ring),
    ("actix_thread", Subject::ActixThread),
    ("actix_arbiters", Subject::ActixArbiters),
    ("ipc_channel", Subject::IpcChannel),
    ("ipc_channel_threads", Subject::IpcChannelThreads),
];

const PAYLOAD: Subjects = &[
    ("procession", OURS),
    ("procession_blob", Subject::ProcessionBlobs),
    ("procession_shared", SHARED),
    ("limit", Subject::Socketpair),
    ("limit_ring", Subject::Ring),
    ("actix_thread", Subject::ActixThread),
    ("actix_arbiters", Subject::ActixArbiters),
    ("ipc_channel", Subject::IpcChannel),
    ("ipc_channel_shared", Subject::IpcChannelShared),
    ("ipc_channel_threads", Subject::IpcChannelThreads),
];

const SPAWN: Subjects =
    &[("procession", DEFAULTS), ("limit", Subject::Bare), ("ipc_channel", Subject::IpcChannel)];

const PROCESSES: Subjects = &[("procession", DEFAULTS), ("limit", Subject::Bare)];

const FAN_IN: Subjects =
    &[("procession", DEFAULTS), ("limit", Subject::Bare), ("actix_arbiters", Subject::ActixArbiters)];

const CONTROL: Subjects = &[("procession", DEFAULTS), ("procession_socket", OURS)];

const fn compared(
    name: &'static str,
    task: Task,
    placement: Placement,
    unit: &'static str,
    targets: &'static [Target],
    subjects: Subjects,
) -> Workload {
    Workload { name, kind: Kind::Compared(Comparison { task, placement, unit, subjects, targets }) }
}
