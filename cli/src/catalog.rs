//! Catalogs for the moments when the programs of a topology are not, or not yet, what they will be.

use std::path::PathBuf;

use procession::runtime::FileCatalog;
use procession::topology::{Catalog, ProgramFacts, ProgramProblem, ProgramRef};

/// The programs as they are. This command hosts no actors itself.
pub(crate) fn programs() -> FileCatalog {
    FileCatalog { deployer: Vec::new() }
}

/// Looks at nothing: for pictures, and for a check before programs are built.
#[derive(Debug)]
pub(crate) struct Unasked {
    /// Whether a process may leave its program out, since another program than this command may deploy it.
    pub(crate) by_anybody: bool,
}

impl Catalog for Unasked {
    fn program(&self, program: &ProgramRef) -> Result<ProgramFacts, ProgramProblem> {
        let path = match program {
            ProgramRef::Deployer if self.by_anybody => PathBuf::new(),
            ProgramRef::Deployer => return Err(ProgramProblem::HostsNothing),
            ProgramRef::Path(path) => path.clone(),
            ProgramRef::Named(name) => PathBuf::from(name),
        };
        Ok(ProgramFacts { path, types: None })
    }
}

/// The programs as they are when everything that will be built is built: what is missing now stays missing.
#[derive(Debug)]
pub(crate) struct Built(pub(crate) FileCatalog);

impl Catalog for Built {
    fn program(&self, program: &ProgramRef) -> Result<ProgramFacts, ProgramProblem> {
        self.0.program(program).map_err(|problem| match problem {
            ProgramProblem::Missing => ProgramProblem::NotBuilt,
            other => other,
        })
    }
}
