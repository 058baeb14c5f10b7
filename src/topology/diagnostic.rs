//! What is wrong with a topology, where, and what to do about it.
//!
//! Findings are made with a [`ValuePath`] by whoever notices them and nothing else; where the topology came from a
//! file, [`Diagnostics`] adds the place and puts them in the order of the file. All are found before any is shown.

mod path;
mod place;

use std::fmt;
use std::sync::Arc;

pub(super) use crate::id::{closest, did_you_mean, listed};
pub(super) use path::is_bare;
pub use path::{Segment, ValuePath};
pub(super) use place::SpanMap;
pub use place::{Place, Source};

/// Whether a finding stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing is started.
    Error,
    /// It will run, but probably not as meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stands in the way.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// Which value is meant, `process.left.actor.counter.args`; empty for the topology itself.
    pub path: ValuePath,
    /// Where that stands in the file; none for a topology made in Rust.
    pub place: Option<Place>,
    /// The mend.
    pub help: Option<String>,
    /// Whether the key is at fault and not the value.
    on_key: bool,
    /// Whether the value could not be read, so that whatever else is found in it is an echo.
    unreadable: bool,
}

impl Diagnostic {
    /// Something that stands in the way.
    pub(super) fn error(path: ValuePath, message: impl Into<String>) -> Diagnostic {
        let message = message.into();
        Diagnostic {
            severity: Severity::Error,
            message,
            path,
            place: None,
            help: None,
            on_key: false,
            unreadable: false,
        }
    }

    /// Something that is probably not meant.
    pub(super) fn warning(path: ValuePath, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(path, message) }
    }

    /// Adds the mend.
    pub(super) fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// Points at the key and not at its value.
    pub(super) fn on_key(mut self) -> Diagnostic {
        self.on_key = true;
        self
    }

    /// Says that the value could not be read, so that nothing found in it later is worth telling.
    pub(super) fn unreadable(mut self) -> Diagnostic {
        self.unreadable = true;
        self
    }

    /// Puts the finding at a place that no path leads to, as a broken line.
    pub(super) fn at(mut self, place: Place) -> Diagnostic {
        self.place = Some(place);
        self
    }

    fn is_echoed_by(&self, later: &Diagnostic) -> bool {
        let same = self.path == later.path && self.message == later.message && self.place == later.place;
        same || (self.unreadable && self.path.leads_to(&later.path))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: ")?,
            None if self.path.is_root() => {}
            None => write!(f, "{}: ", self.path)?,
        }
        write!(f, "{}: {}", self.severity, self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// More findings than anybody mends at one go; a megabyte of nonsense should not print a megabyte of complaints.
pub const MAX_FINDINGS: usize = 100;

/// Everything that was found in one topology: in the order of the file, or as it was declared in Rust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    omitted: usize,
    source: Option<Arc<Source>>,
}

impl Diagnostics {
    /// Places and orders what was found; echoes of an earlier finding are left out.
    pub(super) fn new(mut found: Vec<Diagnostic>, source: Option<&Arc<Source>>) -> Diagnostics {
        // Errors first, so that no heap of warnings pushes one beyond the limit.
        found.sort_by_key(|finding| finding.severity);
        let mut list: Vec<Diagnostic> = Vec::new();
        let mut omitted = 0;
        for mut finding in found {
            if list.len() == MAX_FINDINGS {
                omitted += 1;
                continue;
            }
            if let (None, Some(source)) = (&finding.place, source) {
                finding.place = Some(source.place(&finding.path, finding.on_key));
            }
            if list.iter().any(|earlier| earlier.is_echoed_by(&finding)) {
                continue;
            }
            list.push(finding);
        }
        list.sort_by_key(|finding| finding.place.as_ref().map_or(0, |place| place.span.start));
        Diagnostics { list, omitted, source: source.cloned() }
    }

    /// Each finding, up to [`MAX_FINDINGS`].
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many findings there are, those beyond [`MAX_FINDINGS`] included.
    pub fn len(&self) -> usize {
        self.list.len() + self.omitted
    }

    /// Whether anything stands in the way.
    pub fn has_errors(&self) -> bool {
        self.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The text that the places point into; none for a topology made in Rust.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_deref()
    }
}

impl<'d> IntoIterator for &'d Diagnostics {
    type Item = &'d Diagnostic;
    type IntoIter = std::slice::Iter<'d, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for Diagnostics {}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            finding.fmt(f)?;
        }
        match self.omitted {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(keys: &[&str]) -> ValuePath {
        keys.iter().fold(ValuePath::root(), |path, key| path.key(*key))
    }

    #[test]
    fn a_finding_without_a_file_names_its_path() {
        let finding = Diagnostic::error(path(&["process", "left"]), "no actors").help("declare one");
        assert_eq!(finding.to_string(), "process.left: error: no actors\n  help: declare one");
        let root = Diagnostic::warning(ValuePath::root(), "hm");
        assert_eq!(root.to_string(), "warning: hm");
    }

    #[test]
    fn what_follows_from_an_unreadable_value_is_not_told() {
        let found = vec![
            Diagnostic::error(path(&["process"]), "not a table").unreadable(),
            Diagnostic::error(path(&["process"]), "no processes"),
            Diagnostic::error(path(&["process", "left"]), "no actors"),
            Diagnostic::error(path(&["name"]), "not a name"),
            Diagnostic::error(path(&["name"]), "not a name"),
            Diagnostic::error(path(&["name"]), "too long"),
        ];
        let told: Vec<_> =
            Diagnostics::new(found, None).iter().map(|finding| finding.message.clone()).collect();
        assert_eq!(told, ["not a table", "not a name", "too long"]);
    }

    #[test]
    fn errors_are_not_crowded_out_by_warnings() {
        let warnings = (0..2 * MAX_FINDINGS).map(|n| Diagnostic::warning(path(&["n"]), n.to_string()));
        let found = warnings.chain([Diagnostic::error(path(&["name"]), "wrong")]).collect();
        let diagnostics = Diagnostics::new(found, None);
        assert!(diagnostics.has_errors());
        assert_eq!(diagnostics.len(), 2 * MAX_FINDINGS + 1);
        assert!(diagnostics.to_string().ends_with("\nand 101 more"));
    }
}
