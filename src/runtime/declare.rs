//! The typed half of declaring a topology: actors with their own `Args`.

use super::spawn::Spawn;
use crate::topology::{DeclaredActor, Process};

impl Process {
    /// Places an actor in the process, called `name` everywhere in the topology.
    pub fn actor<A: Spawn>(self, name: impl Into<String>, args: A::Args) -> Process {
        self.declare(DeclaredActor::serialised(name, A::TYPE_NAME, &args))
    }
}
