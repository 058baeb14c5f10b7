//! State across the lives of an actor: what it was left, what it keeps, what it hands over.
//!
//! ```text
//!  life 1 --save--> root --------- SIGKILL ---------> life 2: birth.state()
//!         --handover at an orderly stop-------------> life 2: birth.state()
//! ```

use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use actix::{ActorContext as _, Context};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::spawn::{Birth, Spawn};
use crate::address::Visit;
use crate::codec::{self, DecodeError, EncodeError};
use crate::process::keeping::{Answer, Keeper, KeepingLife, NotKept};
use crate::protocol::keeping::KeepRefusal;

/// Why a state that was left can't be taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the last life left is another state: {0}")]
pub struct StateError(pub DecodeError);

/// Why a state is not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// It is larger than `snapshot_limit`, encoded. What was kept before is still kept.
    #[error("the state is larger than the snapshot limit of {limit} bytes: raise it, or keep less")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// It can't be encoded. What was kept before is still kept.
    #[error("the state can't be encoded: {0}")]
    Encode(String),
    /// Another life of the actor has begun meanwhile, and its state counts.
    #[error("a later life of the actor has begun; what an earlier one saves is not kept")]
    Stale,
    /// The actor was removed, and with it what was kept.
    #[error("the actor was removed, and nothing is kept for it")]
    Removed,
    /// Nobody keeps state for this actor: it was born by hand, not by a topology.
    #[error("nobody keeps state for this actor: no topology gave birth to it")]
    NoKeeper,
    /// This process ends; whether the state is kept is not known.
    #[error("the process ended before the root answered")]
    Ending,
}

impl From<NotKept> for SaveError {
    fn from(error: NotKept) -> SaveError {
        match error {
            NotKept::Refused(KeepRefusal::TooLarge { limit }) => SaveError::TooLarge { limit },
            NotKept::Refused(KeepRefusal::NoActor) => SaveError::Removed,
            NotKept::Stale => SaveError::Stale,
        }
    }
}

/// What a birth knows of state.
#[derive(Clone, Debug, Default)]
pub(super) struct Keeping {
    left: Option<Bytes>,
    own: Option<(Arc<Keeper>, KeepingLife)>,
}

impl Keeping {
    /// A life of an actor begins.
    pub(super) fn begin(keeper: &Arc<Keeper>, slot: crate::id::Slot) -> Keeping {
        let (life, left) = keeper.begin(slot);
        Keeping { left, own: Some((Arc::clone(keeper), life)) }
    }

    /// The actor was made: what was handed to it alone is used up.
    pub(super) fn begun(&self) {
        if let Some((keeper, life)) = &self.own {
            keeper.begun(*life);
        }
    }

    /// What makes the actor hand its state over and stop, after what is in its mailbox. `process_ends` is asked then.
    pub(super) fn leave<A: Spawn>(&self, process_ends: impl Fn() -> bool + Send + 'static) -> Visit {
        let own = self.own.clone();
        Visit::new(move |actor: &mut dyn Any, context: &mut dyn Any| {
            if let (Some(actor), Some((keeper, life))) = (actor.downcast_mut::<A>(), own) {
                hand_over(actor, &keeper, life, process_ends());
            }
            if let Some(context) = context.downcast_mut::<Context<A>>() {
                context.stop();
            }
        })
    }
}

/// A handover that fails is told and no more: the actor stops all the same, and its next life finds what was kept before.
fn hand_over<A: Spawn>(actor: &mut A, keeper: &Keeper, life: KeepingLife, process_ends: bool) {
    let handed = catch_unwind(AssertUnwindSafe(|| actor.handover()));
    let why = match handed {
        Ok(None) => return,
        Ok(Some(Handover(Ok(state)))) if state.len() <= keeper.limit() => {
            return keeper.hand_over(life, state, process_ends);
        }
        Ok(Some(Handover(Ok(_)))) => SaveError::TooLarge { limit: keeper.limit() as u64 }.to_string(),
        Ok(Some(Handover(Err(error)))) => error.to_string(),
        Err(_) => format!("panicked: {}", crate::process::handling::last_panic()),
    };
    tracing::error!(target: "procession", actor = A::TYPE_NAME, "the actor's state is not handed over: {why}");
}

