//! Who may talk to whom: addresses in the arguments of actors.
//!
//! Arguments are trees. In them a table with the key `addr`, and perhaps `delivery`, is the address of an actor:
//!
//! | written | means |
//! |---|---|
//! | `{ addr = "counter" }` | the actor `counter`; in a replicated process, of an actor of the same process: that of the same replica |
//! | `{ addr = "counter", delivery = "at_least_once" }` | the same, and messages to it are delivered at least once (`M-6`) |
//! | `[{ addr = "doubler-*" }]` | each of the actors `doubler-1`, `doubler-2`, ..., in order; in a list only |
//! | `{ addr = "doubler", routing = "random" }` | the group of the replicas of `doubler`; each message goes to one member |
//! | `{ addr = "jobs/workers", routing = "round_robin" }` | the group `workers` of the namespace `jobs` |
//! | `{ replica = "index" }` | the number of the replica, from 1; 1 in a process without replicas |
//! | `{ replica = "count" }` | how many replicas there are |
//!
//! Every address that a process is given this way is on its list of wired actors; it may reach no other (`A-3`).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::directory::Directory;
use super::expand::{ActorInstance, Instance, numbered};
use super::namespaces;
use crate::id::{ActorId, ActorName, FullName};
use crate::protocol::members::Routing;
use crate::topology::diagnostic::{Diagnostic, ValuePath, did_you_mean};
use crate::topology::plan::{PlannedNamespace, WiredActor};

/// Arguments are read by recursion, and nobody writes them deeper by hand.
pub const MAX_ARGS_DEPTH: usize = 64;

/// Values in the arguments of all processes together, each replica and each address counted: about 100 MiB at the
/// worst. Two replicated processes that are each wired to all of the other reach it with 362 replicas; with a broker
/// between them they need 724 addresses.
pub const MAX_VALUES: usize = 1 << 18;

/// The last part of a name that means every replica.
const EACH: &str = "-*";

/// What is left of [`MAX_VALUES`].
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Budget {
        Budget(MAX_VALUES)
    }
}

impl Budget {
    /// Takes one; whether there was one left.
    fn take(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// What one process is born with.
pub(super) struct Wiring {
    /// The arguments of each actor, with patterns and placeholders replaced.
    pub(super) args: Vec<Value>,
    /// Whom it may reach, by id.
    pub(super) wired: Vec<WiredActor>,
    /// Which groups it may use.
    pub(super) groups: Vec<FullName>,
}

/// Resolves the addresses in a process's arguments; none if there are too many to go on.
pub(super) fn wire(
    (directory, namespaces): (&Directory<'_>, &[PlannedNamespace]),
    home: &Instance<'_>,
    budget: &mut Budget,
    findings: &mut Vec<Diagnostic>,
) -> Option<Wiring> {
    let mut wirer = Wirer {
        directory,
        namespaces,
        home,
        budget,
        exhausted: false,
        found: Vec::new(),
        wired: BTreeMap::new(),
        groups: BTreeSet::new(),
    };
    let args = home.actors.iter().map(|actor| wirer.args(actor)).collect();
    let Wirer { exhausted, found, wired, groups, .. } = wirer;
    if home.is_first() {
        findings.extend(found);
    }
    if exhausted {
        let message =
            format!("with this process there are more than {MAX_VALUES} values in the arguments of actors");
        let help = "give them the names of files, and let the many talk to one that passes messages on";
        findings.push(Diagnostic::error(home.path.clone(), message).on_key().help(help));
        return None;
    }
    Some(Wiring { args, wired: wired.into_values().collect(), groups: groups.into_iter().collect() })
}

struct Wirer<'d, 't> {
    directory: &'d Directory<'t>,
    namespaces: &'d [PlannedNamespace],
    home: &'d Instance<'t>,
    budget: &'d mut Budget,
    exhausted: bool,
    found: Vec<Diagnostic>,
    wired: BTreeMap<ActorId, WiredActor>,
    groups: BTreeSet<FullName>,
}

impl Wirer<'_, '_> {
    fn args(&mut self, actor: &ActorInstance<'_>) -> Value {
        let path = actor.path.key("args");
        match &actor.declared.args {
            Ok(args) => self.value(args, &path, 0),
            Err(why) => {
                self.tell(
                    &path,
                    format!("the arguments can't be written as data: {why}"),
                    "derive Serialize, and key maps by strings",
                );
                Value::Null
            }
        }
    }

    fn value(&mut self, value: &Value, path: &ValuePath, depth: usize) -> Value {
        if depth > MAX_ARGS_DEPTH {
            let message = format!("the arguments are nested deeper than {MAX_ARGS_DEPTH} levels");
            self.tell(path, message, "give them a flatter shape, or the name of a file");
            return Value::Null;
        }
        if !self.afford() {
            return Value::Null;
        }
        match value {
            Value::Array(elements) => self.list(elements, path, depth),
            Value::Object(members) => match (addr_of(members), only_member(members)) {
                (Some(name), _) if members.contains_key(ROUTING) => self.group(name, members, path),
                (Some(name), _) => {
                    let delivery = self.delivery(members, path);
                    delivered(self.single(name, path), delivery)
                }
                (_, Some(("replica", what))) => self.replica(what, path),
                _ => Value::Object(
                    members
                        .iter()
                        .map(|(key, value)| (key.clone(), self.value(value, &path.key(key), depth + 1)))
                        .collect(),
                ),
            },
            plain => plain.clone(),
        }
    }

    fn list(&mut self, elements: &[Value], path: &ValuePath, depth: usize) -> Value {
        let mut list = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let path = path.index(index);
            match address(element).and_then(|name| name.strip_suffix(EACH)) {
                Some(base) => {
                    let first = list.len();
                    self.each(base, &path, &mut list);
                    let delivery = element.as_object().and_then(|members| self.delivery(members, &path));
                    for address in &mut list[first..] {
                        *address = delivered(address.take(), delivery);
                    }
                }
                None => list.push(self.value(element, &path, depth + 1)),
            }
        }
        Value::Array(list)
    }

    /// How messages to an address are delivered, where it says so.
    fn delivery<'v>(&mut self, members: &'v Map<String, Value>, path: &ValuePath) -> Option<&'v str> {
        let delivery = members.get(DELIVERY)?.as_str()?;
        if delivery != AT_LEAST_ONCE {
            let message = format!("an address can't ask for `{delivery}`");
            let help = format!("write `{AT_LEAST_ONCE}`, or leave it to the actor's own `{DELIVERY}`");
            self.tell(&path.key(DELIVERY), message, &help);
        }
        Some(delivery)
    }

