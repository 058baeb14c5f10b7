//! The picture as a [Mermaid](https://mermaid.js.org) flowchart, which code hosts show in Markdown.

use std::fmt::Write;

use super::drawing::{Drawing, Item};
use crate::topology::plan::Plan;

/// Draws a plan as a Mermaid flowchart.
pub fn mermaid(plan: &Plan) -> String {
    let drawing = Drawing::new(plan);
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ =
        writeln!(out, "---\ntitle: \"{}: {}\"\n---\nflowchart LR", drawing.name, drawing.notes.join(", "));
    items(&drawing.items, 1, &mut out);
    for (from, to) in &drawing.arrows {
        let _ = writeln!(out, "    {from} --> {to}");
    }
    out
}

fn items(items: &[Item], depth: usize, out: &mut String) {
    let indent = "    ".repeat(depth);
    for item in items {
        let (name, title, notes) = match item {
            Item::Box(process) => (format!("p{}", process.id), &process.title, &process.notes),
            Item::Cluster(cluster) => (format!("g{}", cluster.id), &cluster.title, &cluster.notes),
        };
        let title = label(std::iter::once(title).chain(notes));
        let _ = writeln!(out, "{indent}subgraph {name}[\"{title}\"]");
        match item {
            Item::Box(process) => {
                for actor in &process.actors {
                    let label = label(std::iter::once(&actor.name).chain(actor.lines()));
                    let _ = writeln!(out, "{indent}    {}[\"{label}\"]", actor.id);
                }
            }
            Item::Cluster(cluster) => self::items(&cluster.items, depth + 1, out),
        }
        let _ = writeln!(out, "{indent}end");
    }
}

fn label<'l>(lines: impl IntoIterator<Item = &'l String>) -> String {
    lines.into_iter().map(|line| escaped(line)).collect::<Vec<_>>().join("<br>")
}

/// A text inside quotes. Mermaid has no backslashes but character entities, written with `#` for `&`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
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
        assert_eq!(escaped("Vec<\"a\">\n#"), "Vec#60;#34;a#34;#62; #35;");
    }
}
