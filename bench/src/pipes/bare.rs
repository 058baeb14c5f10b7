//! The limit: a blocking socketpair, and no more system calls than messages need.

use std::error::Error;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use procession::pipe::{self, End, Settings};

use super::{Measured, Work, clock, command, place};

/// Echoes and streams bytes that both sides know the length of.
pub(crate) fn measure(work: Work) -> Measured {
    measure_as("socketpair", work)
}

/// As [`measure`], with a receiver that has each message as a whole.
pub(crate) fn measure_whole(work: Work) -> Measured {
    measure_as("socketpair_whole", work)
}

fn measure_as(part: &str, work: Work) -> Measured {
    let (ours, theirs) = pipe::pipe::<(), ()>()?;
    let mut command = command(part, work)?;
    command.envs([place::variable()]);
    let mut child = pipe::spawn(command, theirs)?;
    let mut socket = socket(ours)?;
    let mut stream = socket.try_clone()?;
    let (message, mut echo) = (vec![7; work.size], vec![0; work.size]);
    let figures = clock(
        work,
        || {
            socket.write_all(&message)?;
            Ok(socket.read_exact(&mut echo)?)
        },
        || {
            for _ in 0..work.swallows {
                stream.write_all(&message)?;
            }
            Ok(stream.read_exact(&mut [0])?)
        },
    )?;
    child.wait()?;
    Ok(figures)
}

/// The other side.
pub(crate) fn child(work: Work) -> Result<(), Box<dyn Error>> {
    let mut socket = socket(End::take("pipe")?)?;
    echo(&mut socket, work)?;
    // It needs not know where messages end, so that it reads whatever is there.
    let mut buffer = vec![0; work.size.max(64 << 10)];
    let mut left = work.size * work.swallows;
    while left > 0 {
        let room = buffer.len().min(left);
        left -= socket.read(&mut buffer[..room])?;
    }
    Ok(socket.write_all(&[1])?)
}

/// The other side, which has each message as a whole.
pub(crate) fn child_whole(work: Work) -> Result<(), Box<dyn Error>> {
    let mut socket = socket(End::take("pipe")?)?;
    let mut message = echo(&mut socket, work)?;
    for _ in 0..work.swallows {
        socket.read_exact(&mut message)?;
    }
    Ok(socket.write_all(&[1])?)
}

/// Echoes, and gives the buffer.
fn echo(socket: &mut UnixStream, work: Work) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; work.size];
    for _ in 0..work.echoes {
        socket.read_exact(&mut message)?;
        socket.write_all(&message)?;
    }
    Ok(message)
}

fn socket(end: End<(), ()>) -> Result<UnixStream, Box<dyn Error>> {
    debug_assert_eq!(end.settings(), Settings::new());
    Ok(end.into_parts()?.0.into())
}
