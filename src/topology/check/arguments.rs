//! Whether the arguments of actors are what their types take, by the JSON Schema with which a program describes them.
//!
//! Of JSON Schema this knows what Procession's own programs say: `type`, `const`, `enum`, `minimum`, `maximum`, the lengths of
//! texts and lists, `items`, `prefixItems`, `properties`, `required`, `additionalProperties`, `allOf`, `anyOf`, `oneOf`,
//! `not`, and `$ref` into `$defs`. What it does not know forbids nothing.

use serde_json::{Map, Value};

use super::directory::Directory;
use super::expand::numbered;
use super::merge::Merged;
use super::placed::Placed;
use super::program::Programs;
use super::wiring::{MAX_ARGS_DEPTH, addr_of, only_member};
use crate::codec::shape::ACTOR_KEYWORD;
use crate::topology::diagnostic::{Diagnostic, ValuePath, did_you_mean};

/// Sees that the arguments of each actor fit its type, where the program has said what that takes.
pub(super) fn check(
    placed: &[Placed<'_>],
    merged: &[Merged],
    programs: &Programs,
    directory: &Directory<'_>,
    findings: &mut Vec<Diagnostic>,
) {
    for (placed, merged) in placed.iter().zip(merged) {
        for actor in &placed.process.actors {
            let Some(schema) = programs.args_of(&merged.program, &actor.type_name) else { continue };
            // What can't be written as data is told by the wiring.
            let Ok(args) = &actor.args else { continue };
            let path = placed.path.key("actor").key(&actor.name).key("args");
            let mut checker = Checker { root: schema, directory, steps: MAX_STEPS };
            if let Err(fault) = checker.value(schema, args, &path, 0) {
                let finding = match fault.is_absent {
                    true => Diagnostic::error(fault.path, fault.message).on_key(),
                    false => Diagnostic::error(fault.path, fault.message),
                };
                findings.push(finding.help(fault.help));
            }
        }
    }
}

/// Values and schemas that are looked at for one actor: alternatives within alternatives multiply, and a program may
/// describe itself as it likes.
const MAX_STEPS: usize = 1 << 18;

/// The first thing that is wrong.
struct Fault {
    path: ValuePath,
    message: String,
    help: String,
    /// Something is missing here, so that no value can be pointed at.
    is_absent: bool,
}

struct Checker<'s> {
    root: &'s Value,
    directory: &'s Directory<'s>,
    steps: usize,
}

impl<'s> Checker<'s> {
    fn value(
        &mut self,
        schema: &'s Value,
        value: &Value,
        path: &ValuePath,
        depth: usize,
    ) -> Result<(), Fault> {
        self.steps = self.steps.saturating_sub(1);
        if self.steps == 0 || depth > 2 * MAX_ARGS_DEPTH {
            return Ok(());
        }
        let Some(schema) = schema.as_object() else { return Ok(()) };
        if let Some(whose) = schema.get(ACTOR_KEYWORD).and_then(Value::as_str) {
            return self.address(whose, value, path);
        }
        // The number of the replica, or how many there are, is put there later.
        let is_replica = value.as_object().and_then(only_member).is_some_and(|(key, _)| key == "replica");
        if is_replica && schema.get("type").is_some_and(|kind| kind == "integer") {
            return Ok(());
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|to| self.target(to)) {
            self.value(target, value, path, depth + 1)?;
        }
        if schema.get("not").and_then(Value::as_object).is_some_and(Map::is_empty) {
            let message = "no value can be written here".to_owned();
            let help = schema.get("$comment").and_then(Value::as_str).unwrap_or("leave it out").to_owned();
            return Err(Fault { path: path.clone(), message, help, is_absent: false });
        }
        self.plain(schema, value, path)?;
        for alternatives in ["anyOf", "oneOf"] {
            if let Some(branches) = schema.get(alternatives).and_then(Value::as_array) {
                self.one_of(branches, value, path, depth)?;
            }
        }
        match value {
            Value::Array(elements) => self.elements(schema, elements, path, depth)?,
            Value::Object(members) => self.members(schema, members, path, depth)?,
            _ => {}
        }
        // A name that nobody has is told before the one that is missing: it may be meant.
        let mut all = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
        all.try_for_each(|all| self.value(all, value, path, depth + 1))
    }

