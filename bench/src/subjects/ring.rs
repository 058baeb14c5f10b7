//! The limit: a ring in shared memory between two processes, without framing or encoding.

use std::future::ready;
use std::io;

use crate::cores::{self, Placement};
use crate::drive::{self, MESSAGE, OUTSTANDING, PAYLOAD, at_once};
use crate::other_end::other_end;
use crate::part::{Failure, Part, Reading, Task};
use crate::ring::{self, End};

/// What the reader of a stream takes at once.
const BUFFER: usize = 64 << 10;

pub(super) fn measure(part: &Part) -> Result<Reading, Failure> {
    let memory = ring::memory()?;
    let mut near = end(part, &memory, true)?;
    // It waits for more until it is killed.
    let _other = other_end(part, memory)?;
    cores::pin(part.placement.near()?)?;
    at_once(drive(part, &mut near))
}

async fn drive(part: &Part, end: &mut End) -> Result<Reading, Failure> {
    match part.task {
        Task::Ask => drive::asks(part, || ready(ask(end))).await,
        Task::Ask64 => {
            for _ in 1..OUTSTANDING {
                end.write(&[1; MESSAGE])?;
            }
            drive::one_by_one(part, || ask(end))
        }
        Task::Tell => {
            let count = part.batch();
            drive::tells(part, || ready(stream(end, count, &[1; MESSAGE]))).await
        }
        Task::Payload => {
            let (count, payload) = (u64::try_from(part.payloads())?, vec![1; PAYLOAD]);
            drive::payloads(part, || ready(stream(end, count, &payload))).await
        }
        other => Err(format!("{other:?} is no task for a ring").into()),
    }
}

fn ask(end: &mut End) -> Result<(), Failure> {
    end.write(&[1; MESSAGE])?;
    Ok(end.read(&mut [0; MESSAGE])?)
}

fn stream(end: &mut End, count: u64, message: &[u8]) -> Result<(), Failure> {
    for _ in 0..count {
        end.write(message)?;
    }
    Ok(end.read(&mut [0])?)
}

pub(super) fn answer(part: &Part) -> Result<(), Failure> {
    cores::pin(part.placement.far()?)?;
    let mut end = end(part, io::stdin(), false)?;
    let streamed = match part.task {
        Task::Tell => usize::try_from(part.batch())? * MESSAGE,
        Task::Payload => part.payloads() * PAYLOAD,
        _ => loop {
            let mut message = [0; MESSAGE];
            end.read(&mut message)?;
            end.write(&message)?;
        },
    };
    let mut buffer = vec![0; BUFFER];
    loop {
        let mut left = streamed;
        while left > 0 {
            left -= end.read_some(&mut buffer[..left.min(BUFFER)])?;
        }
        end.write(&[1])?;
    }
}

fn end(part: &Part, memory: impl std::os::fd::AsFd, first: bool) -> io::Result<End> {
    // On one core nobody can answer while this end spins.
    End::new(memory, first, part.placement == Placement::TwoCores)
}
