//! Types of every kind, looked at.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::compare::difference;
use super::form::{Form, Shape};
use super::{readable, schema, wire};
use crate::id::ActorName;

#[derive(Serialize, Deserialize)]
struct Plain {
    amount: u64,
    name: String,
    tags: Vec<Option<i8>>,
    pair: (f32, char),
    three: [u16; 3],
    map: BTreeMap<u32, bool>,
}

#[derive(Serialize, Deserialize)]
enum Expression {
    Add(Box<Expression>, Box<Expression>),
    Not { inner: Box<Expression> },
    Many(Vec<Expression>),
    Number(i64),
    Nothing,
}

#[derive(Serialize, Deserialize)]
struct Tree {
    children: Vec<Tree>,
    parent: Option<Box<Tree>>,
    value: Expression,
}

fn words<T: serde::de::DeserializeOwned>() -> String {
    let shapes = wire::<T>().shapes;
    shapes.words(&shapes.root)
}

#[test]
fn plain_values_and_lists_are_seen_to_the_bottom() {
    assert_eq!(words::<Vec<Option<(u8, String)>>>(), "Vec<Option<(u8, String)>>");
    assert_eq!(words::<HashMap<String, [i16; 9]>>(), "Map<String, [i16; 9]>");
    assert_eq!(words::<(i128, u128, f64, (), bytes::Bytes)>(), "(i128, u128, f64, (), bytes)");
    assert_eq!(words::<[u8; 32]>(), "[u8; 32]");
    let shapes = wire::<Plain>().shapes;
    let Form::Struct { fields, .. } = &shapes.types[0].form else { panic!("{shapes:?}") };
    let seen: Vec<String> =
        fields.iter().map(|field| format!("{}: {}", field.name, shapes.words(&field.shape))).collect();
    assert_eq!(
        seen,
        [
            "amount: u64",
            "name: String",
            "tags: Vec<Option<i8>>",
            "pair: (f32, char)",
            "three: [u16; 3]",
            "map: Map<u32, bool>"
        ]
    );
}

#[test]
fn every_variant_is_seen_and_recursion_ends() {
    let shapes = wire::<Tree>().shapes;
    let expression = shapes.types.iter().find(|known| known.name == "Expression").expect("seen");
    let Form::Enum(variants) = &expression.form else { panic!("{expression:?}") };
    assert!(variants.iter().all(|variant| variant.form.is_some()), "{variants:?}");
    let Some(Form::Tuple(added)) = &variants[0].form else { panic!("{variants:?}") };
    assert!(added.iter().all(|shape| shapes.named(shape) == Some(expression)));
    assert!(!format!("{shapes:?}").contains("Unseen"), "{shapes:?}");
}

#[derive(Serialize, Deserialize)]
struct Carrying {
    #[serde(with = "crate::codec::descriptor")]
    file: OwnedFd,
    wait: Duration,
    name: ActorName,
    count: NonZeroU32,
    address: IpAddr,
    outcome: Result<u64, String>,
    last: u8,
}

#[test]
fn types_that_are_picky_are_seen() {
    for shapes in [wire::<Carrying>().shapes, readable::<Carrying>().shapes] {
        let text = format!("{shapes:?}");
        assert!(!text.contains("Unseen") && !text.contains("Opaque"), "{text}");
        assert!(text.contains("Descriptor"), "{text}");
        let Form::Struct { fields, .. } = &shapes.types[0].form else { panic!("{shapes:?}") };
        assert_eq!(fields[6].shape, Shape::U8);
    }
}

struct Never;

impl<'de> Deserialize<'de> for Never {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u16::deserialize(deserializer)?;
        Err(serde::de::Error::custom("it is never satisfied"))
    }
}

