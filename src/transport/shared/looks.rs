//! Whether a thread finds what its peer writes by looking, as it does before it sleeps.
//!
//! Where it does, the peer need not ring while the thread is awake, which spares one a system call for each message and the other another. One
//! that has got other work meanwhile may not come to look for long, so after a while without a message it is rung for
//! all the same.
//!
//! ```text
//!                found by looking
//!   Rung for  ------------------------>  Relied on
//!      ^                                     |
//!      \--- a bell was needed, or a while ---/
//! ```

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// So long a message may lie there unseen: about as long as a busy thread takes for the turn after which it asks the
/// kernel for events. Tokio's clock adds up to as much.
const UNSEEN: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Looks {
    relied_on: Cell<bool>,
    clock: RefCell<Pin<Box<Sleep>>>,
    clock_runs: Cell<bool>,
}

impl Looks {
    /// Nothing was found so far.
    ///
    /// # Panics
    /// Outside a tokio runtime with a clock.
    pub(super) fn new() -> Looks {
        let clock = RefCell::new(Box::pin(tokio::time::sleep(Duration::ZERO)));
        Looks { relied_on: Cell::new(false), clock, clock_runs: Cell::new(false) }
    }

    /// Something was found by looking.
    pub(super) fn found(&self) {
        self.relied_on.set(true);
    }

    /// Something had to be rung for.
    pub(super) fn needed_a_bell(&self) {
        self.relied_on.set(false);
    }

    pub(super) fn is_relied_on(&self) -> bool {
        self.relied_on.get()
    }

    /// Resolves when it is time to be rung for. Cancel safe: a clock that runs is that of the next wait, too, since setting it
    /// for each would cost more than what is spared.
    pub(super) async fn over(&self) {
        std::future::poll_fn(|context| {
            let mut clock = self.clock.borrow_mut();
            if !self.clock_runs.replace(true) {
                clock.as_mut().reset(Instant::now() + UNSEEN);
            }
            ready!(clock.as_mut().poll(context));
            self.clock_runs.set(false);
            self.relied_on.set(false);
            Poll::Ready(())
        })
        .await;
    }
}
