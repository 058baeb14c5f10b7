//! Whether a thread looks at its rings before it sleeps.
//!
//! One that does need not be rung for while it is awake, which spares the peer a system call for each message, and this side
//! another. One that always has other work never comes to look: a clock finds it out, and it is rung for whenever it waits.
//!
//! ```text
//!             looked at                     asleep
//!   Rung for -----------> Relied on -------------------> no clock runs: the peer was told to ring
//!      ^                    |   ^--- looked at since --- clock
//!      \---- not since -----/
//! ```

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// So long a thread may have other work before it is rung for: about as long as a busy one takes for the turn after which it
/// asks the kernel for events.
const UNLOOKED: Duration = Duration::from_millis(1);

/// As good as never.
const NEVER: Duration = Duration::from_secs(86_400);

#[derive(Debug)]
pub(super) struct Looks {
    relied_on: Cell<bool>,
    /// It looked since it was last judged.
    since: Cell<bool>,
    clock: RefCell<Pin<Box<Sleep>>>,
    clock_runs: Cell<bool>,
}

impl Looks {
    /// Nobody has looked yet.
    ///
    /// # Panics
    /// Outside a tokio runtime with a clock.
    pub(super) fn new() -> Looks {
        Looks {
            relied_on: Cell::new(false),
            since: Cell::new(false),
            clock: RefCell::new(Box::pin(tokio::time::sleep(NEVER))),
            clock_runs: Cell::new(false),
        }
    }

    /// The thread has looked, and does so again before it sleeps.
    pub(super) fn note(&self) {
        self.since.set(true);
        self.relied_on.set(true);
    }

    /// The thread sleeps, and is rung for: the clock must not wake it.
    pub(super) fn rest(&self) {
        self.note();
        if self.clock_runs.take() {
            self.set_clock(NEVER);
        }
    }

    pub(super) fn is_relied_on(&self) -> bool {
        self.relied_on.get()
    }

    /// Resolves when the thread has not looked for too long: it can't be relied on any more. Cancel safe.
    pub(super) async fn missed(&self) {
        std::future::poll_fn(|context| {
            if !self.clock_runs.replace(true) {
                self.set_clock(UNLOOKED);
            }
            loop {
                ready!(self.clock.borrow_mut().as_mut().poll(context));
                if !self.since.take() {
                    break;
                }
                self.set_clock(UNLOOKED);
            }
            self.clock_runs.set(false);
            self.relied_on.set(false);
            Poll::Ready(())
        })
        .await;
    }

    fn set_clock(&self, time: Duration) {
        self.clock.borrow_mut().as_mut().reset(Instant::now() + time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Looks {
        fn is_clock_set_within(&self, time: Duration) -> bool {
            self.clock.borrow().deadline() <= Instant::now() + time
        }
    }

    /// Polls once.
    async fn begin_to_wait(looks: &Looks) {
        tokio::select! {
            biased;
            () = looks.missed() => panic!("it has just looked"),
            () = std::future::ready(()) => {}
        }
    }

    #[tokio::test]
    async fn a_sleep_stops_the_clock_and_the_next_wait_sets_it() {
        let looks = Looks::new();
        for _ in 0..3 {
            looks.note();
            begin_to_wait(&looks).await;
            assert!(looks.is_clock_set_within(UNLOOKED));
            looks.rest();
            assert!(!looks.is_clock_set_within(UNLOOKED * 1000));
        }
    }

    #[tokio::test]
    async fn it_is_judged_anew_for_as_long_as_it_looks() {
        let looks = Looks::new();
        looks.note();
        let mut turns = 0;
        let looking = async {
            while turns < 3 {
                let before = looks.clock.borrow().deadline();
                looks.note();
                while looks.clock.borrow().deadline() == before {
                    looks.note();
                    tokio::task::yield_now().await;
                }
                turns += 1;
            }
        };
        tokio::select! {
            biased;
            () = looks.missed() => panic!("it has looked"),
            () = looking => {}
        }
        looks.missed().await;
        assert!(!looks.is_relied_on());
    }
}
