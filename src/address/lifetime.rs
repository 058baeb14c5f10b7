//! Whether the life of an actor is over in which the handler of a message began: for messages that are delivered at least
//! once (M-6), which are to be blamed for what they did to their actor and for nothing else.
//!
//! A handler that is not done leaves no answer in three ways: it panicked, with its actor or beside it; it dropped what was
//! to answer; or it was dropped with its actor, which somebody stopped. Only the last is no fault of the message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;

use super::actor::{ProcActor, ProcMessage};
use super::inbound::Answer;
use super::later::Dropped;
use super::responder::AnswerTo;
use crate::process::handling::Aside;
use crate::process::routing::Outcome;
use crate::protocol::wire::{Cause, Failure};

/// One life of an actor, from within a handler of it.
pub(super) struct Lifetime {
    is_over: Arc<AtomicBool>,
    /// Dropped, it ends what waits in the actor's context.
    _done: oneshot::Sender<()>,
}

/// Waits in the actor's context, and is dropped with it.
struct Within(Arc<AtomicBool>);

impl Drop for Within {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Lifetime {
    /// The life that has this context. None of an actor that has no futures: its handlers are done when they return.
    #[cold]
    pub(super) fn of<A: ProcActor>(context: &mut A::Context) -> Option<Lifetime> {
        let serving = A::serving()?;
        let is_over = Arc::<AtomicBool>::default();
        let (done, is_done) = oneshot::channel::<()>();
        let within = Within(Arc::clone(&is_over));
        (serving.keep)(
            context,
            Box::pin(async move {
                let within = within;
                let _ = is_done.await;
                // Nobody asks any more, so that it says that the life is over is as well.
                drop(within);
            }),
        );
        Some(Lifetime { is_over, _done: done })
    }

    /// What is said of a message that has no answer, where it was to be `failure`. Asked when all that the end of an actor
    /// drops has been dropped, which is in a later turn of its thread.
    pub(super) fn judge(&self, failure: Failure, dropped: Dropped) -> Failure {
        match (dropped, self.is_over.load(Ordering::Acquire)) {
            (Dropped::ByPanic, _) | (Dropped::InOrder, false) => failure,
            // Whoever is linked with it has died, or somebody stopped it.
            (Dropped::ByLink, _) | (Dropped::InOrder, true) => Failure::failed(Cause::ActorStopped),
        }
    }
}

/// The duty to answer a message whose handler answers later, by a [`Responder`](super::Responder) that its actor may hold.
pub(super) struct Deferred<M: ProcMessage> {
    pub(super) answer: Answer<M>,
    pub(super) lifetime: Lifetime,
}

impl<M: ProcMessage> AnswerTo<M::Result> for Deferred<M> {
    fn reply(self: Box<Self>, result: M::Result) {
        self.answer.reply(result);
    }

    fn hand_over(self: Box<Self>, aside: Aside) -> Option<Arc<dyn Outcome>> {
        Box::new(self.answer).hand_over(aside)
    }

    /// Its responder may be dropped in the middle of the actor's end, before what says that the life is over.
    fn fail(self: Box<Self>, failure: Failure) {
        let dropped = Dropped::now();
        let Deferred { answer, lifetime } = *self;
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return answer.fail(failure) };
        drop(runtime.spawn(async move {
            let failure = lifetime.judge(failure, dropped);
            answer.fail(failure);
        }));
    }

    fn is_cancelled(&self) -> bool {
        self.answer.is_cancelled()
    }
}
