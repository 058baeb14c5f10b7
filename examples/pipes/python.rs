//! A Python child that uses nothing but its standard library: bytes of every awkward length, and objects as
//! JSON.
//!
//! The child is `peer.py` beside this file. It ends when its pipe does.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command};

use procession::pipe::{self, End, RecvError, Settings};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize)]
struct Order {
    customer: String,
    prices: Vec<f64>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Bill {
    customer: String,
    total: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();

    let (mut end, theirs) = pipe::pipe::<(), ()>()?;
    let mut child = python("echo", theirs)?;
    for length in [0, 1, 16_384, 16_385, 3 << 20] {
        let bytes: Vec<u8> = (0..length).map(|at: u32| at.to_le_bytes()[0]).collect();
        end.send_bytes(&bytes)?;
        if end.recv_bytes()? != bytes {
            return Err("other bytes came back".into());
        }
        writeln!(out, "{length} bytes went to Python and came back")?;
    }
    end.half_close()?;
    match end.recv_bytes() {
        Err(RecvError::Closed) => writeln!(out, "Python ended at end-of-file: {}", child.wait()?)?,
        other => return Err(format!("an end was expected, and not {other:?}").into()),
    }

    let (mut end, theirs) = pipe::pipe_with::<Order, Bill>(Settings::new().json())?;
    let mut child = python("bills", theirs)?;
    for (customer, prices) in [("Ann", vec![1.5, 2.25]), ("Zoë", vec![])] {
        end.send(Order { customer: customer.into(), prices })?;
        let bill = end.recv()?;
        writeln!(out, "{} owes {}", bill.customer, bill.total)?;
    }
    end.close()?;
    writeln!(out, "Python ended at end-of-file: {}", child.wait()?)?;
    Ok(())
}

/// Starts the script with an end, whose descriptor's number it finds in its environment.
fn python<Out, In>(part: &str, end: End<Out, In>) -> Result<Child, pipe::SpawnError> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pipes/peer.py");
    let mut program = Command::new("python3");
    program.arg(script).arg(part);
    pipe::spawn(program, end)
}
