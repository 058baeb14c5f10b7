//! Where a value stands in a file.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::path::ValuePath;

/// Where in which file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named when it was read.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The bytes that are meant.
    pub span: Range<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// Where each value of a file stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::topology) struct SpanMap(HashMap<ValuePath, Spans>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Spans {
    key: Range<usize>,
    value: Range<usize>,
}

impl SpanMap {
    /// Notes where the key and the value of a path stand.
    pub(in crate::topology) fn insert(&mut self, path: ValuePath, key: Range<usize>, value: Range<usize>) {
        self.0.insert(path, Spans { key, value });
    }

    /// The value itself, or the key of the closest value around it that stands in the file: a value that is missing
    /// is shown where it is missed.
    fn find(&self, path: &ValuePath, on_key: bool) -> Range<usize> {
        if let Some(spans) = self.0.get(path) {
            return if on_key { spans.key.clone() } else { spans.value.clone() };
        }
        let mut path = path.parent();
        while let Some(around) = path {
            if let Some(spans) = self.0.get(&around) {
                return spans.key.clone();
            }
            path = around.parent();
        }
        0..0
    }
}

/// A topology file: its name, its text and where each value stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    origin: PathBuf,
    text: String,
    spans: SpanMap,
}

impl Source {
    pub(in crate::topology) fn new(origin: &Path, text: &str, spans: SpanMap) -> Source {
        Source { origin: origin.to_owned(), text: text.to_owned(), spans }
    }

    /// The name of the file.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where a value stands, or its key.
    pub(super) fn place(&self, path: &ValuePath, on_key: bool) -> Place {
        self.place_of(self.spans.find(path, on_key))
    }

    /// The place of some bytes. What lies beyond the text, or inside a character, is moved to where a person would
    /// look.
    pub(in crate::topology) fn place_of(&self, span: Range<usize>) -> Place {
        let start = floor_char_boundary(&self.text, span.start);
        let end = floor_char_boundary(&self.text, span.end).max(start);
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            file: self.origin.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span: start..end,
        }
    }
}

fn floor_char_boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_missing_values_point_at_what_misses_them() {
        let text = "é = 1\nnäme = 2\n";
        let name = ValuePath::root().key("näme");
        let mut spans = SpanMap::default();
        spans.insert(name.clone(), 7..12, 15..16);
        let source = Source::new(Path::new("t.toml"), text, spans);
        let place = source.place(&name, false);
        assert_eq!((place.line, place.column, &text[place.span.clone()]), (2, 8, "2"));
        assert_eq!(place.to_string(), "t.toml:2:8");
        let missing = source.place(&name.key("type"), false);
        assert_eq!((missing.line, missing.column), (2, 1));
        assert_eq!(source.place(&ValuePath::root(), false).to_string(), "t.toml:1:1");
        assert_eq!(source.place_of(1..900).span, 0..text.len());
    }
}
