//! An end for a child process: handed over by one inherited descriptor, taken by name.
//!
//! The child learns the number from an environment variable, which is all that a child in another language
//! needs:
//!
//! ```text
//! PROCESSION_PIPE_<name>      7                          the descriptor's number
//! PROCESSION_PIPE_<name>_IS   duplex bincode 8 23917     directions, format, device and inode of the socket
//! ```
//!
//! Device and inode prove that the number still means what it meant when the variable was written: variables
//! are inherited by grandchildren, descriptors are not.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Command};

use super::end::End;
use super::settings::{Format, Settings};
use super::travel::Direction;
use crate::sys::inherit::{self, Identity};

/// What the end is called unless [`spawn_as`] says otherwise.
pub const DEFAULT_NAME: &str = "pipe";

const PREFIX: &str = "PROCESSION_PIPE_";
const SUFFIX: &str = "_IS";

/// Why no child was started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// A name is letters, digits and underscores: wrong use.
    #[error("{name:?} is no name for a pipe; use letters, digits and underscores")]
    Name {
        /// What was given.
        name: String,
    },
    /// The end has messages that the child would not see. Receive or flush them first: wrong use.
    #[error(
        "the end has {unread_bytes} unread and {unsent_bytes} unsent bytes, which the child would not get"
    )]
    InUse {
        /// Bytes that were read ahead.
        unread_bytes: usize,
        /// Bytes that were fed and not flushed.
        unsent_bytes: usize,
    },
    /// The operating system could not start it: no such program, no permission, too many processes.
    #[error("{program:?} can't be started: {source}")]
    Program {
        /// The program.
        program: OsString,
        /// Why.
        source: io::Error,
    },
}

/// Why a child could not take an end.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The environment has no such variable: the parent gave no end of this name, or this process was not
    /// started by [`spawn`].
    #[error("no pipe of the name {name:?} was handed to this process; the variable {variable} is not set")]
    NotGiven {
        /// The name that was asked for.
        name: String,
        /// The variable that would have it.
        variable: String,
    },
    /// The variable is there, and the descriptor is not: it was inherited by a grandchild, or taken before.
    #[error("the pipe {name:?} can't be taken: {source}")]
    Gone {
        /// The name that was asked for.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The parent gave an end with other directions.
    #[error("the pipe {name:?} is an end that {given}, and one that {asked} was asked for")]
    Direction {
        /// The name that was asked for.
        name: String,
        /// What the parent gave.
        given: String,
        /// What the types say.
        asked: &'static str,
    },
}

/// Starts a program and hands it an end, which it takes with [`End::take`], or opens by the number in the
/// variable [`variable`]`("pipe")`.
///
/// The child inherits this one descriptor and its standard streams, nothing else that this program opened as
/// Rust does; the descriptor is blocking. This process's copy is closed when the call returns, so that
/// end-of-file comes when the child ends. The caller waits for the child, which is the only one to keep it
/// from being a zombie.
///
/// # Errors
/// See [`SpawnError`]. The end is closed then.
pub fn spawn<Out, In>(program: Command, end: End<Out, In>) -> Result<Child, SpawnError> {
    spawn_as(program, DEFAULT_NAME, end)
}

/// As [`spawn`], with another name.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_as<Out, In>(mut program: Command, name: &str, end: End<Out, In>) -> Result<Child, SpawnError> {
    if !is_name(name) {
        return Err(SpawnError::Name { name: name.into() });
    }
    let (unread_bytes, unsent_bytes) =
        (end.connection.reader.unread_bytes(), end.connection.writer.pending_bytes());
    if unread_bytes > 0 || unsent_bytes > 0 {
        return Err(SpawnError::InUse { unread_bytes, unsent_bytes });
    }
    let socket = end.connection.transport.as_owned();
    let started = inherit::identity(socket.as_fd()).and_then(|Identity { device, inode }| {
        // What this process was given itself is not the child's.
        for (variable, _) in std::env::vars_os() {
            if variable.to_str().is_some_and(|variable| variable.starts_with(PREFIX)) {
                program.env_remove(variable);
            }
        }
        let (direction, format) = (Direction::of::<Out, In>().word(), end.settings().format_word());
        let raw = socket.as_raw_fd();
        program.env(variable(name), raw.to_string());
        program.env(variable(name) + SUFFIX, format!("{direction} {format} {device} {inode}"));
        inherit::spawn_with(&mut program, socket)
    });
    match started {
        Ok(child) => {
            end.connection.hand_over();
            Ok(child)
        }
        Err(source) => Err(SpawnError::Program { program: program.get_program().into(), source }),
    }
}

/// The environment variable that has the number of the descriptor of the end of that name.
pub fn variable(name: &str) -> String {
    format!("{PREFIX}{name}")
}

impl<Out, In> End<Out, In> {
    /// Takes the end that the parent process handed over with [`spawn`], which has the name `pipe`, or with
    /// [`spawn_as`]. It can be taken once.
    ///
    /// The message types must be those of the parent's other end, turned around; nothing checks it before a
    /// message does not decode.
    ///
    /// # Errors
    /// See [`TakeError`].
    pub fn take(name: &str) -> Result<Self, TakeError> {
        End::take_with(name, Settings::new())
    }

    /// As [`take`](Self::take), with other limits. The format is the parent's.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn take_with(name: &str, limits: Settings) -> Result<Self, TakeError> {
        let not_given = || TakeError::NotGiven { name: name.into(), variable: variable(name) };
        let number = std::env::var(variable(name)).map_err(|_| not_given())?;
        let description = std::env::var(variable(name) + SUFFIX).map_err(|_| not_given())?;
        let given = Given::parse(&number, &description).ok_or_else(not_given)?;
        let asked = Direction::of::<Out, In>();
        if !given.direction.permits(asked) {
            let (name, given) = (name.into(), given.direction.word().into());
            return Err(TakeError::Direction { name, given, asked: asked.word() });
        }
        let descriptor = inherit::adopt(given.number, given.identity)
            .map_err(|source| TakeError::Gone { name: name.into(), source })?;
        Ok(End::from_fd(descriptor, limits.format(given.format)))
    }
}

/// What the two variables say.
struct Given {
    number: i32,
    direction: Direction,
    format: Format,
    identity: Identity,
}

impl Given {
    fn parse(number: &str, description: &str) -> Option<Self> {
        let mut words = description.split(' ');
        let direction = match words.next()? {
            "duplex" => Direction::Duplex,
            "sends" => Direction::Sends,
            "receives" => Direction::Receives,
            _ => return None,
        };
        let format = match words.next()? {
            "bincode" => Format::Bincode,
            "json" => Format::Json,
            _ => return None,
        };
        let identity = Identity { device: words.next()?.parse().ok()?, inode: words.next()?.parse().ok()? };
        Some(Given { number: number.parse().ok()?, direction, format, identity })
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