    fn target(&self, reference: &str) -> Option<&'s Value> {
        let pointer = reference.strip_prefix('#')?.replace("%25", "%");
        self.root.pointer(&pointer)
    }

    /// Who is called so is told by the wiring; here, whether it is of the type.
    fn address(&self, whose: &str, value: &Value, path: &ValuePath) -> Result<(), Fault> {
        let Some(members) = value.as_object() else {
            let help = format!("the address of a {whose}: {{ addr = \"...\" }}");
            return Err(wrong(path, format!("this is {}, and should be an address", kind(value)), help));
        };
        let Some(name) = addr_of(members) else { return Ok(()) };
        let base = name.strip_suffix("-*").unwrap_or(name);
        let found = self.directory.actor(name).or_else(|| self.directory.actor(&numbered(base, Some(1))));
        match found {
            Some(found) if !found.type_name.is_empty() && found.type_name != whose => {
                let message = format!("`{name}` is a {}, and this should be a {whose}", found.type_name);
                Err(wrong(&path.key("addr"), message, "the address of another actor".to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn plain(&self, schema: &Map<String, Value>, value: &Value, path: &ValuePath) -> Result<(), Fault> {
        self.kind_and_choice(schema, value, path)?;
        self.limits(schema, value, path)
    }

    fn kind_and_choice(
        &self,
        schema: &Map<String, Value>,
        value: &Value,
        path: &ValuePath,
    ) -> Result<(), Fault> {
        if let Some(wanted) = schema.get("type").and_then(Value::as_str)
            && !is_of(value, wanted)
        {
            let message = format!("this is {}, and should be {}", kind(value), article(wanted));
            return Err(wrong(path, message, example(wanted)));
        }
        if let Some(only) = schema.get("const").filter(|only| *only != value) {
            return Err(wrong(
                path,
                format!("this is {}, and should be {only}", kind(value)),
                format!("write {only}"),
            ));
        }
        let names = schema.get("enum").and_then(Value::as_array);
        if let Some(names) = names.filter(|names| !names.contains(value)) {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            let written = value.as_str().unwrap_or_default();
            return Err(wrong(
                path,
                format!("there is no {value} here"),
                did_you_mean(written, names, "there are"),
            ));
        }
        Ok(())
    }

    fn limits(&self, schema: &Map<String, Value>, value: &Value, path: &ValuePath) -> Result<(), Fault> {
        let bound = |name: &str| schema.get(name).filter(|_| value.is_number());
        for (name, is_over) in [("minimum", false), ("maximum", true)] {
            if let Some(limit) = bound(name)
                && is_beyond(value, limit, is_over)
            {
                let (what, side) = if is_over { ("larger", "most") } else { ("smaller", "least") };
                let message = format!("{value} is {what} than the type takes");
                return Err(wrong(path, message, format!("at {side} {limit}")));
            }
        }
        let (length, unit) = match value {
            Value::String(text) => (text.chars().count(), "Length"),
            Value::Array(elements) if !elements.iter().any(is_pattern) => (elements.len(), "Items"),
            _ => return Ok(()),
        };
        let limit = |side: &str| schema.get(&format!("{side}{unit}")).and_then(Value::as_u64);
        let (least, most) = (limit("min").unwrap_or(0), limit("max").unwrap_or(u64::MAX));
        match length as u64 {
            length if least <= length && length <= most => Ok(()),
            length => {
                let what = if unit == "Items" { "values" } else { "characters" };
                let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
                Err(wrong(
                    path,
                    format!("these are {length} {what}, and should be {wanted}"),
                    format!("{wanted} {what}"),
                ))
            }
        }
    }

    fn elements(
        &mut self,
        schema: &'s Map<String, Value>,
        elements: &[Value],
        path: &ValuePath,
        depth: usize,
    ) -> Result<(), Fault> {
        let prefix = schema.get("prefixItems").and_then(Value::as_array);
        // After the addresses of all replicas nobody knows where a value will be.
        let known = elements.iter().position(is_pattern).unwrap_or(elements.len());
        for (at, element) in elements.iter().enumerate() {
            let positional = prefix.filter(|_| at < known).and_then(|schemas| schemas.get(at));
            if let Some(schema) = positional.or_else(|| schema.get("items")) {
                self.value(schema, element, &path.index(at), depth + 1)?;
            }
        }
        Ok(())
    }

    fn members(
        &mut self,
        schema: &'s Map<String, Value>,
        members: &Map<String, Value>,
        path: &ValuePath,
        depth: usize,
    ) -> Result<(), Fault> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let names = || properties.into_iter().flat_map(Map::keys).map(String::as_str);
        let other = schema.get("additionalProperties");
        for (key, value) in members {
            let known = properties.and_then(|properties| properties.get(key));
            match (known, other) {
                (Some(schema), _) => self.value(schema, value, &path.key(key), depth + 1)?,
                (None, Some(Value::Bool(false))) => {
                    let help = did_you_mean(key, names().collect::<Vec<_>>(), "there are");
                    let message = format!("the type has no `{key}`");
                    return Err(Fault { is_absent: true, ..wrong(&path.key(key), message, help) });
                }
                (None, Some(schema)) => self.value(schema, value, &path.key(key), depth + 1)?,
                (None, None) => {}
            }
        }
        let mut required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        match required.find_map(|name| name.as_str().filter(|name| !members.contains_key(*name))) {
            Some(name) => Err(self.missing(name, properties, members, path)),
            None => Ok(()),
        }
    }

    /// A member that must be there. It may be there under a name that is nearly the same.
    fn missing(
        &self,
        name: &str,
        properties: Option<&Map<String, Value>>,
        members: &Map<String, Value>,
        path: &ValuePath,
    ) -> Fault {
        let unknown = |key: &&String| properties.is_some_and(|properties| !properties.contains_key(*key));
        if let Some(key) = members.keys().filter(unknown).find(|key| is_near(key, name)) {
            let (message, help) = (format!("the type has no `{key}`"), format!("did you mean `{name}`?"));
            return Fault { is_absent: true, ..wrong(&path.key(key), message, help) };
        }
        let shown = properties.and_then(|properties| properties.get(name)).map(|schema| self.shown(schema));
        let help = format!("add {name} = {}", shown.unwrap_or_else(|| "...".to_owned()));
        Fault { is_absent: true, ..wrong(path, format!("`{name}` is missing"), help) }
    }

    /// The fault of the branch that was probably meant.
    fn one_of(
        &mut self,
        branches: &'s [Value],
        value: &Value,
        path: &ValuePath,
        depth: usize,
    ) -> Result<(), Fault> {
        let mut faults = Vec::new();
        for branch in branches {
            match self.value(branch, value, path, depth + 1) {
                Ok(()) => return Ok(()),
                Err(fault) => faults.push((branch, fault)),
            }
        }
        let names: Vec<&str> = branches.iter().filter_map(variant).collect();
        if names.len() < branches.len() {
            // A value or none: the value was meant.
            faults.retain(|(branch, _)| branch["type"] != "null");
            let fault = faults.into_iter().next();
            return Err(fault.map(|(_, fault)| fault).unwrap_or_else(|| {
                wrong(
                    path,
                    format!("this is {}, which does not fit", kind(value)),
                    "see `--describe`".to_owned(),
                )
            }));
        }
        let written = match value {
            Value::String(text) => Some(text.as_str()),
            Value::Object(members) if members.len() == 1 => members.keys().next().map(String::as_str),
            _ => None,
        };
        let meant = faults.into_iter().find(|(branch, _)| written.is_some() && variant(branch) == written);
        Err(match (meant, written) {
            (Some((_, fault)), _) => fault,
            (None, Some(written)) => {
                let help = did_you_mean(written, names, "there are");
                wrong(path, format!("there is no `{written}` here"), help)
            }
            (None, None) => {
                let help = did_you_mean("", names, "one of");
                wrong(path, format!("this is {}, and should be one of several", kind(value)), help)
            }
        })
    }

    /// What to write for a schema.
    fn shown(&self, schema: &Value) -> String {
        let schema =
            schema.get("$ref").and_then(Value::as_str).and_then(|to| self.target(to)).unwrap_or(schema);
        let wanted = schema.get("type").and_then(Value::as_str);
        let shown = match wanted {
            _ if schema.get(ACTOR_KEYWORD).is_some() => "{ addr = \"...\" }",
            Some("integer") => "0",
            Some("number") => "0.0",
            Some("boolean") => "false",
            Some("string") => "\"...\"",
            Some("array") => "[...]",
            Some("object") => "{ ... }",
            _ => "...",
        };
        shown.to_owned()
    }
}

/// The name of an enum's variant, whose schema this is.
fn variant(schema: &Value) -> Option<&str> {
    let required = || schema.get("required")?.as_array()?.first()?.as_str();
    schema
        .get("const")
        .and_then(Value::as_str)
        .or_else(|| required().filter(|_| schema["additionalProperties"] == false))
}

fn is_near(written: &str, name: &str) -> bool {
    did_you_mean(written, [name], "") == format!("did you mean `{name}`?")
}

/// An element of a list that stands for the addresses of all replicas.
fn is_pattern(element: &Value) -> bool {
    element.as_object().and_then(addr_of).is_some_and(|name| name.ends_with("-*"))
}

fn wrong(path: &ValuePath, message: String, help: String) -> Fault {
    Fault { path: path.clone(), message, help, is_absent: false }
}

fn is_of(value: &Value, wanted: &str) -> bool {
    match wanted {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn is_beyond(value: &Value, limit: &Value, is_over: bool) -> bool {
    let exact = |value: &Value| value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    let order = match (exact(value), exact(limit)) {
        (Some(value), Some(limit)) => Some(value.cmp(&limit)),
        _ => value.as_f64().zip(limit.as_f64()).and_then(|(value, limit)| value.partial_cmp(&limit)),
    };
    order == Some(if is_over { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Less })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

fn article(wanted: &str) -> &str {
    match wanted {
        "null" => "nothing",
        "boolean" => "a boolean",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a string",
        "array" => "a list",
        "object" => "a table",
        other => other,
    }
}

fn example(wanted: &str) -> String {
    let example = match wanted {
        "null" => "leave it out",
        "boolean" => "true or false",
        "integer" => "such as 3",
        "number" => "such as 0.5",
        "string" => "put it in quotes",
        "array" => "such as [1, 2]",
        _ => "such as { key = \"value\" }",
    };
    example.to_owned()
}
