//! What an address of a group holds.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::view::View;
use crate::address::naming::Desk;
use crate::id::{AddressTextError, FullName, NameError, REPLICAS, ShortName, is_hashed, text_check};
use crate::protocol::members::Routing;
use crate::protocol::wire::MessageId;

/// A group, and how a message finds its member.
pub(in crate::address) struct GroupTarget {
    pub(in crate::address) name: FullName,
    pub(in crate::address) routing: Routing,
    /// Whether a request that may have run is sent to another member.
    pub(in crate::address) repeating: bool,
    /// Which message it is for, if for one alone.
    pub(in crate::address) message: Option<MessageId>,
    /// What this process knows of it, once it was used.
    view: Mutex<Weak<View>>,
}

/// How it is routed and which options it has, the key, the message or 0, its name.
pub(in crate::address) type GroupOnTheWire = (u8, u64, u32, ShortName);

/// Bits of the first byte, beside the number of the routing.
const REPEATING: u8 = 16;
const FOR_MESSAGE: u8 = 32;
const ROUTING_BITS: u8 = 15;

/// How the text of a group's address begins.
pub(in crate::address) const GROUP_TEXT: &str = "procession:group:";

impl GroupTarget {
    pub(in crate::address) fn new(name: FullName, routing: Routing) -> Arc<GroupTarget> {
        GroupTarget::of_parts(name, routing, false, None)
    }

    /// By its name in files: that of an actor with replicas, or one with its namespace.
    pub(in crate::address) fn called(name: &str, routing: Routing) -> Result<Arc<GroupTarget>, NameError> {
        let name = match name {
            hashed if is_hashed(hashed) => FullName::try_from(hashed.to_owned()),
            full if full.contains('/') => FullName::new(full),
            actor => FullName::of_replicas(actor),
        };
        Ok(GroupTarget::new(name?, routing))
    }

    /// As `called` has it.
    pub(in crate::address) fn short_name(&self) -> &str {
        if self.name.namespace() == REPLICAS { self.name.own() } else { self.name.as_str() }
    }

    pub(in crate::address) fn routed(&self, routing: Routing) -> Arc<GroupTarget> {
        GroupTarget::of_parts(self.name.clone(), routing, self.repeating, self.message)
    }

    pub(in crate::address) fn repeating_if(self: Arc<Self>, repeating: bool) -> Arc<GroupTarget> {
        if self.repeating == repeating {
            return self;
        }
        GroupTarget::of_parts(self.name.clone(), self.routing, repeating, self.message)
    }

    pub(in crate::address) fn for_message(&self, message: MessageId) -> Arc<GroupTarget> {
        GroupTarget::of_parts(self.name.clone(), self.routing, self.repeating, Some(message))
    }

    pub(in crate::address) fn to_wire(&self) -> GroupOnTheWire {
        let (routing, key) = match self.routing {
            Routing::RoundRobin => (0, 0),
            Routing::Random => (1, 0),
            Routing::LeastOutstanding => (2, 0),
            Routing::Key(key) => (3, key),
        };
        let repeating = if self.repeating { REPEATING } else { 0 };
        let (one, message) = self.message.map_or((0, 0), |MessageId(message)| (FOR_MESSAGE, message));
        (routing | repeating | one, key, message, ShortName(self.name.as_str().to_owned()))
    }

    /// None if it is the address of no group.
    pub(in crate::address) fn of_wire(
        (bits, key, message, ShortName(name)): GroupOnTheWire,
    ) -> Option<Arc<GroupTarget>> {
        let routing = match bits & ROUTING_BITS {
            0 => Routing::RoundRobin,
            1 => Routing::Random,
            2 => Routing::LeastOutstanding,
            3 => Routing::Key(key),
            _ => return None,
        };
        if bits & !(ROUTING_BITS | REPEATING | FOR_MESSAGE) != 0 {
            return None;
        }
        let message = (bits & FOR_MESSAGE != 0).then_some(MessageId(message));
        let name = FullName::try_from(name).ok()?;
        Some(GroupTarget::of_parts(name, routing, bits & REPEATING != 0, message))
    }

    /// All of it as text: `procession:group:NAME:BITS.KEY.MESSAGE:CHECK`, of which people read the name.
    pub(in crate::address) fn to_text(&self, at_least_once: bool) -> String {
        let (bits, key, message, _) = self.to_wire();
        let head = u8::from(at_least_once);
        let shown = format!("{GROUP_TEXT}{}:{head:x}.{bits:02x}.{key:x}.{message:x}:", self.name);
        let check = u32::from_be_bytes(text_check(shown.as_bytes()));
        format!("{shown}{check:08x}")
    }

    /// What `to_text` wrote: the group, and whether its messages are delivered at least once.
    pub(in crate::address) fn of_text(text: &str) -> Result<(Arc<GroupTarget>, bool), AddressTextError> {
        let damaged = AddressTextError::Damaged;
        let (shown, check) = text.rsplit_once(':').ok_or(damaged("it is too short"))?;
        let expected = u32::from_be_bytes(text_check(format!("{shown}:").as_bytes()));
        if format!("{expected:08x}") != check {
            return Err(damaged("its checksum is wrong"));
        }
        let parts = shown.strip_prefix(GROUP_TEXT).and_then(|parts| parts.rsplit_once(':'));
        let (name, numbers) = parts.ok_or(damaged("it names no group"))?;
        let numbers: Vec<u64> =
            numbers.split('.').map_while(|digits| u64::from_str_radix(digits, 16).ok()).collect();
        let [head, bits, key, message] = *numbers else { return Err(damaged("it has no routing")) };
        let wire = u8::try_from(bits).ok().zip(u32::try_from(message).ok());
        let group = wire.and_then(|(bits, message)| {
            GroupTarget::of_wire((bits, key, message, ShortName(name.to_owned())))
        });
        Ok((group.ok_or(damaged("it is the address of no group"))?, head == 1))
    }

    fn of_parts(
        name: FullName,
        routing: Routing,
        repeating: bool,
        message: Option<MessageId>,
    ) -> Arc<GroupTarget> {
        Arc::new(GroupTarget { name, routing, repeating, message, view: Mutex::default() })
    }

    /// What this process knows of the group; from the first call on it is told. None outside a runtime.
    pub(in crate::address) fn view(&self) -> Option<Arc<View>> {
        let mut known = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = known.upgrade().filter(|view| !view.is_void() && !view.is_refused()) {
            return Some(view);
        }
        let view = Desk::current()?.view(&self.name);
        *known = Arc::downgrade(&view);
        Some(view)
    }

    /// Whether it has members, as far as is known here.
    pub(in crate::address) fn has_members(&self) -> bool {
        self.view().and_then(|view| view.members().ok()).is_some_and(|members| !members.list.is_empty())
    }
}

impl PartialEq for GroupTarget {
    fn eq(&self, other: &GroupTarget) -> bool {
        (self.name.short(), self.routing) == (other.name.short(), other.routing)
    }
}

impl Eq for GroupTarget {}

impl Hash for GroupTarget {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name.short(), self.routing).hash(state);
    }
}
