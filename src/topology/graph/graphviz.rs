//! The picture in the language of [Graphviz](https://graphviz.org): `procession graph --dot | dot -Tsvg`.

use std::fmt::Write;

use super::drawing::{Drawing, Item};
use crate::topology::plan::Plan;

/// Draws a plan as a Graphviz digraph.
pub fn graphviz(plan: &Plan) -> String {
    let drawing = Drawing::new(plan);
    let mut out = String::new();
    let title = label(std::iter::once(&drawing.name).chain(&drawing.notes));
    // Writing to a string can't fail.
    let _ = writeln!(out, "digraph {} {{", quoted(&drawing.name));
    let _ = writeln!(out, "    graph [label={title}, labelloc=t, rankdir=LR, fontname=\"sans-serif\"];");
    out.push_str("    node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    items(&drawing.items, 1, &mut out);
    for (from, to) in &drawing.arrows {
        let _ = writeln!(out, "    {from} -> {to};");
    }
    out.push_str("}\n");
    out
}

fn items(items: &[Item], depth: usize, out: &mut String) {
    let indent = "    ".repeat(depth);
    for item in items {
        let (name, title, notes) = match item {
            Item::Box(process) => (process.id.to_string(), &process.title, &process.notes),
            Item::Cluster(cluster) => (format!("g{}", cluster.id), &cluster.title, &cluster.notes),
        };
        let title = label(std::iter::once(title).chain(notes));
        let _ = writeln!(out, "{indent}subgraph cluster_{name} {{\n{indent}    label={title};");
        match item {
            Item::Box(process) => {
                for actor in &process.actors {
                    let label = label(std::iter::once(&actor.name).chain(actor.lines()));
                    let _ = writeln!(out, "{indent}    {} [label={label}];", actor.id);
                }
            }
            Item::Cluster(cluster) => self::items(&cluster.items, depth + 1, out),
        }
        let _ = writeln!(out, "{indent}}}");
    }
}

fn label<'l>(lines: impl IntoIterator<Item = &'l String>) -> String {
    let lines: Vec<_> = lines.into_iter().map(|line| escaped(line)).collect();
    format!("\"{}\"", lines.join("\\n"))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_can_not_break_out() {
        assert_eq!(quoted("a \"b\" \\N\n"), r#""a \"b\" \\N ""#);
    }
}
