//! Where each value of a document stands, and whether it can be walked without overflowing the stack.

use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use crate::topology::diagnostic::{SpanMap, ValuePath};

/// Levels of tables and lists. A document is parsed, walked and dropped by recursion; dotted keys nest without a
/// bracket, so the parser's own limit does not hold them.
pub(super) const MAX_DEPTH: usize = 80;

/// Where the text gets deeper than [`MAX_DEPTH`], if it does.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    let mut opened: Vec<usize> = Vec::new();
    let mut depth = 0;
    for token in Source::new(text).lex() {
        match token.kind() {
            TokenKind::Dot => depth += 1,
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                opened.push(depth);
                depth += 1;
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => depth = opened.pop().unwrap_or(0),
            TokenKind::Comma => depth = opened.last().map_or(0, |around| around + 1),
            TokenKind::Newline if opened.is_empty() => depth = 0,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Some(token.span().start());
        }
    }
    None
}

/// Notes where each value stands.
pub(super) fn spans(document: &DeTable<'_>) -> SpanMap {
    let mut spans = SpanMap::default();
    table(document, &ValuePath::root(), &mut spans);
    spans
}

fn table(table: &DeTable<'_>, path: &ValuePath, spans: &mut SpanMap) {
    for (key, value) in table {
        node(value.get_ref(), value.span(), key.span(), path.key(key.get_ref().as_ref()), spans);
    }
}

fn node(value: &DeValue<'_>, span: Range<usize>, key: Range<usize>, path: ValuePath, spans: &mut SpanMap) {
    match value {
        DeValue::Table(members) => table(members, &path, spans),
        DeValue::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                node(element.get_ref(), element.span(), element.span(), path.index(index), spans);
            }
        }
        _ => {}
    }
    // A table's span is its header or its dotted key; a person looks for its name.
    let shown = if value.is_table() { key.clone() } else { span };
    spans.insert(path, key, shown);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_through_brackets_and_dots() {
        assert_eq!(too_deep("[a.b]\nc = [[1.5, 2.5], { d.e = 1 }] # [[[[\n"), None);
        let flat = "x = [1, 2]\n".repeat(1000);
        assert_eq!(too_deep(&flat), None);
        assert!(too_deep(&format!("a{} = 1", ".a".repeat(MAX_DEPTH + 1))).is_some());
        assert!(too_deep(&format!("a = {}", "[".repeat(100_000))).is_some());
        let mixed = "{ a.a.a.a.a.a.a.a.a.a.a.a = ".repeat(8);
        assert!(too_deep(&format!("a = {mixed}1")).is_some());
    }
}
