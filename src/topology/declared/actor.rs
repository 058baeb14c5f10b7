//! An actor as it is declared: a name, a type that is known by its name alone, and what it is born from.

use serde::Serialize;
use serde_json::Value;

/// An actor of a process.
///
/// This is the form without Rust types, which the TOML form has too. Where the type is at hand, `Process::actor`
/// makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredActor {
    pub(in crate::topology) name: String,
    pub(in crate::topology) type_name: String,
    /// The arguments, or why they have no such form.
    pub(in crate::topology) args: Result<Value, String>,
}

impl DeclaredActor {
    /// An actor of the type that its program registers under `type_name`. A `null` is an actor that needs no
    /// arguments.
    pub fn new(name: impl Into<String>, type_name: impl Into<String>, args: Value) -> DeclaredActor {
        DeclaredActor { name: name.into(), type_name: type_name.into(), args: Ok(args) }
    }

    /// The same with arguments that serialise. If they refuse to, the check of the topology says so.
    pub fn serialised<T: Serialize + ?Sized>(
        name: impl Into<String>,
        type_name: impl Into<String>,
        args: &T,
    ) -> DeclaredActor {
        let args = serde_json::to_value(args).map_err(|error| error.to_string());
        DeclaredActor { name: name.into(), type_name: type_name.into(), args }
    }

    /// What it is called; in a replicated process, the part before `-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name under which its program knows its type.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn arguments_that_do_not_serialise_are_kept_as_the_reason() {
        let keyed_by_list = HashMap::from([(vec![1], 2)]);
        let actor = DeclaredActor::serialised("a", "t", &keyed_by_list);
        assert!(actor.args.is_err_and(|why| why.contains("key must be a string")));
    }
}
