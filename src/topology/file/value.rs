//! Arguments: TOML values as JSON values, and back as text.
//!
//! JSON has no dates and no infinities, so they are refused; TOML has no null, so a member that is null is left out
//! (serde reads it back as `None`), and a null in a list is refused.

use std::fmt::Write;

use serde_json::{Number, Value};
use toml::de::DeValue;

use super::reader::{Node, Reader};
use crate::topology::diagnostic::{Diagnostic, ValuePath, is_bare};

/// A value of the document as JSON; null for what has been told of.
pub(super) fn json(reader: &mut Reader, node: &Node<'_>) -> Value {
    let Some(value) = node.value() else {
        return Value::Null;
    };
    match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Integer(integer) => {
            let (digits, radix) = (integer.as_str(), integer.radix());
            let signed = i64::from_str_radix(digits, radix).map(Number::from);
            match signed.or_else(|_| u64::from_str_radix(digits, radix).map(Number::from)) {
                Ok(number) => Value::Number(number),
                Err(_) => refused(reader, node, "this number has more than 64 bits", "write it as a string"),
            }
        }
        DeValue::Float(float) => match float.as_str().parse().ok().and_then(Number::from_f64) {
            Some(number) => Value::Number(number),
            None => refused(
                reader,
                node,
                "arguments have no infinite numbers, and no NaN",
                "write it as a string",
            ),
        },
        DeValue::Datetime(date) => refused(
            reader,
            node,
            "arguments have no dates or times",
            &format!("write it as a string: \"{date}\""),
        ),
        DeValue::Array(_) => Value::Array(
            node.elements().into_iter().flatten().map(|element| json(reader, &element)).collect(),
        ),
        DeValue::Table(_) => {
            let members = reader.members(node, "");
            Value::Object(
                members.iter().map(|(key, member)| ((*key).to_owned(), json(reader, member))).collect(),
            )
        }
    }
}

fn refused(reader: &mut Reader, node: &Node<'_>, message: &str, help: &str) -> Value {
    reader.refuse(node, message, help);
    Value::Null
}

/// Writes a JSON value in one line; what TOML does not have goes to `findings`.
pub(super) fn inline(value: &Value, path: &ValuePath, out: &mut String, findings: &mut Vec<Diagnostic>) {
    match value {
        Value::Null => {
            let null = Diagnostic::error(path.clone(), "TOML has no null");
            findings.push(null.help("leave the member out, or use another value for it in a list"));
        }
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => out.push_str(&toml::Value::Float(float).to_string()),
            None => out.push_str(&number.to_string()),
        },
        Value::String(text) => out.push_str(&quoted(text)),
        Value::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                inline(element, &path.index(index), out, findings);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut between = "{ ";
            for (name, member) in members.iter().filter(|(_, member)| !member.is_null()) {
                // Writing to a string can't fail.
                let _ = write!(out, "{between}{} = ", key(name));
                inline(member, &path.key(name), out, findings);
                between = ", ";
            }
            out.push_str(if between == ", " { " }" } else { "{}" });
        }
    }
}

/// A key, in quotes if it needs them.
pub(super) fn key(name: &str) -> String {
    if is_bare(name) { name.to_owned() } else { quoted(name) }
}

/// A text in double quotes on one line, as keys need it too.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
