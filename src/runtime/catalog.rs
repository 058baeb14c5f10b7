//! What the outside world says about a topology's programs: the file system, and the programs themselves.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::describe;
use crate::topology::{Catalog, HostedType, ProgramFacts, ProgramProblem, ProgramRef};

/// Finds programs on this machine and asks each what it hosts (`--describe`).
#[derive(Clone, Debug)]
pub struct FileCatalog {
    /// What the deploying program hosts itself.
    pub deployer: Vec<HostedType>,
}

impl Catalog for FileCatalog {
    fn program(&self, program: &ProgramRef) -> Result<ProgramFacts, ProgramProblem> {
        let path = match program {
            ProgramRef::Deployer if self.deployer.is_empty() => return Err(ProgramProblem::HostsNothing),
            ProgramRef::Deployer => {
                let path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
                return Ok(ProgramFacts { path, types: Some(self.deployer.clone()) });
            }
            ProgramRef::Path(path) => path.clone(),
            ProgramRef::Named(name) => search(name)?,
        };
        check_executable(&path)?;
        match describe::ask(&path) {
            Ok(types) => Ok(ProgramFacts { path, types: Some(types) }),
            Err(detail) => Err(ProgramProblem::NotProcession { detail }),
        }
    }
}

/// As [`FileCatalog`], without starting a program to ask it: for the root's thread, which may not wait. What another
/// program hosts is found out when it is started, and refuses.
#[derive(Clone, Debug)]
pub(super) struct UnaskedCatalog {
    /// What the deploying program hosts itself.
    pub(super) deployer: Vec<HostedType>,
}

impl Catalog for UnaskedCatalog {
    fn program(&self, program: &ProgramRef) -> Result<ProgramFacts, ProgramProblem> {
        let path = match program {
            ProgramRef::Deployer => {
                return FileCatalog { deployer: self.deployer.clone() }.program(program);
            }
            ProgramRef::Path(path) => path.clone(),
            ProgramRef::Named(name) => search(name)?,
        };
        check_executable(&path)?;
        Ok(ProgramFacts { path, types: None })
    }
}

fn search(name: &str) -> Result<PathBuf, ProgramProblem> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&folders).map(|folder| folder.join(name));
    found.find(|path| check_executable(path).is_ok()).ok_or(ProgramProblem::Missing)
}

fn check_executable(path: &Path) -> Result<(), ProgramProblem> {
    let metadata = std::fs::metadata(path).map_err(|_| ProgramProblem::Missing)?;
    let executable = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
    if executable { Ok(()) } else { Err(ProgramProblem::NotExecutable) }
}
