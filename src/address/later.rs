//! The result of an asynchronous handler, and whether a panic is the reason why there is none.
//!
//! actix runs a `ResponseFuture` as a task of its own, whose panic tokio swallows: nobody hears of it, and the actor lives on.
//! But the channel for the result is dropped while that task unwinds, and whoever waits at its other end is woken by that
//! very drop. So the waker looks whether the thread panics. It also sees which task answers. An actor whose life is ended by a link unwinds likewise, without
//! that anything went wrong in it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::oneshot;
use tokio::task::Id;

use crate::process::handling;

/// How what was to answer was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Why there is no result: how what was to give it was dropped, and the text of the panic or link by which it was.
pub(super) type Lost = (Dropped, String);

#[derive(Default)]
struct Woken {
    task: Mutex<Waiting>,
    dropped: Mutex<Option<Lost>>,
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
            // Before this thread panics for another reason.
            *self.lost() = Some((dropped, handling::last_panic()));
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

    fn lost(&self) -> MutexGuard<'_, Option<Lost>> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// The result, or why there is none. And by which task, if by one.
    type Output = (Result<R, Lost>, Option<Id>);

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.woken.lock().task = Some(context.waker().clone());
        let waker = Waker::from(Arc::clone(&this.woken));
        if let Some(result) = this.early.take() {
            return Poll::Ready((result.map_err(|_| in_order()), None));
        }
        let polled = Pin::new(&mut this.receiver).poll(&mut Context::from_waker(&waker));
        let lost = |_| this.woken.lost().take().unwrap_or_else(in_order);
        polled.map(|result| (result.map_err(lost), this.woken.lock().answered_by))
    }
}

fn in_order() -> Lost {
    (Dropped::InOrder, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
    }

    fn how((how, _): Lost) -> Dropped {
        how
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
            assert_eq!(Outcome::of(receiver).await.0, Err(in_order()));
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
            assert_eq!(outcome.await.0.map_err(how), Err(Dropped::ByPanic));
            assert!(task.await.is_err_and(|error| error.is_panic()));
        });
    }

    #[test]
    fn a_panic_of_another_leaves_the_text_of_the_first() {
        runtime().block_on(async {
            let panics = |with: Option<oneshot::Sender<u8>>, text: &'static str| {
                let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                    let _with = with;
                    handling::remember_panic(text);
                    std::panic::resume_unwind(Box::new(()));
                }));
                assert!(panics.is_err());
            };
            let (sender, receiver) = oneshot::channel::<u8>();
            let outcome = Outcome::of(receiver);
            panics(Some(sender), "its own");
            panics(None, "another's");
            assert_eq!(outcome.await.0, Err((Dropped::ByPanic, "its own".to_owned())));
            // And of one that merely gave none, nothing is said to be a panic.
            let (sender, receiver) = oneshot::channel::<u8>();
            let outcome = Outcome::of(receiver);
            panics(None, "another's");
            drop(sender);
            assert_eq!(outcome.await.0, Err(in_order()));
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
            assert_eq!(outcome.await.0.map_err(how), Err(Dropped::ByLink));
            assert!(task.await.is_err_and(|error| error.is_panic()));
            // A panic after it is one again.
            let (sender, receiver) = oneshot::channel::<u8>();
            let outcome = Outcome::of(receiver);
            let task = tokio::spawn(async move {
                let _sender = sender;
                handling::remember_panic("what the hook does");
                std::panic::resume_unwind(Box::new(()));
            });
            assert_eq!(outcome.await.0.map_err(how), Err(Dropped::ByPanic));
            assert!(task.await.is_err_and(|error| error.is_panic()));
        });
    }
}
