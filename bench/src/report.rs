//! Figures as text.

use std::fmt::Write;

use serde_json::Value;

/// A workload's object as indented lines: nested objects become headings.
pub(crate) fn table(name: &str, value: &Value) -> String {
    let mut text = format!("{name}\n");
    lines(value, 1, &mut text);
    text
}

fn lines(value: &Value, depth: usize, text: &mut String) {
    let Value::Object(fields) = value else { return };
    for (key, value) in fields {
        let indent = "  ".repeat(depth);
        // Writing to a String does not fail.
        let _ = match value {
            Value::Object(_) => writeln!(text, "{indent}{key}"),
            Value::Number(number) => {
                writeln!(text, "{indent}{key:<28} {:>16.3}", number.as_f64().unwrap_or(f64::NAN))
            }
            other => writeln!(text, "{indent}{key:<28} {other}"),
        };
        lines(value, depth + 1, text);
    }
}
