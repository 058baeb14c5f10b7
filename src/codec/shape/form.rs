//! The notes about a type.
//!
//! Structs and enums are in a table and meant by their place in it, so that a type can hold itself.

use serde::{Deserialize, Serialize};

/// The shape of a value.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Shape {
    /// Nobody came so far: a value before it can't be made up. Nothing is known, and nothing is compared.
    #[default]
    Unseen,
    /// `()`
    Unit,
    /// `bool`
    Bool,
    /// `i8`
    I8,
    /// `i16`
    I16,
    /// `i32`
    I32,
    /// `i64`
    I64,
    /// `i128`
    I128,
    /// `u8`
    U8,
    /// `u16`
    U16,
    /// `u32`
    U32,
    /// `u64`
    U64,
    /// `u128`
    U128,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `char`
    Char,
    /// A text.
    Text,
    /// Bytes.
    Bytes,
    /// A value or none.
    Option(Box<Shape>),
    /// Any number of values.
    List(Box<Shape>),
    /// So many values of one shape.
    Array(Box<Shape>, u64),
    /// Values of different shapes, or a few of one.
    Tuple(Vec<Shape>),
    /// Keys and values.
    Map(Box<Shape>, Box<Shape>),
    /// A struct or enum, by its place among the types.
    Named(u32),
    /// A file descriptor.
    Descriptor,
    /// The address of an actor of this type.
    Address(String),
    /// The address of whatever takes this message.
    Recipient {
        /// The message's type, without its path.
        message: String,
        /// The message and what is answered; none where that would never end.
        inside: Option<Box<(Shapes, Shapes)>>,
    },
    /// An address that only names whom it leads to: the same bytes, and another form in files.
    Weak(Box<Shape>),
    /// The type takes whatever there is: known by its Rust name alone. bincode can't carry such a type.
    Anything(String),
    /// The type can't be looked into: known by its Rust name alone.
    Opaque(String),
}

/// A value's shape with the structs and enums in it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shapes {
    /// The value itself.
    pub root: Shape,
    /// The types.
    pub types: Vec<TypeShape>,
}

/// A struct or enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeShape {
    /// What serde calls it: its name, or the one that `#[serde(rename = "...")]` gives it.
    pub name: String,
    /// What is in it.
    pub form: Form,
}

/// What is in a struct or a variant of an enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// Nothing.
    Unit,
    /// One value without a name.
    Wrapper(Shape),
    /// Values without names.
    Tuple(Vec<Shape>),
    /// Values with names.
    Struct {
        /// In order.
        fields: Vec<Field>,
        /// Whether other names than these are accepted, and ignored.
        open: bool,
    },
    /// One of these.
    Enum(Vec<Variant>),
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// By which other names it is read in a format that has names. They don't travel: bytes have no names.
    #[serde(skip)]
    pub aliases: Vec<String>,
    /// Its shape.
    pub shape: Shape,
    /// Whether it must be there in a format that has names, by one of them.
    pub required: bool,
}

/// A variant of an enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// What is in it: anything but an enum. None if no value of it could be made up.
    pub form: Option<Form>,
}

impl Shape {
    /// Adds to these notes what another look has found.
    pub(super) fn fill(&mut self, seen: Shape) {
        match (self, seen) {
            (Shape::Option(old), Shape::Option(new)) | (Shape::List(old), Shape::List(new)) => old.fill(*new),
            (Shape::Map(key, value), Shape::Map(new_key, new_value)) => {
                key.fill(*new_key);
                value.fill(*new_value);
            }
            (Shape::Tuple(old), Shape::Tuple(new)) if old.len() == new.len() => {
                old.iter_mut().zip(new).for_each(|(old, new)| old.fill(new));
            }
            // Equal elements were not all seen to be so.
            (old @ Shape::Tuple(_), new @ Shape::Array(..)) => *old = new,
            (old @ Shape::Unseen, new) => *old = new,
            _ => {}
        }
    }
}

impl Form {
    /// Likewise.
    pub(super) fn fill(&mut self, seen: Form) {
        match (self, seen) {
            (Form::Wrapper(old), Form::Wrapper(new)) => old.fill(new),
            (Form::Tuple(old), Form::Tuple(new)) if old.len() == new.len() => {
                old.iter_mut().zip(new).for_each(|(old, new)| old.fill(new));
            }
            _ => {}
        }
    }
}

impl Shapes {
    /// The struct or enum that a shape means; none for any other, and for a number that is none of the table.
    pub(super) fn named(&self, shape: &Shape) -> Option<&TypeShape> {
        match shape {
            Shape::Named(place) => self.types.get(*place as usize),
            _ => None,
        }
    }

    /// What in it takes whatever there is: then bincode can't carry it (H55).
    pub fn anything(&self) -> Option<&str> {
        let mut shapes: Vec<&Shape> = vec![&self.root];
        let mut forms: Vec<&Form> = self.types.iter().map(|known| &known.form).collect();
        while let Some(form) = forms.pop() {
            match form {
                Form::Unit => {}
                Form::Wrapper(shape) => shapes.push(shape),
                Form::Tuple(elements) => shapes.extend(elements),
                Form::Struct { fields, .. } => shapes.extend(fields.iter().map(|field| &field.shape)),
                Form::Enum(variants) => {
                    forms.extend(variants.iter().filter_map(|variant| variant.form.as_ref()))
                }
            }
        }
        while let Some(shape) = shapes.pop() {
            match shape {
                Shape::Anything(name) => return Some(name),
                Shape::Option(of) | Shape::List(of) | Shape::Array(of, _) => shapes.push(of),
                Shape::Map(key, value) => shapes.extend([&**key, &**value]),
                Shape::Tuple(elements) => shapes.extend(elements),
                _ => {}
            }
        }
        None
    }
}
