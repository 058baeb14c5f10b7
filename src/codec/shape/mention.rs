//! What an address says, while its type is looked at, of whom it leads to; and that a descriptor is one.
//!
//! An address reads itself as the same bytes whatever it leads to. So that a program's shapes contain the messages that
//! it *sends*, an address that is looked at mentions the type of its actor here, just before it reads itself.

use std::cell::{Cell, RefCell};

use serde::{Deserialize as _, Deserializer};

use super::look::Looked;
use super::protocol::{ActorKey, Collect};

/// What is not as it reads itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whom {
    /// An actor of this type, whose messages are found out so.
    Actor(ActorKey, Collect),
    /// Whatever takes this message.
    Message(&'static str, fn() -> (Looked, Looked)),
    /// A descriptor, which reads itself as a number.
    Descriptor,
}

thread_local! {
    /// How deep this thread is in looking.
    static LOOKING: Cell<u32> = const { Cell::new(0) };
    /// And whether it only names that.
    static MENTIONED: RefCell<Option<(Whom, bool)>> = const { RefCell::new(None) };
}

/// If the type that reads itself on this thread is only looked at, notes what it is, and takes a place for it from the
/// deserializer; else gives that back.
///
/// # Errors
/// Those of the deserializer.
pub(crate) fn mention<'de, D: Deserializer<'de>>(deserializer: D, what: Whom) -> Result<Option<D>, D::Error> {
    mention_as(deserializer, what, false)
}

/// The same, for an address that only names whom it leads to.
///
/// # Errors
/// As there.
pub(crate) fn mention_weak<'de, D: Deserializer<'de>>(
    deserializer: D,
    what: Whom,
) -> Result<Option<D>, D::Error> {
    mention_as(deserializer, what, true)
}

fn mention_as<'de, D: Deserializer<'de>>(
    deserializer: D,
    what: Whom,
    is_weak: bool,
) -> Result<Option<D>, D::Error> {
    if LOOKING.get() == 0 {
        return Ok(Some(deserializer));
    }
    MENTIONED.set(Some((what, is_weak)));
    <()>::deserialize(deserializer).map(|()| None)
}

/// Whether the type that reads itself on this thread is only looked at.
pub(crate) fn is_looking() -> bool {
    LOOKING.get() != 0
}

/// What the address that reads itself now has mentioned, and whether it only names that.
pub(super) fn take() -> Option<(Whom, bool)> {
    MENTIONED.take()
}

/// How many looks this thread is within.
pub(super) fn depth() -> u32 {
    LOOKING.get()
}

/// This thread looks at a type, until this is dropped.
pub(super) struct Looking;

impl Looking {
    pub(super) fn begin() -> Looking {
        LOOKING.set(LOOKING.get() + 1);
        Looking
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        LOOKING.set(LOOKING.get().saturating_sub(1));
    }
}
