//! Wakes the driver of a connection: rung by who has given it something to do, heard by the driver alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;

/// Many rings before the driver listens are one, and cost a load each.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: AtomicBool,
    driver: AtomicWaker,
}

impl Bell {
    #[inline]
    pub(super) fn ring(&self) {
        // What the driver is to find was written under the lock that it takes after it has heard this.
        if !self.rung.load(Ordering::Acquire) && !self.rung.swap(true, Ordering::AcqRel) {
            self.driver.wake();
        }
    }

    /// Resolves once it was rung since it was last heard. Cancel safe.
    pub(super) async fn heard(&self) {
        std::future::poll_fn(|context| {
            if self.rung.swap(false, Ordering::AcqRel) {
                return Poll::Ready(());
            }
            self.driver.register(context.waker());
            // Rung between the two: nobody was registered then.
            if self.rung.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
