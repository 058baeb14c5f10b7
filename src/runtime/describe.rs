//! `program --describe`: what a program hosts, for those who check a topology before it starts.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::registered::Registered;

use crate::protocol::control::PROTOCOL_VERSION;
use crate::sys::poll::{Interest, poll_one};
use crate::topology::HostedType;

/// The argument, alone, that makes a program describe itself.
pub(super) const FLAG: &str = "--describe";

/// A program that is asked and has not answered by then is none of ours.
const PATIENCE: Duration = Duration::from_secs(5);

/// A description is not longer than this; whatever says more is none of ours.
const MAX_BYTES: usize = 4 << 20;

/// What a program says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Description {
    procession: u16,
    /// What the schemas are.
    #[serde(rename = "$schema")]
    dialect: String,
    actors: Vec<DescribedActor>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DescribedActor {
    #[serde(rename = "type")]
    pub(super) type_name: String,
    /// A schema.
    pub(super) args: Value,
    pub(super) messages: Vec<DescribedMessage>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DescribedMessage {
    pub(super) name: String,
    /// A schema.
    pub(super) message: Value,
    /// A schema.
    pub(super) result: Value,
    /// Why it can't go to another process, if it can't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unfit: Option<String>,
}

/// What is read first, since another version may describe itself otherwise.
#[derive(Deserialize)]
struct Versioned {
    procession: u16,
}

/// The version of JSON Schema.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

impl Description {
    pub(super) fn new(types: &[Registered]) -> Description {
        let actors = types.iter().map(Registered::described).collect();
        Description { procession: PROTOCOL_VERSION, dialect: DIALECT.to_owned(), actors }
    }

    pub(super) fn print(&self) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, self)?;
        writeln!(out)
    }
}

/// How often it is looked whether a program has ended whose output somebody else keeps open.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What it prints until it ends, or as much as a description may have; none if that takes too long.
fn read(child: &mut Child) -> std::io::Result<Option<Vec<u8>>> {
    let Some(mut output) = child.stdout.take() else { return Ok(None) };
    let deadline = Instant::now() + PATIENCE;
    let (mut said, mut piece) = (Vec::new(), [0; 8 << 10]);
    while Instant::now() < deadline {
        if poll_one(output.as_fd(), Interest::Readable, Some(LOOK_EVERY))? {
            match output.read(&mut piece)? {
                0 => return Ok(Some(said)),
                count => said.extend_from_slice(&piece[..count]),
            }
        } else if has_ended(child) {
            return Ok(Some(said));
        }
        if said.len() >= MAX_BYTES {
            return Ok(Some(said));
        }
    }
    Ok(None)
}

/// Whether it has ended, which leaves its number its own.
fn has_ended(child: &Child) -> bool {
    let Ok(pid) = i32::try_from(child.id()) else { return false };
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(waitid(Id::Pid(Pid::from_raw(pid)), flags), Ok(WaitStatus::StillAlive))
}

/// Asks a program. The error is what is wrong with it as a program of Procession.
pub(super) fn ask(program: &Path) -> Result<Vec<HostedType>, String> {
    let mut child = Command::new(program)
        .arg(FLAG)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| error.to_string())?;
    let said = read(&mut child);
    // With what it has started, as long as its number is its own.
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.wait();
    let said = said.map_err(|error| format!("its description can't be read: {error}"))?;
    let Some(said) = said else {
        return Err(format!("`{} {FLAG}` did not end within {PATIENCE:?}", program.display()));
    };
    let text = String::from_utf8(said).map_err(|error| format!("its description is no text: {error}"))?;
    let nothing = |_| {
        format!(
            "`{} {FLAG}` printed no description: does its main call `Program::run` first?",
            program.display()
        )
    };
    let Versioned { procession: theirs } = serde_json::from_str(&text).map_err(nothing)?;
    if theirs != PROTOCOL_VERSION {
        return Err(format!("it speaks protocol version {theirs}, this program {PROTOCOL_VERSION}"));
    }
    let description: Description = serde_json::from_str(&text).map_err(nothing)?;
    let hosted = description.actors.into_iter().map(|actor| HostedType {
        name: actor.type_name,
        unfit: actor.messages.iter().filter_map(|message| message.unfit.clone()).collect(),
        messages: actor.messages.into_iter().map(|message| message.name).collect(),
        args: Some(actor.args),
    });
    Ok(hosted.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_starts_that_is_asked_ends_with_it_and_keeps_nobody_waiting() {
        let folder = std::env::temp_dir().join(format!("procession-describe-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let (program, started) = (folder.join("program"), folder.join("started"));
        let said = format!(r#"{{"procession":{PROTOCOL_VERSION},"$schema":"","actors":[]}}"#);
        let script = format!("#!/bin/sh\nsleep 1000 &\necho $! > {}\necho '{said}'\n", started.display());
        // Written by another process, so that no child of this one has it open for writing.
        let write = r#"printf '%s' "$1" > "$2" && chmod 700 "$2""#;
        let written = Command::new("/bin/sh").args(["-c", write, "sh", &script]).arg(&program).status();
        assert!(written.expect("a shell").success());
        assert_eq!(ask(&program).map(|hosted| hosted.len()), Ok(0));
        let sleeps = std::fs::read_to_string(&started).expect("its number");
        let stat = format!("/proc/{}/stat", sleeps.trim());
        // It is killed when `ask` returns; whoever it belongs to then may reap it later.
        while let Ok(stat) = std::fs::read_to_string(&stat) {
            if stat.contains(") Z") || stat.contains(") X") {
                break;
            }
            std::thread::yield_now();
        }
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
