//! Waiting until nothing is left to handle.

use std::time::Duration;

use crate::process::handling;
use crate::process::routing::Router;

/// How often it is looked: small against any grace, and only while a process stops.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Resolves when every message that was taken in is handled and answered, also by the asynchronous handlers.
pub(super) async fn drained(router: &Router) {
    while !router.is_idle() || handling::is_waiting() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
