//! How a process gives birth to an actor.

use std::fmt;

use actix::{Actor, Context};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::state::{Handover, Keeping};
use crate::address::{ProcActor, ProcAddr};
use crate::id::{ActorName, Capability, Exit, Incarnation, ProcessName, TopologyName};
use crate::protocol::Delivery;

/// An actor that a topology can place in a process.
///
/// `Args` come from the topology, as JSON or TOML or a Rust value; addresses in them are [`ProcAddr`]s and
/// [`ProcRecipient`]s.
///
/// [`ProcAddr`]: crate::address::ProcAddr
/// [`ProcRecipient`]: crate::address::ProcRecipient
#[diagnostic::on_unimplemented(
    message = "no process can give birth to a `{Self}`",
    note = "implement `procession::Spawn` for it: `type Args = ...; fn spawn(args, birth) -> Result<Self, SpawnError>`"
)]
pub trait Spawn: ProcActor + Actor<Context = Context<Self>> {
    /// What the topology says about one such actor.
    type Args: Serialize + DeserializeOwned + 'static;

    /// Makes the actor; actix then starts it. Runs in its process, before the process is ready, and again at each
    /// restart.
    ///
    /// # Errors
    /// Then the process does not become ready, and the root is told why.
    fn spawn(args: Self::Args, birth: &Birth) -> Result<Self, SpawnError>;

    /// What this life leaves to the next one, which gets it from [`Birth::state`]. Called when the actor is stopped in
    /// order, after its last message: before a restart that was asked for, with its group, at [`finish`], at the end of
    /// the topology.
    ///
    /// What is handed over goes to the next life alone, unless the actor keeps [`Snapshots`]: then it takes the place of
    /// the snapshot. An actor that panics, or whose process dies, hands over nothing.
    ///
    /// [`finish`]: crate::finish
    /// [`Snapshots`]: crate::runtime::Snapshots
    fn handover(&mut self) -> Option<Handover> {
        None
    }
}

/// The circumstances of a birth.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Birth {
    /// The topology.
    pub topology: TopologyName,
    /// The process.
    pub process: ProcessName,
    /// The life of the process.
    pub incarnation: Incarnation,
    /// How the last life of the process ended.
    pub last_exit: Option<Exit>,
    /// The actor's name.
    pub actor: ActorName,
    /// How often this actor was restarted in this life of the process, after panics.
    pub restarts: u32,
    /// What earlier lives left, and where this one keeps its state.
    pub(super) keeping: Keeping,
    /// The actor's address, whichever life it is in.
    pub(super) id: Capability,
    /// How messages to it are delivered.
    pub(super) delivery: Delivery,
}

impl Birth {
    /// The actor's own address, as others know it: to hand it out, to be told by monitors, to link.
    ///
    /// `A` is the actor's own type; an address of any other type is refused where it is used.
    pub fn addr<A: ProcActor>(&self) -> ProcAddr<A> {
        ProcAddr::of(self.id, Some(self.actor.as_str().into())).delivering(self.delivery)
    }
}

/// Why an actor can't be made: any error, or a text.
pub struct SpawnError(Box<dyn std::error::Error + Send + Sync>);

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for SpawnError {
    fn from(error: E) -> SpawnError {
        SpawnError(error.into())
    }
}

impl fmt::Debug for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for SpawnError {
    /// The error and its sources, joined by colons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
