//! Actors that come and go at run time, and ends that others ask for.

use std::rc::Rc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::driver::{Host, Kept, child};
use super::life::ActorEnd;
use crate::id::{ActorName, Slot};
use crate::process::handling::LifeNumber;
use crate::protocol::OnPanic;
use crate::protocol::control::{ActorStart, Refusal};
use crate::protocol::watching::EndReason;
use crate::supervision::{ChildId, GroupId, Refused};

/// Why an actor was not added.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(in crate::runtime) enum AddRefused {
    /// There is one of that name.
    #[error("there is an actor {0} in this process already")]
    AlreadyThere(ActorName),
    /// It can't be made, or did not come up.
    #[error(transparent)]
    Start(#[from] Refusal),
    /// Not now, or never again.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl Host {
    /// Starts one more actor, supervised as its rules say, and waits until its `started` has run. Its slot must be one
    /// that no other actor has.
    ///
    /// # Errors
    /// Then there is no such actor; what its first start lacked is said.
    pub(in crate::runtime) async fn add(&self, start: ActorStart) -> Result<(), AddRefused> {
        self.begin_to_add(start)?.await.unwrap_or(Err(Refused::Stopping.into()))
    }

    fn begin_to_add(
        &self,
        start: ActorStart,
    ) -> Result<impl Future<Output = Result<Result<(), AddRefused>, oneshot::error::RecvError>>, AddRefused>
    {
        if self.find(|kept| kept.start.name == start.name).is_some() {
            return Err(AddRefused::AlreadyThere(start.name));
        }
        let kept = Kept::new(&self.factories, &self.router, &start)?;
        let mut state = self.state.borrow_mut();
        let id = match state.engine.handle_add_child(GroupId::TOP, child(&start), Instant::now()) {
            Ok(id) => id,
            Err(refused) => {
                self.router.registry().remove(start.slot);
                return Err(refused.into());
            }
        };
        let (added, up) = oneshot::channel();
        *kept.added.borrow_mut() = Some(added);
        state.actors.insert(id, kept);
        drop(state);
        self.wake.notify_one();
        Ok(async move { up.await.map(|up| up.map_err(AddRefused::from)) })
    }

    /// Stops an actor in order, as its rules say, and forgets it. Resolves when it is gone; at once if there is none in
    /// that place, which is an error.
    pub(in crate::runtime) async fn remove(&self, slot: Slot) -> Result<(), Refused> {
        let (id, kept) = self.find(|kept| kept.start.slot == slot).ok_or(Refused::Unknown)?;
        self.state.borrow_mut().engine.handle_discard_child(id, Instant::now())?;
        let (removed, gone) = oneshot::channel();
        kept.removed.borrow_mut().push(removed);
        drop(kept);
        self.wake.notify_one();
        // An error says that all of them are gone.
        let _ = gone.await;
        Ok(())
    }

    /// Resolves when the actor in that place is in the tree no more, however that comes; nothing if there is none.
    pub(in crate::runtime) fn gone(&self, slot: Slot) -> Option<oneshot::Receiver<()>> {
        let (_, kept) = self.find(|kept| kept.start.slot == slot)?;
        let (removed, gone) = oneshot::channel();
        kept.removed.borrow_mut().push(removed);
        Some(gone)
    }

    /// A task of an asynchronous handler panicked: that ends its actor where it waits, or its process; a life after the one
    /// in which it was begun has nothing to do with it.
    pub(in crate::runtime) fn panicked_aside(&self, slot: Slot, number: LifeNumber, text: String) {
        let Some((_, kept)) = self.find(|kept| kept.start.slot == slot) else { return };
        if kept.start.rules.panic == OnPanic::Process {
            (self.orders.die)();
        }
        if let Some(life) = kept.life.borrow().as_ref().filter(|life| life.number() == number) {
            kept.hosted.hold(EndReason::Panicked(text.clone()));
            life.end(ActorEnd::Panicked(text));
        }
    }

    fn find(&self, fits: impl Fn(&Kept) -> bool) -> Option<(ChildId, Rc<Kept>)> {
        let state = self.state.borrow();
        let mut actors = state.actors.iter();
        actors.find(|(_, kept)| fits(kept)).map(|(id, kept)| (*id, Rc::clone(kept)))
    }
}
