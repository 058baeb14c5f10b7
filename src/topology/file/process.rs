//! Reads the topology, its groups and processes, and their actors.

use super::keys;
use super::reader::{Node, Reader};
use super::settings::{AUTO_SHUTDOWNS, DELIVERIES, ON_PANIC, restart, setting, shutdown};
use super::value::json;
use crate::topology::declared::{DeclaredActor, DeclaredMember, Group, Namespace, Process, Topology};
use crate::topology::diagnostic::Diagnostic;

/// Reads the document.
pub(super) fn topology(reader: &mut Reader, topology: &mut Topology, document: Node<'_>) {
    let (mut named, mut members) = (false, Vec::new());
    for (key, node) in reader.members(&document, "") {
        match key {
            "name" => {
                named = true;
                topology.name = reader.text(&node, "\"demo\"").unwrap_or_default();
            }
            "restart" => topology.restart = restart(reader, &node),
            "auto_shutdown" => topology.auto_shutdown = reader.choice(&node, &AUTO_SHUTDOWNS),
            "defaults" => {
                for (key, node) in reader.members(&node, "[defaults]") {
                    if !setting(reader, &mut topology.defaults.settings, key, &node) {
                        reader.unknown(&node, key, keys::SETTINGS);
                    }
                }
            }
            "process" => processes(reader, &node, "[process.NAME]", &mut members),
            "group" => groups(reader, &node, "[group.NAME]", &mut members),
            "namespace" => {
                for (name, node) in reader.members(&node, "[namespace.NAME]") {
                    topology.namespaces.push(namespace(reader, name, &node));
                }
            }
            _ => reader.unknown(&node, key, keys::TOPOLOGY),
        }
    }
    topology.members = in_order(members);
    if !named {
        let nameless = Diagnostic::error(document.path.key("name"), "the topology has no name").unreadable();
        reader.findings.push(nameless.help("say it at the top: name = \"demo\""));
    }
}

/// A member of a group, and where the file names it first.
type PlacedMember = (usize, DeclaredMember);

/// Reads a table of processes.
fn processes(reader: &mut Reader, node: &Node<'_>, example: &str, members: &mut Vec<PlacedMember>) {
    for (place, name, node) in reader.placed_members(node, example) {
        members.push((place, DeclaredMember::Process(process(reader, name, &node))));
    }
}

/// Reads a table of groups. They are read by recursion, which the depth of the file bounds.
fn groups(reader: &mut Reader, node: &Node<'_>, example: &str, members: &mut Vec<PlacedMember>) {
    for (place, name, node) in reader.placed_members(node, example) {
        members.push((place, DeclaredMember::Group(group(reader, name, &node))));
    }
}

/// Processes and groups stand in two tables of the file; they start in the order in which it names them.
fn in_order(mut members: Vec<PlacedMember>) -> Vec<DeclaredMember> {
    members.sort_by_key(|(place, _)| *place);
    members.into_iter().map(|(_, member)| member).collect()
}

fn group(reader: &mut Reader, name: &str, node: &Node<'_>) -> Group {
    let (mut group, mut members) = (Group::new(name), Vec::new());
    for (key, node) in reader.members(node, "[group.NAME]") {
        match key {
            "restart" => group.restart = restart(reader, &node),
            "significant" => group.significant = reader.flag(&node).unwrap_or(false),
            "auto_shutdown" => group.auto_shutdown = reader.choice(&node, &AUTO_SHUTDOWNS),
            "process" => processes(reader, &node, "[group.NAME.process.NAME]", &mut members),
            "group" => groups(reader, &node, "[group.NAME.group.NAME]", &mut members),
            _ => reader.unknown(&node, key, keys::GROUP),
        }
    }
    group.members = in_order(members);
    group
}

fn process(reader: &mut Reader, name: &str, node: &Node<'_>) -> Process {
    let mut process = Process::new(name);
    for (key, node) in reader.members(node, "[process.NAME]") {
        match key {
            "replicas" => process.replicas = reader.count(&node, "4"),
            "significant" => process.significant = reader.flag(&node).unwrap_or(false),
            "args" => process.args = texts(reader, &node, "--verbose"),
            "may_send" => {
                for (to, node) in reader.members(&node, "may_send = { counter = [\"Add\"] }") {
                    process.may_send.push((to.to_owned(), texts(reader, &node, "Add")));
                }
            }
            "actor" => {
                for (name, node) in reader.members(&node, "actor.NAME = { type = \"...\" }") {
                    process.actors.push(actor(reader, name, &node));
                }
            }
            _ if setting(reader, &mut process.settings, key, &node) => {}
            _ => {
                let known: Vec<_> = keys::PROCESS.iter().chain(keys::SETTINGS).copied().collect();
                reader.unknown(&node, key, &known);
            }
        }
    }
    process
}

fn namespace(reader: &mut Reader, name: &str, node: &Node<'_>) -> Namespace {
    let mut namespace = Namespace::new(name);
    for (key, node) in reader.members(node, "[namespace.NAME]") {
        match key {
            "register" => namespace.register = texts(reader, &node, "left"),
            "lookup" => namespace.lookup = texts(reader, &node, "*"),
            "most" => namespace.most = reader.count(&node, "1024"),
            _ => reader.unknown(&node, key, keys::NAMESPACE),
        }
    }
    namespace
}

/// Reads a list of texts.
fn texts(reader: &mut Reader, node: &Node<'_>, example: &str) -> Vec<String> {
    let example = format!("\"{example}\"");
    match node.elements() {
        Some(elements) => elements.filter_map(|element| reader.text(&element, &example)).collect(),
        None => {
            reader.wrong_kind(node, "a list of strings", &format!("[{example}]"));
            Vec::new()
        }
    }
}

/// Reads an actor. One without a type is kept without: others may be wired to it.
fn actor(reader: &mut Reader, name: &str, node: &Node<'_>) -> DeclaredActor {
    let mut actor = DeclaredActor::new(name, "", serde_json::Value::Null);
    for (key, node) in reader.members(node, "{ type = \"demo::Counter\", args = 0 }") {
        match key {
            "type" => actor.type_name = reader.text(&node, "\"demo::Counter\"").unwrap_or_default(),
            "args" => actor.args = Ok(json(reader, &node)),
            "restart" => actor.settings.restart = restart(reader, &node),
            "shutdown" => actor.settings.shutdown = shutdown(reader, &node),
            "significant" => actor.settings.significant = reader.flag(&node).unwrap_or(false),
            "panic" => actor.settings.panic = reader.choice(&node, &ON_PANIC),
            "delivery" => actor.settings.delivery = reader.choice(&node, &DELIVERIES),
            "attempts" => actor.settings.attempts = reader.count(&node, "3"),
            _ => reader.unknown(&node, key, keys::ACTOR),
        }
    }
    actor
}
