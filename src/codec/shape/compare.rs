//! The first difference of two shapes.
//!
//! Bytes are read by place, so order counts; names count, since a field that is called otherwise means something else.
//! The name of the outermost type does not: that is the message's own, and two programs agree on it already.

use std::collections::{BTreeSet, VecDeque};

use super::form::{Field, Form, Shape, Shapes, Variant};
use super::words::cut;

/// Where two shapes differ, and what is there on either side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The way to it: `.items[].price`, `::Circle.radius`; nothing for the value itself.
    pub path: String,
    /// What the first has there.
    pub left: String,
    /// What the second has there.
    pub right: String,
}

/// Pairs of types that are compared: what is told by a peer must not be compared for ever.
const MAX_PAIRS: usize = 1 << 16;

/// Where two shapes are different; none if each reads what the other writes.
pub(super) fn difference(left: &Shapes, right: &Shapes) -> Option<Difference> {
    let mut walk = Walk { left, right, seen: BTreeSet::new(), queue: VecDeque::new() };
    if let Some(found) = walk.shapes(&left.root, &right.root, "") {
        return Some(found);
    }
    let mut is_root = matches!((&left.root, &right.root), (Shape::Named(_), Shape::Named(_)));
    while let Some((one, other, path)) = walk.queue.pop_front() {
        let (Some(one), Some(other)) = (left.types.get(one as usize), right.types.get(other as usize)) else {
            return Some(told(&path, "unknown", "unknown"));
        };
        if one.name != other.name && !std::mem::take(&mut is_root) {
            return Some(told(&path, &one.name, &other.name));
        }
        is_root = false;
        if let Some(found) = walk.forms(&one.form, &other.form, &path) {
            return Some(found);
        }
        if walk.seen.len() > MAX_PAIRS {
            return Some(told(&path, "more types than are compared", "more types than are compared"));
        }
    }
    None
}

struct Walk<'s> {
    left: &'s Shapes,
    right: &'s Shapes,
    seen: BTreeSet<(u32, u32)>,
    queue: VecDeque<(u32, u32, String)>,
}

