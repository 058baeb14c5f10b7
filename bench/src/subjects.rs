//! Who is measured: Procession, the limits of the machine, and the peers.

mod actors;
mod ours;
mod socketpair;
mod threads;

use serde::{Deserialize, Serialize};

use crate::part::{Failure, Part, Reading};

pub(crate) use ours::Setting;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Subject {
    /// Procession, deployed with that setting.
    Procession(Setting),
    /// A bare blocking socketpair that fills its writes with as many messages as are there: the limit.
    Socketpair,
    /// The same, with a system call for each message.
    SocketpairEach,
    /// A bare socketpair whose ends poll it and never sleep.
    SocketpairPolling,
    /// actix within one thread.
    ActixThread,
    /// actix across two threads.
    ActixArbiters,
}

/// Plays a part in this process; `None` if it only answered.
pub(crate) fn play(part: &Part) -> Result<Option<Reading>, Failure> {
    match part.subject {
        Subject::Procession(setting) => ours::measure(part, setting).map(Some),
        Subject::Socketpair | Subject::SocketpairEach | Subject::SocketpairPolling if part.answers => {
            socketpair::answer(part).map(|()| None)
        }
        Subject::Socketpair | Subject::SocketpairEach | Subject::SocketpairPolling => {
            socketpair::measure(part).map(Some)
        }
        Subject::ActixThread | Subject::ActixArbiters => threads::measure(part).map(Some),
    }
}
