//! Reads the topology, its processes and their actors.

use super::keys;
use super::reader::{Node, Reader};
use super::settings::{DELIVERIES, ON_PANIC, restart, setting, shutdown};
use super::value::json;
use crate::topology::declared::{DeclaredActor, Process, Topology};
use crate::topology::diagnostic::Diagnostic;

/// Reads the document.
pub(super) fn topology(reader: &mut Reader, topology: &mut Topology, document: Node<'_>) {
    let mut named = false;
    for (key, node) in reader.members(&document, "") {
        match key {
            "name" => {
                named = true;
                topology.name = reader.text(&node, "\"demo\"").unwrap_or_default();
            }
            "restart" => topology.restart = restart(reader, &node),
            "defaults" => {
                for (key, node) in reader.members(&node, "[defaults]") {
                    if !setting(reader, &mut topology.defaults.settings, key, &node) {
                        reader.unknown(&node, key, keys::SETTINGS);
                    }
                }
            }
            "process" => {
                for (name, node) in reader.members(&node, "[process.NAME]") {
                    topology.processes.push(process(reader, name, &node));
                }
            }
            _ => reader.unknown(&node, key, keys::TOPOLOGY),
        }
    }
    if !named {
        let nameless = Diagnostic::error(document.path.key("name"), "the topology has no name").unreadable();
        reader.findings.push(nameless.help("say it at the top: name = \"demo\""));
    }
}

fn process(reader: &mut Reader, name: &str, node: &Node<'_>) -> Process {
    let mut process = Process::new(name);
    for (key, node) in reader.members(node, "[process.NAME]") {
        match key {
            "replicas" => process.replicas = reader.count(&node, "4"),
            "significant" => process.significant = reader.flag(&node).unwrap_or(false),
            "args" => process.args = args(reader, &node),
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

/// Reads the arguments of a program.
fn args(reader: &mut Reader, node: &Node<'_>) -> Vec<String> {
    match node.elements() {
        Some(elements) => elements.filter_map(|element| reader.text(&element, "\"--verbose\"")).collect(),
        None => {
            reader.wrong_kind(node, "a list of strings", "[\"--verbose\"]");
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
