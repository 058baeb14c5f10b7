//! What an address points to, and its forms on the wire and in files.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::context;
use super::group::{GROUP_TEXT, GroupOnTheWire, GroupTarget};
use crate::id::{
    ADDRESS_PREFIX, ActorName, AddressTextError, Capability, Condition, ShortName, is_hashed, of_text,
    serialize_head, short_name, to_text,
};
use crate::process::routing::{Router, sender};
use crate::protocol::Delivery;
use crate::protocol::members::Routing;
use crate::protocol::names::Holder;
use crate::protocol::wire::{Cause, MessageId};

/// An actor by its address, or by a name that was not yet looked up; and how messages are delivered to it.
#[derive(Clone)]
pub(super) struct Target {
    whom: Whom,
    /// What this address asks for, whatever the actor's own setting.
    is_at_least_once: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum Whom {
    Id {
        id: Capability,
        name: Option<Arc<str>>,
    },
    Name(Arc<str>),
    /// One member of a group, another for each message.
    Group(Arc<GroupTarget>),
}

impl Target {
    pub(super) fn of(id: Capability, name: Option<Arc<str>>) -> Target {
        Target { whom: Whom::Id { id, name }, is_at_least_once: false }
    }

    /// Who holds a name or is a member of a group.
    pub(super) fn of_holder(holder: &Holder) -> Target {
        let is_at_least_once = holder.delivery == Delivery::AtLeastOnce;
        Target { whom: Whom::Id { id: holder.addr, name: None }, is_at_least_once }
    }

    /// A member of a group.
    pub(super) fn group_of(group: Arc<GroupTarget>) -> Target {
        Target { whom: Whom::Group(group), is_at_least_once: false }
    }

