//! JSON Schema (2020-12) of a shape, as `serde_json` reads and writes the type.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::form::{Field, Form, Shape, Shapes, TypeShape, Variant};

/// Says of an address whose it is: the stable name of an actor type.
pub const ACTOR_KEYWORD: &str = "x-procession-actor";

/// Says of an address what can be sent there: the name of a message's type.
pub const MESSAGE_KEYWORD: &str = "x-procession-message";

/// The schema of a type that was looked at in a language with names: a resource of its own, called `id`.
pub fn schema(shapes: &Shapes, id: &str) -> Value {
    let writer = Writer { names: names(&shapes.types) };
    let mut all = Map::new();
    all.insert("$id".to_owned(), id.into());
    if let Value::Object(root) = writer.shape(&shapes.root) {
        all.extend(root);
    }
    if !shapes.types.is_empty() {
        let types = shapes.types.iter().zip(&writer.names);
        let types = types.map(|(known, name)| (name.clone(), writer.form(&known.form)));
        all.insert("$defs".to_owned(), Value::Object(types.collect()));
    }
    Value::Object(all)
}

/// A name for each type: its own, and a number behind it where several have one.
fn names(types: &[TypeShape]) -> Vec<String> {
    let mut taken: BTreeMap<&str, u32> = BTreeMap::new();
    let mut names = Vec::with_capacity(types.len());
    for known in types {
        let count = taken.entry(known.name.as_str()).or_default();
        *count += 1;
        names.push(match *count {
            1 => known.name.clone(),
            count => format!("{}-{count}", known.name),
        });
    }
    names
}

struct Writer {
    names: Vec<String>,
}

impl Writer {
    fn shape(&self, shape: &Shape) -> Value {
        match shape {
            Shape::Option(of) => json!({ "anyOf": [self.shape(of), { "type": "null" }] }),
            Shape::List(of) => json!({ "type": "array", "items": self.shape(of) }),
            Shape::Array(of, count) => {
                json!({ "type": "array", "items": self.shape(of), "minItems": count, "maxItems": count })
            }
            Shape::Tuple(elements) => self.tuple(elements),
            Shape::Map(key, value) => self.map(key, value),
            Shape::Named(place) => match self.names.get(*place as usize) {
                Some(name) => json!({ "$ref": format!("#/$defs/{}", pointer(name)) }),
                None => json!({}),
            },
            Shape::Address(actor) => address(ACTOR_KEYWORD, actor),
            Shape::Recipient { message, .. } => address(MESSAGE_KEYWORD, message),
            // It wires nobody, so nobody need be there.
            Shape::Weak(_) => json!({
                "type": "object",
                "properties": { "weak": { "type": "string" } },
                "required": ["weak"],
                "additionalProperties": false,
            }),
            plain => self::plain(plain),
        }
    }

    fn tuple(&self, elements: &[Shape]) -> Value {
        let (items, count) = (elements.iter().map(|of| self.shape(of)), elements.len());
        json!({ "type": "array", "prefixItems": items.collect::<Vec<_>>(), "minItems": count, "maxItems": count })
    }

    /// Keys are texts, whatever they were.
    fn map(&self, key: &Shape, value: &Shape) -> Value {
        let mut map = json!({ "type": "object", "additionalProperties": self.shape(value) });
        let number = matches!(plain(key).get("type"), Some(kind) if kind == "integer");
        if number {
            map["propertyNames"] = json!({ "pattern": "^-?[0-9]+$" });
        }
        map
    }

    fn form(&self, form: &Form) -> Value {
        match form {
            Form::Unit => json!({ "type": "null" }),
            Form::Wrapper(of) => self.shape(of),
            Form::Tuple(elements) => self.tuple(elements),
            Form::Struct { fields, open } => self.object(fields, *open),
            Form::Enum(variants) => {
                let plain = |variant: &Variant| variant.form == Some(Form::Unit);
                if !variants.is_empty() && variants.iter().all(plain) {
                    let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
                    return json!({ "type": "string", "enum": names });
                }
                match variants.is_empty() {
                    true => json!({ "not": {} }),
                    false => {
                        json!({ "oneOf": variants.iter().map(|variant| self.variant(variant)).collect::<Vec<_>>() })
                    }
                }
            }
        }
    }

    /// Each field by one of its names.
    fn object(&self, fields: &[Field], open: bool) -> Value {
        let names = |field: &Field| [std::slice::from_ref(&field.name), &field.aliases].concat();
        let properties = fields.iter().flat_map(|field| {
            let shape = self.shape(&field.shape);
            names(field).into_iter().map(move |name| (name, shape.clone()))
        });
        let properties: Map<String, Value> = properties.collect();
        let required = fields.iter().filter(|field| field.required);
        let (named, either): (Vec<&Field>, Vec<&Field>) =
            required.partition(|field| field.aliases.is_empty());
        let named: Vec<&str> = named.into_iter().map(|field| field.name.as_str()).collect();
        let mut object = json!({ "type": "object", "properties": properties, "required": named });
        if !either.is_empty() {
            let one = |name: String| json!({ "required": [name] });
            let one_of = |field: &Field| names(field).into_iter().map(one).collect::<Vec<_>>();
            object["allOf"] = either.into_iter().map(|field| json!({ "oneOf": one_of(field) })).collect();
        }
        if !open {
            object["additionalProperties"] = false.into();
        }
        object
    }

    fn variant(&self, Variant { name, form }: &Variant) -> Value {
        let inside = match form {
            Some(Form::Unit) => return json!({ "const": name }),
            Some(form) => self.form(form),
            None => json!({}),
        };
        json!({ "type": "object", "properties": { name: inside }, "required": [name], "additionalProperties": false })
    }
}

/// Those that have nothing inside.
fn plain(shape: &Shape) -> Value {
    match shape {
        Shape::Unit => json!({ "type": "null" }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::I8 => integer(i8::MIN, i8::MAX),
        Shape::I16 => integer(i16::MIN, i16::MAX),
        Shape::I32 => integer(i32::MIN, i32::MAX),
        Shape::I64 => integer(i64::MIN, i64::MAX),
        Shape::U8 => integer(u8::MIN, u8::MAX),
        Shape::U16 => integer(u16::MIN, u16::MAX),
        Shape::U32 => integer(u32::MIN, u32::MAX),
        Shape::U64 => integer(u64::MIN, u64::MAX),
        Shape::I128 => json!({ "type": "integer" }),
        Shape::U128 => json!({ "type": "integer", "minimum": 0 }),
        Shape::F32 | Shape::F64 => json!({ "type": "number" }),
        Shape::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
        Shape::Text => json!({ "type": "string" }),
        Shape::Bytes => json!({ "type": "array", "items": integer(u8::MIN, u8::MAX) }),
        Shape::Descriptor => json!({ "not": {}, "$comment": "a file descriptor can't be written as JSON" }),
        Shape::Anything(rust) | Shape::Opaque(rust) => json!({ "$comment": rust }),
        _ => json!({}),
    }
}

fn integer(least: impl Into<Value>, most: impl Into<Value>) -> Value {
    json!({ "type": "integer", "minimum": least.into(), "maximum": most.into() })
}

fn address(keyword: &str, whose: &str) -> Value {
    json!({
        "type": "object",
        "properties": {
            "addr": { "type": "string" },
            "delivery": { "enum": ["at_most_once", "at_least_once"] },
        },
        "required": ["addr"],
        keyword: whose,
    })
}

/// A name as a part of a JSON pointer in a reference.
fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1").replace('%', "%25")
}
