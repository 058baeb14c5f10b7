//! What an address of a group holds.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::view::View;
use crate::address::naming::Desk;
use crate::id::{FullName, NameError, REPLICAS};
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

/// Its name, how it is routed, whether it is repeating, and its message.
pub(in crate::address) type GroupOnTheWire = (FullName, Routing, bool, Option<MessageId>);

impl GroupTarget {
    pub(in crate::address) fn new(name: FullName, routing: Routing) -> Arc<GroupTarget> {
        GroupTarget::of_wire((name, routing, false, None))
    }

    /// By its name in files: that of an actor with replicas, or one with its namespace.
    pub(in crate::address) fn called(name: &str, routing: Routing) -> Result<Arc<GroupTarget>, NameError> {
        let name = if name.contains('/') { FullName::new(name) } else { FullName::of_replicas(name) };
        Ok(GroupTarget::new(name?, routing))
    }

    /// As `called` has it.
    pub(in crate::address) fn short_name(&self) -> &str {
        if self.name.namespace() == REPLICAS { self.name.own() } else { self.name.as_str() }
    }

    pub(in crate::address) fn routed(&self, routing: Routing) -> Arc<GroupTarget> {
        GroupTarget::of_wire((self.name.clone(), routing, self.repeating, self.message))
    }

    pub(in crate::address) fn repeating_if(self: Arc<Self>, repeating: bool) -> Arc<GroupTarget> {
        if self.repeating == repeating {
            return self;
        }
        GroupTarget::of_wire((self.name.clone(), self.routing, repeating, self.message))
    }

    pub(in crate::address) fn for_message(&self, message: MessageId) -> Arc<GroupTarget> {
        GroupTarget::of_wire((self.name.clone(), self.routing, self.repeating, Some(message)))
    }

    pub(in crate::address) fn to_wire(&self) -> GroupOnTheWire {
        (self.name.clone(), self.routing, self.repeating, self.message)
    }

    pub(in crate::address) fn of_wire(
        (name, routing, repeating, message): GroupOnTheWire,
    ) -> Arc<GroupTarget> {
        Arc::new(GroupTarget { name, routing, repeating, message, view: Mutex::default() })
    }

    /// What this process knows of the group; from the first call on it is told. None outside a runtime.
    pub(in crate::address) fn view(&self) -> Option<Arc<View>> {
        let mut known = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = known.upgrade().filter(|view| !view.is_void()) {
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
        (&self.name, self.routing) == (&other.name, other.routing)
    }
}

impl Eq for GroupTarget {}

impl Hash for GroupTarget {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.name, self.routing).hash(state);
    }
}
