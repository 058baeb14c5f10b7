//! How people call a shape.

use super::form::{Form, Shape, Shapes};

/// What another program says is cut there, so that it fits where it is told.
const MAX_WORDS_BYTES: usize = 160;

impl Shapes {
    /// A shape in Rust's words, `Vec<Option<u64>>`; structs and enums by their names.
    pub(super) fn words(&self, shape: &Shape) -> String {
        let mut words = String::new();
        self.write(shape, &mut words);
        cut(words)
    }

    fn write(&self, shape: &Shape, out: &mut String) {
        if out.len() > MAX_WORDS_BYTES {
            return;
        }
        let mut around = |before: &str, inside: &[&Shape], after: &str| {
            out.push_str(before);
            for (at, shape) in inside.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                self.write(shape, out);
            }
            out.push_str(after);
        };
        match shape {
            Shape::Option(of) => around("Option<", &[of], ">"),
            Shape::List(of) => around("Vec<", &[of], ">"),
            Shape::Array(of, count) => around("[", &[of], &format!("; {count}]")),
            Shape::Map(key, value) => around("Map<", &[key, value], ">"),
            Shape::Tuple(elements) => around("(", &elements.iter().collect::<Vec<_>>(), ")"),
            Shape::Address(actor) => out.push_str(&format!("ProcAddr<{actor}>")),
            Shape::Recipient { message, .. } => out.push_str(&format!("ProcRecipient<{message}>")),
            Shape::Weak(of) => around("Weak", &[of], ""),
            Shape::Named(_) => match self.named(shape) {
                Some(known) => {
                    let kind = if matches!(known.form, Form::Enum(_)) { "enum " } else { "struct " };
                    out.push_str(kind);
                    out.push_str(&known.name);
                }
                None => out.push_str("an unknown type"),
            },
            Shape::Anything(rust) | Shape::Opaque(rust) => out.push_str(rust),
            plain => out.push_str(plain_words(plain)),
        }
    }
}

/// Those that have nothing inside.
fn plain_words(shape: &Shape) -> &'static str {
    match shape {
        Shape::Unit => "()",
        Shape::Bool => "bool",
        Shape::I8 => "i8",
        Shape::I16 => "i16",
        Shape::I32 => "i32",
        Shape::I64 => "i64",
        Shape::I128 => "i128",
        Shape::U8 => "u8",
        Shape::U16 => "u16",
        Shape::U32 => "u32",
        Shape::U64 => "u64",
        Shape::U128 => "u128",
        Shape::F32 => "f32",
        Shape::F64 => "f64",
        Shape::Char => "char",
        Shape::Text => "String",
        Shape::Bytes => "bytes",
        Shape::Descriptor => "a descriptor",
        _ => "unknown",
    }
}

pub(super) fn cut(mut words: String) -> String {
    if words.len() > MAX_WORDS_BYTES {
        let mut end = MAX_WORDS_BYTES;
        while !words.is_char_boundary(end) {
            end -= 1;
        }
        words.truncate(end);
        words.push_str("...");
    }
    words
}
