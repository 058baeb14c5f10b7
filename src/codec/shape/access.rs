//! What is inside a value: elements, entries, fields, variants.

use std::any::type_name;

use serde::de::value::{StrDeserializer, U32Deserializer};
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::form::{Form, Shape};
use super::look::{Notes, Part, Place, Site, VARIANT};
use super::names::Names;
use super::spot::{MAX_TUPLE, Refused, Spot, struct_of};

impl Notes {
    /// Notes what a look has seen of a struct, or of a variant.
    pub(super) fn note(&mut self, place: u32, variant: Option<usize>, seen: Form) {
        if !self.notes() {
            return;
        }
        let form = &mut self.types[place as usize].shape.form;
        let before = form.clone();
        match (variant, &mut *form) {
            (Some(variant), Form::Enum(variants)) => match &mut variants[variant].form {
                Some(known) => known.fill(seen),
                none => *none = Some(seen),
            },
            _ => form.fill(seen),
        }
        self.news += usize::from(before != *form);
    }

    pub(super) fn part(&mut self, (place, variant): (u32, u32)) -> &mut Part {
        &mut self.types[place as usize].parts[variant as usize]
    }

    /// The struct in that place, as a part of the table.
    pub(super) fn fields(&mut self, (place, variant): (u32, u32)) -> Option<&mut Form> {
        match &mut self.types[place as usize].shape.form {
            Form::Enum(variants) => variants[variant as usize].form.as_mut(),
            form => Some(form),
        }
    }

    /// Goes to something inside a value; the way back is gone only if it was made.
    pub(super) fn within<V>(
        &mut self,
        site: Site,
        go: impl FnOnce(&mut Notes) -> Result<V, Refused>,
    ) -> Result<V, Refused> {
        let depth = self.way.len();
        self.way.push(site);
        let value = go(self);
        if value.is_ok() {
            self.way.truncate(depth);
        }
        value
    }

    /// Goes to one value.
    fn step<'de, S: DeserializeSeed<'de>>(
        &mut self,
        site: Site,
        seed: S,
        shape: &mut Shape,
    ) -> Result<S::Value, Refused> {
        let value = self.within(site, |notes| seed.deserialize(Spot { notes, shape: &mut *shape }));
        if *shape == Shape::Unseen {
            *shape = Shape::Opaque(type_name::<S::Value>().to_owned());
        }
        value
    }
}

/// So many elements, one after the other.
pub(super) struct Elements<'n> {
    notes: &'n mut Notes,
    seen: &'n mut [Shape],
    count: usize,
    next: usize,
    place: Place,
}

impl<'n> Elements<'n> {
    /// In a struct or variant, or in whatever is around a list.
    pub(super) fn new(
        notes: &'n mut Notes,
        seen: &'n mut [Shape],
        count: usize,
        place: Place,
    ) -> Elements<'n> {
        Elements { notes, seen, count, next: 0, place }
    }

    pub(super) fn none(notes: &'n mut Notes) -> Elements<'n> {
        Elements { notes, seen: &mut [], count: 0, next: 0, place: None }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        if self.next == self.count {
            return Ok(None);
        }
        let at = self.next;
        self.next += 1;
        let mut seen = Shape::Unseen;
        let site = site(self.notes, self.place, at);
        let value = self.notes.step(site, seed, &mut seen);
        if let Some(place) = self.seen.get_mut(at) {
            *place = seen;
        }
        value.map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.count - self.next)
    }
}

/// Elements of a struct have their places in it. Those of a list or tuple within a value are told from one another
/// by it.
fn site(notes: &Notes, place: Place, at: usize) -> Site {
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    match (place, notes.way.last()) {
        (Some(_), _) => (place, at),
        (None, Some((around, outer))) => {
            (*around, outer.wrapping_add(1).wrapping_mul(1 << 8).wrapping_add(at))
        }
        (None, None) => (None, at + 1),
    }
}

/// One entry of a map, or none.
pub(super) struct Entries<'n> {
    notes: &'n mut Notes,
    of: Option<&'n mut (Shape, Shape)>,
    given: bool,
}

impl<'n> Entries<'n> {
    pub(super) fn new(notes: &'n mut Notes, of: Option<&'n mut (Shape, Shape)>) -> Entries<'n> {
        Entries { notes, of, given: false }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        let Some(of) = self.of.as_mut().filter(|_| !self.given) else { return Ok(None) };
        self.given = true;
        let site = site(self.notes, None, 0);
        self.notes.step(site, seed, &mut of.0).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        let Some(of) = &mut self.of else { return Err(Refused::SAMPLE) };
        let site = site(self.notes, None, 1);
        self.notes.step(site, seed, &mut of.1)
    }
}

/// The fields of a struct, or of a variant like one.
pub(super) struct Fields<'n> {
    notes: &'n mut Notes,
    place: (u32, u32),
    names: &'static [&'static str],
    seen: Vec<Shape>,
    /// Which are given, in this order; the number after the last field is a name that there is not.
    order: Vec<usize>,
    next: usize,
    /// The last step was a name, and its value was not asked for so far.
    is_named: bool,
}

