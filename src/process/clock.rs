//! A clock for threads that have no runtime to wait with, and that no blocked handler stops.
//!
//! Called by `address` for a request that is waited for on such a thread. One thread for all of them, started when
//! the first needs it; it lives as long as the process and costs nothing while nobody waits.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle};

/// The runtime whose timers fire whatever else the process does; none if there can be no thread for it.
pub fn handle() -> Option<&'static Handle> {
    static CLOCK: OnceLock<Option<Handle>> = OnceLock::new();
    CLOCK.get_or_init(start).as_ref()
}

fn start() -> Option<Handle> {
    let runtime = Builder::new_current_thread().enable_time().build().ok()?;
    let handle = runtime.handle().clone();
    let run = move || runtime.block_on(std::future::pending::<()>());
    std::thread::Builder::new().name("procession-clock".to_owned()).spawn(run).ok()?;
    Some(handle)
}
