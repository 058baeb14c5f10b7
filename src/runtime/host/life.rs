//! One life of an actor as a future: when it has begun, and how it ended.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::task::AbortHandle;

use crate::address::EndedByLink;
use crate::id::{Exit, Signal};
use crate::process::handling::{self, LifeNumber};

/// How a life of an actor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum ActorEnd {
    /// It stopped by itself, or as it was asked to.
    Stopped,
    /// A panic in it, with its message: in a handler, asynchronous or not, in `started`, or in whatever else it runs.
    Panicked(String),
    /// It did not stop in time, or was to be ended without being asked.
    Ended,
    /// A link ended it, and why: an abnormal end.
    Because(String),
}

/// With what Rust's own runtime ends a process that panicked; the engine knows an actor's abnormal end by it.
pub(in crate::runtime) const PANIC_CODE: i32 = 101;

impl ActorEnd {
    /// In the words of the engine, which are those of processes.
    pub(super) fn exit(&self) -> Exit {
        match self {
            ActorEnd::Stopped => Exit::Code(0),
            ActorEnd::Panicked(_) | ActorEnd::Because(_) => Exit::Code(PANIC_CODE),
            ActorEnd::Ended => Exit::Signal { signal: Signal(libc::SIGKILL), core_dumped: false },
        }
    }
}

impl std::fmt::Display for ActorEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ActorEnd::Stopped => f.write_str("it stopped"),
            ActorEnd::Panicked(text) => write!(f, "it panicked: {text}"),
            ActorEnd::Ended => f.write_str("it was ended where it waited"),
            ActorEnd::Because(why) => f.write_str(why),
        }
    }
}

/// Drives an actor's context. The first time that the context was polled, `started` has run.
pub(super) struct Life<C> {
    number: LifeNumber,
    /// None once it is over.
    context: Option<C>,
    /// Called when `started` has run.
    began: Option<Box<dyn FnOnce()>>,
    /// Called when it has panicked, before anything else of this thread runs.
    panicked: Box<dyn Fn()>,
}

impl<C: Future<Output = ()> + Unpin> Life<C> {
    pub(super) fn new(context: C, began: impl FnOnce() + 'static, panicked: impl Fn() + 'static) -> Life<C> {
        Life {
            number: LifeNumber::next(),
            context: Some(context),
            began: Some(Box::new(began)),
            panicked: Box::new(panicked),
        }
    }
}

/// Drops what panics while it unwinds, as tokio does with a task, so that what it held can tell that from other ends.
struct DroppedByPanic<'c, C>(&'c mut Option<C>);

impl<C> Drop for DroppedByPanic<'_, C> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(self.0.take());
        }
    }
}

impl<C: Future<Output = ()> + Unpin> Future for Life<C> {
    type Output = ActorEnd;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<ActorEnd> {
        let this = self.get_mut();
        let _within = this.number.enter();
        let context = &mut this.context;
        let polled = catch_unwind(AssertUnwindSafe(move || {
            let guarded = DroppedByPanic(context);
            guarded.0.as_mut().map_or(Poll::Ready(()), |context| Pin::new(context).poll(task))
        }));
        if polled.is_ok()
            && let Some(began) = this.began.take()
        {
            began();
        }
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => {
                // A panic of its destructors changes nothing any more.
                let context = this.context.take();
                let _ = catch_unwind(AssertUnwindSafe(|| drop(context)));
                Poll::Ready(ActorEnd::Stopped)
            }
            Err(payload) => Poll::Ready(match payload.downcast::<EndedByLink>() {
                Ok(link) => ActorEnd::Because(link.0.to_string()),
                Err(_) => {
                    (this.panicked)();
                    ActorEnd::Panicked(handling::last_panic())
                }
            }),
        }
    }
}

/// A life that goes on, as its host holds it.
#[derive(Debug)]
pub(in crate::runtime) struct Running {
    number: LifeNumber,
    task: AbortHandle,
    why: Rc<RefCell<Option<ActorEnd>>>,
}

impl Running {
    /// Spawns the life; `ended` hears how it ended.
    pub(super) fn spawn<C>(life: Life<C>, ended: impl FnOnce(ActorEnd) + 'static) -> Running
    where
        C: Future<Output = ()> + Unpin + 'static,
    {
        let number = life.number;
        let handle = actix::spawn(life);
        let (task, why) = (handle.abort_handle(), Rc::new(RefCell::new(None)));
        let asked = Rc::clone(&why);
        actix::spawn(async move {
            let end = match handle.await {
                Ok(end) => end,
                Err(error) if error.is_cancelled() => asked.take().unwrap_or(ActorEnd::Ended),
                Err(_) => ActorEnd::Panicked(handling::last_panic()),
            };
            ended(end);
        });
        Running { number, task, why }
    }

    /// Which it is.
    pub(super) fn number(&self) -> LifeNumber {
        self.number
    }

    /// Ends it where it waits, for this reason. The first reason stands.
    pub(super) fn end(&self, why: ActorEnd) {
        self.why.borrow_mut().get_or_insert(why);
        self.task.abort();
    }
}
