//! The limit of processes: this program started as a plain child that answers over a socketpair, and killed and started
//! again by hand.

mod ends;

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::cores;
use crate::drive::{self, MESSAGE};
use crate::other_end::{OtherEnd, other_end};
use crate::part::{Failure, Part, Reading, Task};
use crate::processes;

pub(super) fn measure(part: &Part) -> Result<Reading, Failure> {
    cores::pin(part.placement.near()?)?;
    match part.task {
        Task::Spawn => spawn(part),
        Task::Restart => restart(part),
        Task::Idle => {
            let (count, time) = part.idlers();
            let others = (0..count).map(|_| answered(part)).collect::<Result<Vec<_>, Failure>>()?;
            let pids: Vec<u32> = others.iter().map(|(other, _)| other.pid()).collect();
            processes::idle(&pids, time)
        }
        Task::Down => ends::down(part),
        Task::Stop(count) => ends::stop(part, count),
        Task::FanIn => fan_in(part),
        other => Err(format!("{other:?} is no task for a bare process").into()),
    }
}

/// A process that has answered once.
fn answered(part: &Part) -> Result<(OtherEnd, UnixStream), Failure> {
    let (mut near, far) = UnixStream::pair()?;
    let other = other_end(part, OwnedFd::from(far))?;
    near.write_all(&[1; MESSAGE])?;
    near.read_exact(&mut [0; MESSAGE])?;
    Ok((other, near))
}

fn spawn(part: &Part) -> Result<Reading, Failure> {
    let mut times = Vec::new();
    for _ in 0..part.lives() {
        let before = Instant::now();
        let others = answered(part)?;
        times.push(before.elapsed());
        drop(others);
    }
    Ok(drive::milliseconds(times))
}

fn restart(part: &Part) -> Result<Reading, Failure> {
    let mut times = Vec::new();
    for _ in 0..part.lives() {
        let others = answered(part)?;
        std::thread::sleep(processes::random_moment(processes::BETWEEN_KILLS));
        let before = Instant::now();
        // Kills it, and reaps it.
        drop(others);
        let next = answered(part)?;
        times.push(before.elapsed());
        drop(next);
    }
    Ok(drive::milliseconds(times))
}

/// Processes that write as fast as they can, in turns that end with a byte from here.
fn fan_in(part: &Part) -> Result<Reading, Failure> {
    let others = (0..part.senders()).map(|_| answered(part)).collect::<Result<Vec<_>, Failure>>()?;
    let each = usize::try_from(part.batch())? / others.len() * MESSAGE;
    let sockets: Vec<&UnixStream> = others.iter().map(|(_, socket)| socket).collect();
    drive::at_once(drive::tells(part, || std::future::ready(gather(&sockets, each))))
}

/// Has each of the others write so many bytes, and reads them.
fn gather(sockets: &[&UnixStream], each: usize) -> Result<(), Failure> {
    for mut socket in sockets.iter().copied() {
        socket.write_all(&(each as u64).to_ne_bytes())?;
    }
    let mut buffer = vec![0; BUFFER];
    let mut open: Vec<(&UnixStream, usize)> = sockets.iter().map(|socket| (*socket, each)).collect();
    while !open.is_empty() {
        let watched = open.iter().map(|(socket, _)| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
        let mut waiting: Vec<PollFd<'_>> = watched.collect();
        poll(&mut waiting, PollTimeout::NONE)?;
        let ready: Vec<bool> = waiting.iter().map(|one| one.any() == Some(true)).collect();
        for ((socket, left), _) in open.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            *left -= socket.read(&mut buffer)?;
        }
        open.retain(|(_, left)| *left > 0);
    }
    Ok(())
}

/// What is written and read at once.
const BUFFER: usize = 64 << 10;

pub(super) fn answer(part: &Part) -> Result<(), Failure> {
    if let Task::RootKilled(count) = part.task {
        return ends::be_killed(part, count);
    }
    let mut socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut message = [0; MESSAGE];
    socket.read_exact(&mut message)?;
    socket.write_all(&message)?;
    let messages = vec![1; BUFFER];
    let mut told = [0; 8];
    // Ends with an error when the other end is gone, which nobody reads.
    while socket.read_exact(&mut told).is_ok() && part.task == Task::FanIn {
        let mut left = usize::try_from(u64::from_ne_bytes(told))?;
        while left > 0 {
            left -= socket.write(&messages[..left.min(messages.len())])?;
        }
    }
    Ok(())
}
