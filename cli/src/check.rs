//! `procession check`: everything that is wrong, or what would run.

use std::process::ExitCode;

use procession::topology::{Checked, Topology};
use serde_json::json;

use crate::arguments::Check;
use crate::console::{self, Stream};
use crate::failure::Failure;
use crate::{catalog, code, findings, source, summary};

pub(crate) fn run(arguments: &Check) -> Result<ExitCode, Failure> {
    let file = source::read(&arguments.file)?;
    let checked = Topology::check_toml(&file.text, &file.path, &catalog::programs());
    if arguments.json {
        return Ok(print_json(&checked));
    }
    let Checked { plan, findings } = checked;
    findings::show(Stream::Stderr, &findings);
    let Some(plan) = plan else {
        let found = findings::count(&findings);
        return Err(Failure::NotSound(format!("`{}` is not sound: {found}", file.path.display())));
    };
    let found = findings::count(&findings);
    let but = if found.is_empty() { String::new() } else { format!(", with {found}") };
    console::say(Stream::Stdout, &format!("`{}` is sound{but}\n\n", file.path.display()));
    console::say(Stream::Stdout, &summary::summary(&plan));
    console::say(Stream::Stdout, &summary::memory(&plan));
    Ok(ExitCode::from(code::DONE))
}

fn print_json(checked: &Checked) -> ExitCode {
    let Checked { plan, findings } = checked;
    let all: Vec<_> = findings.iter().map(findings::to_json).collect();
    let omitted = findings.len() - all.len();
    let memory = plan.as_ref().map(summary::memory_json);
    let object = json!({ "sound": plan.is_some(), "findings": all, "omitted": omitted, "plan": plan, "memory": memory });
    console::say(Stream::Stdout, &format!("{object:#}\n"));
    ExitCode::from(if plan.is_some() { code::DONE } else { code::NOT_SOUND })
}
