//! What a sound topology would run, in a few lines.

use std::fmt::Write as _;

use procession::supervision::Policy;
use procession::topology::{Plan, PlannedActor, PlannedProcess, ResolvedProgram};

/// The plan as a list: each process with its program and policy, each of its actors with those it may talk to.
pub(crate) fn summary(plan: &Plan) -> String {
    let mut out = String::new();
    let actors = plan.actors().count();
    // Writing to a string can't fail.
    let _ = writeln!(
        out,
        "{}: {} in start order, {}",
        plan.name,
        counted(plan.processes.len(), "process", "processes"),
        counted(actors, "actor", "actors")
    );
    let width = plan.processes.iter().map(|process| process.name.as_str().chars().count()).max().unwrap_or(0);
    for (index, process) in plan.processes.iter().enumerate() {
        let repeated = index > 0 && replica_of_previous(&plan.processes[index - 1], process);
        let program = if repeated { "the same".to_owned() } else { described(process) };
        let _ = writeln!(out, "  {:<width$}  {program}", process.name.as_str());
        for actor in &process.actors {
            let _ = writeln!(out, "  {:<width$}    {}", "", wired(plan, process, actor));
        }
    }
    let _ = write!(out, "{}", groups(plan));
    out
}

/// The declared groups, each with its members; nothing if there are none.
fn groups(plan: &Plan) -> String {
    let groups = plan.groups();
    let mut out = String::new();
    if groups.is_empty() {
        return out;
    }
    // Writing to a string can't fail.
    let _ = writeln!(out, "\ngroups of {} ({}):", plan.name, plan.notes().join(", "));
    for group in groups {
        let indent = "  ".repeat(group.depth + 1);
        let members = if group.members.is_empty() { "nobody".to_owned() } else { group.members.join(", ") };
        let _ = writeln!(out, "{indent}{} ({}): {members}", group.name, group.notes.join(", "));
    }
    out
}

/// What the messages of each process may cost it at worst.
pub(crate) fn memory(plan: &Plan) -> String {
    let bounds = plan.memory();
    let mut out = String::from("\nmemory of messages, at worst:\n");
    let width = bounds.iter().map(|bound| bound.process.chars().count()).max().unwrap_or(0);
    for bound in &bounds {
        let _ = writeln!(
            out,
            "  {:<width$}  {:>10}: mailboxes {}, outboxes {}, replies {}, pipes {} ({}), state {}",
            bound.process,
            mebibytes(bound.total()),
            mebibytes(bound.mailboxes),
            mebibytes(bound.outboxes),
            mebibytes(bound.replies),
            mebibytes(bound.pipes),
            bound.peers,
            mebibytes(bound.snapshots),
        );
    }
    out
}

/// The same for programs: bytes, with their sum.
pub(crate) fn memory_json(plan: &Plan) -> serde_json::Value {
    let bounds = plan.memory().into_iter().map(|bound| {
        let mut object = serde_json::json!(bound);
        object["total"] = bound.total().into();
        object
    });
    bounds.collect()
}

fn mebibytes(bytes: u64) -> String {
    // In tenths, rounded up: a bound must not look lower than it is.
    let tenths = bytes.saturating_mul(10).div_ceil(1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn replica_of_previous(previous: &PlannedProcess, process: &PlannedProcess) -> bool {
    process.replica.is_some() && previous.replica.is_some() && previous.base() == process.base()
}

fn described(process: &PlannedProcess) -> String {
    let mut text = match &process.program {
        ResolvedProgram::Deployer => "the program that deploys".to_owned(),
        ResolvedProgram::Path(path) => path.display().to_string(),
    };
    for argument in &process.args {
        let _ = write!(text, " {argument}");
    }
    text.push_str(match process.child.policy {
        Policy::Permanent => ", permanent",
        Policy::Transient => ", transient",
        Policy::Temporary => ", temporary",
    });
    if process.child.significant {
        text.push_str(", significant");
    }
    for note in process.notes() {
        let _ = write!(text, ", {note}");
    }
    text
}

/// `doubler: demo::Doubler -> counter, log`.
fn wired(plan: &Plan, process: &PlannedProcess, actor: &PlannedActor) -> String {
    let mut text = format!("{}: {}", actor.name, actor.type_name);
    let own = process.wired.iter().filter(|wired| mentions(&actor.args, wired.name.as_str()));
    let names: Vec<&str> = own.map(|wired| wired.name.as_str()).collect();
    if !names.is_empty() && plan.actors().count() > 1 {
        let _ = write!(text, " -> {}", names.join(", "));
    }
    let notes = actor.notes();
    if !notes.is_empty() {
        let _ = write!(text, " ({})", notes.join(", "));
    }
    text
}

/// Whether an actor's arguments hold the address of that name.
fn mentions(args: &serde_json::Value, name: &str) -> bool {
    use serde_json::Value;
    match args {
        Value::Array(elements) => elements.iter().any(|element| mentions(element, name)),
        Value::Object(members) => {
            let address = members.len() == 1 && members.get("addr").and_then(Value::as_str) == Some(name);
            address || members.values().any(|member| mentions(member, name))
        }
        _ => false,
    }
}
