//! How the actors of a process are treated: what the topology says of each, and of all together.
//!
//! Resolved by the topology's check, carried by the welcome, obeyed by the worker; nothing is decided here.

use serde::{Deserialize, Serialize};

use crate::supervision::{AutoShutdown, Backoff, Intensity, Policy, Shutdown, Strategy};

/// What a panic ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnPanic {
    /// The actor in which it happened; its process starts it anew as its policy says.
    #[default]
    Actor,
    /// Its whole process, at once, with code 101: where a panic may leave behind what other actors would stumble over.
    Process,
}

/// How often a message that was sent is handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Once, or not at all where a process or actor dies.
    #[default]
    AtMostOnce,
    /// Until it was handled once to the end: what was not acknowledged when its receiver died is sent to the next life,
    /// marked with its attempt (M-6). The handler may see it more than once.
    AtLeastOnce,
}

/// As many deliveries as rule out that a message was only near a death by chance, and few enough that it does not take
/// the budget of restarts with it.
pub const DEFAULT_ATTEMPTS: u32 = 3;

/// Bytes of state that are kept for each actor where nothing else is said: what an actor of some ten thousand small
/// entries has, and little enough that a thousand of them do not fill a machine.
pub const DEFAULT_SNAPSHOT_LIMIT: u64 = 1 << 20;

/// What holds for one actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorRules {
    /// When it is started again in its process.
    pub policy: Policy,
    /// How long to wait before that.
    pub backoff: Backoff,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Whether its end, where it is not restarted, counts for [`ActorGroup::auto_shutdown`].
    pub significant: bool,
    /// What a panic in it ends.
    pub panic: OnPanic,
    /// How messages are delivered to it, where the sender does not ask for more.
    pub delivery: Delivery,
    /// How often a message that kills it is delivered at least once until it goes to the dead letters. At least 1.
    pub attempts: u32,
}

impl Default for ActorRules {
    fn default() -> Self {
        ActorRules {
            policy: Policy::default(),
            backoff: Backoff::default(),
            shutdown: Shutdown::default(),
            significant: false,
            panic: OnPanic::default(),
            delivery: Delivery::default(),
            attempts: DEFAULT_ATTEMPTS,
        }
    }
}

/// The group that the actors of one process are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorGroup {
    /// Who is restarted with whom.
    pub strategy: Strategy,
    /// When the process gives up, which is a failure of the process.
    pub intensity: Intensity,
    /// Whether the process ends, in order and with code 0, because its significant actors did.
    pub auto_shutdown: AutoShutdown,
    /// What holds for an actor that is started at run time and says nothing else.
    pub rules: ActorRules,
}

impl Default for ActorGroup {
    fn default() -> Self {
        ActorGroup {
            strategy: Strategy::default(),
            intensity: Intensity::default(),
            // Without a significant actor it means nothing, and with one it is what significance is for.
            auto_shutdown: AutoShutdown::AnySignificant,
            rules: ActorRules::default(),
        }
    }
}
