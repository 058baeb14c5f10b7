//! What an address points to, and its forms on the wire and in files.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::context;
use crate::id::{ActorId, Incarnation};
use crate::process::routing::Router;
use crate::protocol::Delivery;
use crate::protocol::wire::Cause;

/// An actor by its number, or by a name that was not yet looked up; and how messages are delivered to it.
#[derive(Clone)]
pub(super) struct Target {
    whom: Whom,
    /// What this address asks for, whatever the actor's own setting.
    is_at_least_once: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum Whom {
    Id { id: ActorId, name: Option<Arc<str>> },
    Name(Arc<str>),
}

impl Target {
    pub(super) fn of(id: ActorId, name: Option<Arc<str>>) -> Target {
        Target { whom: Whom::Id { id, name }, is_at_least_once: false }
    }

    /// By name: looked up now if that is possible here, or when it is first used.
    pub(super) fn named(name: Arc<str>) -> Target {
        match context::current().and_then(|router| router.look_up(&name)) {
            Some(known) => Target {
                is_at_least_once: known.delivery == Delivery::AtLeastOnce,
                whom: Whom::Id { id: known.id, name: Some(name) },
            },
            None => Target { whom: Whom::Name(name), is_at_least_once: false },
        }
    }

    /// The same, whose messages are delivered at least once.
    pub(super) fn at_least_once(&self) -> Target {
        Target { is_at_least_once: true, ..self.clone() }
    }

    /// Whether this address asks for at-least-once delivery. One that is still a name may learn it when it is resolved.
    pub(super) fn is_at_least_once(&self) -> bool {
        self.is_at_least_once
    }

    pub(super) fn resolve(&self, router: &Router) -> Result<ActorId, Cause> {
        self.resolve_fully(router).map(|(id, _)| id)
    }

    /// Which actor, and whether its messages are delivered at least once.
    pub(super) fn resolve_fully(&self, router: &Router) -> Result<(ActorId, bool), Cause> {
        match &self.whom {
            Whom::Id { id, .. } => Ok((*id, self.is_at_least_once)),
            Whom::Name(name) => match router.look_up(name) {
                Some(known) => {
                    Ok((known.id, self.is_at_least_once || known.delivery == Delivery::AtLeastOnce))
                }
                None => Err(Cause::UnknownName(name.to_string())),
            },
        }
    }

    /// The same actor in its present life alone.
    pub(super) fn pinned(&self, id: ActorId, incarnation: Incarnation) -> Target {
        let whom = Whom::Id { id: ActorId { incarnation, ..id }, name: self.name().cloned() };
        Target { whom, ..self.clone() }
    }

    pub(super) fn name(&self) -> Option<&Arc<str>> {
        match &self.whom {
            Whom::Id { name, .. } => name.as_ref(),
            Whom::Name(name) => Some(name),
        }
    }
}

impl PartialEq for Target {
    /// Names of the same actor are equal, however messages are delivered; a name is not equal to a number, as long as
    /// it was not looked up.
    fn eq(&self, other: &Target) -> bool {
        match (&self.whom, &other.whom) {
            (Whom::Id { id: left, .. }, Whom::Id { id: right, .. }) => left == right,
            (Whom::Name(left), Whom::Name(right)) => left == right,
            _ => false,
        }
    }
}

impl Eq for Target {}

impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.whom {
            Whom::Id { id, .. } => id.hash(state),
            Whom::Name(name) => name.hash(state),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.whom {
            Whom::Id { id, name: Some(name) } => write!(f, "{name} ({id})"),
            Whom::Id { id, name: None } => write!(f, "{id}"),
            Whom::Name(name) => write!(f, "{name}"),
        }
    }
}

/// In files: `{ addr = "name" }`, and `delivery = "at_least_once"` beside it where the address asks for it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Readable {
    addr: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivery: Option<Delivery>,
}

/// Between processes.
#[derive(Serialize, Deserialize)]
enum Compact {
    Id(ActorId),
    Name(String),
    IdAtLeastOnce(ActorId),
    NameAtLeastOnce(String),
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let delivery = self.is_at_least_once.then_some(Delivery::AtLeastOnce);
            return match self.name() {
                Some(name) => Readable { addr: name.to_string(), delivery }.serialize(serializer),
                None => Err(serde::ser::Error::custom(format!(
                    "the actor at {self:?} has no name, so its address can't be written to a file"
                ))),
            };
        }
        let compact = match (&self.whom, self.is_at_least_once) {
            (Whom::Id { id, .. }, false) => Compact::Id(*id),
            (Whom::Id { id, .. }, true) => Compact::IdAtLeastOnce(*id),
            (Whom::Name(name), false) => Compact::Name(name.to_string()),
            (Whom::Name(name), true) => Compact::NameAtLeastOnce(name.to_string()),
        };
        compact.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
        if deserializer.is_human_readable() {
            let Readable { addr, delivery } = Readable::deserialize(deserializer)?;
            let target = Target::named(addr.into());
            return Ok(match delivery {
                Some(Delivery::AtLeastOnce) => target.at_least_once(),
                _ => target,
            });
        }
        Ok(match Compact::deserialize(deserializer).map_err(D::Error::custom)? {
            Compact::Id(id) => Target::of(id, None),
            Compact::Name(name) => Target::named(name.into()),
            Compact::IdAtLeastOnce(id) => Target::of(id, None).at_least_once(),
            Compact::NameAtLeastOnce(name) => Target::named(name.into()).at_least_once(),
        })
    }
}
