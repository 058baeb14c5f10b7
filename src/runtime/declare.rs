//! The typed half of declaring a topology: actors with their own `Args`.

use super::spawn::Spawn;
use crate::topology::{DeclaredActor, Process};

impl Process {
    /// Places an actor in the process, called `name` everywhere in the topology.
    pub fn actor<A: Spawn>(self, name: impl Into<String>, args: A::Args) -> Process {
        self.declare(DeclaredActor::serialised(name, A::TYPE_NAME, &args))
    }

    /// Places an actor of which more is to be said.
    ///
    /// ```
    /// # use procession::prelude::*;
    /// # #[derive(ProcActor)]
    /// # #[proc_actor(messages())]
    /// # struct Ledger;
    /// # impl Actor for Ledger { type Context = Context<Self>; }
    /// # impl Spawn for Ledger {
    /// #     type Args = ();
    /// #     fn spawn((): (), _: &Birth) -> Result<Self, SpawnError> { Ok(Ledger) }
    /// # }
    /// Process::new("bank").actor_with::<Ledger>("ledger", (), |actor| {
    ///     actor.delivery(Delivery::AtLeastOnce).panic(OnPanic::Process)
    /// });
    /// ```
    pub fn actor_with<A: Spawn>(
        self,
        name: impl Into<String>,
        args: A::Args,
        say: impl FnOnce(DeclaredActor) -> DeclaredActor,
    ) -> Process {
        self.declare(say(DeclaredActor::serialised(name, A::TYPE_NAME, &args)))
    }
}
