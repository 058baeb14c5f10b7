//! A place in a value, which notes what the type there asks for and gives it a sample.

use std::any::type_name;
use std::fmt;

use serde::Deserializer;
use serde::de::{self, Visitor};

use super::access::{Elements, Entries, Fields, Variants};
use super::form::{Field, Form, Shape, Variant};
use super::look::Notes;
use super::mention::{self, Whom};
use super::samples;

pub(super) struct Spot<'n> {
    pub(super) notes: &'n mut Notes,
    pub(super) shape: &'n mut Shape,
}

/// Why a value could not be made: the type refused a sample, or there were too many, or this field was given twice.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) twice: Option<&'static str>,
}

impl Refused {
    pub(super) const SAMPLE: Refused = Refused { twice: None };
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sample was refused")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Refused::SAMPLE
    }

    fn duplicate_field(name: &'static str) -> Self {
        Refused { twice: Some(name) }
    }
}

impl<'n> Spot<'n> {
    /// Notes a plain value, and says which sample to give.
    fn plain(&mut self, shape: Shape) -> Result<usize, Refused> {
        if !self.notes.count() {
            return Err(Refused::SAMPLE);
        }
        let sample = self.notes.sample(&shape);
        *self.shape = shape;
        Ok(sample)
    }

    fn counted(&mut self) -> Result<(), Refused> {
        if self.notes.count() { Ok(()) } else { Err(Refused::SAMPLE) }
    }

    /// A struct or enum: notes that it is here, and goes into it.
    fn named<V>(
        self,
        (rust, name, inside): (&'static str, &'static str, &'static [&'static str]),
        form: impl FnOnce() -> (Form, usize),
        go: impl FnOnce(&mut Notes, u32) -> Result<V, Refused>,
    ) -> Result<V, Refused> {
        let Spot { notes, shape } = self;
        if !notes.count() {
            return Err(Refused::SAMPLE);
        }
        let place = notes.entry(rust, name, inside, form);
        *shape = Shape::Named(place);
        let closes = notes.types[place as usize].within > 0;
        notes.types[place as usize].within += 1;
        notes.closing += u32::from(closes);
        let value = go(notes, place);
        notes.closing -= u32::from(closes);
        notes.types[place as usize].within -= 1;
        value
    }
}

macro_rules! signed {
    ($($method:ident $visit:ident $type:ty = $shape:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
            let sample = self.plain(Shape::$shape)?;
            visitor.$visit(<$type>::from(samples::SIGNED[sample]))
        }
    )*};
}

macro_rules! unsigned {
    ($($method:ident $visit:ident $type:ty = $shape:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
            let sample = self.plain(Shape::$shape)?;
            visitor.$visit(<$type>::from(samples::NUMBERS[sample]))
        }
    )*};
}

