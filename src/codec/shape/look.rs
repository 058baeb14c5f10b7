//! Looks at a type as often as there is something new to see.
//!
//! One look makes one value of the type: of each enum one variant, in a language with names each struct with one field
//! left out. The next look takes another. A value that the type refuses is tried with other samples; where none is taken,
//! the struct's other fields come first from then on, so that only what lies behind such a value in a tuple stays unseen.

use std::any::type_name;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;

use super::form::{Form, Shape, Shapes, TypeShape};
use super::mention::Looking;
use super::names::{Names, settled};
use super::protocol::{ActorKey, Collect};
use super::samples;
use super::spot::Spot;

/// What was seen of a type.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// Its shape.
    pub shapes: Shapes,
    /// The types of actors to whose addresses it has room.
    pub(super) actors: BTreeMap<ActorKey, Collect>,
}

/// The shape of a type as it travels between processes.
pub fn wire<T: DeserializeOwned>() -> Looked {
    look::<T>(false)
}

/// The shape of a type in a language with names, such as JSON.
pub fn readable<T: DeserializeOwned>() -> Looked {
    look::<T>(true)
}

/// Each look sees something new, so a type with more variants and fields than this is left as it was seen by then.
const MAX_LOOKS: usize = 16_384;

/// Values in all looks together: some seconds at the very worst. Types of a hundred fields take a ten-thousandth of it.
const MAX_VALUES: usize = 8 << 20;

fn look<T: DeserializeOwned>(readable: bool) -> Looked {
    let mut notes = Notes { readable, ..Notes::default() };
    let mut root = Shape::Unseen;
    let _looking = Looking::begin();
    for _ in 0..MAX_LOOKS {
        notes.begin();
        let mut seen = Shape::Unseen;
        let value = catch_unwind(AssertUnwindSafe(|| {
            // Dropping it may run a user's code, too.
            T::deserialize(Spot { notes: &mut notes, shape: &mut seen }).map(drop)
        }));
        root.fill(seen);
        let Ok(value) = value else { break };
        if !notes.wants_another(value.is_ok()) {
            break;
        }
    }
    if root == Shape::Unseen {
        root = Shape::Opaque(type_name::<T>().to_owned());
    }
    let types = notes.types.into_iter().map(|entry| settled(entry, readable)).collect();
    Looked { shapes: Shapes { root, types }, actors: notes.actors }
}

/// Where a value is: in the struct or variant around it, and there at this place.
pub(super) type Site = (Place, u32);

/// The place of a whole variant on the way to what is in it.
pub(super) const VARIANT: u32 = u32::MAX;

/// A struct, or a variant of an enum; none around the type itself.
pub(super) type Place = Option<(u32, u32)>;

/// All that is known so far.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) readable: bool,
    pub(super) types: Vec<Entry>,
    /// By Rust's name, serde's name and the names inside.
    known: BTreeMap<(&'static str, &'static str, &'static [&'static str]), u32>,
    pub(super) actors: BTreeMap<ActorKey, Collect>,
    /// Which sample is tried where.
    tried: BTreeMap<Site, usize>,
    /// Values that come last, since no sample is taken there or within.
    pub(super) last: BTreeSet<Site>,
    /// From the outermost to the value that is made just now.
    pub(super) way: Vec<Site>,
    /// The way to the last plain value, and how many samples there are for it.
    pub(super) leaf: (Vec<Site>, usize),
    /// Inside a type that is within itself: values are made, nothing is noted.
    pub(super) closing: u32,
    /// A field is left out: nobody else leaves out one.
    pub(super) probing: bool,
    /// What this look has left for the next.
    pub(super) left: usize,
    /// What this look has found.
    pub(super) news: usize,
    /// How many looks in a row failed and found nothing.
    pub(super) idle: usize,
    values: usize,
    /// This look went too deep, as a recursion does where the wrong variants are taken.
    is_too_deep: bool,
    /// How many looks did.
    pub(super) too_deep: usize,
}

