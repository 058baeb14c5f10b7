//! Reads single values of a document, and tells of those that are not what they should be.
//!
//! Every reader gives `None` for a value that it has told of, so that reading goes on.

use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::keys;
use crate::topology::diagnostic::{Diagnostic, ValuePath, closest, did_you_mean, listed};
use crate::topology::units;

/// A value of the document and the way to it.
#[derive(Clone)]
pub(super) struct Node<'d> {
    pub(super) path: ValuePath,
    value: NodeValue<'d>,
}

#[derive(Clone, Copy)]
enum NodeValue<'d> {
    Root(&'d DeTable<'d>),
    Inner(&'d DeValue<'d>),
}

impl<'d> Node<'d> {
    /// The document itself.
    pub(super) fn root(document: &'d DeTable<'d>) -> Node<'d> {
        Node { path: ValuePath::root(), value: NodeValue::Root(document) }
    }

    fn inner(path: ValuePath, value: &'d DeValue<'d>) -> Node<'d> {
        Node { path, value: NodeValue::Inner(value) }
    }

    /// The value; none for the document itself.
    pub(super) fn value(&self) -> Option<&'d DeValue<'d>> {
        match self.value {
            NodeValue::Root(_) => None,
            NodeValue::Inner(value) => Some(value),
        }
    }

    fn table(&self) -> Option<&'d DeTable<'d>> {
        match self.value {
            NodeValue::Root(document) => Some(document),
            NodeValue::Inner(value) => value.as_table(),
        }
    }

    /// What kind of value this is, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match self.value() {
            None | Some(DeValue::Table(_)) => "a table",
            Some(DeValue::String(_)) => "a string",
            Some(DeValue::Integer(_)) => "a whole number",
            Some(DeValue::Float(_)) => "a number with a fraction",
            Some(DeValue::Boolean(_)) => "a boolean",
            Some(DeValue::Datetime(_)) => "a date or time",
            Some(DeValue::Array(_)) => "a list",
        }
    }

    /// The elements of a list.
    pub(super) fn elements(&self) -> Option<impl Iterator<Item = Node<'d>> + use<'d>> {
        let path = self.path.clone();
        let elements = self.value()?.as_array()?;
        Some(
            elements
                .iter()
                .enumerate()
                .map(move |(index, element)| Node::inner(path.index(index), element.get_ref())),
        )
    }
}

/// What was found while reading.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) findings: Vec<Diagnostic>,
}

impl Reader {
    /// Tells that a value is of no use.
    pub(super) fn refuse(&mut self, node: &Node<'_>, message: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Diagnostic::error(node.path.clone(), message).help(help).unreadable());
    }

    /// Tells that a value is of another kind than it should be.
    pub(super) fn wrong_kind(&mut self, node: &Node<'_>, expected: &str, example: &str) {
        self.refuse(
            node,
            format!("{} is {}, and should be {expected}", node.path.subject(), node.kind()),
            format!("such as {example}"),
        );
    }

