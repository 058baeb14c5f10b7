//! Runs the build commands of a topology, one after the other, in the folder of its file.

use std::io::{BufRead as _, BufReader, Read};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use procession::id::Signal;
use procession::process::logs::EVENT_TARGET;
use procession::topology::BuildCommand;
use serde_json::json;

use crate::arguments::LogFormat;
use crate::console::{self, Stream};

/// Why a build command did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error("the build command `{command}` can't be run in `{}`: {error}", .folder.display())]
    NotRun { command: String, folder: PathBuf, error: std::io::Error },
    #[error("the build command `{command}` failed: {}", how(*.status))]
    Failed { command: String, status: ExitStatus },
}

impl BuildError {
    pub(crate) fn help(&self) -> Option<&str> {
        match self {
            BuildError::NotRun { .. } => {
                Some("its first word is a program in PATH or a path; for pipes and variables: sh -c '...'")
            }
            BuildError::Failed { .. } => Some("run what is built already: --no-build"),
        }
    }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it exited with code {code}"),
        (None, Some(signal)) => format!("it was killed by {}", Signal(signal)),
        (None, None) => status.to_string(),
    }
}

/// Runs them, until one fails.
pub(crate) fn run_all(builds: &[BuildCommand], folder: &Path, format: LogFormat) -> Result<(), BuildError> {
    builds.iter().try_for_each(|build| run(build, folder, format))
}

fn run(build: &BuildCommand, folder: &Path, format: LogFormat) -> Result<(), BuildError> {
    let not_run =
        |error| BuildError::NotRun { command: build.text.clone(), folder: folder.to_owned(), error };
    let Some((program, arguments)) = build.words.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    let status = match format {
        LogFormat::Human => shown(build, &mut command),
        LogFormat::Json => logged(build, &mut command),
    };
    let status = status.map_err(not_run)?;
    match status.success() {
        true => Ok(()),
        false => Err(BuildError::Failed { command: build.text.clone(), status }),
    }
}

/// Its output is for people, and none of the results: all of it goes to stderr, with its colours.
fn shown(build: &BuildCommand, command: &mut Command) -> std::io::Result<ExitStatus> {
    let (bold, plain) = if console::colours(Stream::Stderr) { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    console::say(Stream::Stderr, &format!("{bold}build:{plain} {}\n", build.text));
    let stderr = std::io::stderr().as_fd().try_clone_to_owned()?;
    command.stdout(Stdio::from(stderr)).status()
}

/// Each of its lines is an object.
fn logged(build: &BuildCommand, command: &mut Command) -> std::io::Result<ExitStatus> {
    let details = json!({ "command": build.text }).to_string();
    tracing::info!(target: EVENT_TARGET, event = "building", details, "build: {}", build.text);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pipes: [(&str, Option<Box<dyn Read + Send>>); 2] = [
        ("stdout", child.stdout.take().map(|pipe| Box::new(pipe) as Box<_>)),
        ("stderr", child.stderr.take().map(|pipe| Box::new(pipe) as Box<_>)),
    ];
    std::thread::scope(|scope| {
        for (stream, pipe) in pipes {
            scope.spawn(move || pipe.into_iter().for_each(|pipe| relay(&build.text, stream, pipe)));
        }
    });
    child.wait()
}

fn relay(command: &str, stream: &str, pipe: impl Read) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    let details = json!({ "command": command, "stream": stream }).to_string();
    // A pipe that can't be read any more has ended.
    while pipe.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&line);
        tracing::info!(target: EVENT_TARGET, event = "build_output", details, "{}", text.trim_end());
        line.clear();
    }
}