/// A struct or enum.
pub(super) struct Entry {
    pub(super) shape: TypeShape,
    pub(super) parts: Vec<Part>,
    /// How often it is around the value that is made just now.
    pub(super) within: u32,
    /// The variant that ends a recursion, once one was found.
    pub(super) ends: Option<usize>,
}

/// A struct, or one variant of an enum.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// Everything in it was seen, and a value was made.
    pub(super) done: bool,
    /// Of each field whether it was found out that it must be there, and then of whatever else is there.
    pub(super) probed: usize,
    /// Which of its names is another name of which.
    pub(super) names: Names,
}

impl Notes {
    fn begin(&mut self) {
        self.way = vec![(None, 0)];
        self.leaf = (Vec::new(), 0);
        (self.closing, self.left, self.news) = (0, 0, 0);
        (self.probing, self.is_too_deep) = (false, false);
        self.types.iter_mut().for_each(|entry| entry.within = 0);
    }

    /// After a look, whether the next one will see more.
    fn wants_another(&mut self, made: bool) -> bool {
        if self.values > MAX_VALUES {
            return false;
        }
        if made {
            return self.left > 0 && self.news > 0;
        }
        if self.probing {
            return true;
        }
        if self.is_too_deep {
            self.too_deep += 1;
            return self.too_deep < MOST_TOO_DEEP;
        }
        if self.try_another() || self.news > 0 {
            self.idle = 0;
            return true;
        }
        self.idle += 1;
        self.idle <= self.last.len()
    }

    /// The value before the failure was refused: another sample, or, if there is none, others first.
    fn try_another(&mut self) -> bool {
        let (way, samples) = std::mem::take(&mut self.leaf);
        let Some(site) = way.last() else { return false };
        let tried = self.tried.entry(*site).or_default();
        if *tried + 1 < samples {
            *tried += 1;
            return true;
        }
        let before = self.last.len();
        for site in way.into_iter().rev() {
            self.last.insert(site);
            // With another variant, what is around it can be made.
            if let (Some((place, _)), VARIANT) = site
                && (0..self.types[place as usize].parts.len()).any(|at| !self.cannot_be_made(place, at))
            {
                break;
            }
        }
        self.last.len() > before
    }

    /// Whether no sample is taken in this variant.
    pub(super) fn cannot_be_made(&self, place: u32, variant: usize) -> bool {
        let variant = u32::try_from(variant).unwrap_or(u32::MAX);
        self.last.contains(&(Some((place, variant)), VARIANT))
    }

    /// Counts a value; false if there were too many.
    pub(super) fn count(&mut self) -> bool {
        self.values += 1;
        self.is_too_deep |= self.way.len() >= MAX_DEPTH;
        self.values <= MAX_VALUES && !self.is_too_deep
    }

    /// Which sample to give here.
    pub(super) fn sample(&mut self, shape: &Shape) -> usize {
        self.leaf = (self.way.clone(), samples::count(shape));
        self.way.last().and_then(|site| self.tried.get(site)).copied().unwrap_or(0)
    }

    /// The place of a type in the table.
    pub(super) fn entry(
        &mut self,
        rust: &'static str,
        name: &'static str,
        inside: &'static [&'static str],
        form: impl FnOnce() -> (Form, usize),
    ) -> u32 {
        let next = u32::try_from(self.types.len()).unwrap_or(u32::MAX);
        let place = *self.known.entry((rust, name, inside)).or_insert(next);
        if place == next {
            let (form, parts) = form();
            self.news += 1;
            self.types.push(Entry {
                shape: TypeShape { name: name.to_owned(), form },
                parts: vec![Part::default(); parts],
                within: 0,
                ends: None,
            });
        }
        place
    }

    /// Whether what is seen now is noted.
    pub(super) fn notes(&self) -> bool {
        self.closing == 0
    }
}

/// Values within values: more than any type has that is no recursion, and far less than a thread's stack has room for.
const MAX_DEPTH: usize = 96;

/// Looks that end so deep: each tries other variants, so that there is one that ends among the first thousand.
const MOST_TOO_DEEP: usize = 32;