    /// Tells that a key is not known here, and where it would be.
    pub(super) fn unknown(&mut self, node: &Node<'_>, key: &str, known: &[&'static str]) {
        let finding = |message: String| Diagnostic::error(node.path.clone(), message).on_key().unreadable();
        let finding = match keys::NOT_YET.contains(&key) {
            true => finding(format!("`{key}` is not supported yet"))
                .help("leave it out: it would promise what is not done"),
            false => finding(format!("there is no key `{key}` here")).help(
                match closest(key, known.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => elsewhere(key)
                        .unwrap_or_else(|| format!("the keys are: {}", listed(known.iter().copied()))),
                },
            ),
        };
        self.findings.push(finding);
    }

    /// The members of a table in the order of the file.
    pub(super) fn members<'d>(&mut self, node: &Node<'d>, example: &str) -> Vec<(&'d str, Node<'d>)> {
        self.placed_members(node, example).into_iter().map(|(_, key, node)| (key, node)).collect()
    }

    /// The same, each with its place in the file, by which members of two tables are put into one order.
    pub(super) fn placed_members<'d>(
        &mut self,
        node: &Node<'d>,
        example: &str,
    ) -> Vec<(usize, &'d str, Node<'d>)> {
        let Some(table) = node.table() else {
            self.wrong_kind(node, "a table", example);
            return Vec::new();
        };
        let mut members: Vec<_> = table
            .iter()
            .map(|(name, value)| {
                let key = name.get_ref().as_ref();
                (name.span().start, key, Node::inner(node.path.key(key), value.get_ref()))
            })
            .collect();
        // A table that is opened again by a later header may have lost its place.
        members.sort_by_key(|(start, ..)| *start);
        members
    }

    /// A text.
    pub(super) fn text(&mut self, node: &Node<'_>, example: &str) -> Option<String> {
        let text = node.value().and_then(DeValue::as_str);
        if text.is_none() {
            match node.value() {
                // Numbers where texts belong are mostly the values of variables.
                Some(DeValue::Integer(number)) => self.wrong_kind(node, "a string", &format!("\"{number}\"")),
                _ => self.wrong_kind(node, "a string", example),
            }
        }
        text.map(str::to_owned)
    }

    /// True or false.
    pub(super) fn flag(&mut self, node: &Node<'_>) -> Option<bool> {
        let flag = node.value().and_then(DeValue::as_bool);
        if flag.is_none() {
            self.wrong_kind(node, "true or false", "true");
        }
        flag
    }

    /// A whole number that is not negative.
    pub(super) fn count(&mut self, node: &Node<'_>, example: &str) -> Option<u32> {
        let Some(integer) = node.value().and_then(DeValue::as_integer) else {
            self.wrong_kind(node, "a whole number", example);
            return None;
        };
        let count = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        if count.is_none() {
            let message = format!("{integer} can't be a count: it is not between 0 and {}", u32::MAX);
            self.refuse(node, message, format!("such as {example}"));
        }
        count
    }

    /// A span of time in words.
    pub(super) fn duration(&mut self, node: &Node<'_>) -> Option<Duration> {
        const EXAMPLE: &str = "\"30s\", \"50ms\" or \"1h 30m\"";
        match node.value() {
            Some(DeValue::String(text)) => match units::duration(text) {
                Ok(duration) => return Some(duration),
                Err(why) => {
                    self.refuse(
                        node,
                        format!("{text:?} is no span of time: {why}"),
                        format!("such as {EXAMPLE}"),
                    );
                }
            },
            Some(DeValue::Integer(number)) => {
                let help = format!("\"{number}s\" if seconds are meant, \"{number}ms\" if milliseconds");
                self.refuse(
                    node,
                    format!("{} is a span of time and needs its unit", node.path.subject()),
                    help,
                );
            }
            _ => self.wrong_kind(node, "a span of time", EXAMPLE),
        }
        None
    }

    /// A size in words, or in bytes.
    pub(super) fn bytes(&mut self, node: &Node<'_>) -> Option<u64> {
        const EXAMPLE: &str = "\"8MiB\", or a number of bytes";
        let written = match node.value() {
            Some(DeValue::String(text)) => {
                units::bytes(text).map_err(|why| format!("{text:?} is no size: {why}"))
            }
            Some(DeValue::Integer(integer)) => u64::from_str_radix(integer.as_str(), integer.radix())
                .map_err(|_| format!("{integer} is no size in bytes")),
            _ => {
                self.wrong_kind(node, "a size", EXAMPLE);
                return None;
            }
        };
        written.map_err(|message| self.refuse(node, message, format!("such as {EXAMPLE}"))).ok()
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&mut self, node: &Node<'_>, choices: &[(&'static str, T)]) -> Option<T> {
        let words = choices.iter().map(|(word, _)| *word);
        let Some(text) = node.value().and_then(DeValue::as_str) else {
            self.wrong_kind(node, "a string", &listed(words));
            return None;
        };
        let choice = choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
        if choice.is_none() {
            let help = did_you_mean(text, words, "one of");
            self.refuse(node, format!("{} can't be `{text}`", node.path.subject()), help);
        }
        choice
    }
}

/// Where a key belongs that is unknown where it was written.
fn elsewhere(key: &str) -> Option<String> {
    let place = match key {
        _ if keys::SETTINGS.contains(&key) => "[defaults] or [process.NAME]",
        _ if keys::PROCESS.contains(&key) => "[process.NAME]",
        "group" => "the top of the file, with the processes of each group: [group.NAME.process.NAME]",
        "auto_shutdown" => "[group.NAME] or the top of the file; for actors, into `actors = { ... }`",
        _ if keys::RESTART.contains(&key) => "`restart = { ... }`",
        _ if keys::NAMESPACE.contains(&key) => "[namespace.NAME]",
        _ if keys::ACTOR.contains(&key) => "an actor: actor.NAME = { ... }",
        _ if keys::TOPOLOGY.contains(&key) => "the top of the file",
        _ => return None,
    };
    Some(format!("it belongs into {place}"))
}
