//! `program --describe`: what a program hosts, for those who check a topology before it starts.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::registered::Registered;

use crate::protocol::control::PROTOCOL_VERSION;
use crate::topology::HostedType;

/// The argument, alone, that makes a program describe itself.
pub(super) const FLAG: &str = "--describe";

/// A program that is asked and has not answered by then is none of ours.
const PATIENCE: Duration = Duration::from_secs(5);

/// A description is not longer than this; whatever says more is none of ours.
const MAX_BYTES: u64 = 4 << 20;

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

/// Asks a program. The error is what is wrong with it as a program of Procession.
pub(super) fn ask(program: &Path) -> Result<Vec<HostedType>, String> {
    let mut child = Command::new(program)
        .arg(FLAG)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let output = child.stdout.take().expect("stdout is piped");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::io::Read::take(output, MAX_BYTES), &mut text).map(|_| text)
    });
    let deadline = Instant::now() + PATIENCE;
    while !reader.is_finished() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    if !reader.is_finished() {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("`{} {FLAG}` did not end within {PATIENCE:?}", program.display()));
    }
    let _ = child.kill();
    let _ = child.wait();
    let text = reader.join().map_err(|_| "its description can't be read".to_owned())?;
    let text = text.map_err(|error| format!("its description is no text: {error}"))?;
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