/// What an actor hands over at an orderly stop: see [`Spawn::handover`].
#[derive(Clone, Debug)]
pub struct Handover(Result<Bytes, EncodeError>);

impl Handover {
    /// The state, which the next life gets from [`Birth::state`].
    pub fn of<S: Serialize + ?Sized>(state: &S) -> Handover {
        // The limit is the process's, which a state does not know; see `hand_over`.
        Handover(codec::encode(state, crate::protocol::keeping::MAX_SNAPSHOT_BYTES as usize).map(Bytes::from))
    }
}

impl Birth {
    /// What the last life left: the newest state that it saved, or that it handed over. `None` if it left nothing.
    ///
    /// # Errors
    /// What it left is no `S`, for example since the program has changed. The state stays kept until the actor saves
    /// another; who wants to begin anew ignores the error, who does not returns it.
    pub fn state<S: DeserializeOwned>(&self) -> Result<Option<S>, StateError> {
        let left = self.keeping.left.as_ref();
        left.map(|state| codec::decode(state)).transpose().map_err(StateError)
    }

    /// With which the actor keeps its state for a disorderly end.
    pub fn snapshots<S: Serialize>(&self) -> Snapshots<S> {
        Snapshots { own: self.keeping.own.clone(), state: PhantomData }
    }
}

/// Keeps the state of an actor with the root, for its next life: [`Birth::snapshots`].
///
/// The root holds the newest and forgets those before. It is there after a panic, and after any death of the process;
/// it is gone when the topology ends, or when the actor is removed.
pub struct Snapshots<S> {
    own: Option<(Arc<Keeper>, KeepingLife)>,
    state: PhantomData<fn(S)>,
}

impl<S: Serialize> Snapshots<S> {
    /// Encodes the state and sends it to the root. The future resolves when the root holds it, or a newer one of this
    /// actor: who answers only then has promised nothing that a death could take back.
    ///
    /// The state is on its way when this returns, whether the future is polled or not. Of states that are saved faster
    /// than the root takes them, the newest is sent. Cancel safe.
    pub fn save(&self, state: &S) -> Save {
        let Some((keeper, life)) = &self.own else { return Save::refused(SaveError::NoKeeper) };
        match codec::encode(state, keeper.limit()) {
            Ok(state) => Save(Saving::Asked(keeper.save(*life, Some(state.into())))),
            Err(EncodeError::TooLarge { limit }) => {
                Save::refused(SaveError::TooLarge { limit: limit as u64 })
            }
            Err(error) => Save::refused(SaveError::Encode(error.to_string())),
        }
    }

    /// Forgets what was kept: the next life begins without state.
    pub fn clear(&self) -> Save {
        match &self.own {
            Some((keeper, life)) => Save(Saving::Asked(keeper.save(*life, None))),
            None => Save::refused(SaveError::NoKeeper),
        }
    }
}

impl<S> Clone for Snapshots<S> {
    fn clone(&self) -> Self {
        Snapshots { own: self.own.clone(), state: PhantomData }
    }
}

impl<S> Default for Snapshots<S> {
    /// Of nobody: each save is [`SaveError::NoKeeper`]. For actors that a test makes by hand.
    fn default() -> Self {
        Snapshots { own: None, state: PhantomData }
    }
}

impl<S> std::fmt::Debug for Snapshots<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshots").field("keeper", &self.own).finish()
    }
}

/// A state on its way to the root.
#[derive(Debug)]
#[must_use = "only when it resolves the state is kept; say `let _ =` if nothing hangs on it"]
pub struct Save(Saving);

#[derive(Debug)]
enum Saving {
    Asked(Answer),
    Refused(SaveError),
}

impl Save {
    fn refused(error: SaveError) -> Save {
        Save(Saving::Refused(error))
    }
}

impl Future for Save {
    type Output = Result<(), SaveError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Saving::Refused(error) => Poll::Ready(Err(error.clone())),
            Saving::Asked(answer) => Poll::Ready(match ready!(Pin::new(answer).poll(context)) {
                Ok(answer) => answer.map_err(SaveError::from),
                Err(_) => Err(SaveError::Ending),
            }),
        }
    }
}