impl<'n> Fields<'n> {
    pub(super) fn visit<'de, V: Visitor<'de>>(
        notes: &'n mut Notes,
        place: (u32, u32),
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let left = notes.left;
        let probe = notes.next_probe(place, names.len());
        let (by_name, order) = notes.order(place, names.len(), probe);
        notes.probing |= probe.is_some();
        let seen = vec![Shape::Unseen; names.len()];
        let mut fields = Fields { notes, place, names, seen, order, next: 0, is_named: false };
        let value = match by_name {
            true => visitor.visit_map(&mut fields),
            false => visitor.visit_seq(&mut fields),
        };
        fields.learn_names(by_name, &value);
        let Fields { notes, seen, .. } = fields;
        notes.saw_fields(place, seen);
        match probe {
            Some(at) => {
                notes.probed(place, at, value.is_ok());
                // Its failure is an answer, and ends the look.
                notes.probing = value.is_err();
            }
            None if value.is_ok() && notes.left == left && notes.notes() => {
                let done = std::mem::replace(&mut notes.part(place).done, true);
                notes.news += usize::from(!done);
            }
            None => {}
        }
        if notes.next_probe(place, names.len()).is_some() {
            notes.left += 1;
        }
        value
    }
}

impl Fields<'_> {
    /// What the way of a value says of names.
    fn learn_names<V>(&mut self, by_name: bool, value: &Result<V, Refused>) {
        let at = self.order.get(self.next).copied();
        match (value, at) {
            (Ok(_), Some(_)) if !by_name => self.notes.may_have_more_names(self.place),
            (Err(Refused { twice: Some(own) }), Some(at)) if self.is_named => {
                let own = self.names.iter().position(|name| name == own);
                own.into_iter().for_each(|own| self.notes.given_twice(self.place, at, own));
            }
            (Err(_), Some(_)) if by_name && self.next == 0 && !self.is_named => {
                self.notes.has_no_names(self.place);
            }
            _ => {}
        }
    }
}

impl Notes {
    /// Which fields are given, in this order, and whether by their names.
    fn order(&self, place: (u32, u32), count: usize, probe: Option<usize>) -> (bool, Vec<usize>) {
        let Names { aliases, own, by_name } = &self.types[place.0 as usize].parts[place.1 as usize].names;
        let is_last = |at: &usize| self.last.contains(&(Some(place), u32::try_from(*at).unwrap_or(u32::MAX)));
        let by_name = self.readable || by_name.unwrap_or_else(|| (0..count).any(|at| is_last(&at)));
        if !by_name {
            return (false, (0..count).filter(|at| !aliases.contains_key(at)).collect());
        }
        let others = (0..count).filter(|at| !own.contains(at) && !aliases.contains_key(at));
        let (mut last, mut order): (Vec<_>, Vec<_>) = own.iter().copied().chain(others).partition(is_last);
        // Those that can't be made come last, and each of them has its turn.
        let turn = self.idle % last.len().max(1);
        last.rotate_left(turn);
        order.extend(last);
        match probe {
            Some(at) if at == count => order.push(at),
            Some(at) => order.retain(|other| *other != at),
            None => {}
        }
        (true, order)
    }

    /// Which field is to be left out this time.
    fn next_probe(&mut self, place: (u32, u32), fields: usize) -> Option<usize> {
        if !self.readable || self.probing || !self.notes() {
            return None;
        }
        let part = self.part(place);
        while part.names.aliases.contains_key(&part.probed) {
            part.probed += 1;
        }
        (part.done && part.probed <= fields).then_some(part.probed)
    }

    fn probed(&mut self, place: (u32, u32), at: usize, made: bool) {
        self.part(place).probed += 1;
        self.news += 1;
        let Some(Form::Struct { fields, open }) = self.fields(place) else { return };
        match fields.get_mut(at) {
            Some(field) => field.required = !made,
            None => *open = made,
        }
    }

    fn saw_fields(&mut self, place: (u32, u32), seen: Vec<Shape>) {
        if !self.notes() {
            return;
        }
        let mut news = 0;
        if let Some(Form::Struct { fields, .. }) = self.fields(place) {
            for (field, seen) in fields.iter_mut().zip(seen) {
                let before = field.shape.clone();
                field.shape.fill(seen);
                news += usize::from(before != field.shape);
            }
        }
        self.news += news;
    }

    fn field<'de, S: DeserializeSeed<'de>>(
        &mut self,
        place: (u32, u32),
        at: usize,
        seed: S,
        seen: &mut [Shape],
    ) -> Result<S::Value, Refused> {
        let mut ignored = Shape::Unseen;
        let shape = seen.get_mut(at).unwrap_or(&mut ignored);
        self.step((Some(place), u32::try_from(at).unwrap_or(u32::MAX)), seed, shape)
    }
}

/// A name that nobody gives a field.
const NOBODY: &str = "\u{1}nobody";

