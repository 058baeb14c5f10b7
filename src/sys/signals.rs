//! Signals as bytes on a socket, for a thread that polls.

use std::io;
use std::os::fd::OwnedFd;

use super::socket;

/// From now on, each of these signals makes one byte readable here, instead of what it did before. For the rest
/// of the process's life.
pub fn notices(signal: i32) -> io::Result<OwnedFd> {
    let (reader, writer) = socket::pair()?;
    signal_hook::low_level::pipe::register(signal, writer)?;
    Ok(reader)
}