struct Panics;

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("never satisfied")
    }
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Difficult {
    first: Never,
    second: u32,
    third: Inner,
    fourth: Never,
    fifth: bool,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Inner {
    never: Never,
    always: i8,
}

#[test]
fn what_comes_after_a_value_that_cant_be_made_is_seen_all_the_same() {
    let shapes = wire::<Difficult>().shapes;
    let text = format!("{shapes:?}");
    assert!(!text.contains("Unseen"), "{text}");
    let Form::Struct { fields, .. } = &shapes.types[0].form else { panic!("{shapes:?}") };
    assert_eq!(
        (&fields[0].shape, &fields[1].shape, &fields[4].shape),
        (&Shape::U16, &Shape::U32, &Shape::Bool)
    );
    let Some(Form::Struct { fields, .. }) = shapes.named(&fields[2].shape).map(|inner| &inner.form) else {
        panic!("{shapes:?}")
    };
    assert_eq!(fields[1].shape, Shape::I8);
}

#[test]
fn what_panics_or_asks_for_anything_is_known_by_its_name() {
    assert!(words::<Panics>().ends_with("Panics"));
    let shapes = wire::<(u8, Value)>().shapes;
    assert_eq!(shapes.anything(), Some("serde_json::value::Value"));
    assert_eq!(wire::<Plain>().shapes.anything(), None);
}

mod other {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    pub(super) struct Plain {
        pub(super) amount: u32,
        pub(super) name: String,
    }
    #[derive(Serialize, Deserialize)]
    pub(super) struct Swapped {
        pub(super) name: String,
        pub(super) amount: u32,
    }
    #[derive(Serialize, Deserialize)]
    pub(super) struct Long {
        pub(super) amount: u32,
        pub(super) name: String,
        pub(super) more: bool,
    }
    #[derive(Serialize, Deserialize)]
    pub(super) enum Colour {
        Red,
        Green(u8),
    }
    pub(super) mod later {
        #[derive(serde::Serialize, serde::Deserialize)]
        pub(in super::super) enum Colour {
            Green(u8),
            Red,
        }
    }
}

fn differ<L: serde::de::DeserializeOwned, R: serde::de::DeserializeOwned>() -> Option<[String; 3]> {
    difference(&wire::<L>().shapes, &wire::<R>().shapes).map(|found| [found.path, found.left, found.right])
}

#[test]
fn the_first_difference_is_named_with_both_sides() {
    let told =
        |path: &str, left: &str, right: &str| Some([path.to_owned(), left.to_owned(), right.to_owned()]);
    assert_eq!(differ::<u32, u64>(), told("", "u32", "u64"));
    assert_eq!(differ::<Vec<(u8, Option<u32>)>, Vec<(u8, Option<i32>)>>(), told("[].1", "u32", "i32"));
    assert_eq!(differ::<BTreeMap<u8, bool>, BTreeMap<u8, String>>(), told("[value]", "bool", "String"));
    assert_eq!(
        differ::<other::Plain, other::Swapped>(),
        told(".amount", "`amount: u32` as field 1", "`name: String` as field 1")
    );
    assert_eq!(differ::<other::Plain, other::Long>(), told(".more", "2 fields", "`more: bool` as field 3"));
    assert_eq!(
        differ::<Vec<other::Colour>, Vec<other::later::Colour>>(),
        told("[]::Red", "`Red` as variant 1", "`Green` as variant 1")
    );
    // Behind another name: the outermost name is the message's own, any other counts.
    assert_eq!(differ::<(u8, Plain), (u8, other::Long)>(), told(".1", "Plain", "Long"));
    assert_eq!(differ::<Tree, Tree>(), None);
    assert_eq!(differ::<Carrying, Carrying>(), None);
    assert_eq!(differ::<u32, OwnedLike>(), told("", "u32", "a descriptor"));
}

type OwnedLike = crate::codec::descriptor::Descriptor;

#[test]
fn a_shape_that_lies_is_compared_all_the_same() {
    let mut lie = wire::<Tree>().shapes;
    lie.types.truncate(1);
    lie.types[0].form = Form::Wrapper(Shape::Named(7));
    let honest = wire::<Tree>().shapes;
    assert!(difference(&honest, &lie).is_some());
    assert!(difference(&lie, &lie.clone()).is_some(), "types that there are not");
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    port: u16,
    #[serde(default)]
    verbose: bool,
    label: Option<String>,
    mode: Mode,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Quiet,
    Loud {
        volume: f64,
        #[serde(default)]
        extra: u8,
    },
    Both(Box<Mode>),
}

#[test]
fn a_schema_says_what_must_be_there_and_what_may() {
    let schema = schema(&readable::<Settings>().shapes, "demo:settings");
    assert_eq!(schema["$id"], "demo:settings");
    assert_eq!(schema["$ref"], "#/$defs/Settings");
    let settings = &schema["$defs"]["Settings"];
    assert_eq!(settings["required"], json!(["port", "mode"]), "{schema:#}");
    assert_eq!(settings["additionalProperties"], json!(false));
    assert_eq!(settings["properties"]["port"], json!({ "type": "integer", "minimum": 0, "maximum": 65535 }));
    assert_eq!(
        settings["properties"]["label"],
        json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] })
    );
    let mode = &schema["$defs"]["Mode"]["oneOf"];
    assert_eq!(mode[0], json!({ "const": "quiet" }));
    assert_eq!(mode[1]["properties"]["loud"]["required"], json!(["volume"]), "{schema:#}");
    assert_eq!(mode[2]["properties"]["both"], json!({ "$ref": "#/$defs/Mode" }));
}

