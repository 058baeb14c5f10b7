//! Our blocking ends.

use std::error::Error;

use procession::pipe::{self, End};
use serde::{Deserialize, Serialize};

use super::{Measured, Work, clock, command, place};

/// Bytes as messages, each sent at once, and each received as a vector of its own.
pub(crate) fn measure(work: Work) -> Measured {
    measure_as("procession", work, |end| Ok(end.recv_bytes()?.len()))
}

/// The same, received into one buffer.
pub(crate) fn measure_into(work: Work) -> Measured {
    let mut buffer = vec![0; work.size];
    measure_as("procession_into", work, move |end| Ok(end.recv_bytes_into(&mut buffer)?))
}

fn measure_as(
    part: &str,
    work: Work,
    mut receive: impl FnMut(&mut End<(), ()>) -> Result<usize, Box<dyn Error>>,
) -> Measured {
    let (mut end, theirs) = pipe::pipe::<(), ()>()?;
    let mut command = command(part, work)?;
    command.envs([place::variable()]);
    let mut child = pipe::spawn(command, theirs)?;
    let message = vec![7; work.size];
    // Two closures take turns with one end.
    let end = std::cell::RefCell::new(&mut end);
    let figures = clock(
        work,
        || {
            let mut end = end.borrow_mut();
            end.send_bytes(&message)?;
            assert_eq!(receive(&mut end)?, work.size);
            Ok(())
        },
        || {
            let mut end = end.borrow_mut();
            for _ in 0..work.swallows {
                end.send_bytes(&message)?;
            }
            end.recv_bytes()?;
            Ok(())
        },
    )?;
    child.wait()?;
    Ok(figures)
}

/// The other side.
pub(crate) fn child(work: Work) -> Result<(), Box<dyn Error>> {
    let mut end = End::<(), ()>::take("pipe")?;
    for _ in 0..work.echoes {
        let bytes = end.recv_bytes()?;
        end.send_bytes(&bytes)?;
    }
    for _ in 0..work.swallows {
        assert_eq!(end.recv_bytes()?.len(), work.size);
    }
    Ok(end.send_bytes(b"done")?)
}

/// The other side, with one buffer.
pub(crate) fn child_into(work: Work) -> Result<(), Box<dyn Error>> {
    let mut end = End::<(), ()>::take("pipe")?;
    let mut buffer = vec![0; work.size];
    for _ in 0..work.echoes {
        let length = end.recv_bytes_into(&mut buffer)?;
        end.send_bytes(&buffer[..length])?;
    }
    for _ in 0..work.swallows {
        assert_eq!(end.recv_bytes_into(&mut buffer)?, work.size);
    }
    Ok(end.send_bytes(b"done")?)
}

/// A small object whose encoding has the size of the others' messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Object {
    /// Tells the objects apart.
    pub(crate) number: u64,
    /// Some more fields.
    pub(crate) fields: [u64; 5],
    /// The rest, for larger ones.
    pub(crate) rest: serde_bytes::ByteBuf,
}

impl Object {
    /// An object that encodes to that many bytes, of which 56 are its other fields and a length.
    pub(crate) fn new(size: usize) -> Self {
        Object { number: 0, fields: [1; 5], rest: serde_bytes::ByteBuf::from(vec![7; size - 56]) }
    }
}

/// Objects through a buffered sender.
pub(crate) fn measure_fed(work: Work) -> Measured {
    let (mut end, theirs) = pipe::pipe::<&Object, ()>()?;
    let mut command = command("procession_feed", work)?;
    command.envs([place::variable()]);
    let mut child = pipe::spawn(command, theirs)?;
    let object = Object::new(work.size);
    let figures = clock(
        Work { echoes: 0, ..work },
        || Ok(()),
        || {
            for _ in 0..work.swallows {
                end.feed(&object).map_err(|unsent| unsent.error)?;
            }
            end.flush()?;
            Ok(end.recv()?)
        },
    )?;
    child.wait()?;
    Ok(figures)
}

/// The other side.
pub(crate) fn child_fed(work: Work) -> Result<(), Box<dyn Error>> {
    let mut end = End::<(), Object>::take("pipe")?;
    for _ in 0..work.swallows {
        assert_eq!(end.recv()?.fields, [1; 5]);
    }
    Ok(end.send(()).map_err(|unsent| unsent.error)?)
}
