//! Every workload: what is measured, who is compared, and what must hold. A variant of Procession, or another peer,
//! is a line in one of the lists.

use serde_json::Value;

use crate::cores::Placement;
use crate::part::{Failure, Task};
use crate::pipes;
use crate::subjects::{Setting, Subject};
use crate::targets::{self, Target};

/// What every workload is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Fewer rounds and less time: to see that it works, not to publish.
    pub(crate) quick: bool,
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
    Workload {
        name: "ask",
        kind: Kind::Compared(Comparison {
            task: Task::Ask,
            placement: Placement::TwoCores,
            unit: "µs",
            subjects: &[
                ("procession", Subject::Procession(Setting::Defaults)),
                ("limit", Subject::Socketpair),
                ("limit_polling", Subject::SocketpairPolling),
                ("actix_thread", Subject::ActixThread),
                ("actix_arbiters", Subject::ActixArbiters),
            ],
            targets: targets::ASK,
        }),
    },
    Workload {
        name: "ask_one_core",
        kind: Kind::Compared(Comparison {
            task: Task::Ask,
            placement: Placement::OneCore,
            unit: "µs",
            subjects: &[
                ("procession", Subject::Procession(Setting::Defaults)),
                ("limit", Subject::Socketpair),
                ("actix_thread", Subject::ActixThread),
                ("actix_arbiters", Subject::ActixArbiters),
            ],
            targets: targets::ASK_ONE_CORE,
        }),
    },
    Workload {
        name: "ask64",
        kind: Kind::Compared(Comparison {
            task: Task::Ask64,
            placement: Placement::TwoCores,
            unit: "M/s",
            subjects: &[
                ("procession", Subject::Procession(Setting::Defaults)),
                ("limit", Subject::Socketpair),
                ("limit_each", Subject::SocketpairEach),
                ("actix_thread", Subject::ActixThread),
                ("actix_arbiters", Subject::ActixArbiters),
            ],
            targets: targets::ASK64,
        }),
    },
    Workload {
        name: "tell",
        kind: Kind::Compared(Comparison {
            task: Task::Tell,
            placement: Placement::TwoCores,
            unit: "M/s",
            subjects: &[
                ("procession", Subject::Procession(Setting::Defaults)),
                ("limit", Subject::Socketpair),
                ("limit_each", Subject::SocketpairEach),
                ("actix_thread", Subject::ActixThread),
                ("actix_arbiters", Subject::ActixArbiters),
            ],
            targets: targets::TELL,
        }),
    },
    Workload { name: "pipes", kind: Kind::Own(pipes::run) },
];
