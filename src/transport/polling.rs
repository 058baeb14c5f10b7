//! Polling before sleep: just before a thread of actors would sleep, it looks at its pipes for a little while.
//!
//! To wake a sleeping core costs more than all the rest of a message. A runtime that calls [`before_park`] and
//! [`after_unpark`] where tokio's `on_thread_park` and `on_thread_unpark` say so waits for its pipes awake, as long as
//! that is likely to be shorter than a wake: how long is decided by its `Window`. The driver of a pipe [`watch`]es it.
//! Nothing is polled while there is work, and nothing by a thread that has had no traffic.
//!
//! A driver whose pipe is the only one with traffic may [linger](Watch::linger) before that: it reads again and again, in
//! turns of its thread that nobody else needs. That spares the look before each read, and the runtime's question to the
//! kernel whether there is anything else, which together cost more than the message.

mod lingering;
mod window;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

pub use self::lingering::{Lingering, Turn};
use self::window::{Next, Window};
use crate::protocol::BusyPoll;

thread_local! {
    static POLLER: Poller = Poller::default();
}

#[derive(Default)]
struct Poller {
    wires: RefCell<Slab<Rc<Wire>>>,
    window: RefCell<Window>,
    /// Something was read or written since the thread last had nothing to do.
    traffic: Cell<bool>,
    /// The thread says when it would sleep.
    is_told: Cell<bool>,
    /// The pipe that moved last.
    latest: Cell<Option<usize>>,
    /// When that was another one.
    changed: Cell<Option<Instant>>,
}

/// So long after the traffic of another pipe it is not forgotten for the latest one: by then the peer there rings, where that is
/// not done as long as it is looked at (`shared/looks.rs`).
const SEVERAL: Duration = Duration::from_millis(3);

struct Wire {
    has_news: Box<dyn Fn() -> bool>,
    before_sleep: Box<dyn Fn() -> bool>,
    poked: Cell<bool>,
    driver: Cell<Option<Waker>>,
}

/// A pipe that is polled as long as this lives.
pub struct Watch {
    key: usize,
    wire: Rc<Wire>,
}

/// Has the pipe looked at before this thread sleeps. `has_news` is called often and must not wake anything;
/// `before_sleep` once, after which news must wake the thread, and says whether there was news just before.
pub fn watch(has_news: impl Fn() -> bool + 'static, before_sleep: impl Fn() -> bool + 'static) -> Watch {
    let wire = Rc::new(Wire {
        has_news: Box::new(has_news),
        before_sleep: Box::new(before_sleep),
        poked: Cell::new(false),
        driver: Cell::new(None),
    });
    let key = POLLER.with(|poller| poller.wires.borrow_mut().insert(Rc::clone(&wire)));
    Watch { key, wire }
}

impl Watch {
    /// Resolves when the polling has found news. Cancel safe.
    pub async fn poked(&self) {
        std::future::poll_fn(|context| {
            if self.wire.poked.take() {
                return Poll::Ready(());
            }
            let waker = match self.wire.driver.take() {
                Some(waker) if waker.will_wake(context.waker()) => waker,
                _ => context.waker().clone(),
            };
            self.wire.driver.set(Some(waker));
            Poll::Pending
        })
        .await;
    }

    /// Something was read or written: more may follow soon.
    pub fn note_traffic(&self) {
        POLLER.with(|poller| {
            poller.traffic.set(true);
            if poller.latest.replace(Some(self.key)) != Some(self.key) {
                poller.changed.set(Some(Instant::now()));
            }
        });
    }

    /// Lets the driver read again and again until somebody has something to do, it was long enough, or the deadline is
    /// there. Not if other pipes of the thread had traffic of late, since it would not see them, and not on a thread that
    /// does not call [`before_park`].
    pub fn linger(&self, deadline: Option<Instant>) -> Option<Lingering> {
        POLLER.with(|poller| {
            let is_alone = poller.latest.get() == Some(self.key)
                && poller.changed.get().is_none_or(|changed| changed.elapsed() > SEVERAL);
            let window = poller.window.borrow();
            let is_awaited = poller.traffic.get() || window.is_interrupted();
            let may = is_alone && is_awaited && window.may_open() && poller.is_told.get();
            may.then(|| Lingering::until(deadline))
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Late in the life of a thread there is nothing to remove it from.
        let _ = POLLER.try_with(|poller| poller.wires.borrow_mut().try_remove(self.key));
    }
}

/// How this thread polls, from now on.
pub fn set(busy_poll: BusyPoll) {
    POLLER.with(|poller| poller.window.borrow_mut().set(busy_poll));
}

/// The thread would sleep now. Looks at its pipes for a while, and wakes the drivers of those that have news, so that
/// it does not.
pub fn before_park() {
    POLLER.with(|poller| {
        poller.is_told.set(true);
        let Ok(wires) = poller.wires.try_borrow() else { return };
        if wires.is_empty() {
            return;
        }
        let mut window = poller.window.borrow_mut();
        window.begin(Instant::now(), poller.traffic.take());
        loop {
            match window.next(Instant::now()) {
                Next::Sleep => {
                    poke(&wires, |wire| (wire.before_sleep)());
                    return;
                }
                Next::Yield => std::thread::yield_now(),
                Next::Look if poke(&wires, |wire| (wire.has_news)()) => return,
                Next::Look => {}
            }
        }
    });
}

/// Wakes the drivers of the pipes that have news; false if none has.
fn poke(wires: &Slab<Rc<Wire>>, has_news: impl Fn(&Wire) -> bool) -> bool {
    let mut found = false;
    for (_, wire) in wires {
        if has_news(wire) {
            found = true;
            wire.poked.set(true);
            if let Some(driver) = wire.driver.take() {
                driver.wake();
            }
        }
    }
    found
}

/// The thread does not sleep any more.
pub fn after_unpark() {
    POLLER.with(|poller| {
        if let Ok(mut window) = poller.window.try_borrow_mut() {
            window.end(Instant::now());
        }
    });
}
