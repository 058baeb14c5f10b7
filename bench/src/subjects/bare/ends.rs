//! How many plain children end: by SIGTERM, and when who started them is killed.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procession::sys::pidfd::Pidfd;
use procession::sys::poll::{Interest, poll_one};

use super::answered;
use crate::drive;
use crate::other_end::OtherEnd;
use crate::part::{Failure, Part, Reading, Task, Work};
use crate::processes::{BETWEEN_KILLS, random_moment};

fn many(part: &Part, count: u16) -> Result<Vec<(OtherEnd, UnixStream)>, Failure> {
    // They are those that do nothing, not those that start others.
    let idle = Part { work: Work { task: Task::Idle, ..part.work }, ..*part };
    (0..count).map(|_| answered(&idle)).collect()
}

pub(super) fn stop(part: &Part, count: u16) -> Result<Reading, Failure> {
    let others = many(part, count)?;
    let before = Instant::now();
    for (other, _) in &others {
        kill(Pid::from_raw(other.pid().try_into()?), Signal::SIGTERM)?;
    }
    // Reaps them.
    drop(others);
    Ok(drive::milliseconds(vec![before.elapsed()]))
}

pub(super) fn be_killed(part: &Part, count: u16) -> Result<(), Failure> {
    let others = many(part, count)?;
    let words: Vec<String> = others.iter().map(|(other, _)| other.pid().to_string()).collect();
    writeln!(std::io::stdout(), "{}", words.join(" "))?;
    loop {
        std::thread::park();
    }
}

/// From SIGKILL until the pidfd says so and the process is reaped.
pub(super) fn down(part: &Part) -> Result<Reading, Failure> {
    let idle = Part { work: Work { task: Task::Idle, ..part.work }, ..*part };
    let mut times = Vec::new();
    for _ in 0..part.kills() {
        let (other, _socket) = answered(&idle)?;
        let pidfd = Pidfd::open(other.pid().try_into()?)?;
        std::thread::sleep(random_moment(BETWEEN_KILLS));
        let before = Instant::now();
        kill(Pid::from_raw(other.pid().try_into()?), Signal::SIGKILL)?;
        poll_one(pidfd.as_fd(), Interest::Readable, None)?;
        // Reaps it.
        drop(other);
        times.push(before.elapsed());
    }
    Ok(drive::tail_ms(times))
}
