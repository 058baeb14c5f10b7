//! From a topology file to a plan that can be run: for the commands that run one.

use std::path::Path;

use procession::process::logs::EVENT_TARGET;
use procession::topology::{Catalog, Checked, Diagnostics, Plan, Severity, Topology};

use crate::arguments::LogFormat;
use crate::catalog::{self, Built, Unasked};
use crate::console::Stream;
use crate::failure::Failure;
use crate::source::{self, SourceFile};
use crate::{build, findings};

/// Reads, builds and checks: a plan that can be run.
pub(crate) fn prepare(file: &Path, no_build: bool, format: LogFormat) -> Result<Plan, Failure> {
    let file = source::read(file)?;
    if !no_build {
        // Whatever else is wrong with it is found by the check below.
        let builds = Topology::from_toml(&file.text, &file.path).map(|topology| topology.builds());
        let builds = builds.unwrap_or_default();
        // Nobody wants to wait for a build to hear of a misspelt key.
        let sound =
            Topology::check_toml(&file.text, &file.path, &Unasked { by_anybody: false }).plan.is_some();
        if !sound {
            return check(&file, &catalog::programs(), format);
        }
        build::run_all(&builds, folder(&file.path), format)?;
    }
    check(&file, &Built(catalog::programs()), format)
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
