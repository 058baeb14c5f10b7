//! Which names of a struct are one field's.
//!
//! serde lists a field's other names (`#[serde(alias = "...")]`) among the names of fields, side by side and sorted, so
//! that the list does not say which is which. A value with two names of one field is refused, and the refusal has the
//! field's own name. Bytes have no names: there are fewer values than names then, and names are tried once.

use std::collections::{BTreeMap, BTreeSet};

use super::form::{Field, Form, TypeShape};
use super::look::{Entry, Notes};

/// What is known of the names of a struct, or of a variant like one.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// Other names, and the field's own, by their numbers.
    pub(super) aliases: BTreeMap<usize, usize>,
    /// Names that are fields' own, though they have others. They are given before those.
    pub(super) own: BTreeSet<usize>,
    /// Whether to give names though bytes have none; false if the type takes none.
    pub(super) by_name: Option<bool>,
}

impl Notes {
    /// A field was given by this name, and had been given by another before; its own name is known now.
    pub(super) fn given_twice(&mut self, place: (u32, u32), at: usize, own: usize) {
        let part = self.part(place);
        let mut is_new = part.names.own.insert(own);
        if at != own {
            is_new |= part.names.aliases.insert(at, own).is_none();
        }
        // By place, values were taken for those of other fields.
        (part.done, part.probed) = (false, 0);
        if let Some(Form::Struct { fields, .. }) = self.fields(place) {
            fields.iter_mut().for_each(|field| field.shape = Default::default());
        }
        self.again(is_new);
    }

    /// By place, a value was made of fewer values than there are names.
    pub(super) fn may_have_more_names(&mut self, place: (u32, u32)) {
        let by_name = &mut self.part(place).names.by_name;
        if by_name.is_none() {
            *by_name = Some(true);
            self.left += 1;
            self.news += 1;
        }
    }

    /// The type asked for no name: it knows places alone.
    pub(super) fn has_no_names(&mut self, place: (u32, u32)) {
        let is_new = !self.readable && self.part(place).names.by_name.replace(false) != Some(false);
        if is_new {
            self.again(true);
        }
    }

    /// No sample is to blame for this failure.
    fn again(&mut self, is_new: bool) {
        self.leaf = (Vec::new(), 0);
        self.news += usize::from(is_new);
    }
}

/// The shape of a type that is not looked at any more: each field once. Its other names are of no matter to bytes.
pub(super) fn settled(entry: Entry, readable: bool) -> TypeShape {
    let Entry { mut shape, parts, .. } = entry;
    let settle = |form: &mut Form, Names { aliases, .. }: &Names| {
        if let Form::Struct { fields, .. } = form {
            settle_fields(fields, aliases, readable);
        }
    };
    match &mut shape.form {
        Form::Enum(variants) => variants.iter_mut().zip(&parts).for_each(|(variant, part)| {
            variant.form.iter_mut().for_each(|form| settle(form, &part.names));
        }),
        form => parts.iter().for_each(|part| settle(form, &part.names)),
    }
    shape
}

fn settle_fields(fields: &mut Vec<Field>, aliases: &BTreeMap<usize, usize>, readable: bool) {
    for (alias, own) in aliases.iter().filter(|_| readable) {
        let name = fields[*alias].name.clone();
        fields[*own].aliases.push(name);
    }
    let mut at = 0..;
    fields.retain(|_| at.next().is_none_or(|at| !aliases.contains_key(&at)));
}