    /// The address of a group, by which each message goes to one member.
    fn group(&mut self, name: &str, members: &Map<String, Value>, path: &ValuePath) -> Value {
        if let Err(why) = Routing::deserialize(&members[ROUTING]) {
            let help = "write \"round_robin\", \"random\" or \"least_outstanding\"";
            self.tell(&path.key(ROUTING), format!("messages can't be routed so: {why}"), help);
        }
        self.delivery(members, path);
        let at = path.key("addr");
        if let Ok(group) = FullName::new(name) {
            match namespaces::may_use(self.namespaces, &group, self.home) {
                Ok(()) => drop(self.groups.insert(group)),
                Err((message, help)) => self.tell(&at, message, &help),
            }
        } else if let Some(family) = self.directory.family(name) {
            for member in family.members(name) {
                self.connect(&member);
            }
            self.groups.extend(FullName::of_replicas(name));
        } else {
            let (message, help) = match self.directory.actor(name) {
                Some(_) => {
                    (format!("`{name}` has no replicas, so it is no group"), format!("leave `{ROUTING}` out"))
                }
                None => (
                    format!("no actor with replicas is called `{name}`"),
                    did_you_mean(name, self.directory.family_names(), "those with replicas are"),
                ),
            };
            self.tell(&at, message, &help);
        }
        Value::Object(members.clone())
    }

    /// The address of one actor.
    fn single(&mut self, name: &str, path: &ValuePath) -> Value {
        if self.connect(name) {
            return addressed(name);
        }
        let at = path.key("addr");
        if let Some(base) = name.strip_suffix(EACH) {
            let message = format!("`{name}` means many actors, and there is room for one");
            self.tell(
                &at,
                message,
                &format!("put it into a list, [{{ addr = \"{name}\" }}], or say which: `{base}-1`"),
            );
            return Value::Null;
        }
        if name.contains('/') {
            let help = "for a group, say how it is routed: routing = \"round_robin\"; names are looked up at run time";
            self.tell(&at, format!("`{name}` is no actor of the topology"), help);
            return Value::Null;
        }
        match self.directory.family(name) {
            Some(family) if family.declared == self.home.declared => {
                let sibling = numbered(name, self.home.replica.as_ref().map(|replica| replica.index));
                self.connect(&sibling);
                addressed(&sibling)
            }
            Some(_) => {
                let help = format!(
                    "say which, `{name}-1`, or all of them in a list, [{{ addr = \"{name}{EACH}\" }}]"
                );
                self.tell(&at, format!("`{name}` has replicas, and this does not say which is meant"), &help);
                Value::Null
            }
            None => {
                let help = self.directory.mend(name);
                self.tell(&at, format!("no actor is called `{name}`"), &help);
                Value::Null
            }
        }
    }