impl<'de> Deserializer<'de> for Spot<'_> {
    type Error = Refused;

    fn is_human_readable(&self) -> bool {
        self.notes.readable
    }

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        let sample = self.plain(Shape::Anything(type_name::<V::Value>().to_owned()))?;
        match sample {
            0 => visitor.visit_unit(),
            1 => visitor.visit_str(""),
            2 => visitor.visit_map(Entries::new(self.notes, None)),
            3 => visitor.visit_seq(Elements::none(self.notes)),
            4 => visitor.visit_bool(false),
            _ => visitor.visit_u64(0),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        let sample = self.plain(Shape::Bool)?;
        visitor.visit_bool(sample > 0)
    }

    signed! {
        deserialize_i8 visit_i8 i8 = I8;
        deserialize_i16 visit_i16 i16 = I16;
        deserialize_i32 visit_i32 i32 = I32;
        deserialize_i64 visit_i64 i64 = I64;
        deserialize_i128 visit_i128 i128 = I128;
        deserialize_f32 visit_f32 f32 = F32;
        deserialize_f64 visit_f64 f64 = F64;
    }

    unsigned! {
        deserialize_u8 visit_u8 u8 = U8;
        deserialize_u16 visit_u16 u16 = U16;
        deserialize_u32 visit_u32 u32 = U32;
        deserialize_u64 visit_u64 u64 = U64;
        deserialize_u128 visit_u128 u128 = U128;
    }

    fn deserialize_char<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        let sample = self.plain(Shape::Char)?;
        visitor.visit_char(samples::CHARS[sample])
    }

    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        let sample = self.plain(Shape::Text)?;
        visitor.visit_borrowed_str(samples::TEXTS[sample])
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        let sample = self.plain(Shape::Bytes)?;
        visitor.visit_borrowed_bytes(&samples::ZEROES[..samples::LENGTHS[sample]])
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.counted()?;
        *self.shape = Shape::Option(Box::default());
        if !self.notes.notes() {
            return visitor.visit_none();
        }
        let Shape::Option(of) = self.shape else { return visitor.visit_none() };
        visitor.visit_some(Spot { notes: self.notes, shape: of })
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        let Some((whom, is_weak)) = mention::take() else {
            self.plain(Shape::Unit)?;
            return visitor.visit_unit();
        };
        let shape = match whom {
            Whom::Actor(key, collect) => {
                self.notes.actors.insert(key, collect);
                Shape::Address(key.0.to_owned())
            }
            Whom::Descriptor => Shape::Descriptor,
            Whom::Message(name, look) => {
                let inside = (mention::depth() <= MAX_RECIPIENTS && self.notes.notes()).then(|| {
                    let (message, answer) = look();
                    self.notes.actors.extend(message.actors.into_iter().chain(answer.actors));
                    Box::new((message.shapes, answer.shapes))
                });
                Shape::Recipient { message: name.to_owned(), inside }
            }
        };
        self.plain(if is_weak { Shape::Weak(Box::new(shape)) } else { shape })?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let key = (type_name::<V::Value>(), name, &[][..]);
        self.named(key, || (Form::Unit, 1), |_, _| visitor.visit_unit())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let key = (type_name::<V::Value>(), name, &[][..]);
        self.named(
            key,
            || (Form::Wrapper(Shape::Unseen), 1),
            |notes, place| {
                let mut seen = Shape::Unseen;
                let value = notes.within((Some((place, 0)), 0), |notes| {
                    visitor.visit_newtype_struct(Spot { notes, shape: &mut seen })
                });
                notes.note(place, None, Form::Wrapper(seen));
                value
            },
        )
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.counted()?;
        let mut seen = vec![Shape::Unseen];
        let count = usize::from(self.notes.notes());
        let value = visitor.visit_seq(Elements::new(self.notes, &mut seen, count, None));
        *self.shape = Shape::List(Box::new(seen.swap_remove(0)));
        value
    }

    fn deserialize_tuple<V: Visitor<'de>>(mut self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        self.counted()?;
        let mut seen = vec![Shape::Unseen; len.min(MAX_TUPLE)];
        let value = visitor.visit_seq(Elements::new(self.notes, &mut seen, len, None));
        let all_one = len > 1 && seen.iter().all(|shape| *shape == seen[0] && *shape != Shape::Unseen);
        *self.shape = match all_one {
            true => Shape::Array(Box::new(seen.swap_remove(0)), len as u64),
            false => Shape::Tuple(seen),
        };
        value
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let key = (type_name::<V::Value>(), name, &[][..]);
        let form = || (Form::Tuple(vec![Shape::Unseen; len.min(MAX_TUPLE)]), 1);
        self.named(key, form, |notes, place| {
            let mut seen = vec![Shape::Unseen; len.min(MAX_TUPLE)];
            let value = visitor.visit_seq(Elements::new(notes, &mut seen, len, Some((place, 0))));
            notes.note(place, None, Form::Tuple(seen));
            value
        })
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.counted()?;
        let mut seen = (Shape::Unseen, Shape::Unseen);
        let of = self.notes.notes().then_some(&mut seen);
        let value = visitor.visit_map(Entries::new(self.notes, of));
        *self.shape = Shape::Map(Box::new(seen.0), Box::new(seen.1));
        value
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let key = (type_name::<V::Value>(), name, fields);
        self.named(
            key,
            || (struct_of(fields), 1),
            |notes, place| Fields::visit(notes, (place, 0), fields, visitor),
        )
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let key = (type_name::<V::Value>(), name, variants);
        let form = || {
            let none = |name: &&str| Variant { name: (*name).to_owned(), form: None };
            (Form::Enum(variants.iter().map(none).collect()), variants.len())
        };
        self.named(key, form, |notes, place| Variants::visit(notes, place, variants, visitor))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.plain(Shape::Unit)?;
        visitor.visit_unit()
    }
}

/// The fields, none of which was seen so far.
pub(super) fn struct_of(fields: &[&str]) -> Form {
    let field = |name: &&str| Field {
        name: (*name).to_owned(),
        aliases: Vec::new(),
        shape: Shape::Unseen,
        required: true,
    };
    Form::Struct { fields: fields.iter().map(field).collect(), open: true }
}

/// Elements of a tuple that are noted one by one: serde's own tuples have 16, its arrays 32.
pub(super) const MAX_TUPLE: usize = 64;

/// Recipients within the messages of recipients.
const MAX_RECIPIENTS: u32 = 3;
