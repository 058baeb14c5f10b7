//! The picture as a [Mermaid](https://mermaid.js.org) flowchart, which code hosts show in Markdown.

use std::fmt::Write;

use super::drawing::Drawing;
use crate::topology::plan::Plan;

/// Draws a plan as a Mermaid flowchart.
pub fn mermaid(plan: &Plan) -> String {
    let drawing = Drawing::new(plan);
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ =
        writeln!(out, "---\ntitle: \"{}: {}\"\n---\nflowchart LR", drawing.name, drawing.notes.join(", "));
    for process in &drawing.boxes {
        let lines = std::iter::once(&process.title).chain(&process.notes);
        let _ = writeln!(out, "    subgraph p{}[\"{}\"]", process.id, label(lines));
        for actor in &process.actors {
            let _ = writeln!(out, "        {}[\"{}\"]", actor.id, label([&actor.name, &actor.type_name]));
        }
        out.push_str("    end\n");
    }
    for (from, to) in &drawing.arrows {
        let _ = writeln!(out, "    {from} --> {to}");
    }
    out
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
