//! The TOML form of a topology: read with a place for each value, and written back.

mod keys;
mod process;
mod reader;
mod settings;
mod spans;
mod value;
mod write;

use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use self::reader::{Node, Reader};
use super::declared::Topology;
use super::diagnostic::{Diagnostic, Diagnostics, Source, SpanMap, ValuePath};

/// A topology is written by hand. What is larger is another file, and a deep one of that size would overflow the
/// stack of those who read it.
pub const MAX_SOURCE_BYTES: usize = 1 << 20;

/// Syntax errors to tell: what comes after the first is often its consequence.
const MAX_SYNTAX_ERRORS: usize = 5;

/// A file, read as far as it could be.
pub(super) struct Read {
    /// What was read, with the source for places.
    pub(super) topology: Topology,
    /// What could not be read.
    pub(super) findings: Vec<Diagnostic>,
    /// Whether the text is TOML at all; otherwise the topology is empty.
    pub(super) is_toml: bool,
}

impl Topology {
    /// Reads a topology. `origin` is the name of the file: diagnostics show it, and relative paths in the topology
    /// start at its folder. Nothing is looked up; [`Topology::check`] does that, and [`Topology::check_toml`] does
    /// both at once.
    pub fn from_toml(text: &str, origin: &Path) -> Result<Topology, Diagnostics> {
        let Read { topology, findings, .. } = read(text, origin);
        match findings.is_empty() {
            true => Ok(topology),
            false => Err(Diagnostics::new(findings, topology.source.as_ref())),
        }
    }
}

/// Reads as much as can be read.
pub(super) fn read(text: &str, origin: &Path) -> Read {
    let mut topology = Topology::new("");
    let unreadable = |mut topology: Topology, findings: Vec<Diagnostic>, source: Source| {
        topology.source = Some(Arc::new(source));
        Read { topology, findings, is_toml: false }
    };
    let bare = || Source::new(origin, text, SpanMap::default());
    if text.len() > MAX_SOURCE_BYTES {
        let message =
            format!("this file has {} bytes, and a topology has {MAX_SOURCE_BYTES} at most", text.len());
        let finding =
            Diagnostic::error(ValuePath::root(), message).help("put large arguments into files of their own");
        return unreadable(topology, vec![finding], bare());
    }
    if let Some(position) = spans::too_deep(text) {
        let place = bare().place_of(position..position + 1);
        let message = format!("keys and values are nested deeper than {} levels", spans::MAX_DEPTH);
        let finding =
            Diagnostic::error(ValuePath::root(), message).at(place).help("give them a flatter shape");
        return unreadable(topology, vec![finding], bare());
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let source = bare();
        let findings =
            errors.iter().take(MAX_SYNTAX_ERRORS).map(|error| syntax_error(error, &source)).collect();
        return unreadable(topology, findings, source);
    }
    let source = Source::new(origin, text, spans::spans(document.get_ref()));
    let mut reader = Reader::default();
    process::topology(&mut reader, &mut topology, Node::root(document.get_ref()));
    topology.source = Some(Arc::new(source));
    Read { topology, findings: reader.findings, is_toml: true }
}

fn syntax_error(error: &toml::de::Error, source: &Source) -> Diagnostic {
    let place = source.place_of(error.span().unwrap_or(0..0));
    let mend = match error.message() {
        "duplicate key" => "each table and each key is said once: join them into one, or rename one",
        _ => "the parser stopped here; look for a quote or bracket that is open, or a text without quotes",
    };
    Diagnostic::error(ValuePath::root(), format!("this is not TOML: {}", error.message()))
        .at(place)
        .help(mend)
}
