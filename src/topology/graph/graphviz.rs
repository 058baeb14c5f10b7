//! The picture in the language of [Graphviz](https://graphviz.org): `procession graph --dot | dot -Tsvg`.

use std::fmt::Write;

use super::drawing::Drawing;
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
    for process in &drawing.boxes {
        let title = label(std::iter::once(&process.title).chain(&process.notes));
        let _ = writeln!(out, "    subgraph cluster_{} {{\n        label={title};", process.id);
        for actor in &process.actors {
            let _ = writeln!(out, "        {} [label={}];", actor.id, label([&actor.name, &actor.type_name]));
        }
        out.push_str("    }\n");
    }
    for (from, to) in &drawing.arrows {
        let _ = writeln!(out, "    {from} -> {to};");
    }
    out.push_str("}\n");
    out
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
