//! The result of an asynchronous handler, and whether a panic is the reason why there is none.
//!
//! actix runs a `ResponseFuture` as a task of its own, whose panic tokio swallows: nobody hears of it, and the actor lives on.
//! But the channel for the result is dropped while that task unwinds, and whoever waits at its other end is woken by that
//! very drop. So the waker looks whether the thread panics. It also sees which task answers. An actor whose life is ended by a link unwinds likewise, without
//! that anything went wrong in it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::oneshot;
use tokio::task::Id;

use crate::process::handling;

/// How what was to answer was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Dropped {
    /// Without a panic.
    InOrder,
    /// By a panic that unwound through it.
    ByPanic,
    /// With its actor, which a link ended.
    ByLink,
}

impl Dropped {
    /// How what this thread drops now is dropped.
    pub(super) fn now() -> Dropped {
        match (std::thread::panicking(), handling::is_unwound_by_link()) {
            (false, _) => Dropped::InOrder,
            (true, false) => Dropped::ByPanic,
            (true, true) => Dropped::ByLink,
        }
    }
}

/// Waits for a result.
pub(super) struct Outcome<R> {
    receiver: oneshot::Receiver<R>,
    woken: Arc<Woken>,
    /// It was there at once.
    early: Option<Result<R, oneshot::error::RecvError>>,
}

#[derive(Default)]
struct Woken {
    task: Mutex<Waiting>,
    /// A [`Dropped`], as a number.
    dropped: AtomicU8,
}

#[derive(Default)]
struct Waiting {
    task: Option<Waker>,
    answered_by: Option<Id>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let dropped = Dropped::now();
        if dropped != Dropped::InOrder {
            self.dropped.store(dropped as u8, Ordering::Relaxed);
        }
        let mut waiting = self.lock();
        waiting.answered_by = tokio::task::try_id();
        let task = waiting.task.clone();
        drop(waiting);
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Woken {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dropped(&self) -> Dropped {
        let dropped = self.dropped.load(Ordering::Relaxed);
        let all = [Dropped::ByPanic, Dropped::ByLink];
        all.into_iter().find(|one| *one as u8 == dropped).unwrap_or(Dropped::InOrder)
    }
}

impl<R> Outcome<R> {
    /// Watches from now on, before the task that is to answer has its first turn.
    pub(super) fn of(mut receiver: oneshot::Receiver<R>) -> Outcome<R> {
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let early = match Pin::new(&mut receiver).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        };
        Outcome { receiver, woken, early }
    }
}

impl<R> Unpin for Outcome<R> {}

impl<R> Future for Outcome<R> {
    /// The result; without one, how what was to give it was dropped. And by which task, if by one.
    type Output = (Result<R, Dropped>, Option<Id>);

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.woken.lock().task = Some(context.waker().clone());
        let waker = Waker::from(Arc::clone(&this.woken));
        if let Some(result) = this.early.take() {
            return Poll::Ready((result.map_err(|_| Dropped::InOrder), None));
        }
        let polled = Pin::new(&mut this.receiver).poll(&mut Context::from_waker(&waker));
        polled.map(|result| (result.map_err(|_| this.woken.dropped()), this.woken.lock().answered_by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
    }

    #[test]
    fn a_result_and_a_dropped_sender_are_no_panic() {
        runtime().block_on(async {
            let (sender, receiver) = oneshot::channel();
            sender.send(1).expect("it waits");
            assert_eq!(Outcome::of(receiver).await.0, Ok(1));
            let (sender, receiver) = oneshot::channel::<()>();
            let task = tokio::spawn(async move {
                tokio::task::yield_now().await;
                drop(sender);
            });
            assert_eq!(Outcome::of(receiver).await.0, Err(Dropped::InOrder));
            task.await.expect("no panic");
        });
    }

    #[test]
    fn a_panic_of_the_task_that_was_to_answer_is_one() {
        runtime().block_on(async {
            let (sender, receiver) = oneshot::channel::<u8>();
            let outcome = Outcome::of(receiver);
            let task = tokio::spawn(async move {
                let answer = std::hint::black_box(None::<u8>).expect("a panic");
                let _ = sender.send(answer);
            });
            assert_eq!(outcome.await.0, Err(Dropped::ByPanic));
            assert!(task.await.is_err_and(|error| error.is_panic()));
        });
    }

    #[test]
    fn an_end_by_a_link_unwinds_and_is_no_panic() {
        runtime().block_on(async {
            let (sender, receiver) = oneshot::channel::<u8>();
            let outcome = Outcome::of(receiver);
            let task = tokio::spawn(async move {
                let _sender = sender;
                handling::unwind_by_link("a link", Box::new(()));
            });
            assert_eq!(outcome.await.0, Err(Dropped::ByLink));
            assert!(task.await.is_err_and(|error| error.is_panic()));
            // A panic after it is one again.
            let (sender, receiver) = oneshot::channel::<u8>();
            let outcome = Outcome::of(receiver);
            let task = tokio::spawn(async move {
                let _sender = sender;
                handling::remember_panic("what the hook does");
                std::panic::resume_unwind(Box::new(()));
            });
            assert_eq!(outcome.await.0, Err(Dropped::ByPanic));
            assert!(task.await.is_err_and(|error| error.is_panic()));
        });
    }
}
