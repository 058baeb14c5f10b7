//! `procession up`: builds, checks and runs a topology in the foreground.

use std::process::ExitCode;

use procession::process::logs::EVENT_TARGET;
use procession::runtime::Program;
use procession::topology::Plan;

use crate::arguments::{LogFormat, Up};
use crate::failure::Failure;
use crate::{code, log, prepare};

pub(crate) fn run(arguments: &Up) -> Result<ExitCode, Failure> {
    let output = log::start(arguments.log)?;
    let done = prepare::prepare(&arguments.file, arguments.no_build, arguments.log).and_then(deploy);
    if let (Err(failure), LogFormat::Json) = (&done, arguments.log) {
        tell(failure);
    }
    output.finish();
    match (done, arguments.log) {
        // Told as an object.
        (Err(failure), LogFormat::Json) => Ok(failure.code()),
        (done, _) => done,
    }
}

/// Runs until the topology ends or a signal ends it.
fn deploy(plan: Plan) -> Result<ExitCode, Failure> {
    let exit = Program::new().run(async |root| {
        // The start is part of the run: its failure is the end of it.
        root.launch(plan).await?.running.wait().await
    })?;
    Ok(ExitCode::from(code::of_process(exit.shell_code())))
}

fn tell(failure: &Failure) {
    if !failure.is_told() {
        let details = serde_json::json!({ "help": failure.help() }).to_string();
        tracing::error!(target: EVENT_TARGET, event = "failed", details, "{failure}");
    }
}
