//! The programs: each is asked for once, and must host the types of its actors.

use std::collections::HashMap;

use super::merge::Merged;
use super::placed::{Basis, Placed};
use crate::topology::catalog::{Catalog, ProgramFacts, ProgramProblem, ProgramRef};
use crate::topology::diagnostic::{Diagnostic, did_you_mean};
use crate::topology::plan::ResolvedProgram;

/// What the catalog said of every program of the topology.
pub(super) struct Programs(HashMap<ProgramRef, Result<ProgramFacts, ProgramProblem>>);

impl Programs {
    /// Asks, and tells what stands in the way. `merged` belongs to the processes, in order.
    pub(super) fn ask(
        basis: Basis<'_>,
        placed: &[Placed<'_>],
        merged: &[Merged],
        catalog: &impl Catalog,
        findings: &mut Vec<Diagnostic>,
    ) -> Programs {
        let mut programs = HashMap::new();
        for (placed, merged) in placed.iter().zip(merged) {
            let answer =
                programs.entry(merged.program.clone()).or_insert_with(|| catalog.program(&merged.program));
            match answer {
                Ok(facts) => check_types(placed, &merged.program, facts, findings),
                Err(problem) => findings.push(complaint(basis, placed, merged, problem)),
            }
        }
        Programs(programs)
    }

    /// The schema of the arguments of an actor type, if the program has said one.
    pub(super) fn args_of(&self, program: &ProgramRef, type_name: &str) -> Option<&serde_json::Value> {
        let types = self.0.get(program)?.as_ref().ok()?.types.as_ref()?;
        types.iter().find(|hosted| hosted.name == type_name)?.args.as_ref()
    }

    /// The messages of an actor type, where a program that hosts it was asked.
    pub(super) fn messages_of(&self, type_name: &str) -> Option<&[String]> {
        let types = self.0.values().flatten().filter_map(|facts| facts.types.as_ref()).flatten();
        types.into_iter().find(|hosted| hosted.name == type_name).map(|hosted| hosted.messages.as_slice())
    }

    /// The file to start. One that is still to be built stands where it was declared.
    pub(super) fn resolved(&self, program: &ProgramRef) -> ResolvedProgram {
        match (program, self.0.get(program)) {
            (ProgramRef::Deployer, _) => ResolvedProgram::Deployer,
            (_, Some(Ok(facts))) => ResolvedProgram::Path(facts.path.clone()),
            (ProgramRef::Path(path), _) => ResolvedProgram::Path(path.clone()),
            (ProgramRef::Named(name), _) => ResolvedProgram::Path(name.into()),
        }
    }
}

/// Says what is wrong with a program where it is named: in the process, in the defaults, or nowhere.
fn complaint(basis: Basis<'_>, placed: &Placed<'_>, merged: &Merged, problem: &ProgramProblem) -> Diagnostic {
    let in_process = placed.process.settings.program.is_some();
    let in_defaults = !in_process && basis.defaults.program.is_some();
    let path = if in_defaults { super::defaults_path() } else { placed.path.clone() }.key("program");
    let program = &merged.program;
    if let (ProgramProblem::Missing, Some(build)) = (problem, &merged.settings.build) {
        let message = format!("{program} is still to be built");
        return Diagnostic::warning(path, message).help(format!("`procession up` does it: {build}"));
    }
    if *problem == ProgramProblem::HostsNothing {
        let message =
            format!("`{}` names no program, and the one that deploys hosts no actors", placed.process.name);
        return Diagnostic::error(path, message).help("say which program hosts them: program = \"...\"");
    }
    if let (ProgramProblem::NotBuilt, Some(build)) = (problem, &merged.settings.build) {
        let message = format!("{program} can't be a worker: {problem}");
        return Diagnostic::error(path, message)
            .help(format!("make it: {build}; or mend `build` or `program`"));
    }
    let mend = match (program, problem) {
        (ProgramRef::Deployer, _) => "say which program to run: program = \"...\"".to_owned(),
        (ProgramRef::Path(_), ProgramProblem::Missing | ProgramProblem::NotBuilt) => {
            "build it, or say how: build = \"cargo build --release\"".to_owned()
        }
        (ProgramRef::Named(name), ProgramProblem::Missing | ProgramProblem::NotBuilt) => {
            format!("a bare name is looked for in PATH; a file beside this one is \"./{name}\"")
        }
        (_, ProgramProblem::NotExecutable) => "chmod +x, or another file".to_owned(),
        (_, ProgramProblem::HostsNothing | ProgramProblem::NotProcession { .. }) => {
            "its `main` starts with Program::new(), the actors it hosts, and run".to_owned()
        }
    };
    Diagnostic::error(path, format!("{program} can't be a worker: {problem}")).help(mend)
}

/// Sees that a program hosts the actors it shall give birth to.
fn check_types(
    placed: &Placed<'_>,
    program: &ProgramRef,
    facts: &ProgramFacts,
    findings: &mut Vec<Diagnostic>,
) {
    let Some(types) = &facts.types else {
        return;
    };
    let hosted = types.iter().map(|hosted| hosted.name.as_str());
    for actor in placed.process.actors.iter().filter(|actor| !actor.type_name.is_empty()) {
        let path = placed.path.key("actor").key(&actor.name).key("type");
        if let Some(known) = types.iter().find(|hosted| hosted.name == actor.type_name) {
            let unfit =
                known.unfit.iter().map(|why| Diagnostic::warning(path.clone(), why.clone()).help(MEND));
            findings.extend(unfit);
            continue;
        }
        let message = format!("{program} hosts no actor type `{}`", actor.type_name);
        let help = match types.is_empty() {
            true => "it hosts none: register it with Program::actor".to_owned(),
            false => {
                did_you_mean(&actor.type_name, hosted.clone(), "register it with Program::actor; it hosts")
            }
        };
        findings.push(Diagnostic::error(path, message).help(help));
    }
}

/// What to do about a message that bincode can't carry.
const MEND: &str = "within its process it works; else give it a type of its own without `flatten`, `untagged` and `tag`, or \
                    send such data as text";