    /// The group, if it is one.
    pub(super) fn group(&self) -> Option<&Arc<GroupTarget>> {
        match &self.whom {
            Whom::Group(group) => Some(group),
            Whom::Id { .. } | Whom::Name(_) => None,
        }
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

    /// The address, where that is all that there is to know of the target.
    #[inline]
    pub(super) fn plain(&self) -> Option<&Capability> {
        match &self.whom {
            Whom::Id { id, .. } if !self.is_at_least_once => Some(id),
            _ => None,
        }
    }

    pub(super) fn resolve(&self, router: &Router) -> Result<Capability, Cause> {
        self.resolve_fully(router).map(|(id, _)| id)
    }

    /// Which actor, and whether its messages are delivered at least once.
    pub(super) fn resolve_fully(&self, router: &Router) -> Result<(Capability, bool), Cause> {
        match &self.whom {
            Whom::Id { id, .. } => Ok((*id, self.is_at_least_once)),
            Whom::Name(name) => match router.look_up(name) {
                Some(known) => {
                    Ok((known.id, self.is_at_least_once || known.delivery == Delivery::AtLeastOnce))
                }
                None => Err(Cause::UnknownName(name.to_string())),
            },
            Whom::Group(group) => Err(Cause::IsGroup(group.name.clone())),
        }
    }

    /// The same actor with one more condition.
    pub(super) fn narrowed(&self, router: &Router, condition: Condition) -> Result<Target, Cause> {
        let (id, is_at_least_once) = self.resolve_fully(router)?;
        let id = id.narrowed(condition).map_err(|error| Cause::NotNarrowed(error.to_string()))?;
        Ok(Target { whom: Whom::Id { id, name: self.name().cloned() }, is_at_least_once })
    }

    /// The same actor in its present life alone.
    pub(super) fn pinned(&self, router: &Router) -> Result<Target, Cause> {
        let id = self.resolve(router)?;
        if id.life().is_some() {
            return Ok(self.clone());
        }
        let life = match router.is_local(id.process()) {
            true => Some(router.identity().incarnation),
            false => router.connected_life(id.process()),
        };
        self.narrowed(router, Condition::Life(life.ok_or(Cause::NoActor(id.id()))?))
    }

    /// The same, for one message alone, as it leaves this process.
    pub(super) fn for_message(&self, message: Option<MessageId>) -> Result<Target, Cause> {
        match (&self.whom, message) {
            (Whom::Id { id, name }, Some(MessageId(message))) if id.message() != Some(message) => {
                let narrowed = id.narrowed(Condition::Message(message));
                let id = narrowed.map_err(|error| Cause::NotNarrowed(error.to_string()))?;
                Ok(Target { whom: Whom::Id { id, name: name.clone() }, ..self.clone() })
            }
            (Whom::Group(group), Some(message)) => {
                Ok(Target { whom: Whom::Group(group.for_message(message)), ..self.clone() })
            }
            _ => Ok(self.clone()),
        }
    }

    /// The message that it is for, if for one alone.
    pub(super) fn message(&self) -> Option<MessageId> {
        match &self.whom {
            Whom::Id { id, .. } => id.message().map(MessageId),
            Whom::Name(_) => None,
            Whom::Group(group) => group.message,
        }
    }

    pub(super) fn name(&self) -> Option<&Arc<str>> {
        match &self.whom {
            Whom::Id { name, .. } => name.as_ref(),
            Whom::Name(name) => Some(name),
            Whom::Group(_) => None,
        }
    }

    /// The name by which whoever reads it here finds the same right again.
    fn readable_name(&self) -> Option<ActorName> {
        let (id, router) = match (&self.whom, context::current()) {
            (Whom::Name(name), _) => return ActorName::new(name).ok(),
            (Whom::Id { name, .. }, None) => return ActorName::new(name.as_ref()?).ok(),
            (Whom::Id { id, .. }, Some(router)) => (id, router),
            (Whom::Group(_), _) => return None,
        };
        router.name_of(id)
    }

    /// A name where that says everything, else the whole address.
    pub(super) fn to_text(&self, message: Option<MessageId>) -> Result<String, Cause> {
        if let Some(name) = self.readable_name() {
            return Ok(name.to_string());
        }
        let run = context::current().map_or(0, |router| router.identity().run);
        let narrowed = self.for_message(message)?;
        match &narrowed.whom {
            Whom::Id { id, .. } => {
                Ok(to_text(run, if self.is_at_least_once { AT_LEAST_ONCE } else { 0 }, id))
            }
            Whom::Name(name) => Ok(name.to_string()),
            Whom::Group(group) => Ok(group.to_text(self.is_at_least_once)),
        }
    }

    /// What `to_text` wrote.
    pub(super) fn of_text(text: &str) -> Result<Target, AddressTextError> {
        if text.starts_with(GROUP_TEXT) {
            let (group, is_at_least_once) = GroupTarget::of_text(text)?;
            return Ok(Target { whom: Whom::Group(group), is_at_least_once });
        }
        if is_hashed(text) {
            return Ok(Target::named(text.into()));
        }
        if !text.starts_with(ADDRESS_PREFIX) {
            let name = ActorName::new(text).map_err(|_| {
                AddressTextError::NotAnAddress(text.chars().take(crate::id::MAX_NAME_BYTES).collect())
            })?;
            return Ok(Target::named(name.as_str().into()));
        }
        let (run, head, id) = of_text(text)?;
        if context::current().is_some_and(|router| router.identity().run != run) {
            return Err(AddressTextError::OtherRun);
        }
        Ok(Target { whom: Whom::Id { id, name: None }, is_at_least_once: head & AT_LEAST_ONCE != 0 })
    }

    /// Writes it; where it is for one message alone, it is so for whoever reads it.
    pub(super) fn serialize_for<S: Serializer>(
        &self,
        message: Option<MessageId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let failed = |cause: Cause| serde::ser::Error::custom(cause);
        if serializer.is_human_readable() {
            let delivery = self.is_at_least_once.then_some(Delivery::AtLeastOnce);
            if let Whom::Group(group) = &self.whom {
                let (addr, routing) = (group.short_name().to_owned(), Some(group.routing));
                let repeating = group.repeating.then_some(true);
                return Readable { addr, delivery, routing, repeating }.serialize(serializer);
            }
            let addr = self.to_text(message).map_err(failed)?;
            return Readable { addr, delivery, routing: None, repeating: None }.serialize(serializer);
        }
        let head = if self.is_at_least_once { AT_LEAST_ONCE } else { 0 };
        match &self.for_message(message).map_err(failed)?.whom {
            Whom::Id { id, .. } => match context::current().and_then(|router| router.may_be_under_way(id)) {
                None => id.serialize_with(head, serializer),
                Some(0) => id.serialize_with(head | UNDER_WAY, serializer),
                Some(stamp) if has_stamp(id) => id.serialize_before(head | HELD, &stamp, serializer),
                Some(_) => id.serialize_with(head | HELD, serializer),
            },
            Whom::Name(name) => serialize_head(head | NAME, &ShortName(name.to_string()), serializer),
            Whom::Group(group) => serialize_head(head | GROUP, &group.to_wire(), serializer),
        }
    }
}

impl Target {
    /// Writes it without a mark of what is under way: whoever reads it waits for nothing.
    pub(super) fn serialize_weakly<S: Serializer>(
        &self,
        message: Option<MessageId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let head = if self.is_at_least_once { AT_LEAST_ONCE } else { 0 };
        match &self.for_message(message).map_err(serde::ser::Error::custom)?.whom {
            Whom::Id { id, .. } => id.serialize_with(head, serializer),
            Whom::Name(_) | Whom::Group(_) => self.serialize_for(message, serializer),
        }
    }
}

impl PartialEq for Target {
    /// Addresses of the same actor with the same conditions are equal, however messages are delivered; a name is not equal
    /// to an address, as long as it was not looked up.
    fn eq(&self, other: &Target) -> bool {
        match (&self.whom, &other.whom) {
            (Whom::Id { id: left, .. }, Whom::Id { id: right, .. }) => left == right,
            (Whom::Name(left), Whom::Name(right)) => short_name(left) == short_name(right),
            (Whom::Group(left), Whom::Group(right)) => left == right,
            _ => false,
        }
    }
}

impl Eq for Target {}

impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.whom {
            Whom::Id { id, .. } => id.hash(state),
            Whom::Name(name) => short_name(name).hash(state),
            Whom::Group(group) => group.hash(state),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.whom {
            Whom::Id { id, name: Some(name) } => write!(f, "{name} ({id:?})"),
            Whom::Id { id, name: None } => write!(f, "{id:?}"),
            Whom::Name(name) => write!(f, "{name}"),
            Whom::Group(group) => write!(f, "group {} by {:?}", group.name, group.routing),
        }
    }
}

/// In files: `{ addr = "name" }`, and `delivery = "at_least_once"` beside it where the address asks for it. Where a name
/// does not say everything, the text of the address stands in its place. For a group `routing` stands beside its name.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Readable {
    addr: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivery: Option<Delivery>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    routing: Option<Routing>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repeating: Option<bool>,
}

