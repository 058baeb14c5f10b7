//! An actor as it is declared: a name, a type that is known by its name alone, and what it is born from.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::actors::ActorSettings;
use super::restart::Restart;
use crate::protocol::{Delivery, OnPanic};
use crate::supervision::Shutdown;

/// An actor of a process.
///
/// This is the form without Rust types, which the TOML form has too. Where the type is at hand, `Process::actor`
/// makes one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeclaredActor {
    pub(in crate::topology) name: String,
    pub(in crate::topology) type_name: String,
    /// The arguments, or why they have no such form.
    pub(in crate::topology) args: Result<Value, String>,
    pub(in crate::topology) settings: ActorSettings,
}

impl DeclaredActor {
    /// An actor of the type that its program registers under `type_name`. A `null` is an actor that needs no
    /// arguments.
    pub fn new(name: impl Into<String>, type_name: impl Into<String>, args: Value) -> DeclaredActor {
        DeclaredActor::made(name.into(), type_name.into(), Ok(args))
    }

    /// The same with arguments that serialise. If they refuse to, the check of the topology says so.
    pub fn serialised<T: Serialize + ?Sized>(
        name: impl Into<String>,
        type_name: impl Into<String>,
        args: &T,
    ) -> DeclaredActor {
        let args = serde_json::to_value(args).map_err(|error| error.to_string());
        DeclaredActor::made(name.into(), type_name.into(), args)
    }

    fn made(name: String, type_name: String, args: Result<Value, String>) -> DeclaredActor {
        DeclaredActor { name, type_name, args, settings: ActorSettings::default() }
    }

    /// When it is started again in its process, and how long that waits: a `Policy`, a `Backoff`, or a [`Restart`] with
    /// both. Strategy and intensity belong to all actors of a process, [`Actors`](crate::topology::Actors).
    #[must_use]
    pub fn restart(mut self, restart: impl Into<Restart>) -> DeclaredActor {
        self.settings.restart = restart.into().or(&self.settings.restart);
        self
    }

    /// How it is stopped.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> DeclaredActor {
        self.settings.shutdown = Some(shutdown);
        self
    }

    /// Whether its process ends, in order, when this actor ends and is not restarted.
    #[must_use]
    pub fn significant(mut self, significant: bool) -> DeclaredActor {
        self.settings.significant = significant;
        self
    }

    /// What a panic in it ends.
    #[must_use]
    pub fn panic(mut self, panic: OnPanic) -> DeclaredActor {
        self.settings.panic = Some(panic);
        self
    }

    /// How messages are delivered to it.
    #[must_use]
    pub fn delivery(mut self, delivery: Delivery) -> DeclaredActor {
        self.settings.delivery = Some(delivery);
        self
    }

    /// How often a message that kills it is delivered at least once until it goes to the dead letters.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> DeclaredActor {
        self.settings.attempts = Some(attempts);
        self
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