impl<'de> MapAccess<'de> for &mut Fields<'_> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        let Some(at) = self.order.get(self.next) else { return Ok(None) };
        let name = self.names.get(*at).copied().unwrap_or(NOBODY);
        self.is_named = true;
        let name: StrDeserializer<'_, Refused> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        let at = self.order.get(self.next).copied().ok_or(Refused::SAMPLE)?;
        self.next += 1;
        self.is_named = false;
        self.notes.field(self.place, at, seed, &mut self.seen)
    }
}

impl<'de> SeqAccess<'de> for &mut Fields<'_> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        let Some(at) = self.order.get(self.next).copied() else { return Ok(None) };
        self.next += 1;
        self.notes.field(self.place, at, seed, &mut self.seen).map(Some)
    }
}

/// One variant of an enum.
pub(super) struct Variants<'n> {
    notes: &'n mut Notes,
    place: u32,
    variant: usize,
    name: &'static str,
}

impl<'n> Variants<'n> {
    pub(super) fn visit<'de, V: Visitor<'de>>(
        notes: &'n mut Notes,
        place: u32,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let variant = notes.next_variant(place).ok_or(Refused::SAMPLE)?;
        let left = notes.left;
        let access = Variants { notes: &mut *notes, place, variant, name: names[variant] };
        let value = visitor.visit_enum(access);
        let saw_all = notes.left == left;
        let closes = !notes.notes();
        let entry = &mut notes.types[place as usize];
        if value.is_ok() && closes {
            // The innermost comes first, and holds none of itself.
            entry.ends.get_or_insert(variant);
        }
        if value.is_ok() && saw_all && !closes {
            let done = std::mem::replace(&mut entry.parts[variant].done, true);
            // A struct's part is done before its fields were left out one by one.
            notes.news += usize::from(!done);
        }
        if notes.notes() && notes.next_new(place).is_some() {
            notes.left += 1;
        }
        value
    }
}

impl Notes {
    /// A variant of which not everything was seen.
    fn next_new(&self, place: u32) -> Option<usize> {
        let parts = &self.types[place as usize].parts;
        let is_new = |(at, part): (usize, &Part)| {
            (!part.done || self.has_probes(place, at)) && !self.cannot_be_made(place, at)
        };
        parts.iter().enumerate().position(is_new)
    }

    fn has_probes(&self, place: u32, variant: usize) -> bool {
        let entry = &self.types[place as usize];
        match &entry.shape.form {
            Form::Enum(variants) => match &variants[variant].form {
                Some(Form::Struct { fields, .. }) => {
                    self.readable && entry.parts[variant].probed <= fields.len()
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn next_variant(&self, place: u32) -> Option<usize> {
        let entry = &self.types[place as usize];
        let count = entry.parts.len();
        if count == 0 {
            return None;
        }
        if self.notes() {
            let can_be_made = |variant: &usize| !self.cannot_be_made(place, *variant);
            let new = self.next_new(place).or(entry.ends);
            return Some(new.or_else(|| (0..count).find(can_be_made)).unwrap_or(0));
        }
        // Each time deeper another, until one holds none of itself.
        Some(entry.ends.unwrap_or((entry.within as usize + self.too_deep * count.div_ceil(2)) % count))
    }
}

impl<'de, 'n> EnumAccess<'de> for Variants<'n> {
    type Error = Refused;
    type Variant = Variants<'n>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Refused> {
        let name = match self.notes.readable {
            true => {
                let name: StrDeserializer<'_, Refused> = self.name.into_deserializer();
                seed.deserialize(name)
            }
            false => {
                let index = u32::try_from(self.variant).unwrap_or(u32::MAX);
                let index: U32Deserializer<Refused> = index.into_deserializer();
                seed.deserialize(index)
            }
        };
        name.map(|name| (name, self))
    }
}

impl Variants<'_> {
    fn place(&self) -> (u32, u32) {
        (self.place, u32::try_from(self.variant).unwrap_or(u32::MAX))
    }

    /// Goes into the variant.
    fn within<V>(self, go: impl FnOnce(&mut Notes, (u32, u32)) -> Result<V, Refused>) -> Result<V, Refused> {
        let place = self.place();
        self.notes.within((Some(place), VARIANT), |notes| go(notes, place))
    }
}

impl<'de> VariantAccess<'de> for Variants<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        self.notes.note(self.place, Some(self.variant), Form::Unit);
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Refused> {
        let variant = self.variant;
        self.within(|notes, place| {
            let mut seen = Shape::Unseen;
            let value = notes.step((Some(place), 0), seed, &mut seen);
            notes.note(place.0, Some(variant), Form::Wrapper(seen));
            value
        })
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        let variant = self.variant;
        self.within(|notes, place| {
            let mut seen = vec![Shape::Unseen; len.min(MAX_TUPLE)];
            let value = visitor.visit_seq(Elements::new(notes, &mut seen, len, Some(place)));
            notes.note(place.0, Some(variant), Form::Tuple(seen));
            value
        })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.notes.note(self.place, Some(self.variant), struct_of(fields));
        self.within(|notes, place| Fields::visit(notes, place, fields, visitor))
    }
}