/// Between processes: bits of the head, beside the length of the conditions.
const AT_LEAST_ONCE: u8 = 32;
const UNDER_WAY: u8 = 64;
const NAME: u8 = 128;
/// The sender waits itself for what others have sent there. A stamp follows, where there is room for it.
const HELD: u8 = NAME | UNDER_WAY;
/// A name has no conditions; where it would have one byte of them it is that of a group.
const GROUP: u8 = NAME | 1;

/// An address with so many conditions that a stamp would make it longer than any may be has none: then its sender is asked
/// to wait for all that it holds.
fn has_stamp(id: &Capability) -> bool {
    id.condition_bytes() + size_of::<u32>() <= Capability::MAX_CONDITION_BYTES
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize_for(None, serializer)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
        if !deserializer.is_human_readable() {
            return deserializer.deserialize_tuple(3, Compact);
        }
        let Readable { addr, delivery, routing, repeating } = Readable::deserialize(deserializer)?;
        let target = match routing {
            Some(routing) => {
                let group = GroupTarget::called(&addr, routing).map_err(D::Error::custom)?;
                Target::group_of(group.repeating_if(repeating == Some(true)))
            }
            None => Target::of_text(&addr).map_err(D::Error::custom)?,
        };
        Ok(match delivery {
            Some(Delivery::AtLeastOnce) => target.at_least_once(),
            _ => target,
        })
    }
}

struct Compact;

impl<'de> Visitor<'de> for Compact {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Target, S::Error> {
        let head: u8 = seq.next_element()?.ok_or_else(|| S::Error::invalid_length(0, &self))?;
        let is_held = head & HELD == HELD;
        let mut target = match head & GROUP {
            GROUP if !is_held => {
                let group: Option<GroupOnTheWire> = seq.next_element()?;
                let group = group.ok_or_else(|| S::Error::invalid_length(1, &self))?;
                let group = GroupTarget::of_wire(group);
                Target::group_of(group.ok_or_else(|| S::Error::custom("it is the address of no group"))?)
            }
            plain if is_held || plain & NAME == 0 => {
                let id = seq.next_element_seed(Capability::rest_of(head))?;
                let id = id.ok_or_else(|| S::Error::invalid_length(1, &self))?;
                let stamp = match is_held {
                    true if has_stamp(&id) => {
                        seq.next_element()?.ok_or_else(|| S::Error::invalid_length(2, &self))?
                    }
                    // Of whatever it holds.
                    true => u32::MAX,
                    false => 0,
                };
                // What is sent there from now on must not overtake what its giver had sent.
                if head & UNDER_WAY != 0
                    && let (Some(from), Some(router)) = (sender(), context::current())
                {
                    router.hold(&id, from, stamp);
                }
                Target::of(id, None)
            }
            _ => {
                let name: Option<ShortName> = seq.next_element()?;
                Target::named(name.ok_or_else(|| S::Error::invalid_length(1, &self))?.0.into())
            }
        };
        target.is_at_least_once |= head & AT_LEAST_ONCE != 0;
        Ok(target)
    }
}