    /// The addresses of all replicas of an actor.
    fn each(&mut self, base: &str, path: &ValuePath, list: &mut Vec<Value>) {
        let Some(family) = self.directory.family(base) else {
            let (message, help) = match self.directory.actor(base) {
                Some(_) => (format!("`{base}` has no replicas"), format!("write `{base}`")),
                None => (
                    format!("no actor with replicas is called `{base}`"),
                    did_you_mean(base, self.directory.family_names(), "those with replicas are"),
                ),
            };
            return self.tell(&path.key("addr"), message, &help);
        };
        for name in family.members(base) {
            if !self.afford() {
                return;
            }
            self.connect(&name);
            list.push(addressed(&name));
        }
    }

    fn replica(&mut self, what: &str, path: &ValuePath) -> Value {
        let replica = self.home.replica.as_ref();
        match what {
            "index" => replica.map_or(1, |replica| replica.index).into(),
            "count" => replica.map_or(1, |replica| replica.count).into(),
            other => {
                let help = did_you_mean(other, ["index", "count"], "there are");
                self.tell(&path.key("replica"), format!("a replica has no `{other}`"), &help);
                Value::Null
            }
        }
    }

    /// Whether one more value may be held.
    fn afford(&mut self) -> bool {
        self.exhausted |= !self.budget.take();
        !self.exhausted
    }

    /// Puts the actor of this name on the list; whether there is one.
    fn connect(&mut self, name: &str) -> bool {
        let Some(listed) = self.directory.actor(name) else {
            return false;
        };
        // A name that is none has been told of; there will be no plan.
        if let Ok(actor) = ActorName::new(name) {
            let wired = WiredActor {
                name: actor,
                id: listed.id,
                type_name: listed.type_name.to_owned(),
                messages: None,
            };
            self.wired.entry(listed.id).or_insert(wired);
        }
        true
    }

    fn tell(&mut self, path: &ValuePath, message: String, help: &str) {
        self.found.push(Diagnostic::error(path.clone(), message).help(help));
    }
}

/// The name in `{ addr = "name" }`; none for any other value.
pub(in crate::topology) fn address(value: &Value) -> Option<&str> {
    addr_of(value.as_object()?)
}

/// Beside an address: how messages to it are delivered.
const DELIVERY: &str = "delivery";
const AT_LEAST_ONCE: &str = "at_least_once";

/// Beside the address of a group: how it is routed, and whether what may have run is sent again.
pub(in crate::topology) const ROUTING: &str = "routing";
const REPEATING: &str = "repeating";

/// The name in a table that is an address.
pub(super) fn addr_of(members: &Map<String, Value>) -> Option<&str> {
    let name = members.get("addr")?.as_str()?;
    let others = members.len() - 1;
    let asks = members.get(DELIVERY).is_some_and(Value::is_string);
    let is_routed = members.get(ROUTING).is_some_and(|routing| routing.is_string() || routing.is_object());
    let repeats = is_routed && members.get(REPEATING).is_some_and(Value::is_boolean);
    let known = usize::from(asks) + usize::from(is_routed) + usize::from(repeats);
    (others == known).then_some(name)
}

/// The address that was found, with what it asks for.
fn delivered(mut address: Value, delivery: Option<&str>) -> Value {
    if let (Some(members), Some(delivery)) = (address.as_object_mut(), delivery) {
        members.insert(DELIVERY.to_owned(), delivery.into());
    }
    address
}

fn addressed(name: &str) -> Value {
    Value::Object(Map::from_iter([("addr".to_owned(), Value::from(name))]))
}

/// The member of a table that has one, if that is a text.
pub(super) fn only_member(members: &Map<String, Value>) -> Option<(&str, &str)> {
    let (key, value) = members.iter().next().filter(|_| members.len() == 1)?;
    Some((key, value.as_str()?))
}
