//! Figures as text.

use std::fmt::Write;

use serde_json::{Map, Value};

/// A workload's object for people. Where subjects were compared, a line for each; else nested lines.
pub(crate) fn table(name: &str, value: &Value) -> String {
    let mut text = format!("{name}\n");
    match value {
        Value::Object(fields) if fields.contains_key("spread") => compared(fields, &mut text),
        other => lines(other, 1, &mut text),
    }
    text
}

/// Procession first, then the limits, then the peers.
pub(crate) fn in_order(spread: &Map<String, Value>) -> Vec<&str> {
    let mut names: Vec<&str> = spread.keys().map(String::as_str).collect();
    names.sort_by_key(|name| (!name.starts_with("procession"), !name.starts_with("limit"), *name));
    names
}

fn compared(fields: &Map<String, Value>, text: &mut String) {
    let number = |value: Option<&Value>| value.and_then(Value::as_f64).unwrap_or(f64::NAN);
    let Some(Value::Object(spread)) = fields.get("spread") else { return };
    let unit = fields.get("unit").and_then(Value::as_str).unwrap_or_default();
    let limit = number(fields.get("limit"));
    for name in in_order(spread) {
        let value = number(fields.get(name));
        let (least, most) = (number(spread[name].get(0)), number(spread[name].get(1)));
        let ratio = if limit.is_nan() { String::new() } else { format!("{:>7.2} x limit", value / limit) };
        // Writing to a String does not fail.
        let _ = write!(text, "  {name:<24} {value:>9.2} {unit:<5}  {least:>9.2} .. {most:<9.2} {ratio}");
        if let Some(Value::Object(details)) = fields.get("details").and_then(|details| details.get(name)) {
            let told = details.iter().map(|(name, value)| format!("{name} {:.2}", number(Some(value))));
            let _ = write!(text, "   {}", told.collect::<Vec<_>>().join("  "));
        }
        text.push('\n');
    }
    for (name, why) in fields.get("failed").and_then(Value::as_object).into_iter().flatten() {
        let _ = writeln!(text, "  {name} failed: {}", why.as_str().unwrap_or_default());
    }
    words(fields.get("targets"), 1, text);
}

fn words(items: Option<&Value>, depth: usize, text: &mut String) {
    for item in items.and_then(Value::as_array).into_iter().flatten() {
        let _ = writeln!(text, "{}{}", "  ".repeat(depth), item.as_str().unwrap_or_default());
    }
}

fn lines(value: &Value, depth: usize, text: &mut String) {
    let Value::Object(fields) = value else { return };
    let indent = "  ".repeat(depth);
    for (key, value) in fields {
        let _ = match value {
            Value::Object(nested) if nested.contains_key("spread") => {
                let _ = writeln!(text, "{indent}{key}");
                compared(nested, text);
                Ok(())
            }
            Value::Object(_) => writeln!(text, "{indent}{key}"),
            Value::Number(number) => {
                writeln!(text, "{indent}{key:<28} {:>16.3}", number.as_f64().unwrap_or(f64::NAN))
            }
            Value::Array(_) => {
                words(Some(value), depth, text);
                Ok(())
            }
            other => writeln!(text, "{indent}{key:<28} {other}"),
        };
        if !value.get("spread").is_some_and(Value::is_object) {
            lines(value, depth + 1, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_has_a_line_and_ours_is_the_first() {
        let value = serde_json::json!({
            "actix_thread": 1.0, "limit": 4.0, "procession": 2.0, "unit": "µs",
            "spread": { "actix_thread": [1.0, 1.0], "limit": [3.0, 5.0], "procession": [1.5, 2.5] },
            "details": { "procession": { "p99": 9.0 } },
            "targets": ["procession: must be at most 3: met"],
        });
        let told = table("ask", &value);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], "ask");
        assert!(
            lines[1].contains("procession")
                && lines[1].contains("0.50 x limit")
                && lines[1].contains("p99 9.00")
        );
        assert!(lines[2].contains("limit") && lines[3].contains("actix_thread"));
        assert!(lines[4].ends_with("met") && lines.len() == 5, "{told}");
    }
}