mod once {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub(super) struct Limits {
        pub(super) most: u32,
        pub(super) name: String,
        pub(super) kind: Kind,
    }
    #[derive(serde::Serialize, serde::Deserialize)]
    pub(super) enum Kind {
        Plain,
        Named { title: String, least: u8 },
    }
}

/// Read by other names as well, that come before and after their own in the alphabet.
mod now {
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Limits {
        #[serde(alias = "at_most", alias = "upper", alias = "zenith")]
        pub(super) most: u32,
        #[serde(default, alias = "called")]
        pub(super) name: String,
        pub(super) kind: Kind,
    }
    #[derive(serde::Serialize, serde::Deserialize)]
    pub(super) enum Kind {
        Plain,
        Named {
            #[serde(alias = "a_title")]
            title: String,
            least: u8,
        },
    }
}

#[test]
fn another_name_of_a_field_is_no_difference() {
    assert_eq!(differ::<once::Limits, now::Limits>(), None);
    assert_eq!(differ::<Vec<now::Limits>, Vec<once::Limits>>(), None);
    for shapes in [wire::<once::Limits>().shapes, wire::<now::Limits>().shapes] {
        assert!(!format!("{shapes:?}").contains("Unseen"), "{shapes:?}");
        let Form::Struct { fields, .. } = &shapes.types[0].form else { panic!("{shapes:?}") };
        let seen = fields.iter().map(|field| (field.name.as_str(), shapes.words(&field.shape)));
        let expected = [("most", "u32"), ("name", "String"), ("kind", "enum Kind")];
        assert!(seen.eq(expected.map(|(name, words)| (name, words.to_owned()))), "{fields:?}");
    }
}

#[test]
fn a_schema_takes_a_field_by_one_of_its_names() {
    let schema = schema(&readable::<now::Limits>().shapes, "demo:limits");
    let limits = &schema["$defs"]["Limits"];
    assert_eq!(limits["required"], json!(["kind"]), "{schema:#}");
    let names = ["most", "at_most", "upper", "zenith"];
    assert_eq!(limits["allOf"], json!([{ "oneOf": names.map(|name| json!({ "required": [name] })) }]));
    assert_eq!(limits["additionalProperties"], json!(false));
    let number = json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
    assert!(names.iter().all(|name| limits["properties"][name] == number), "{schema:#}");
    assert_eq!(limits["properties"]["called"], json!({ "type": "string" }));
    assert_eq!(limits["properties"].as_object().map(|all| all.len()), Some(7));
    let named = &schema["$defs"]["Kind"]["oneOf"][1]["properties"]["Named"];
    assert_eq!(named["required"], json!(["least"]), "{schema:#}");
    let either = json!([{ "required": ["title"] }, { "required": ["a_title"] }]);
    assert_eq!(named["allOf"], json!([{ "oneOf": either }]), "{schema:#}");
}

#[test]
fn a_schema_takes_a_variant_by_each_of_its_names() {
    #[derive(Serialize, Deserialize)]
    enum Speed {
        #[serde(alias = "idle")]
        Slow,
        #[serde(alias = "brisk")]
        Fast { limit: u8 },
    }
    let schema = schema(&readable::<Speed>().shapes, "demo:speed");
    let limit = &schema["$defs"]["Speed"]["oneOf"];
    assert_eq!(limit.as_array().map(Vec::len), Some(4), "{schema:#}");
    assert_eq!((&limit[0], &limit[1]), (&json!({ "const": "Slow" }), &json!({ "const": "idle" })));
    for (at, name) in [(2, "Fast"), (3, "brisk")] {
        assert_eq!(limit[at]["properties"][name]["required"], json!(["limit"]), "{schema:#}");
    }
}

/// Names are a matter of the type alone, where it reads itself; this one takes places, and fewer than it says.
#[derive(Debug)]
struct Placed;

impl<'de> Deserialize<'de> for Placed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Placed;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("places")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut places: A) -> Result<Placed, A::Error> {
                places.next_element::<u8>()?;
                Ok(Placed)
            }
        }
        deserializer.deserialize_struct("Placed", &["first", "second"], Visitor)
    }
}

#[test]
fn who_takes_places_alone_is_seen_by_them() {
    let shapes = wire::<(Placed, u64)>().shapes;
    assert_eq!(shapes.root, Shape::Tuple(vec![Shape::Named(0), Shape::U64]));
    let Form::Struct { fields, .. } = &shapes.types[0].form else { panic!("{shapes:?}") };
    assert_eq!((fields[0].name.as_str(), &fields[0].shape), ("first", &Shape::U8));
}
