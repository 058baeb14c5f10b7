//! A small world for plans to ask about.

use std::path::Path;

use procession::topology::{Catalog, HostedType, ProgramFacts, ProgramProblem, ProgramRef};

/// Answers by the name of the program alone.
pub(crate) struct FakeCatalog;

fn hosts(path: &Path, types: &[&str]) -> Result<ProgramFacts, ProgramProblem> {
    let types =
        types.iter().map(|name| HostedType { name: (*name).to_owned(), messages: vec!["Add".to_owned()] });
    Ok(ProgramFacts { path: path.to_owned(), types: Some(types.collect()) })
}

impl Catalog for FakeCatalog {
    fn program(&self, program: &ProgramRef) -> Result<ProgramFacts, ProgramProblem> {
        let path = match program {
            ProgramRef::Deployer => {
                return hosts(
                    Path::new("/proc/self/exe"),
                    &["demo::Counter", "demo::Doubler", "demo::Router"],
                );
            }
            ProgramRef::Named(name) if name == "demo-front" => {
                return Ok(ProgramFacts { path: "/usr/bin/demo-front".into(), types: None });
            }
            ProgramRef::Named(_) => return Err(ProgramProblem::Missing),
            ProgramRef::Path(path) => path,
        };
        if path.ends_with("target/release/demo-worker") {
            return hosts(path, &["demo::Counter", "demo::Doubler", "demo::Router"]);
        }
        if path.ends_with("README.md") {
            return Err(ProgramProblem::NotExecutable);
        }
        if path.ends_with("bin/ls") {
            return Err(ProgramProblem::NotProcession {
                detail: "it exited with code 2 and said nothing".into(),
            });
        }
        Err(ProgramProblem::Missing)
    }
}
