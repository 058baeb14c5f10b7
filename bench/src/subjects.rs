//! Who is measured: Procession, the limits of the machine, and the peers.

mod actors;
mod bare;
mod ipc;
mod ours;
mod python;
mod ring;
mod socketpair;
mod threads;

use serde::{Deserialize, Serialize};

use crate::other_end::end_with_parent;
use crate::part::{Failure, Part, Reading};
use crate::peers::{self, Program};

pub(crate) use ours::Setting;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Subject {
    /// Procession, deployed with that setting.
    Procession(Setting),
    /// Procession, with payloads in blobs.
    ProcessionBlobs,
    /// A bare blocking socketpair that fills its writes with as many messages as are there: the limit.
    Socketpair,
    /// The same, with a system call for each message.
    SocketpairEach,
    /// A bare socketpair whose ends poll it and never sleep.
    SocketpairPolling,
    /// A ring in shared memory whose ends spin a little and then sleep: the limit of that.
    Ring,
    /// Bare processes, started by hand: the limit of those.
    Bare,
    /// actix within one thread.
    ActixThread,
    /// actix across two threads.
    ActixArbiters,
    /// ipc-channel between two processes.
    IpcChannel,
    /// Likewise, with its shared memory for payloads.
    IpcChannelShared,
    /// ipc-channel between two threads of a process.
    IpcChannelThreads,
    /// Python's multiprocessing, with spawned children.
    Python,
    /// A peer in a program of its own.
    Program(Program),
}

/// Plays a part in this process; `None` if it only answered.
pub(crate) fn play(part: &Part) -> Result<Option<Reading>, Failure> {
    if part.answers {
        end_with_parent()?;
        return answer(part).map(|()| None);
    }
    let reading = match part.subject {
        Subject::Procession(setting) => ours::measure(part, setting),
        Subject::ProcessionBlobs => ours::measure(part, Setting::Defaults),
        Subject::Socketpair | Subject::SocketpairEach | Subject::SocketpairPolling => {
            socketpair::measure(part)
        }
        Subject::Ring => ring::measure(part),
        Subject::Bare => bare::measure(part),
        Subject::ActixThread | Subject::ActixArbiters => threads::measure(part),
        Subject::IpcChannel | Subject::IpcChannelShared | Subject::IpcChannelThreads => ipc::measure(part),
        Subject::Python => python::measure(part),
        Subject::Program(program) => peers::measure(part, program),
    };
    reading.map(Some)
}

/// The program that starts others and is killed.
pub(crate) fn doomed(part: &Part) -> Result<std::process::Command, Failure> {
    match part.subject {
        Subject::Python => python::doomed(part),
        _ => Part { answers: true, ..*part }.command(),
    }
}

fn answer(part: &Part) -> Result<(), Failure> {
    match part.subject {
        Subject::Procession(setting) => ours::be_killed(part, setting),
        Subject::Socketpair | Subject::SocketpairEach | Subject::SocketpairPolling => {
            socketpair::answer(part)
        }
        Subject::Ring => ring::answer(part),
        Subject::Bare => bare::answer(part),
        Subject::IpcChannel | Subject::IpcChannelShared => ipc::answer(part),
        other => Err(format!("{other:?} has no other end of the bench's own").into()),
    }
}
