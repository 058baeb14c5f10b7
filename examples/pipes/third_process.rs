//! An end that is sent to a third process: the parent introduces two children to one another, and is out of
//! the way.
//!
//! ```text
//!   before:   asker <-- parent --> answerer          after:   asker <--- questions, answers ---> answerer
//! ```

use std::error::Error;
use std::io::Write;
use std::process::{Child, Command};

use procession::pipe::{self, End, Receiver, Sender};

type Asking = End<String, usize>;
type Answering = End<usize, String>;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("asker") => ask(),
        Some("answerer") => answer(),
        _ => parent(),
    }
}

/// Waits for somebody to ask, and asks.
fn ask() -> Result<(), Box<dyn Error>> {
    let mut peer: Asking = Receiver::take("pipe")?.recv()?;
    for question in ["an end", "is a message", "like any other"] {
        peer.send(question.into())?;
        writeln!(std::io::stdout(), "{question:?} has {} letters", peer.recv()?)?;
    }
    Ok(())
}

/// Waits for somebody who asks, and answers until they have gone.
fn answer() -> Result<(), Box<dyn Error>> {
    let mut peer: Answering = Receiver::take("pipe")?.recv()?;
    loop {
        match peer.recv() {
            Ok(question) => peer.send(question.chars().filter(|letter| letter.is_alphabetic()).count())?,
            Err(error) if error.is_end() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn parent() -> Result<(), Box<dyn Error>> {
    let (mut asker, first) = child::<Asking>("asker")?;
    let (mut answerer, second) = child::<Answering>("answerer")?;
    let (asking, answering) = pipe::pipe::<String, usize>()?;
    asker.send(asking).map_err(|unsent| unsent.error)?;
    answerer.send(answering).map_err(|unsent| unsent.error)?;
    for mut child in [first, second] {
        child.wait()?;
    }
    Ok(())
}

/// Starts a child that gets one message.
fn child<T>(part: &str) -> Result<(Sender<T>, Child), Box<dyn Error>> {
    let (sender, theirs) = pipe::simplex()?;
    let mut program = Command::new(std::env::current_exe()?);
    program.arg(part);
    Ok((sender, pipe::spawn(program, theirs)?))
}
