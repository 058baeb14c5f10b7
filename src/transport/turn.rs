//! Turns of the tasks of one thread.

use std::task::Poll;

/// Lets the other tasks of this thread go first, those that were woken last included. Unlike tokio's, this one does
/// not ask the kernel for events meanwhile.
pub(super) async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
