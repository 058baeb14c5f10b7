//! `procession up`: builds, checks and runs a topology in the foreground.

use std::path::Path;
use std::process::ExitCode;

use procession::process::logs::EVENT_TARGET;
use procession::runtime::Program;
use procession::topology::{Catalog, Checked, Diagnostics, Plan, Severity, Topology};

use crate::arguments::{LogFormat, Up};
use crate::catalog::{self, Built, Unasked};
use crate::console::Stream;
use crate::failure::Failure;
use crate::findings;
use crate::source::{self, SourceFile};
use crate::{build, code, log};

pub(crate) fn run(arguments: &Up) -> Result<ExitCode, Failure> {
    let output = log::start(arguments.log)?;
    let done = prepare(arguments).and_then(deploy);
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

/// Reads, builds and checks: a plan that can be run.
fn prepare(arguments: &Up) -> Result<Plan, Failure> {
    let file = source::read(&arguments.file)?;
    if !arguments.no_build {
        // Whatever else is wrong with it is found by the check below.
        let builds = Topology::from_toml(&file.text, &file.path).map(|topology| topology.builds());
        let builds = builds.unwrap_or_default();
        // Nobody wants to wait for a build to hear of a misspelt key.
        let sound =
            Topology::check_toml(&file.text, &file.path, &Unasked { by_anybody: false }).plan.is_some();
        if !sound {
            return check(&file, &catalog::programs(), arguments.log);
        }
        build::run_all(&builds, folder(&file.path), arguments.log)?;
    }
    check(&file, &Built(catalog::programs()), arguments.log)
}

fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn check(file: &SourceFile, catalog: &impl Catalog, format: LogFormat) -> Result<Plan, Failure> {
    let Checked { plan, findings } = Topology::check_toml(&file.text, &file.path, catalog);
    match format {
        LogFormat::Human => findings::show(Stream::Stderr, &findings),
        LogFormat::Json => log_findings(&findings),
    }
    plan.ok_or_else(|| {
        let found = findings::count(&findings);
        Failure::NotSound(format!("`{}` is not sound: {found}; nothing was started", file.path.display()))
    })
}

fn log_findings(findings: &Diagnostics) {
    for finding in findings {
        let details = findings::to_json(finding).to_string();
        match finding.severity {
            Severity::Error => tracing::error!(target: EVENT_TARGET, event = "finding", details, "{finding}"),
            Severity::Warning => {
                tracing::warn!(target: EVENT_TARGET, event = "finding", details, "{finding}")
            }
        }
    }
}

/// Runs until the topology ends or a signal ends it.
fn deploy(plan: Plan) -> Result<ExitCode, Failure> {
    let exit = Program::new().run(async |root| {
        // The start is part of the run: its failure is the end of it.
        let (running, _started) = root.launch(plan).await?;
        running.wait().await
    })?;
    Ok(ExitCode::from(code::of_process(exit.shell_code())))
}

fn tell(failure: &Failure) {
    if !failure.is_told() {
        let details = serde_json::json!({ "help": failure.help() }).to_string();
        tracing::error!(target: EVENT_TARGET, event = "failed", details, "{failure}");
    }
}
