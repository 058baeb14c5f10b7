//! Reading the topology file.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use procession::topology::MAX_SOURCE_BYTES;

/// A topology file, read.
#[derive(Debug)]
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Why a topology file can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("there is no file `{}`", .0.display())]
    Missing(PathBuf),
    #[error("`{}` is a directory, not a topology file", .0.display())]
    Directory(PathBuf),
    #[error("`{}` is not text in UTF-8: line {line} has other bytes", .path.display())]
    NotText { path: PathBuf, line: usize },
    #[error("`{}` has more than {MAX_SOURCE_BYTES} bytes, which no topology has", .0.display())]
    TooLarge(PathBuf),
    #[error("`{}` can't be read: {error}", .path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
}

impl SourceError {
    pub(crate) fn help(&self) -> Option<&str> {
        match self {
            SourceError::Missing(_) => Some("paths start at the current directory"),
            SourceError::Directory(_) => {
                Some("name the file in it: procession check DIRECTORY/topology.toml")
            }
            SourceError::NotText { .. } => Some("TOML is always UTF-8: save it so in your editor"),
            SourceError::TooLarge(_) => {
                Some("is it the right file? large arguments belong in files of their own")
            }
            SourceError::Unreadable { .. } => None,
        }
    }
}

/// Reads a topology file, never more of it than a topology may have.
pub(crate) fn read(path: &Path) -> Result<SourceFile, SourceError> {
    let path = path.to_owned();
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => SourceError::Missing(path.clone()),
        std::io::ErrorKind::IsADirectory => SourceError::Directory(path.clone()),
        _ => SourceError::Unreadable { path: path.clone(), error },
    };
    let limit = u64::try_from(MAX_SOURCE_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&path).map_err(unreadable)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_SOURCE_BYTES {
        return Err(SourceError::TooLarge(path));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile { path, text }),
        Err(error) => {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(SourceError::NotText { path, line })
        }
    }
}
