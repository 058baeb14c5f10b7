//! What a plan must know about the outside world, asked of whoever can look.
//!
//! This floor does no I/O. The runtime looks at files and asks programs what they host; a test answers from a table.

use std::fmt;
use std::path::{Path, PathBuf};

/// A program as a topology names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProgramRef {
    /// The one that deploys; said by saying nothing.
    Deployer,
    /// A file. A relative path of a topology file is joined to the folder of that file already.
    Path(PathBuf),
    /// A bare name, to be looked for in `PATH`.
    Named(String),
}

impl ProgramRef {
    /// What `written` means in a topology file that lies in `folder`.
    pub(super) fn new(written: Option<&Path>, folder: Option<&Path>) -> ProgramRef {
        // A program without a name is told of where settings are checked.
        let Some(written) = written.filter(|written| !written.as_os_str().is_empty()) else {
            return ProgramRef::Deployer;
        };
        match written.to_str() {
            Some(name) if !name.contains('/') => ProgramRef::Named(name.to_owned()),
            _ => ProgramRef::Path(folder.map_or_else(|| written.to_owned(), |folder| folder.join(written))),
        }
    }
}

impl fmt::Display for ProgramRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProgramRef::Deployer => f.write_str("the program that deploys"),
            ProgramRef::Path(path) => write!(f, "`{}`", path.display()),
            ProgramRef::Named(name) => write!(f, "`{name}`"),
        }
    }
}

/// What is known about a program that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramFacts {
    /// The file that will be started.
    pub path: PathBuf,
    /// The actor types that it hosts; `None` if nobody asked it, and then types are not checked before the start.
    pub types: Option<Vec<HostedType>>,
}

/// An actor type that a program hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostedType {
    /// Its stable name, `demo::Counter`.
    pub name: String,
    /// The names of the messages that it handles.
    pub messages: Vec<String>,
    /// JSON Schema of its arguments, as the program describes them; none if they are checked at its birth alone.
    pub args: Option<serde_json::Value>,
    /// Messages that can't go to another process, each as a sentence that says why (H55).
    pub unfit: Vec<String>,
}

/// Why a program can't be started as a worker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramProblem {
    /// There is no such file.
    #[error("there is no such file")]
    Missing,
    /// There is no such file, and its build command will not be run any more, so that this is no matter of waiting.
    #[error("there is no such file")]
    NotBuilt,
    /// There is one, but it is not an executable file for this user.
    #[error("the file can't be executed")]
    NotExecutable,
    /// It is the program that deploys, and that hosts no actors, as the `procession` command.
    #[error("it hosts no actors")]
    HostsNothing,
    /// It runs, but does not answer as a program that says `Program::run`.
    #[error("it is not a procession program: {detail}")]
    NotProcession {
        /// What it did instead.
        detail: String,
    },
}

/// Answers about the outside world.
///
/// A plan asks once for each program, however many processes run it.
pub trait Catalog {
    /// What is known about this program.
    fn program(&self, program: &ProgramRef) -> Result<ProgramFacts, ProgramProblem>;
}

impl<C: Catalog + ?Sized> Catalog for &C {
    fn program(&self, program: &ProgramRef) -> Result<ProgramFacts, ProgramProblem> {
        (**self).program(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_looked_up_and_a_path_is_relative_to_the_file() {
        let folder = Some(Path::new("demo"));
        let read = |text: &str| ProgramRef::new(Some(Path::new(text)), folder);
        assert_eq!(read("python3"), ProgramRef::Named("python3".into()));
        assert_eq!(read("./worker"), ProgramRef::Path("demo/./worker".into()));
        assert_eq!(read("/bin/worker"), ProgramRef::Path("/bin/worker".into()));
        assert_eq!(ProgramRef::new(Some(Path::new("a/b")), None), ProgramRef::Path("a/b".into()));
        assert_eq!(ProgramRef::new(None, folder), ProgramRef::Deployer);
    }
}
