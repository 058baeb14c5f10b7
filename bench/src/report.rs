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
    let indent = "  ".repeat(depth);
    for (key, value) in fields {
        // Writing to a String does not fail.
        let _ = match value {
            Value::Object(_) => writeln!(text, "{indent}{key}"),
            Value::Number(number) => {
                writeln!(text, "{indent}{key:<28} {:>16.3}", number.as_f64().unwrap_or(f64::NAN))
            }
            Value::String(words) => writeln!(text, "{indent}{key:<28} {words:>16}"),
            Value::Array(items) if items.iter().all(Value::is_number) => {
                let figures = items.iter().map(|item| format!("{:.3}", item.as_f64().unwrap_or(f64::NAN)));
                writeln!(text, "{indent}{key:<28} {:>16}", figures.collect::<Vec<_>>().join(" .. "))
            }
            Value::Array(items) => {
                let _ = writeln!(text, "{indent}{key}");
                items.iter().try_for_each(|item| match item {
                    Value::String(words) => writeln!(text, "{indent}  {words}"),
                    other => writeln!(text, "{indent}  {other}"),
                })
            }
            other => writeln!(text, "{indent}{key:<28} {other}"),
        };
        lines(value, depth + 1, text);
    }
}
