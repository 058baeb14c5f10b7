//! `procession call`: starts a topology, sends one message to one of its actors, prints what it answers, and stops.
//!
//! The message is named and written as JSON, since this command knows no types: the process of the actor makes the message
//! of it.

use std::process::ExitCode;
use std::time::Duration;

use procession::address::JsonError;
use procession::runtime::{Program, Root};
use procession::topology::Plan;
use serde_json::Value;

use crate::arguments::{Call, LogFormat};
use crate::console::{self, Stream};
use crate::failure::Failure;
use crate::{code, log, prepare};

pub(crate) fn run(arguments: &Call) -> Result<ExitCode, Failure> {
    // Before anything is built: a comma may be missing.
    let json: Value = serde_json::from_str(&arguments.json)
        .map_err(|error| Failure::NotJson(format!("the message is no JSON: {error}")))?;
    let output = log::start_aside()?;
    let plan = prepare::prepare(&arguments.file, arguments.no_build, LogFormat::Human);
    let answered = plan.and_then(|plan| {
        check_actor(&plan, &arguments.actor)?;
        Ok(Program::new().run(async |root| call(&root, plan, arguments, &json).await)?)
    });
    // Everything that was said before comes before the answer.
    output.finish();
    let answer = answered?.map_err(Failure::Call)?;
    console::say(Stream::Stdout, &format!("{answer:#}\n"));
    Ok(ExitCode::from(code::DONE))
}

/// Nobody wants to wait for a topology to hear of a misspelt name.
fn check_actor(plan: &Plan, actor: &str) -> Result<(), Failure> {
    if plan.actor(actor).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = plan.actors().map(|(_, actor)| actor.name.as_str()).collect();
    Err(Failure::NoSuchActor { name: actor.to_owned(), known: names.join(", ") })
}

async fn call(
    root: &Root,
    plan: Plan,
    arguments: &Call,
    json: &Value,
) -> procession::Result<Result<Value, JsonError>> {
    let running = root.deploy_plan(plan).await?;
    let request = running.send_json(&arguments.actor, &arguments.message, json);
    let answer = match arguments.timeout {
        Some(timeout) => request.timeout(timeout).await,
        None => request.await,
    };
    let stopped = running.shutdown().await;
    // Why it was not answered says more than what followed from it.
    if answer.is_ok() {
        stopped?;
    }
    Ok(answer)
}

/// What `--timeout` means.
pub(crate) fn timeout(written: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(written).map_err(|error| error.to_string())?;
    if timeout.is_zero() { Err("no time is too little".to_owned()) } else { Ok(timeout) }
}
