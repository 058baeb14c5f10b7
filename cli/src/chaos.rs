//! `procession chaos`: runs a topology, injects faults, and says what did not survive.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use procession::Error;
use procession::chaos::{Census, Chaos, Report};
use procession::runtime::{Launched, Program, Root, Running};
use procession::topology::Plan;
use serde_json::{Value, json};

use crate::arguments::{self, LogFormat, Times};
use crate::console::{self, Stream};
use crate::failure::Failure;
use crate::{code, log, prepare};

/// How long what is closing may take after the last process is gone: ends of pipes are closed by a thread that hears of
/// it when everybody else does.
const CLOSING: Duration = Duration::from_secs(2);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// What came of it all.
struct Found {
    report: Report,
    /// What was left when everything had ended, beside what was there before.
    left: Census,
    before: Census,
    /// How the stop went wrong, if it did.
    stop: Option<String>,
}

pub(crate) fn run(arguments: &arguments::Chaos) -> Result<ExitCode, Failure> {
    let output = log::start_aside()?;
    let seed = arguments.seed.unwrap_or_else(random_seed);
    let plan = prepare::prepare(&arguments.file, arguments.no_build, LogFormat::Human);
    let lasts = Duration::from_secs(arguments.seconds);
    let found = plan.and_then(|plan| {
        let chaos = settings(arguments, seed);
        check_names(arguments, &chaos, &plan)?;
        Ok(Program::new().run(async |root| rage(&root, plan, chaos, lasts).await)?)
    });
    // Everything that was said before comes before the report.
    output.finish();
    let found = found?;
    let findings = found.findings();
    match arguments.json {
        true => console::say(Stream::Stdout, &format!("{:#}\n", found.to_json(&findings))),
        false => console::say(Stream::Stdout, &found.to_text(&findings)),
    }
    Ok(ExitCode::from(if findings.is_empty() { code::DONE } else { code::NOT_SURVIVED }))
}

/// A name that is misspelt would leave somebody unspared.
fn check_names(arguments: &arguments::Chaos, chaos: &Chaos, plan: &Plan) -> Result<(), Failure> {
    let is_known = |name: &str| {
        plan.processes.iter().any(|process| process.name.as_str() == name || process.base() == name)
    };
    if let Some(name) = arguments.only.iter().chain(&arguments.spare).find(|name| !is_known(name)) {
        let names: Vec<&str> = plan.processes.iter().map(|process| process.name.as_str()).collect();
        return Err(Failure::NoSuchProcess { name: name.clone(), known: names.join(", ") });
    }
    match plan.processes.iter().any(|process| chaos.may_hit(&process.name)) {
        true => Ok(()),
        false => Err(Failure::NobodyToHit),
    }
}

fn random_seed() -> u64 {
    // One that people can copy.
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id()) % 1_000_000
}

fn settings(arguments: &arguments::Chaos, seed: u64) -> Chaos {
    let Times(every) = arguments.every.clone();
    let (Times(lasting), Times(late_by)) = (arguments.lasting.clone(), arguments.late_by.clone());
    let chaos = Chaos::new(seed)
        .every(every)
        .only(arguments.only.iter().cloned())
        .spare(arguments.spare.iter().cloned())
        .settle_within(arguments.settle)
        .kill(arguments.kill.unwrap_or(0))
        .stop(arguments.stop.unwrap_or(0), lasting.clone())
        .stall(arguments.stall.unwrap_or(0), lasting.clone())
        .cut(arguments.cut.unwrap_or(0), 0..=arguments.cut_within)
        .delay(arguments.delay.unwrap_or(0), late_by, lasting.clone());
    let named = [arguments.kill, arguments.stop, arguments.stall, arguments.cut, arguments.delay];
    if named.iter().all(Option::is_none) { chaos.kill(1).stop(1, lasting) } else { chaos }
}

async fn rage(root: &Root, plan: Plan, chaos: Chaos, lasts: Duration) -> Result<Found, Error> {
    let before = Census::take()?;
    let Launched { running, started, .. } = root.launch(plan).await?;
    // Before the first pipe is made.
    let mut rampage = chaos.start(&running, lasts).await?;
    started.await.unwrap_or(Err(Error::Ended))?;
    let report = rampage.finish().await;
    let stop = stop(running, &report).await;
    let left = left(before).await?;
    Ok(Found { report, left, before, stop })
}

/// Stops what still runs. A topology that had ended by itself has told how in the report.
async fn stop(running: Running, report: &Report) -> Option<String> {
    let stopped = running.shutdown().await;
    match (stopped, &report.ended) {
        (Err(error), None) => Some(error.to_string()),
        _ => None,
    }
}

/// What is left, once all that is closing has closed.
async fn left(before: Census) -> Result<Census, Error> {
    let deadline = Instant::now() + CLOSING;
    loop {
        let left = Census::take()?;
        let is_clean = left.children <= before.children
            && left.zombies <= before.zombies
            && left.workers == 0
            && left.descriptors <= before.descriptors;
        if is_clean || Instant::now() > deadline {
            return Ok(left);
        }
        tokio::time::sleep(LOOK).await;
    }
}

impl Found {
    fn orphans(&self) -> usize {
        self.left.workers.max(self.left.children.saturating_sub(self.before.children))
    }

    fn zombies(&self) -> usize {
        self.left.zombies.saturating_sub(self.before.zombies)
    }

    fn more_descriptors(&self) -> usize {
        self.left.descriptors.saturating_sub(self.before.descriptors)
    }

    /// Everything that was not survived, a sentence each.
    fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        if let Some(ended) = self.report.ended.as_ref().filter(|ended| ended.failed) {
            findings.push(format!("the topology failed: {}", ended.why));
        }
        for process in &self.report.unsettled {
            findings.push(format!("{process} was not ready again in time after the last fault"));
        }
        if self.report.blamed > 0 {
            findings.push(format!("{} times a process broke the protocol", self.report.blamed));
        }
        findings.extend(self.stop.as_ref().map(|error| format!("the stop failed: {error}")));
        let counts = [
            (self.orphans(), "processes are left"),
            (self.zombies(), "dead processes were not waited for"),
            (self.more_descriptors(), "descriptors are left open"),
        ];
        let left = counts.into_iter().filter(|(count, _)| *count > 0);
        findings.extend(left.map(|(count, what)| format!("{count} {what}")));
        findings
    }

    fn to_json(&self, findings: &[String]) -> Value {
        let mut object = json!(self.report);
        let quantile = |part| self.report.restart_quantile(part).map(|time| time.as_secs_f64() * 1000.0);
        object["survived"] = findings.is_empty().into();
        object["findings"] = json!(findings);
        object["restart_ms_p50"] = json!(quantile(0.5));
        object["restart_ms_p99"] = json!(quantile(0.99));
        object["orphans"] = self.orphans().into();
        object["zombies"] = self.zombies().into();
        object["fd_growth"] = self.more_descriptors().into();
        object
    }

    fn to_text(&self, findings: &[String]) -> String {
        let mut text = format!("{}\n", self.report);
        if findings.is_empty() {
            text.push_str("survived: everybody came back, and nothing was left behind\n");
        }
        for finding in findings {
            text.push_str(&format!("finding: {finding}\n"));
        }
        text
    }
}
