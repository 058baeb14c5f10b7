//! What an address points to, and its forms on the wire and in files.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::context;
use crate::id::{ActorId, Incarnation};
use crate::process::routing::Router;
use crate::protocol::wire::Cause;

/// An actor by its number, or by a name that was not yet looked up.
#[derive(Clone)]
pub(super) enum Target {
    Id { id: ActorId, name: Option<Arc<str>> },
    Name(Arc<str>),
}

impl Target {
    /// By name: looked up now if that is possible here, or when it is first used.
    pub(super) fn named(name: Arc<str>) -> Target {
        match context::current().and_then(|router| router.look_up(&name)) {
            Some(known) => Target::Id { id: known.id, name: Some(name) },
            None => Target::Name(name),
        }
    }

    pub(super) fn resolve(&self, router: &Router) -> Result<ActorId, Cause> {
        match self {
            Target::Id { id, .. } => Ok(*id),
            Target::Name(name) => match router.look_up(name) {
                Some(known) => Ok(known.id),
                None => Err(Cause::UnknownName(name.to_string())),
            },
        }
    }

    /// The same actor in its present life alone.
    pub(super) fn pinned(&self, id: ActorId, incarnation: Incarnation) -> Target {
        Target::Id { id: ActorId { incarnation, ..id }, name: self.name().cloned() }
    }

    pub(super) fn name(&self) -> Option<&Arc<str>> {
        match self {
            Target::Id { name, .. } => name.as_ref(),
            Target::Name(name) => Some(name),
        }
    }
}

impl PartialEq for Target {
    /// Names of the same actor are equal; a name is not equal to a number, as long as it was not looked up.
    fn eq(&self, other: &Target) -> bool {
        match (self, other) {
            (Target::Id { id: left, .. }, Target::Id { id: right, .. }) => left == right,
            (Target::Name(left), Target::Name(right)) => left == right,
            _ => false,
        }
    }
}

impl Eq for Target {}

impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Target::Id { id, .. } => id.hash(state),
            Target::Name(name) => name.hash(state),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Id { id, name: Some(name) } => write!(f, "{name} ({id})"),
            Target::Id { id, name: None } => write!(f, "{id}"),
            Target::Name(name) => write!(f, "{name}"),
        }
    }
}

/// In files: `{ addr = "name" }`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Readable {
    addr: String,
}

/// Between processes.
#[derive(Serialize, Deserialize)]
enum Compact {
    Id(ActorId),
    Name(String),
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return match self.name() {
                Some(name) => Readable { addr: name.to_string() }.serialize(serializer),
                None => Err(serde::ser::Error::custom(format!(
                    "the actor at {self:?} has no name, so its address can't be written to a file"
                ))),
            };
        }
        match self {
            Target::Id { id, .. } => Compact::Id(*id).serialize(serializer),
            Target::Name(name) => Compact::Name(name.to_string()).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
        if deserializer.is_human_readable() {
            let Readable { addr } = Readable::deserialize(deserializer)?;
            return Ok(Target::named(addr.into()));
        }
        match Compact::deserialize(deserializer).map_err(D::Error::custom)? {
            Compact::Id(id) => Ok(Target::Id { id, name: None }),
            Compact::Name(name) => Ok(Target::named(name.into())),
        }
    }
}
