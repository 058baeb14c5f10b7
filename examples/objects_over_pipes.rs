//! Objects over pipes: one process makes the numbers 0 to 9, a second multiplies each by itself, the parent
//! prints them.
//!
//! ```text
//!   numbers  --u64-->  squares  --u64-->  parent
//! ```
//!
//! The children are this same executable, started again. Nobody counts: each stage ends when the one before
//! it has ended and its pipe says end-of-file.

use std::error::Error;
use std::io::Write;
use std::process::Command;

use procession::pipe::{self, Receiver, Sender};

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("numbers") => numbers(),
        Some("squares") => squares(),
        _ => parent(),
    }
}

/// The first child: sends the numbers.
fn numbers() -> Result<(), Box<dyn Error>> {
    let mut out = Sender::<u64>::take("pipe")?;
    for number in 0..10 {
        out.send(number)?;
    }
    Ok(())
}

/// The second child: receives a number, sends its square, until end-of-file. Its one inherited pipe is the
/// one to the parent; the one from the first child comes through it, because an end is a message like any
/// other.
fn squares() -> Result<(), Box<dyn Error>> {
    let mut parent = pipe::End::<u64, Receiver<u64>>::take("pipe")?;
    let numbers = parent.recv()?;
    for number in numbers {
        let number = number?;
        parent.send(number * number)?;
    }
    Ok(())
}

fn parent() -> Result<(), Box<dyn Error>> {
    let this = std::env::current_exe()?;

    let (to_squares, from_numbers) = pipe::simplex::<u64>()?;
    let mut program = Command::new(&this);
    program.arg("numbers");
    let mut first = pipe::spawn(program, to_squares)?;

    let (mut from_squares, theirs) = pipe::pipe::<Receiver<u64>, u64>()?;
    let mut program = Command::new(&this);
    program.arg("squares");
    let mut second = pipe::spawn(program, theirs)?;
    from_squares.send(from_numbers)?;

    let squares = from_squares.iter().map(|square| Ok(square?.to_string()));
    let squares: Vec<String> = squares.collect::<Result<_, pipe::RecvError>>()?;
    writeln!(std::io::stdout(), "{}", squares.join(" "))?;

    for child in [&mut first, &mut second] {
        let status = child.wait()?;
        if !status.success() {
            return Err(format!("a child failed: {status}").into());
        }
    }
    Ok(())
}