impl Walk<'_> {
    /// Shapes are as deep as their types are written; types are compared later, one by one.
    fn shapes(&mut self, left: &Shape, right: &Shape, path: &str) -> Option<Difference> {
        let inside = |inner: &str| format!("{path}{inner}");
        match (left, right) {
            (Shape::Unseen, _) | (_, Shape::Unseen) => None,
            (Shape::Named(left), Shape::Named(right)) => {
                if self.seen.insert((*left, *right)) {
                    // Cut as it will be told: a chain of types that a peer made up has a way of any length.
                    self.queue.push_back((*left, *right, cut(path.to_owned())));
                }
                None
            }
            (Shape::Option(left), Shape::Option(right)) | (Shape::Weak(left), Shape::Weak(right)) => {
                self.shapes(left, right, path)
            }
            (Shape::List(left), Shape::List(right)) => self.shapes(left, right, &inside("[]")),
            (Shape::Array(left, one), Shape::Array(right, other)) if one == other => {
                self.shapes(left, right, &inside("[]"))
            }
            (Shape::Map(key, value), Shape::Map(other_key, other_value)) => self
                .shapes(key, other_key, &inside("[key]"))
                .or_else(|| self.shapes(value, other_value, &inside("[value]"))),
            (Shape::Tuple(left), Shape::Tuple(right)) => self.elements(left, right, path),
            (
                Shape::Recipient { message, inside: one },
                Shape::Recipient { message: other, inside: another },
            ) => {
                if message != other {
                    return Some(self.differ(left, right, path));
                }
                let (Some(one), Some(another)) = (one, another) else { return None };
                let within = |found: Difference, what: &str| Difference {
                    path: format!("{path}<{message}>{what}{}", found.path),
                    ..found
                };
                difference(&one.0, &another.0)
                    .map(|found| within(found, ""))
                    .or_else(|| difference(&one.1, &another.1).map(|found| within(found, " -> result")))
            }
            (left, right) if left == right => None,
            _ => Some(self.differ(left, right, path)),
        }
    }

    fn differ(&self, left: &Shape, right: &Shape, path: &str) -> Difference {
        told(path, &self.left.words(left), &self.right.words(right))
    }

    fn elements(&mut self, left: &[Shape], right: &[Shape], path: &str) -> Option<Difference> {
        let mut pairs = left.iter().zip(right).enumerate();
        let found = pairs.find_map(|(at, (left, right))| self.shapes(left, right, &format!("{path}.{at}")));
        let count = |elements: &[Shape]| format!("{} values", elements.len());
        found.or_else(|| (left.len() != right.len()).then(|| told(path, &count(left), &count(right))))
    }

    fn forms(&mut self, left: &Form, right: &Form, path: &str) -> Option<Difference> {
        match (left, right) {
            (Form::Unit, Form::Unit) => None,
            (Form::Wrapper(left), Form::Wrapper(right)) => self.shapes(left, right, &format!("{path}.0")),
            (Form::Tuple(left), Form::Tuple(right)) => self.elements(left, right, path),
            (Form::Struct { fields: left, .. }, Form::Struct { fields: right, .. }) => {
                self.fields(left, right, path)
            }
            (Form::Enum(left), Form::Enum(right)) => self.variants(left, right, path),
            _ => Some(told(path, kind(left), kind(right))),
        }
    }

    /// The first place where they have another name, else the first where they have another shape.
    fn fields(&mut self, left: &[Field], right: &[Field], path: &str) -> Option<Difference> {
        let names = first_other(left, right, |field| &field.name);
        if let Some((at, one, other)) = names {
            let of = |field: Option<&Field>, shapes: &Shapes, fields: &[Field]| match field {
                Some(field) => {
                    format!("`{}: {}` as field {}", field.name, shapes.words(&field.shape), at + 1)
                }
                None => format!("{} fields", fields.len()),
            };
            let name = one.or(other).map(|field| field.name.as_str()).unwrap_or_default();
            let (one, other) = (of(one, self.left, left), of(other, self.right, right));
            return Some(told(&format!("{path}.{name}"), &one, &other));
        }
        let mut pairs = left.iter().zip(right);
        pairs.find_map(|(left, right)| {
            self.shapes(&left.shape, &right.shape, &format!("{path}.{}", left.name))
        })
    }

    fn variants(&mut self, left: &[Variant], right: &[Variant], path: &str) -> Option<Difference> {
        if let Some((at, one, other)) = first_other(left, right, |variant| &variant.name) {
            let of = |variant: Option<&Variant>, variants: &[Variant]| match variant {
                Some(variant) => format!("`{}` as variant {}", variant.name, at + 1),
                None => format!("{} variants", variants.len()),
            };
            let name = one.or(other).map(|variant| variant.name.as_str()).unwrap_or_default();
            return Some(told(&format!("{path}::{name}"), &of(one, left), &of(other, right)));
        }
        let mut pairs = left.iter().zip(right);
        pairs.find_map(|(left, right)| match (&left.form, &right.form) {
            (Some(one), Some(other)) => self.forms(one, other, &format!("{path}::{}", left.name)),
            _ => None,
        })
    }
}

/// The first place where two lists have another name, or one has ended.
fn first_other<'l, T>(
    left: &'l [T],
    right: &'l [T],
    name: impl Fn(&T) -> &String,
) -> Option<(usize, Option<&'l T>, Option<&'l T>)> {
    let all = 0..left.len().max(right.len());
    let mut pairs = all.map(|at| (at, left.get(at), right.get(at)));
    pairs.find(|(_, one, other)| one.map(&name) != other.map(&name))
}

fn kind(form: &Form) -> &'static str {
    match form {
        Form::Unit => "a struct of nothing",
        Form::Wrapper(_) => "a struct of one value without a name",
        Form::Tuple(_) => "a struct of values without names",
        Form::Struct { .. } => "a struct with fields",
        Form::Enum(_) => "an enum",
    }
}

fn told(path: &str, left: &str, right: &str) -> Difference {
    Difference { path: cut(path.to_owned()), left: cut(left.to_owned()), right: cut(right.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x1_a_way_that_a_peer_made_up_is_kept_no_longer_than_it_is_told() {
        let none = Shapes::default();
        let mut walk = Walk { left: &none, right: &none, seen: BTreeSet::new(), queue: VecDeque::new() };
        let way = ".next".repeat(100_000);
        assert_eq!(walk.shapes(&Shape::Named(0), &Shape::Named(0), &way), None);
        let (_, _, kept) = walk.queue.pop_front().expect("compared later");
        assert_eq!(kept, told(&way, "", "").path);
        assert!(kept.len() < 10_000, "{}", kept.len());
    }
}
